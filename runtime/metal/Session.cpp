//===- Session.cpp - calls on Metal ---------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/metal/Device.h"

#include "runtime/Arena.h"

#include <cinttypes>
#include <cstring>

namespace tern::metal {

/// MTLResourceOptions.
static constexpr uint64_t kShared = 0, kPrivate = 2 << 4;
/// MTLCommandBufferStatusCompleted.
static constexpr uint64_t kCompleted = 4;

static Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text)).within("GPU plan");
}

Status Session::allocate(uint64_t bytes, bool shared, const char *what, Buffer *out) {
  // Metal has no empty buffers.
  Object made(send(model->device.get(), "newBufferWithLength:options:", bytes ? bytes : 16,
                   shared ? kShared : kPrivate));
  if (!made)
    return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                         format("no %" PRIu64 " bytes of GPU memory for the %s", bytes, what));
  out->object = std::move(made);
  out->bytes = bytes ? bytes : 16;
  return {};
}

Status Session::create(const Model &model, uint32_t capacity, std::unique_ptr<Session> *out) {
  Pool pool;
  auto session = std::make_unique<Session>();
  session->model = &model;
  session->capacity = capacity;
  const tern_gpu_plan_t &plan = model.plan.head();
  uint64_t cacheBytes, scratchBytes;
  if (!multiply(plan.kv_bytes_per_position, capacity, &cacheBytes) ||
      !multiply(plan.scratch_bytes_per_position, capacity, &scratchBytes))
    return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                         "the sizes do not fit 64 bits");
  Status status = session->allocate(plan.arena_bytes, false, "arena", &session->arena);
  if (status.ok())
    status = session->allocate(cacheBytes, false, "cache", &session->cache);
  if (status.ok())
    status = session->allocate(scratchBytes, false, "scratch memory", &session->scratch);
  if (status.ok())
    status = session->allocate(plan.host_bytes, true, "angles", &session->host);
  session->tensors.resize(plan.tensor_count);
  if (status.ok())
    *out = std::move(session);
  return status;
}

static uint8_t *contents(const Buffer &buffer) {
  return static_cast<uint8_t *>(send<void *>(buffer.object.get(), "contents"));
}

/// Rows of a tensor in this call; -1 when the plan makes no sense of it.
static int64_t rowsOf(const tern_gpu_tensor_t &tensor, const Call &call, uint64_t *bytes) {
  int64_t rows = evaluate(tensor.rows, call);
  return rows >= 0 && multiply(tensor.row_bytes, uint64_t(rows), bytes) ? rows : -1;
}

/// Inputs go where the GPU sees them; outputs get room.
Status Session::prepare(const Call &call, const void *const *inputs) {
  const tern_gpu_plan_t &plan = model->plan.head();
  for (uint32_t i = 0; i < plan.tensor_count; ++i) {
    uint64_t bytes = 0;
    if (rowsOf(model->plan.tensors()[i], call, &bytes) < 0)
      return corrupt(format("tensor %u has no rows", i));
    if (!tensors[i].object || tensors[i].bytes < bytes)
      if (Status status = allocate(bytes, true, "inputs and outputs", &tensors[i]); !status.ok())
        return status;
    if (i < plan.input_count)
      std::memcpy(contents(tensors[i]), inputs[i], bytes);
  }
  return computeAngles(call);
}

Status Session::computeAngles(const Call &call) {
  const Plan &plan = model->plan;
  for (uint32_t i = 0; i < plan.head().angles_count; ++i) {
    const tern_gpu_angles_t &one = plan.angles()[i];
    int64_t rows = evaluate(one.rows, call), position = evaluate(one.position, call);
    uint64_t stride = 8 * uint64_t(one.half), bytes;
    if (rows < 0 || !multiply(stride, uint64_t(rows), &bytes) ||
        bytes > plan.head().host_bytes - one.offset)
      return corrupt(format("angles %u: %" PRId64 " rows do not fit", i, rows));
    uint8_t *out = contents(host) + one.offset;
    for (int64_t m = 0; m < rows; ++m)
      ropeAngles(position + m, plan.frequencies() + one.first_frequency, one.half,
                 reinterpret_cast<float *>(out + uint64_t(m) * stride));
  }
  return {};
}

const Buffer &Session::bufferOf(const tern_gpu_binding_t &binding) const {
  switch (binding.base) {
  case TERN_GPU_ARENA:
    return arena;
  case TERN_GPU_WEIGHTS:
    return model->weights;
  case TERN_GPU_CACHE:
    return cache;
  case TERN_GPU_SCRATCH:
    return scratch;
  case TERN_GPU_HOST:
    return host;
  case TERN_GPU_INPUT:
    return tensors[binding.number];
  }
  return tensors[model->plan.head().input_count + binding.number];
}

Status Session::bind(const tern_gpu_binding_t &binding, uint64_t index, const Call &call,
                     Id encoder) {
  const Buffer &buffer = bufferOf(binding);
  int64_t offset = evaluate(binding.offset, call);
  if (!buffer.object || offset < 0 || uint64_t(offset) >= buffer.bytes)
    return corrupt(
        format("offset %" PRId64 " is not in a buffer of %" PRIu64 " bytes", offset, buffer.bytes));
  send<void>(encoder, "setBuffer:offset:atIndex:", buffer.object.get(),
             buffer.start + uint64_t(offset), index);
  return {};
}

static bool applies(uint32_t when, int64_t items) {
  return when == TERN_GPU_ALWAYS || (when == TERN_GPU_IF_ONE) == (items == 1);
}

Status Session::encodeStep(uint32_t index, const Call &call, Id encoder) {
  const Plan &plan = model->plan;
  const tern_gpu_step_t &step = plan.steps()[index];
  const tern_gpu_kernel_t &kernel = plan.kernels()[step.kernel];
  int64_t x = evaluate(step.items_x, call), y = evaluate(step.items_y, call);
  if (x < 0 || y < 0 || x > INT32_MAX || y > INT32_MAX)
    return corrupt(format("%" PRId64 " by %" PRId64 " items", x, y));
  if (x == 0 || y == 0 || !applies(step.when, y))
    return {};
  send<void>(encoder, "setComputePipelineState:", model->pipelines[step.kernel].get());
  for (uint32_t i = 0; i < kernel.buffers; ++i)
    if (Status status = bind(plan.bindings()[step.first_binding + i], i, call, encoder);
        !status.ok())
      return status;
  uint32_t scalars[64];
  for (uint32_t i = 0; i < kernel.scalars; ++i) {
    int64_t value = evaluate(plan.scalars()[step.first_scalar + i], call);
    if (value < INT32_MIN || value > int64_t(UINT32_MAX))
      return corrupt(format("scalar %u is %" PRId64 ", which 32 bits do not hold", i, value));
    scalars[i] = uint32_t(value);
  }
  send<void>(encoder, "setBytes:length:atIndex:", static_cast<const void *>(scalars),
             uint64_t(kernel.scalars * sizeof(uint32_t)), uint64_t(kernel.buffers));
  auto groups = [](int64_t items, uint32_t each) { return (uint64_t(items) + each - 1) / each; };
  send<void>(encoder, "dispatchThreadgroups:threadsPerThreadgroup:",
             Size{groups(x, kernel.items_x), groups(y, kernel.items_y), 1},
             Size{kernel.threads, 1, 1});
  return {};
}

/// One encoder: Metal runs its dispatches in order, each after what the one before wrote.
Status Session::encode(const Call &call, Id encoder) {
  const Plan &plan = model->plan;
  for (uint32_t i = 0; i < plan.head().step_count; ++i)
    if (Status status = encodeStep(i, call, encoder); !status.ok())
      return std::move(status).within(
          format("step %u, %s", i, plan.string(plan.kernels()[plan.steps()[i].kernel].name)));
  return {};
}

Status Session::run(int64_t rows, const void *const *inputs, const int64_t *indices,
                    void *const *outputs) {
  const tern_gpu_plan_t &plan = model->plan.head();
  Pool pool;
  Call call;
  call.rows = rows;
  call.capacity = capacity;
  for (uint32_t i = 0; i < plan.index_count; ++i)
    call.indices[i] = indices[i];
  if (Status status = prepare(call, inputs); !status.ok())
    return status;
  Id commands = send(model->queue.get(), "commandBuffer");
  Id encoder = send(commands, "computeCommandEncoder");
  Status status = encode(call, encoder);
  send<void>(encoder, "endEncoding");
  if (!status.ok())
    return status;
  send<void>(commands, "commit");
  send<void>(commands, "waitUntilCompleted");
  if (uint64_t state = send<uint64_t>(commands, "status"); state != kCompleted) {
    Id error = send(commands, "error");
    const char *reason =
        error ? send<const char *>(send(error, "localizedDescription"), "UTF8String") : "no reason";
    return Status::error(TERN_STATUS_INTERNAL, TERN_CATEGORY_DEVICE,
                         format("the GPU stopped in state %" PRIu64 ": %s", state, reason));
  }
  for (uint32_t i = 0; i < plan.output_count; ++i) {
    uint64_t bytes = 0;
    uint32_t at = plan.input_count + i;
    if (rowsOf(model->plan.tensors()[at], call, &bytes) > 0)
      std::memcpy(outputs[i], contents(tensors[at]), bytes);
  }
  return {};
}

} // namespace tern::metal
