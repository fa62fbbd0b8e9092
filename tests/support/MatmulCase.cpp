//===- MatmulCase.cpp - one call of a ternary kernel, and its answer ------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/MatmulCase.h"

#include "dialect/Semantics.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tern::test {

/// Written around what a kernel may write: finds stray stores.
static constexpr float kCanary = -12345.5f;
static constexpr size_t kCapacity = size_t(1) << 21;

static int8_t between(std::mt19937 &random, int least, int most) {
  return static_cast<int8_t>(least + static_cast<int>(random() % unsigned(most - least + 1)));
}

std::string MatmulShape::describe() const {
  auto field = [](const char *name, int64_t value) {
    return std::string(" ") + name + "=" + std::to_string(value);
  };
  return field("m", m) + field("n", n) + field("k", k) + field("groups", groups) +
         field("scale_groups", scaleGroups) + field("half_scales", halfScales) +
         field("blocks", blockBegin) + ".." + std::to_string(blockEnd) +
         field("acts_slack", actsSlack) + field("group_slack", groupSlack) +
         field("out_slack", outSlack) + field("residual", static_cast<int>(residual)) +
         field("values", static_cast<int>(values)) + field("gated", gated) + field("tail", atTail);
}

MatmulCase::MatmulCase()
    : weight(kCapacity), scale(kCapacity), acts(kCapacity), rowScales(kCapacity),
      offsets(kCapacity), residual(kCapacity), gate(kCapacity), out(kCapacity) {}

void MatmulCase::prepare(const Packing &newPacking, Acts newActs, const MatmulShape &newShape,
                         std::mt19937 &random) {
  packing = newPacking;
  kind = newActs;
  shape = newShape;
  if (shape.blockEnd < 0)
    shape.blockEnd = packing.rowBlocks(shape.n);
  if (shape.scaleGroups == 0)
    shape.scaleGroups = shape.groups;
  args = {};
  args.m = shape.m;
  args.block_begin = shape.blockBegin;
  args.block_end = shape.blockEnd;
  args.k_tiles = packing.kTiles(shape.k);
  args.groups = shape.groups;
  args.acts_stride = (args.k_tiles * packing.k + shape.actsSlack) * (kind == Acts::Float ? 4 : 1);
  args.scale_groups = shape.scaleGroups;
  args.offsets_stride = shape.groups + shape.groupSlack;
  args.row_scales_stride = kind == Acts::Int8Groups ? shape.groups + 2 * shape.groupSlack : 1;
  args.out_stride = packing.rowBlocks(shape.n) * packing.rows + shape.outSlack;
  fillWeights(random);
  if (kind == Acts::Float)
    fillFloatActs(random);
  else
    fillActs(random);
  fillFloats(random);
  fillGate(random);
  computeExpected();
}

void MatmulCase::fillWeights(std::mt19937 &random) {
  trits.resize(shape.n * shape.k);
  for (int8_t &trit : trits)
    trit = shape.values == Values::AllLow    ? packing.least()
           : shape.values == Values::AllHigh ? packing.most()
                                             : between(random, packing.least(), packing.most());
  uint8_t *bytes = place<uint8_t>(weight, packing.packedBytes(shape.n, shape.k));
  args.weight = bytes;
  for (int64_t block = 0; block < packing.rowBlocks(shape.n); ++block) {
    const int64_t first = block * packing.rows;
    packing.encodeBlock(trits.data() + first * shape.k, std::min(packing.rows, shape.n - first),
                        shape.k, shape.k, bytes + block * packing.blockBytes(shape.k));
  }
}

void MatmulCase::fillActs(std::mt19937 &random) {
  // The last rows end where they are last read.
  const int64_t k = shape.k, used = args.k_tiles * packing.k, group = k / shape.groups;
  int8_t *rows = place<int8_t>(acts, (shape.m - 1) * args.acts_stride + used);
  int32_t *rowOffsets = place<int32_t>(offsets, (shape.m - 1) * args.offsets_stride + shape.groups);
  args.acts = rows;
  args.offsets = rowOffsets;
  for (int64_t m = 0; m < shape.m; ++m) {
    int8_t *row = rows + m * args.acts_stride;
    std::fill(row, row + used, int8_t(0));
    std::fill_n(rowOffsets + m * args.offsets_stride, shape.groups, 0);
    // None, one alone, or a few of them.
    const int64_t one = static_cast<int64_t>(random() % (k + 1)), few = random() % 3;
    for (int64_t i = 0; i < k; ++i) {
      if (shape.values == Values::FewActs) {
        bool counts = few == 1 ? i == one : few == 2 && random() % 8 == 0;
        row[i] = counts ? static_cast<int8_t>(random()) : int8_t(0);
        rowOffsets[m * args.offsets_stride + i / group] -= row[i];
        continue;
      }
      row[i] = shape.values == Values::Random
                   ? between(random, packing.leastAct(), packing.mostAct())
               : shape.values == Values::AllLow ? packing.leastAct()
                                                : packing.mostAct();
      rowOffsets[m * args.offsets_stride + i / group] += packing.least() * row[i];
    }
    if (m + 1 < shape.m)
      std::fill(row + used, row + args.acts_stride, int8_t(77)); // nobody's bytes
  }
}

void MatmulCase::fillFloatActs(std::mt19937 &random) {
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  const int64_t stride = args.acts_stride / 4, used = args.k_tiles * packing.k;
  float *rows = place<float>(acts, (shape.m - 1) * stride + used);
  args.acts = rows;
  args.offsets = nullptr;
  for (int64_t m = 0; m < shape.m; ++m) {
    float *row = rows + m * stride;
    std::fill(row, row + used, 0.0f);
    for (int64_t i = 0; i < shape.k; ++i)
      row[i] = shape.values == Values::AllLow    ? -1e36f // sums overflow
               : shape.values == Values::AllHigh ? 1e-45f // the smallest there is
               : random() % 16                   ? uniform(random)
                                                 : uniform(random) * 1e-38f;
    if (m + 1 < shape.m)
      std::fill(row + used, row + stride, 77.0f); // nobody's values
  }
}

void MatmulCase::fillFloats(std::mt19937 &random) {
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  const int64_t blocks = packing.rowBlocks(shape.n);
  const int64_t groups = shape.scaleGroups;
  scales.resize(blocks * groups * packing.rows);
  for (size_t i = 0; i < scales.size(); ++i) {
    const int64_t n = i / (groups * packing.rows) * packing.rows + i % packing.rows;
    scales[i] = n < shape.n ? uniform(random) : 0.0f;
    if (shape.halfScales) // some of them too small for a normal half
      scales[i] =
          semantics::fromF16(semantics::toF16(random() % 8 ? scales[i] : scales[i] * 1e-6f));
  }
  args.scale_bytes = shape.halfScales ? 2 : 4;
  if (shape.halfScales) {
    uint16_t *bits = place<uint16_t>(scale, scales.size());
    std::transform(scales.begin(), scales.end(), bits, semantics::toF16);
    args.scale = bits;
  } else {
    float *values = place<float>(scale, scales.size());
    std::copy(scales.begin(), scales.end(), values);
    args.scale = values;
  }
  const int64_t perRow = kind == Acts::Int8Groups ? shape.groups : 1;
  float *actScales = place<float>(rowScales, (shape.m - 1) * args.row_scales_stride + perRow);
  args.row_scales = kind == Acts::Float ? nullptr : actScales;
  for (int64_t m = 0; m < shape.m; ++m)
    for (int64_t g = 0; g < perRow; ++g)
      actScales[m * args.row_scales_stride + g] = uniform(random);

  const int64_t outputs = (shape.m - 1) * args.out_stride + shape.blockEnd * packing.rows;
  before.resize(std::max<int64_t>(outputs, 0));
  for (float &value : before)
    value = uniform(random);
  args.out = place<float>(out, outputs);
  args.residual = nullptr;
  if (shape.residual == Residual::SameAsOut)
    args.residual = args.out;
  if (shape.residual == Residual::Separate) {
    float *values = place<float>(residual, outputs);
    std::copy(before.begin(), before.end(), values);
    args.residual = values;
  }
}

void MatmulCase::fillGate(std::mt19937 &random) {
  args.gate = nullptr;
  args.gate_stride = shape.gated ? args.out_stride + shape.groupSlack : 0;
  if (!shape.gated)
    return;
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  const int64_t count = (shape.m - 1) * args.gate_stride + shape.blockEnd * packing.rows;
  float *values = place<float>(gate, std::max<int64_t>(count, 0));
  const uint32_t closed = random() % 3; // all, none, or some of the gates
  for (int64_t i = 0; i < count; ++i)
    values[i] = closed == 0 ? -0.0f : closed == 1 ? 1.5f : uniform(random);
  args.gate = values;
}

/// Without the residual.
float MatmulCase::expectedAt(int64_t m, int64_t n) const {
  const int64_t group = shape.k / shape.groups;
  const auto *row = static_cast<const uint8_t *>(args.acts) + m * args.acts_stride;
  const int64_t scaleGroups = shape.scaleGroups;
  std::vector<float> rowScale(scaleGroups);
  for (int64_t g = 0; g < scaleGroups; ++g)
    rowScale[g] = scales[(n / packing.rows * scaleGroups + g) * packing.rows + n % packing.rows];
  if (kind == Acts::Float)
    return semantics::linearFloat(trits.data() + n * shape.k, reinterpret_cast<const float *>(row),
                                  shape.k, rowScale.data(), shape.groups);
  const auto *x = reinterpret_cast<const int8_t *>(row);
  std::vector<int32_t> acc(shape.groups);
  for (int64_t i = 0; i < group * shape.groups; ++i)
    acc[i / group] += x[i] * trits[n * shape.k + i];
  const float *actScales = args.row_scales + m * args.row_scales_stride;
  return kind == Acts::Int8Groups
             ? semantics::rescaleGroups(acc.data(), actScales, shape.groups, rowScale.data(),
                                        scaleGroups)
             : semantics::rescale(acc.data(), rowScale.data(), shape.groups, *actScales);
}

void MatmulCase::computeExpected() {
  expected.assign(before.size(), kCanary);
  compared.assign(before.size(), true);
  for (int64_t m = 0; m < shape.m; ++m) {
    for (int64_t n = shape.blockBegin * packing.rows; n < shape.blockEnd * packing.rows; ++n) {
      const int64_t at = m * args.out_stride + n;
      if (n >= shape.n) {
        compared[at] = false;
        continue;
      }
      float value = expectedAt(m, n);
      if (args.gate) {
        float opening = args.gate[m * args.gate_stride + n];
        value = opening > 0.0f ? semantics::relu2(opening, value) : 0.0f;
      }
      expected[at] = args.residual ? before[at] + value : value;
    }
  }
  if (shape.residual != Residual::SameAsOut)
    return;
  for (int64_t at = 0; at < static_cast<int64_t>(before.size()); ++at) {
    const int64_t n = at % args.out_stride;
    if (n < shape.blockBegin * packing.rows || n >= shape.blockEnd * packing.rows)
      expected[at] = before[at];
  }
}

void MatmulCase::resetOut() {
  if (shape.residual == Residual::SameAsOut)
    std::copy(before.begin(), before.end(), args.out);
  else
    std::fill(args.out, args.out + before.size(), kCanary);
}

std::string MatmulCase::check(tern_matmul_fn kernel) {
  resetOut();
  kernel(&args);
  for (size_t at = 0; at < expected.size(); ++at)
    if (compared[at] &&
        std::bit_cast<uint32_t>(expected[at]) != std::bit_cast<uint32_t>(args.out[at]))
      return shape.describe() + ": out[" + std::to_string(at / args.out_stride) + "][" +
             std::to_string(at % args.out_stride) + "] is " + std::to_string(args.out[at]) +
             ", expected " + std::to_string(expected[at]);
  return {};
}

} // namespace tern::test
