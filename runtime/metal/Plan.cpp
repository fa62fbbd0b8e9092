//===- Plan.cpp - a checked dispatch plan ---------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/metal/Plan.h"

#include <cinttypes>
#include <cstring>

namespace tern::metal {

/// Metal's limits, and bounds far above anything real.
static constexpr uint32_t kBuffers = 30, kScalars = 64, kThreads = 1024;
static constexpr uint32_t kSharedBytes = 32 * 1024;

static Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text)).within("GPU plan");
}

int64_t evaluate(const tern_gpu_linear_t &linear, const Call &call) {
  // Unsigned: numbers of a damaged plan may wrap, and are refused by whoever uses the result.
  uint64_t sum = uint64_t(linear.constant) + uint64_t(linear.rows) * uint64_t(call.rows) +
                 uint64_t(linear.capacity) * uint64_t(call.capacity);
  for (uint32_t i = 0; i < TERN_GPU_INDICES; ++i)
    sum += uint64_t(linear.indices[i]) * uint64_t(call.indices[i]);
  return int64_t(sum);
}

Status Plan::checkTables() const {
  const struct {
    const char *name;
    uint64_t at, count, size;
  } tables[] = {{"kernels", plan->kernels_at, plan->kernel_count, sizeof(tern_gpu_kernel_t)},
                {"steps", plan->steps_at, plan->step_count, sizeof(tern_gpu_step_t)},
                {"bindings", plan->bindings_at, plan->binding_count, sizeof(tern_gpu_binding_t)},
                {"scalars", plan->scalars_at, plan->scalar_count, sizeof(tern_gpu_linear_t)},
                {"angles", plan->angles_at, plan->angles_count, sizeof(tern_gpu_angles_t)},
                {"frequencies", plan->frequencies_at, plan->frequency_count, sizeof(float)},
                {"tensors", plan->tensors_at, plan->tensor_count, sizeof(tern_gpu_tensor_t)},
                {"strings", plan->strings_at, plan->string_bytes, 1}};
  for (const auto &table : tables)
    if (table.at % 8 != 0 || table.at > plan->total_bytes ||
        table.count * table.size > plan->total_bytes - table.at)
      return corrupt(format("%s: %" PRIu64 " entries at %" PRIu64 " do not lie in %" PRIu64
                            " bytes",
                            table.name, table.count, table.at, plan->total_bytes));
  if (plan->string_bytes == 0 || string(0)[plan->string_bytes - 1] != 0 ||
      plan->compiler_version >= plan->string_bytes)
    return corrupt("strings do not end");
  if (plan->index_count > TERN_GPU_INDICES || plan->max_rows == 0 ||
      plan->tensor_count != uint64_t(plan->input_count) + plan->output_count)
    return corrupt(format("expected up to %u indices and a tensor an input and output, found %u "
                          "indices and %u tensors",
                          TERN_GPU_INDICES, plan->index_count, plan->tensor_count));
  return {};
}

Status Plan::checkKernels() const {
  for (uint32_t i = 0; i < plan->kernel_count; ++i) {
    const tern_gpu_kernel_t &kernel = kernels()[i];
    if (kernel.name >= plan->string_bytes || kernel.buffers > kBuffers ||
        kernel.scalars > kScalars || kernel.threads == 0 || kernel.threads > kThreads ||
        kernel.items_x == 0 || kernel.items_y == 0 || kernel.shared_bytes > kSharedBytes)
      return corrupt(format("kernel %u is implausible: %u buffers, %u scalars, %u threads", i,
                            kernel.buffers, kernel.scalars, kernel.threads));
  }
  return {};
}

Status Plan::checkSteps() const {
  for (uint32_t i = 0; i < plan->step_count; ++i) {
    const tern_gpu_step_t &step = steps()[i];
    if (step.kernel >= plan->kernel_count || step.when > TERN_GPU_IF_SEVERAL)
      return corrupt(
          format("step %u: no kernel %u, or no condition %u", i, step.kernel, step.when));
    const tern_gpu_kernel_t &kernel = kernels()[step.kernel];
    if (uint64_t(step.first_binding) + kernel.buffers > plan->binding_count ||
        uint64_t(step.first_scalar) + kernel.scalars > plan->scalar_count)
      return corrupt(format("step %u: its bindings or scalars are not there", i));
  }
  for (uint32_t i = 0; i < plan->binding_count; ++i) {
    const tern_gpu_binding_t &binding = bindings()[i];
    uint32_t numbers = binding.base == TERN_GPU_INPUT    ? plan->input_count
                       : binding.base == TERN_GPU_OUTPUT ? plan->output_count
                                                         : 1;
    if (binding.base > TERN_GPU_OUTPUT || binding.number >= numbers)
      return corrupt(format("binding %u: no base %u, number %u", i, binding.base, binding.number));
  }
  for (uint32_t i = 0; i < plan->angles_count; ++i) {
    const tern_gpu_angles_t &one = angles()[i];
    if (uint64_t(one.first_frequency) + one.half > plan->frequency_count || one.offset % 4 != 0 ||
        one.offset > plan->host_bytes)
      return corrupt(format("angles %u: %u frequencies from %u are not there", i, one.half,
                            one.first_frequency));
  }
  return {};
}

Status Plan::read(std::string_view section, Plan *out) {
  if (section.size() < sizeof(tern_gpu_plan_t))
    return corrupt(
        format("expected at least %zu bytes, found %zu", sizeof(tern_gpu_plan_t), section.size()));
  Plan found;
  found.plan = reinterpret_cast<const tern_gpu_plan_t *>(section.data());
  if (reinterpret_cast<uintptr_t>(section.data()) % alignof(tern_gpu_plan_t) != 0)
    return corrupt("not aligned");
  if (std::memcmp(found.plan->magic, TERN_GPU_PLAN_MAGIC, sizeof found.plan->magic) != 0)
    return Status::error(TERN_STATUS_VERSION, TERN_CATEGORY_IO,
                         "GPU plan: expected the magic " TERN_GPU_PLAN_MAGIC
                         ": recompile the model with this release");
  if (found.plan->total_bytes != section.size())
    return corrupt(
        format("expected %" PRIu64 " bytes, found %zu", found.plan->total_bytes, section.size()));
  Status status = found.checkTables();
  if (status.ok())
    status = found.checkKernels();
  if (status.ok())
    status = found.checkSteps();
  if (status.ok())
    *out = found;
  return status;
}

tern_descriptor_t Plan::descriptor() const {
  tern_descriptor_t n = {};
  n.struct_size = sizeof n;
  n.abi_version = TERN_ABI_VERSION;
  n.compiler_version = string(plan->compiler_version);
  std::memcpy(n.layout_id, plan->layout_id, sizeof n.layout_id);
  n.max_rows = plan->max_rows;
  n.arena_bytes = plan->arena_bytes;
  n.kv_bytes_per_position = plan->kv_bytes_per_position;
  n.scratch_bytes_per_position = plan->scratch_bytes_per_position;
  n.weights_bytes = plan->weights_bytes;
  n.vocabulary = plan->vocabulary;
  n.hidden = plan->hidden;
  n.layers = plan->layers;
  n.max_positions = plan->max_positions;
  n.input_count = plan->input_count;
  n.index_count = plan->index_count;
  n.output_count = plan->output_count;
  return n;
}

} // namespace tern::metal
