//===- PlanOps.cpp - each op of the dialect as steps of a plan ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/PlanBuilder.h"

#include "codegen/AttentionKernel.h"
#include "codegen/Places.h"
#include "dialect/Packing.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace tern::gpu {

static int64_t columnsOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getDimSize(type.getRank() - 1);
}

static int64_t floats(const GpuPlace &place) { return place.stride / 4; }

LogicalResult PlanBuilder::ternaryOp(Operation *op) {
  if (ternary::Product product(op); product)
    return lower(product);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<ternary::QuantizeRowsOp, ternary::RmsNormOp, ternary::RopeAnglesOp, ternary::RopeOp,
            ternary::AttentionOp, ternary::GatedActivationOp, ternary::EmbeddingOp, ternary::HeadOp,
            arith::AddFOp>([&](auto known) { return lower(known); })
      .Default([](Operation *other) { return other->emitOpError("has no GPU kernel"); });
}

void PlanBuilder::copyRows(const GpuPlace &from, const GpuPlace &to, int64_t columns) {
  Step(*this, "copy_rows")
      .bind("x", from)
      .bind("out", to)
      .set("columns", columns)
      .set("x_stride", floats(from))
      .set("out_stride", floats(to))
      .run(constant(columns), from.rows);
}

LogicalResult PlanBuilder::lower(ternary::QuantizeRowsOp op) {
  const GpuPlace input = place(op.getInput());
  if (failed(placeResults(op, input.rows)))
    return failure();
  const GpuPlace values = place(op.getValues());
  bool groups = op.getScales().getType().getRank() == 2;
  std::string kernel = groups ? "quantize_groups" : "quantize_rows";
  Step step(*this, op.getGain() ? "norm_" + kernel : kernel);
  if (op.getGain())
    step.bind("gain", place(op.getGain()))
        .set("epsilon", op.getEpsilonAttr().getValue().convertToFloat());
  step.bind("x", input).bind("values", values).bind("scales", place(op.getScales()));
  step.bind("offsets", place(op.getOffsets()));
  step.set("columns", columnsOf(op.getInput())).set("x_stride", floats(input));
  step.set("values_stride", values.stride).set("group", static_cast<int64_t>(op.getGroup()));
  step.run(input.rows, constant(1));
  return success();
}

LogicalResult PlanBuilder::lower(ternary::Product op) {
  RankedTensorType type = op.weightType();
  auto packing = dyn_cast_or_null<ternary::PackingAttr>(type.getEncoding());
  if (op.gate() || !packing || packing.getKind() != ternary::PackingKind::TwoBit ||
      packing.getRows() != kBlockRows)
    return op->emitOpError("GPU kernels take weights packed as two_bit in blocks of 16 rows, got ")
           << type;
  const GpuPlace acts = place(op.acts());
  if (failed(placeResults(op.getOperation(), acts.rows)))
    return failure();
  const GpuPlace out = place(op.result()), left = op.residual() ? place(op.residual()) : out;
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  int64_t scaleGroups = op.scaleType().getDimSize(1), groups = op.actGroups();
  bool actScales = groups != 0;
  if (!actScales)
    groups = scaleGroups;
  int64_t blocks = llvm::divideCeil(rows, kBlockRows);
  std::string suffix = op.scaleType().getElementType().isF16() ? "_f16" : "";
  auto make = [&](const std::string &kernel) {
    Step step(*this, kernel + suffix);
    step.bind("weight", place(op.weight())).bind("scale", place(op.scale())).bind("acts", acts);
    // A buffer must be bound where it is not read, too.
    step.bind("residual", left)
        .bind("out", out)
        .set("has_residual", int64_t(op.residual() != nullptr));
    step.set("rows", rows)
        .set("k_tiles", static_cast<int64_t>(llvm::divideCeil(columns, packing.getK())));
    step.set("groups", groups).set("columns", columns).set("blocks", blocks);
    step.set("tokens", acts.rows).set("residual_stride", floats(left));
    step.set("out_stride", floats(out));
    if (auto quantized = dyn_cast<ternary::FusedLinearOp>(op.getOperation()))
      step.bind("row_scales", place(quantized.getRowScales()))
          .bind("offsets", place(quantized.getOffsets()));
    return step;
  };
  if (op.takesFloats()) {
    make("matmul_f32_two_bit").set("acts_stride", floats(acts)).run(constant(rows), acts.rows);
    return success();
  }
  if (actScales) {
    make("matmul_groups_two_bit")
        .set("acts_stride", acts.stride / 16)
        .set("scale_groups", scaleGroups)
        .run(constant(blocks), acts.rows);
    return success();
  }
  bool byOne = groups == 1;
  if (byOne)
    make("matvec_two_bit").run(constant(blocks), acts.rows, TERN_GPU_IF_ONE);
  make("matmul_two_bit")
      .set("acts_stride", acts.stride / 16)
      .run(constant(blocks), acts.rows, byOne ? TERN_GPU_IF_SEVERAL : TERN_GPU_ALWAYS);
  return success();
}

LogicalResult PlanBuilder::lower(ternary::RmsNormOp op) {
  const GpuPlace input = place(op.getInput());
  if (failed(placeResults(op, input.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  auto heads = static_cast<int64_t>(op.getHeads());
  Step(*this, "rms_norm")
      .bind("x", input)
      .bind("gain", place(op.getGain()))
      .bind("out", out)
      .set("columns", columnsOf(op.getInput()) / heads)
      .set("x_stride", floats(input))
      .set("out_stride", floats(out))
      .set("epsilon", op.getEpsilonAttr().getValue().convertToFloat())
      .run(input.rows, constant(heads));
  return success();
}

LogicalResult PlanBuilder::lower(ternary::RopeAnglesOp op) {
  auto frequencies = dyn_cast<DenseFPElementsAttr>(op.getFrequencies());
  if (!frequencies)
    return op.emitOpError("expected dense frequencies");
  int64_t half = frequencies.getNumElements();
  GpuPlace out;
  out.base = TERN_GPU_HOST;
  out.offset = constant(static_cast<int64_t>(plan.hostBytes));
  out.rows = number(op.getRows());
  out.stride = 8 * half;
  tern_gpu_angles_t angles{};
  angles.position = number(op.getPosition());
  angles.rows = out.rows;
  angles.offset = plan.hostBytes;
  angles.half = static_cast<uint32_t>(half);
  angles.first_frequency = static_cast<uint32_t>(plan.frequencies.size());
  for (float frequency : frequencies.getValues<float>())
    plan.frequencies.push_back(frequency);
  plan.angles.push_back(angles);
  plan.hostBytes += static_cast<uint64_t>(roundUp(maxRows * out.stride, 64));
  frame->places[op.getResult()] = out;
  return success();
}

LogicalResult PlanBuilder::lower(ternary::RopeOp op) {
  const GpuPlace input = place(op.getInput()), angles = place(op.getAngles());
  if (failed(placeResults(op, input.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  auto heads = static_cast<int64_t>(op.getHeads());
  int64_t half = columnsOf(op.getInput()) / heads / 2;
  Step(*this, "rope")
      .bind("x", input)
      .bind("angles", angles)
      .bind("out", out)
      .set("heads", heads)
      .set("half", half)
      .set("x_stride", floats(input))
      .set("angles_stride", floats(angles))
      .set("out_stride", floats(out))
      .run(constant(heads * half), input.rows);
  return success();
}

LogicalResult PlanBuilder::lower(ternary::GatedActivationOp op) {
  const GpuPlace gate = place(op.getGate()), up = place(op.getUp());
  if (failed(placeResults(op, gate.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  int64_t columns = columnsOf(op.getGate());
  Step(*this, op.getKind() == ternary::GateKind::Relu2 ? "gated_relu2" : "gated_silu")
      .bind("x", gate)
      .bind("y", up)
      .bind("out", out)
      .set("columns", columns)
      .set("x_stride", floats(gate))
      .set("y_stride", floats(up))
      .set("out_stride", floats(out))
      .run(constant(columns), gate.rows);
  return success();
}

LogicalResult PlanBuilder::lower(arith::AddFOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type || type.getRank() != 2 || !type.getElementType().isF32())
    return op.emitOpError("expected f32 matrices, got ") << op.getType();
  const GpuPlace left = place(op.getLhs()), right = place(op.getRhs());
  if (failed(placeResults(op, left.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  Step(*this, "add_rows")
      .bind("x", left)
      .bind("y", right)
      .bind("out", out)
      .set("columns", columnsOf(op.getResult()))
      .set("x_stride", floats(left))
      .set("y_stride", floats(right))
      .set("out_stride", floats(out))
      .run(constant(columnsOf(op.getResult())), left.rows);
  return success();
}

static std::string ofElement(const char *kernel, Value table) {
  Type element = cast<RankedTensorType>(table.getType()).getElementType();
  return kernel + std::string(element.isF32() ? "_f32" : element.isF16() ? "_f16" : "_bf16");
}

LogicalResult PlanBuilder::lower(ternary::EmbeddingOp op) {
  const GpuPlace ids = place(op.getIds());
  if (failed(placeResults(op, ids.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  int64_t columns = columnsOf(op.getResult());
  Step(*this, ofElement("embedding", op.getTable()))
      .bind("ids", ids)
      .bind("table", place(op.getTable()))
      .bind("out", out)
      .set("columns", columns)
      .set("table_stride", paddedRow(columns))
      .set("out_stride", floats(out))
      .run(constant(columns), ids.rows);
  return success();
}

LogicalResult PlanBuilder::lower(ternary::HeadOp op) {
  if (op.integerTable())
    return op.emitOpError("expected a table of floats for a GPU, got ") << op.getTable().getType();
  const GpuPlace input = place(op.getInput()), table = place(op.getTable());
  if (failed(placeResults(op, input.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  int64_t vocabulary = columnsOf(op.getResult());
  Step(*this, ofElement("head", op.getTable()))
      .bind("x", input)
      .bind("table", table)
      .bind("out", out)
      .set("columns", columnsOf(op.getInput()))
      .set("rows", vocabulary)
      .set("x_stride", floats(input))
      .set("table_stride", table.stride / 16)
      .set("out_stride", floats(out))
      .run(constant(vocabulary), input.rows);
  return success();
}

LogicalResult PlanBuilder::lower(ternary::AttentionOp op) {
  auto cache = cast<ternary::KVCacheType>(op.getCache().getType());
  if (!cache.getElementType().isF32())
    return op.emitOpError("expected a cache of f32, got ") << cache.getElementType();
  const GpuPlace query = place(op.getQuery()), key = place(op.getKey()),
                 value = place(op.getValue()), store = place(op.getCache());
  if (failed(placeResults(op, query.rows)))
    return failure();
  const GpuPlace out = place(op.getResult());
  Linear capacity{}, position = number(op.getPosition());
  capacity.capacity = 1;
  auto heads = static_cast<int64_t>(op.getHeads());
  int64_t size = cache.getHeadSize();
  Step(*this, "store_cache")
      .bind("key", key)
      .bind("value", value)
      .bind("cache", store)
      .set("heads", cache.getHeads())
      .set("head_size", size)
      .set("row", CacheLayout(cache).row)
      .set("capacity", capacity)
      .set("position", position)
      .set("key_stride", floats(key))
      .set("value_stride", floats(value))
      .run(constant(cache.getHeads() * size), key.rows);
  GpuPlace scratch;
  scratch.base = TERN_GPU_SCRATCH;
  plan.scratchBytesPerPosition =
      std::max(plan.scratchBytesPerPosition, static_cast<uint64_t>(4 * heads * maxRows));
  Step(*this, "attention")
      .bind("query", query)
      .bind("cache", store)
      .bind("scratch", scratch)
      .bind("out", out)
      .set("heads", heads)
      .set("cache_heads", cache.getHeads())
      .set("heads_a_cache_head", heads / cache.getHeads())
      .set("head_size", size)
      .set("row", CacheLayout(cache).row)
      .set("capacity", capacity)
      .set("position", position)
      .set("query_stride", floats(query))
      .set("out_stride", floats(out))
      .run(constant(heads), query.rows);
  return success();
}

} // namespace tern::gpu
