//===- InterpreterLinear.cpp - linear layers of the interpreter -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/InterpreterOps.h"

#include "dialect/Semantics.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace tern;
using namespace tern::interpret;
using namespace tern::ternary;
using llvm::ArrayRef;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

using Operands = ArrayRef<RuntimeValue>;
using Tensor = std::shared_ptr<TensorValue>;

/// The trits of a matrix; `storage` holds them when the matrix is packed.
static Expected<ArrayRef<int8_t>> tritsOf(Operation *op, const TensorValue &matrix,
                                          std::vector<int8_t> &storage) {
  std::optional<Packing> packing = packingOf(matrix.type);
  if (!packing)
    return ArrayRef<int8_t>(matrix.i8);
  int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  storage.resize(rows * columns);
  const auto *bytes = reinterpret_cast<const uint8_t *>(matrix.i8.data());
  for (int64_t row = 0; row < rows; row += packing->rows, bytes += packing->blockBytes(columns))
    if (!packing->decodeBlock(bytes, std::min(packing->rows, rows - row), columns, columns,
                              storage.data() + row * columns))
      return opError(op, "rows from " + llvm::Twine(row) + " on are no packed trits");
  return ArrayRef<int8_t>(storage);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

static int32_t dot(const int8_t *acts, const int8_t *trits, int64_t n) {
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i)
    sum += static_cast<int32_t>(acts[i]) * trits[i];
  return sum;
}

/// One row of ternary.matmul: acc[n * groups + g].
static void productRow(const int8_t *acts, ArrayRef<int8_t> trits, int64_t columns, int64_t groups,
                       int32_t *acc) {
  int64_t group = columns / groups;
  for (int64_t at = 0, size = trits.size(); at < size; at += columns)
    for (int64_t g = 0; g < groups; ++g)
      *acc++ = dot(acts + g * group, trits.data() + at + g * group, group);
}

namespace {
/// A weight's scales by row: `[1]` is every row's, `[N]` and `[N, G]` have one or G a row.
struct Scales {
  const float *data;
  int64_t stride, groups;
  const float *row(int64_t n) const { return data + n * stride; }
};
} // namespace

static Expected<Scales> scalesOf(Operation *op, const TensorValue &scale, int64_t rows) {
  int64_t groups = scale.shape.size() == 2 ? scale.shape[1] : 1;
  if (scale.shape.size() == 1 && scale.shape[0] == 1)
    return Scales{scale.f32.data(), 0, 1};
  if (Error failed = sameSize(op, "rows of scales", rows, scale.shape[0]))
    return std::move(failed);
  return Scales{scale.f32.data(), groups, groups};
}

namespace {
/// The scales of one int8 row: one, or one for each of `groups` groups.
struct RowScales {
  const float *data;
  bool perGroup;
  int64_t groups;
};
} // namespace

/// Row `m` of the scales that ternary.quantize_rows gives.
static RowScales rowScalesOf(const TensorValue &scales, int64_t m, int64_t groups) {
  bool perGroup = scales.shape.size() == 2;
  return {scales.f32.data() + m * (perGroup ? groups : 1), perGroup, groups};
}

/// Their shape must be [m] or [m, groups]; the weight's groups are these, or divide them.
static Error checkRowScales(Operation *op, const TensorValue &rowScales, int64_t m, int64_t groups,
                            int64_t scaleGroups) {
  if (Error failed = sameSize(op, "row scales", m, rowScales.shape[0]))
    return failed;
  if (rowScales.shape.size() == 1)
    return sameSize(op, "groups", groups, scaleGroups);
  return sameSize(op, "scales a row", groups, rowScales.shape[1]);
}

static void rescaleRow(const int32_t *acc, const Scales &scales, const RowScales &rowScales,
                       int64_t rows, float *out) {
  for (int64_t n = 0; n < rows; ++n, acc += rowScales.groups)
    out[n] = rowScales.perGroup
                 ? semantics::rescaleGroups(acc, rowScales.data, rowScales.groups, scales.row(n),
                                            scales.groups)
                 : semantics::rescale(acc, scales.row(n), scales.groups, *rowScales.data);
}

static Expected<Results> evaluate(LinearOp op, Operands in) {
  const TensorValue &input = asTensor(in[0]), &weight = asTensor(in[1]);
  int64_t m = input.shape[0], n = weight.shape[0], k = weight.shape[1];
  std::vector<int8_t> storage;
  Expected<ArrayRef<int8_t>> trits = tritsOf(op, weight, storage);
  if (!trits)
    return trits.takeError();
  Expected<Scales> scales = scalesOf(op, asTensor(in[2]), n);
  if (!scales)
    return scales.takeError();
  if (Error failed = sameSize(op, "input columns", k, input.shape[1]))
    return std::move(failed);
  Expected<Tensor> out = makeTensor(op, op.getType(), {m, n});
  if (!out)
    return out.takeError();

  if (k < 1)
    return opError(op, "expected at least one column, got 0");
  const TensorValue *residual = op.getResidual() ? &asTensor(in[3]) : nullptr;
  if (Error failed = sameSize(op, "rows of the residual", m, residual ? residual->shape[0] : m))
    return std::move(failed);
  bool quantized = op.getActivations() != Activations::Float;
  int64_t actGroup = activationGroup(op.getActivations());
  int64_t groups = actGroup ? k / actGroup : scales->groups;
  std::vector<int8_t> acts(k);
  std::vector<float> rowScales(groups);
  std::vector<int32_t> offsets(groups), acc(n * groups);
  for (int64_t row = 0; row < m; ++row) {
    const float *x = input.f32.data() + row * k;
    float *y = (*out)->f32.data() + row * n;
    if (quantized) {
      auto *quantize = actGroup ? semantics::quantizeGroups : semantics::quantizeRow;
      quantize(x, k, k / groups, acts.data(), rowScales.data(), offsets.data());
      productRow(acts.data(), *trits, k, groups, acc.data());
      rescaleRow(acc.data(), *scales, {rowScales.data(), actGroup > 0, groups}, n, y);
      continue;
    }
    for (int64_t i = 0; i < n; ++i)
      y[i] = semantics::linearFloat(trits->data() + i * k, x, k, scales->row(i), scales->groups);
    for (int64_t i = 0; residual && i < n; ++i)
      y[i] = residual->f32[row * n + i] + y[i];
  }
  return Results{*out};
}

static Expected<Results> evaluate(QuantizeRowsOp op, Operands in) {
  const TensorValue &input = asTensor(in[0]);
  int64_t m = input.shape[0], k = input.shape[1], group = op.getGroup(), groups = k / group;
  bool perGroup = op.getScales().getType().getRank() == 2;
  std::vector<int64_t> scalesShape = {m};
  if (perGroup)
    scalesShape.push_back(groups);
  Expected<Tensor> values = makeTensor(op, op.getValues().getType(), {m, k});
  if (!values)
    return values.takeError();
  Expected<Tensor> scales = makeTensor(op, op.getScales().getType(), scalesShape);
  if (!scales)
    return scales.takeError();
  Expected<Tensor> offsets = makeTensor(op, op.getOffsets().getType(), {m, groups});
  if (!offsets)
    return offsets.takeError();
  std::vector<float> normalised(k);
  for (int64_t row = 0; row < m; ++row) {
    const float *x = input.f32.data() + row * k;
    if (op.getGain()) {
      semantics::rmsNorm(x, asTensor(in[1]).f32.data(), op.getEpsilon()->convertToFloat(), k,
                         normalised.data());
      x = normalised.data();
    }
    auto *quantize = perGroup ? semantics::quantizeGroups : semantics::quantizeRow;
    quantize(x, k, group, (*values)->i8.data() + row * k,
             (*scales)->f32.data() + row * (perGroup ? groups : 1),
             (*offsets)->i32.data() + row * groups);
  }
  return Results{*values, *scales, *offsets};
}

static Expected<Results> evaluate(MatmulOp op, Operands in) {
  const TensorValue &acts = asTensor(in[0]), &weight = asTensor(in[1]);
  int64_t m = acts.shape[0], n = weight.shape[0], k = weight.shape[1];
  int64_t groups = cast<RankedTensorType>(op.getType()).getDimSize(2);
  std::vector<int8_t> storage;
  Expected<ArrayRef<int8_t>> trits = tritsOf(op, weight, storage);
  if (!trits)
    return trits.takeError();
  if (Error failed = sameSize(op, "columns of acts", k, acts.shape[1]))
    return std::move(failed);
  Expected<Tensor> out = makeTensor(op, op.getType(), {m, n, groups});
  if (!out)
    return out.takeError();
  for (int64_t row = 0; row < m; ++row)
    productRow(acts.i8.data() + row * k, *trits, k, groups, (*out)->i32.data() + row * n * groups);
  return Results{*out};
}

static Expected<Results> evaluate(RescaleOp op, Operands in) {
  const TensorValue &acc = asTensor(in[0]), &rowScales = asTensor(in[1]);
  int64_t m = acc.shape[0], n = acc.shape[1], groups = acc.shape[2];
  Expected<Scales> scales = scalesOf(op, asTensor(in[2]), n);
  if (!scales)
    return scales.takeError();
  if (Error failed = checkRowScales(op, rowScales, m, groups, scales->groups))
    return std::move(failed);
  Expected<Tensor> out = makeTensor(op, op.getType(), {m, n});
  if (!out)
    return out.takeError();
  for (int64_t row = 0; row < m; ++row)
    rescaleRow(acc.i32.data() + row * n * groups, *scales, rowScalesOf(rowScales, row, groups), n,
               (*out)->f32.data() + row * n);
  return Results{*out};
}

/// Kernels on unsigned codes rely on `offsets`, so wrong ones must not pass here.
static Error checkOffsets(Operation *op, const TensorValue &acts, const TensorValue &offsets) {
  int64_t m = acts.shape[0], k = acts.shape[1], groups = offsets.shape[1], group = k / groups;
  if (Error failed = sameSize(op, "rows of offsets", m, offsets.shape[0]))
    return failed;
  for (int64_t i = 0; i < m * groups; ++i) {
    int32_t sum = 0;
    for (int64_t j = 0; j < group; ++j)
      sum += acts.i8[i * group + j];
    if (-sum != offsets.i32[i])
      return opError(op, formatv("row {0}, group {1}: expected an offset of {2}, got {3}",
                                 i / groups, i % groups, -sum, offsets.i32[i])
                             .str());
  }
  return Error::success();
}

/// What fused_linear and gated_linear have in common: `finish(y, row)` completes a row of results.
template <typename Op>
static Expected<Results> evaluateFused(Op op, Operands in,
                                       llvm::function_ref<void(float *y, int64_t row)> finish) {
  const TensorValue &acts = asTensor(in[0]), &rowScales = asTensor(in[1]);
  const TensorValue &weight = asTensor(in[3]);
  const TensorValue *other = in.size() > 5 ? &asTensor(in[5]) : nullptr; // residual or gate
  int64_t m = acts.shape[0], n = weight.shape[0], k = weight.shape[1];
  int64_t groups = asTensor(in[2]).shape[1];
  std::vector<int8_t> storage;
  Expected<ArrayRef<int8_t>> trits = tritsOf(op, weight, storage);
  if (!trits)
    return trits.takeError();
  Expected<Scales> scales = scalesOf(op, asTensor(in[4]), n);
  if (!scales)
    return scales.takeError();
  if (Error failed = sameSize(op, "columns of acts", k, acts.shape[1]))
    return std::move(failed);
  if (Error failed = checkOffsets(op, acts, asTensor(in[2])))
    return std::move(failed);
  if (Error failed = checkRowScales(op, rowScales, m, groups, scales->groups))
    return std::move(failed);
  if (Error failed = sameSize(
          op, std::is_same_v<Op, GatedLinearOp> ? "rows of the gate" : "rows of the residual", m,
          other ? other->shape[0] : m))
    return std::move(failed);
  Expected<Tensor> out = makeTensor(op, op.getType(), {m, n});
  if (!out)
    return out.takeError();
  std::vector<int32_t> acc(n * groups);
  for (int64_t row = 0; row < m; ++row) {
    float *y = (*out)->f32.data() + row * n;
    productRow(acts.i8.data() + row * k, *trits, k, groups, acc.data());
    rescaleRow(acc.data(), *scales, rowScalesOf(rowScales, row, groups), n, y);
    finish(y, row);
  }
  return Results{*out};
}

static Expected<Results> evaluate(FusedLinearOp op, Operands in) {
  int64_t n = asTensor(in[3]).shape[0];
  return evaluateFused(op, in, [&](float *y, int64_t row) {
    for (int64_t i = 0; op.getResidual() && i < n; ++i)
      y[i] = asTensor(in[5]).f32[row * n + i] + y[i];
  });
}

static Expected<Results> evaluate(GatedLinearOp op, Operands in) {
  int64_t n = asTensor(in[3]).shape[0];
  return evaluateFused(op, in, [&](float *y, int64_t row) {
    const float *gate = asTensor(in[5]).f32.data() + row * n;
    for (int64_t i = 0; i < n; ++i)
      y[i] = gate[i] > 0.0f ? semantics::relu2(gate[i], y[i]) : 0.0f;
  });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static Expected<Results> evaluate(QuantizeWeightOp op, Operands in) {
  const TensorValue &weight = asTensor(in[0]);
  Expected<Tensor> trits = makeTensor(op, op.getTrits().getType(), weight.shape);
  if (!trits)
    return trits.takeError();
  Expected<Tensor> scale = makeTensor(op, op.getScale().getType(), {1});
  if (!scale)
    return scale.takeError();
  double sum = 0.0;
  for (float value : weight.f32)
    sum += static_cast<double>(std::fabs(value));
  (*scale)->f32[0] = semantics::absmeanScale(sum, weight.f32.size());
  float inverse = 1.0f / (*scale)->f32[0];
  llvm::transform(weight.f32, (*trits)->i8.begin(),
                  [&](float value) { return semantics::absmeanTrit(value, inverse); });
  return Results{*trits, *scale};
}

static Expected<Results> evaluate(PackOp op, Operands in) {
  const TensorValue &matrix = asTensor(in[0]);
  Expected<Tensor> out = makeTensor(op, op.getPacked().getType(), matrix.shape);
  if (!out)
    return out.takeError();
  Packing packing = *packingOf((*out)->type);
  int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  auto *bytes = reinterpret_cast<uint8_t *>((*out)->i8.data());
  for (int64_t row = 0; row < rows; row += packing.rows, bytes += packing.blockBytes(columns))
    packing.encodeBlock(matrix.i8.data() + row * columns, std::min(packing.rows, rows - row),
                        columns, columns, bytes);
  return Results{*out};
}

static Expected<Results> evaluate(UnpackOp op, Operands in) {
  const TensorValue &matrix = asTensor(in[0]);
  Expected<Tensor> out = makeTensor(op, op.getTrits().getType(), matrix.shape);
  if (!out)
    return out.takeError();
  std::vector<int8_t> storage;
  Expected<ArrayRef<int8_t>> trits = tritsOf(op, matrix, storage);
  if (!trits)
    return trits.takeError();
  (*out)->i8.assign(trits->begin(), trits->end());
  return Results{*out};
}

std::optional<Expected<Results>> interpret::evaluateLinear(Operation *op, Operands operands) {
  return llvm::TypeSwitch<Operation *, std::optional<Expected<Results>>>(op)
      .Case<LinearOp, QuantizeRowsOp, MatmulOp, RescaleOp, FusedLinearOp, GatedLinearOp,
            QuantizeWeightOp, PackOp, UnpackOp>(
          [&](auto typed) { return evaluate(typed, operands); })
      .Default([](Operation *) { return std::nullopt; });
}
