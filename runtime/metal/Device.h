//===- Device.h - models and sessions on Metal ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_METAL_DEVICE_H
#define TERN_RUNTIME_METAL_DEVICE_H

#include "runtime/metal/ObjC.h"
#include "runtime/metal/Plan.h"

#include <memory>
#include <vector>

namespace tern::metal {

/// A piece of memory that both sides name by an MTLBuffer.
struct Buffer {
  Object object;
  uint64_t bytes = 0; ///< from `start` on
  uint64_t start = 0; ///< of what is ours, in the MTLBuffer
};

/// Kernels compiled for this machine's GPU, and the weights. Immutable: sessions share it.
class Model {
public:
  /// `msl` and `weights` must outlive the model, `weights` as pages of a mapping.
  static Status create(const Plan &plan, std::string_view msl, std::string_view weights,
                       std::unique_ptr<Model> *out);

private:
  friend class Session;
  Status compile(std::string_view msl);
  Status pipeline(const tern_gpu_kernel_t &kernel, Id library);
  Status shareWeights(std::string_view bytes);

  Plan plan;
  Object device, queue;
  std::vector<Object> pipelines; ///< by kernel
  Buffer weights;
};

/// The memory of one stream of positions, and calls on it.
class Session {
public:
  static Status create(const Model &model, uint32_t capacity, std::unique_ptr<Session> *out);

  /// As tern_session_run. Returns when the GPU is done.
  Status run(int64_t rows, const void *const *inputs, const int64_t *indices, void *const *outputs);

private:
  Status allocate(uint64_t bytes, bool shared, const char *what, Buffer *out);
  Status prepare(const Call &call, const void *const *inputs);
  Status computeAngles(const Call &call);
  Status encode(const Call &call, Id encoder);
  Status encodeStep(uint32_t index, const Call &call, Id encoder);
  Status bind(const tern_gpu_binding_t &binding, uint64_t index, const Call &call, Id encoder);
  const Buffer &bufferOf(const tern_gpu_binding_t &binding) const;

  const Model *model = nullptr;
  uint32_t capacity = 0;
  Buffer arena, cache, scratch, host;
  std::vector<Buffer> tensors; ///< inputs, then outputs; grown as calls need
};

} // namespace tern::metal

#endif // TERN_RUNTIME_METAL_DEVICE_H
