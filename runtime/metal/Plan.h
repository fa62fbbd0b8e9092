//===- Plan.h - a checked dispatch plan -------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_METAL_PLAN_H
#define TERN_RUNTIME_METAL_PLAN_H

#include "runtime/Status.h"
#include "tern/gpu_plan.h"

#include <string_view>

namespace tern::metal {

/// The numbers of one call that linear forms are made of.
struct Call {
  int64_t rows = 0, capacity = 0;
  int64_t indices[TERN_GPU_INDICES] = {};
};

int64_t evaluate(const tern_gpu_linear_t &linear, const Call &call);

/// The plan of a payload, which it points into. Every index and offset of a checked plan is in
/// range; what depends on a call is checked when it is evaluated.
class Plan {
public:
  static Status read(std::string_view section, Plan *out);

  const tern_gpu_plan_t &head() const { return *plan; }
  const tern_gpu_kernel_t *kernels() const { return at<tern_gpu_kernel_t>(plan->kernels_at); }
  const tern_gpu_step_t *steps() const { return at<tern_gpu_step_t>(plan->steps_at); }
  const tern_gpu_binding_t *bindings() const { return at<tern_gpu_binding_t>(plan->bindings_at); }
  const tern_gpu_linear_t *scalars() const { return at<tern_gpu_linear_t>(plan->scalars_at); }
  const tern_gpu_angles_t *angles() const { return at<tern_gpu_angles_t>(plan->angles_at); }
  const float *frequencies() const { return at<float>(plan->frequencies_at); }
  const tern_gpu_tensor_t *tensors() const { return at<tern_gpu_tensor_t>(plan->tensors_at); }
  const char *string(uint32_t offset) const { return at<char>(plan->strings_at) + offset; }
  /// What the runtime asks of any model; no levels.
  tern_descriptor_t descriptor() const;

private:
  template <typename T> const T *at(uint64_t offset) const {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(plan) + offset);
  }
  Status checkTables() const;
  Status checkKernels() const;
  Status checkSteps() const;

  const tern_gpu_plan_t *plan = nullptr;
};

/// One row of ternary.rope_angles: `half` cosines and as many sines.
void ropeAngles(int64_t position, const float *frequencies, int64_t half, float *out);

} // namespace tern::metal

#endif // TERN_RUNTIME_METAL_PLAN_H
