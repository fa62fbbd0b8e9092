//===- Model.cpp - kernels and weights on Metal ---------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/metal/Device.h"

#include <cinttypes>
#include <unistd.h>

namespace tern::metal {

static constexpr uint64_t kSimdWidth = 32;

static Status failed(std::string text) {
  return Status::error(TERN_STATUS_CPU, TERN_CATEGORY_DEVICE, std::move(text));
}

/// What an NSError says; it may be null.
static std::string describe(Id error) {
  if (!error)
    return "no reason given";
  return send<const char *>(send(error, "localizedDescription"), "UTF8String");
}

static Object stringOf(std::string_view text) {
  constexpr uint64_t kUtf8 = 4;
  Id empty = send(api()->objc_getClass("NSString"), "alloc");
  return Object(send(empty, "initWithBytes:length:encoding:",
                     static_cast<const void *>(text.data()), uint64_t(text.size()), kUtf8));
}

Status Model::create(const Plan &plan, std::string_view msl, std::string_view weights,
                     std::unique_ptr<Model> *out) {
  if (!api())
    return failed("the model is compiled for Metal, which this system does not have");
  Pool pool;
  auto model = std::make_unique<Model>();
  model->plan = plan;
  model->device = Object(api()->MTLCreateSystemDefaultDevice());
  if (!model->device)
    return failed("Metal offers no device");
  model->queue = Object(send(model->device.get(), "newCommandQueue"));
  if (!model->queue)
    return failed("the Metal device gives no command queue");
  Status status = model->compile(msl);
  if (status.ok())
    status = model->shareWeights(weights);
  if (status.ok())
    *out = std::move(model);
  return status;
}

Status Model::compile(std::string_view msl) {
  Object source = stringOf(msl);
  Object options(send(send(api()->objc_getClass("MTLCompileOptions"), "alloc"), "init"));
  // Results are the same bits on every target.
  send<void>(options.get(), "setFastMathEnabled:", static_cast<signed char>(0));
  Id error = nullptr;
  Object library(send(device.get(), "newLibraryWithSource:options:error:", source.get(),
                      options.get(), &error));
  if (!library)
    return failed("Metal's compiler refused the kernels: " + describe(error));
  for (uint32_t i = 0; i < plan.head().kernel_count; ++i)
    if (Status status = pipeline(plan.kernels()[i], library.get()); !status.ok())
      return std::move(status).within(format("kernel %s", plan.string(plan.kernels()[i].name)));
  return {};
}

Status Model::pipeline(const tern_gpu_kernel_t &kernel, Id library) {
  Object name = stringOf(plan.string(kernel.name));
  Object function(send(library, "newFunctionWithName:", name.get()));
  if (!function)
    return failed("not in the compiled library");
  Id error = nullptr;
  Object made(
      send(device.get(), "newComputePipelineStateWithFunction:error:", function.get(), &error));
  if (!made)
    return failed("no pipeline: " + describe(error));
  uint64_t width = send<uint64_t>(made.get(), "threadExecutionWidth");
  uint64_t most = send<uint64_t>(made.get(), "maxTotalThreadsPerThreadgroup");
  uint64_t shared = send<uint64_t>(made.get(), "staticThreadgroupMemoryLength");
  if (width != kSimdWidth)
    return failed(format("expected simdgroups of %" PRIu64 " threads, this GPU has %" PRIu64,
                         kSimdWidth, width));
  if (most < kernel.threads)
    return failed(format("needs threadgroups of %u threads, this GPU takes up to %" PRIu64,
                         kernel.threads, most));
  if (uint64_t room = send<uint64_t>(device.get(), "maxThreadgroupMemoryLength"); shared > room)
    return failed(format("needs %" PRIu64 " bytes of threadgroup memory, this GPU has %" PRIu64,
                         shared, room));
  pipelines.push_back(std::move(made));
  return {};
}

/// The GPU reads the file's pages where they are. Metal takes whole pages: those of the mapping
/// that the weights lie in.
Status Model::shareWeights(std::string_view bytes) {
  if (bytes.empty())
    return {};
  auto page = uint64_t(sysconf(_SC_PAGESIZE));
  auto address = reinterpret_cast<uintptr_t>(bytes.data());
  weights.start = address % page;
  weights.bytes = bytes.size();
  uint64_t whole = (weights.start + bytes.size() + page - 1) / page * page;
  weights.object = Object(send(device.get(), "newBufferWithBytesNoCopy:length:options:deallocator:",
                               reinterpret_cast<void *>(address - weights.start), whole,
                               uint64_t(0), static_cast<void *>(nullptr)));
  if (weights.object)
    return {};
  return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_DEVICE,
                       format("Metal does not take the weights: %" PRIu64 " bytes", whole));
}

} // namespace tern::metal
