//===- Plan.h - packed modules to dispatch plans ----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_GPU_PLAN_H
#define TERN_CODEGEN_GPU_PLAN_H

#include "codegen/Descriptor.h"
#include "codegen/gpu/Kernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tern/gpu_plan.h"

#include <string>
#include <vector>

namespace tern::gpu {

/// A tern_gpu_plan with its tables.
struct Plan {
  std::vector<const KernelInfo *> kernels;
  std::vector<tern_gpu_step_t> steps;
  std::vector<tern_gpu_binding_t> bindings;
  std::vector<tern_gpu_linear_t> scalars;
  std::vector<tern_gpu_angles_t> angles;
  std::vector<float> frequencies;
  std::vector<tern_gpu_tensor_t> tensors; ///< inputs, then outputs
  uint64_t hostBytes = 0, scratchBytesPerPosition = 0;

  std::vector<std::string> kernelNames() const;
  /// The bytes of TERN_SECTION_GPU_PLAN. `info` is what `describe` says of the module.
  std::string serialize(const DescriptorInfo &info) const;
};

/// The dispatches of one call of `entry`, of a packed module. Ops that have no GPU kernel are
/// errors that name them.
llvm::Expected<Plan> buildPlan(mlir::func::FuncOp entry, int64_t maxRows);

} // namespace tern::gpu

#endif // TERN_CODEGEN_GPU_PLAN_H
