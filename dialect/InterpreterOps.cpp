//===- InterpreterOps.cpp - the ternary ops of the interpreter ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/InterpreterOps.h"

#include "dialect/HeadScreen.h"
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

Error interpret::sameSize(Operation *op, const llvm::Twine &what, int64_t expected, int64_t got) {
  if (expected == got)
    return Error::success();
  return opError(op,
                 "expected " + llvm::Twine(expected) + " " + what + ", got " + llvm::Twine(got));
}

static Expected<Results> evaluate(RmsNormOp op, Operands in) {
  const TensorValue &input = asTensor(in[0]), &gain = asTensor(in[1]);
  Expected<Tensor> out = makeTensor(op, op.getType(), input.shape);
  if (!out)
    return out.takeError();
  int64_t heads = op.getHeads(), k = input.shape[1] / heads;
  if (Error failed = sameSize(op, "gain elements", k, gain.shape[0]))
    return std::move(failed);
  for (int64_t part = 0; part < input.shape[0] * heads; ++part)
    semantics::rmsNorm(input.f32.data() + part * k, gain.f32.data(),
                       op.getEpsilon().convertToFloat(), k, (*out)->f32.data() + part * k);
  return Results{*out};
}

static Error checkPositions(Operation *op, int64_t position, int64_t rows) {
  if (position >= 0 && rows >= 0 && position <= kMaxPosition && rows <= kMaxPosition - position)
    return Error::success();
  return opError(op, formatv("expected positions from 0 to 2^24, got {0} rows from position {1}",
                             rows, position)
                         .str());
}

static Expected<Results> evaluate(RopeAnglesOp op, Operands in) {
  int64_t position = asIndex(in[0]), rows = asIndex(in[1]);
  if (Error failed = checkPositions(op, position, rows))
    return std::move(failed);
  auto attribute = dyn_cast<DenseElementsAttr>(op.getFrequencies());
  if (!attribute || !attribute.getElementType().isF32())
    return opError(op, "expected frequencies written out as dense f32");
  auto frequencies = llvm::to_vector(attribute.getValues<float>());
  int64_t half = frequencies.size();
  Expected<Tensor> out = makeTensor(op, op.getType(), {rows, 2 * half});
  if (!out)
    return out.takeError();
  for (int64_t row = 0; row < rows; ++row)
    semantics::ropeAngles(position + row, frequencies.data(), half,
                          (*out)->f32.data() + row * 2 * half);
  return Results{*out};
}

static Expected<Results> evaluate(RopeOp op, Operands in) {
  const TensorValue &input = asTensor(in[0]), &angles = asTensor(in[1]);
  int64_t rows = input.shape[0], heads = op.getHeads(), size = angles.shape[1];
  if (Error failed = sameSize(op, "rows of angles", rows, angles.shape[0]))
    return std::move(failed);
  if (Error failed = sameSize(op, "input columns", heads * size, input.shape[1]))
    return std::move(failed);
  Expected<Tensor> out = makeTensor(op, op.getType(), input.shape);
  if (!out)
    return out.takeError();
  for (int64_t i = 0; i < rows * heads; ++i)
    semantics::rope(input.f32.data() + i * size, angles.f32.data() + i / heads * size, size,
                    (*out)->f32.data() + i * size);
  return Results{*out};
}

/// Rows of keys or values into the cache from `position` on, as its element type keeps them.
static void storeRows(KVCacheType type, ArrayRef<float> rows, int64_t position,
                      std::vector<float> &to, std::vector<float> &scales) {
  const int64_t heads = type.getHeads(), size = type.getHeadSize();
  const int64_t count = static_cast<int64_t>(rows.size()) / size, first = position * heads;
  float *out = to.data() + first * size;
  if (type.getElementType().isF32())
    llvm::copy(rows, out);
  if (type.getElementType().isF16())
    std::transform(rows.begin(), rows.end(), out, semantics::cachedF16);
  if (!type.getElementType().isInteger(8))
    return;
  scales.resize(to.size() / size);
  for (int64_t i = 0; i < count; ++i)
    scales[first + i] = semantics::cachedI8(rows.data() + i * size, size, out + i * size);
}

static Expected<Results> evaluate(AttentionOp op, Operands in) {
  const TensorValue &query = asTensor(in[0]), &key = asTensor(in[1]), &value = asTensor(in[2]);
  CacheValue &cache = **std::get_if<std::shared_ptr<CacheValue>>(&in[3]);
  int64_t position = asIndex(in[4]), rows = query.shape[0];
  int64_t heads = op.getHeads(), size = cache.headSize, stride = cache.heads * size;
  if (Error failed = checkPositions(op, position, rows))
    return std::move(failed);
  if (Error failed = sameSize(op, "rows of keys", rows, key.shape[0]))
    return std::move(failed);
  if (Error failed = sameSize(op, "rows of values", rows, value.shape[0]))
    return std::move(failed);
  if (Error failed = sameSize(op, "query columns", heads * size, query.shape[1]))
    return std::move(failed);
  if (Error failed = sameSize(op, "key columns", stride, key.shape[1]))
    return std::move(failed);
  if (Error failed = sameSize(op, "value columns", stride, value.shape[1]))
    return std::move(failed);
  int64_t length = cache.keys.size() / stride;
  if (position > length)
    return opError(
        op, formatv("the cache ends at position {0}, got position {1}", length, position).str());
  Expected<Tensor> out = makeTensor(op, op.getType(), query.shape);
  if (!out)
    return out.takeError();
  cache.keys.resize(std::max(length, position + rows) * stride);
  cache.values.resize(cache.keys.size());
  KVCacheType type = op.getCache().getType();
  storeRows(type, key.f32, position, cache.keys, cache.keyScales);
  storeRows(type, value.f32, position, cache.values, cache.valueScales);
  auto cached = [&](const std::vector<float> &rows, const std::vector<float> &scales,
                    int64_t head) -> semantics::CachedRows {
    if (scales.empty())
      return {rows.data() + head * size, stride};
    return {rows.data() + head * size, stride, scales.data() + head, cache.heads};
  };
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t head = 0; head < heads; ++head) {
      int64_t at = (row * heads + head) * size, shared = head / (heads / cache.heads);
      semantics::attend(query.f32.data() + at, cached(cache.keys, cache.keyScales, shared),
                        cached(cache.values, cache.valueScales, shared), position + row + 1, size,
                        (*out)->f32.data() + at);
    }
  return Results{*out};
}

static Expected<Results> evaluate(GatedActivationOp op, Operands in) {
  const TensorValue &gate = asTensor(in[0]), &up = asTensor(in[1]);
  Expected<Tensor> out = makeTensor(op, op.getType(), gate.shape);
  if (!out)
    return out.takeError();
  if (Error failed = sameSize(op, "elements of up", gate.f32.size(), up.f32.size()))
    return std::move(failed);
  auto *function = op.getKind() == GateKind::Relu2 ? semantics::relu2 : semantics::silu;
  for (size_t i = 0; i < gate.f32.size(); ++i)
    (*out)->f32[i] = function(gate.f32[i], up.f32[i]);
  return Results{*out};
}

static Expected<Results> evaluate(EmbeddingOp op, Operands in) {
  const TensorValue &ids = asTensor(in[0]), &table = asTensor(in[1]);
  int64_t columns = table.shape[1];
  Expected<Tensor> out = makeTensor(op, op.getType(), {ids.shape[0], columns});
  if (!out)
    return out.takeError();
  for (auto [row, id] : llvm::enumerate(ids.i32)) {
    if (id < 0 || id >= table.shape[0])
      return opError(
          op, formatv("row {0}: expected an id from 0 to {1}, got {2}", row, table.shape[0] - 1, id)
                  .str());
    std::copy_n(table.f32.begin() + id * columns, columns, (*out)->f32.begin() + row * columns);
  }
  return Results{*out};
}

static Expected<Results> evaluate(HeadOp op, Operands in) {
  const TensorValue &input = asTensor(in[0]), &table = asTensor(in[1]);
  int64_t rows = input.shape[0], k = table.shape[1], vocabulary = table.shape[0];
  if (Error failed = sameSize(op, "input columns", k, input.shape[1]))
    return std::move(failed);
  Expected<Tensor> out = makeTensor(op, op.getType(), {rows, vocabulary});
  if (!out)
    return out.takeError();
  for (int64_t row = 0; row < rows; ++row) {
    const float *x = input.f32.data() + row * k, *weights = table.f32.data();
    float *logits = (*out)->f32.data() + row * vocabulary;
    if (ScreenAttr encoding = op.integerTable()) {
      const SplitRow split(x, k);
      for (int64_t v = 0; v < vocabulary; ++v)
        logits[v] = HeadScreen{encoding.getBits()}.product(split, weights + v * k);
      continue;
    }
    for (int64_t v = 0; v < vocabulary; ++v)
      logits[v] = semantics::rowDot(x, weights + v * k, k);
  }
  return Results{*out};
}

std::optional<Expected<Results>> interpret::evaluateRows(Operation *op, Operands operands) {
  return llvm::TypeSwitch<Operation *, std::optional<Expected<Results>>>(op)
      .Case<RmsNormOp, RopeAnglesOp, RopeOp, AttentionOp, GatedActivationOp, EmbeddingOp, HeadOp>(
          [&](auto typed) { return evaluate(typed, operands); })
      .Default([](Operation *) { return std::nullopt; });
}
