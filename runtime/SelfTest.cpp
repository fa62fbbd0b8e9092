//===- SelfTest.cpp - kernels against plain C -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/SelfTest.h"

#include <cinttypes>
#include <cmath>
#include <cstring>

#include "runtime/Arena.h"

using namespace tern;

namespace {

/// xorshift64*: the same products on every machine.
class Noise {
public:
  explicit Noise(uint64_t seed) : state(seed) {}
  uint32_t next() {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return uint32_t(state * UINT64_C(0x2545f4914f6cdd1d) >> 32);
  }
  /// A float in (-1, 1) with a full significand, so that any other order of rounding shows.
  float unit() { return (float(int32_t(next() >> 7) - (1 << 24)) + 0.5f) / float(1 << 24); }
  /// An IEEE binary16 of such a value: a normal one.
  uint16_t unitHalf() {
    uint32_t fraction = next() & 0x83ff, exponent = next() % 14 + 1;
    return uint16_t(fraction | exponent << 10);
  }

private:
  uint64_t state;
};

/// Memory of one test, taken in pieces that are multiples of 64 bytes, 64-byte aligned.
struct Pieces {
  Arena arena;
  uint64_t used = 0;
  template <typename T> T *take(int64_t count) {
    T *piece = reinterpret_cast<T *>(arena.data() + used);
    used += (uint64_t(count) * sizeof(T) + 63) / 64 * 64;
    return piece;
  }
};

constexpr int64_t kBlocks = 3;
constexpr int64_t kMostRows = 9;
constexpr int64_t kTiles = 12;
constexpr int64_t kMostGroups = 3;
/// Activation rows are padded to whole tiles of every packing.
constexpr int64_t kActsStride = 320;
constexpr uint32_t kFloatActs = 1, kGroupActs = 2; // of tern_kernel_t
constexpr uint32_t kTwoBitRows = 2, kTwoBitColumns = 3, kSixBit = 4;
constexpr float kUntouched = 12345.0f;

struct Product {
  tern_matmul_args_t args;
  int8_t *trits;
  float *expected;
};

/// What a packing holds, and the activations its kernels take.
struct Range {
  int32_t least, most, leastAct, mostAct;
  int8_t value(Noise &random) const {
    return int8_t(int32_t(random.next() % uint32_t(most - least + 1)) + least);
  }
  int8_t act(Noise &random) const {
    return int8_t(int32_t(random.next() % uint32_t(mostAct - leastAct + 1)) + leastAct);
  }
};

Range rangeOf(uint32_t packing) {
  return packing == kSixBit ? Range{-32, 31, -63, 63} : Range{-1, 1, -128, 127};
}

int8_t *makeBytes(int64_t m, int64_t columns, int64_t group, const Range &range, int32_t *offsets,
                  Pieces &pieces, Noise &random) {
  int8_t *acts = pieces.take<int8_t>(m * kActsStride);
  int64_t groups = (columns + group - 1) / group;
  for (int64_t row = 0; row < m; ++row)
    for (int64_t k = 0; k < columns; ++k) {
      int8_t value = row == 1 ? int8_t(range.leastAct) : range.act(random);
      acts[row * kActsStride + k] = value;
      offsets[row * groups + k / group] += range.least * value;
    }
  return acts;
}

float *makeFloats(int64_t m, int64_t columns, Pieces &pieces, Noise &random) {
  float *acts = pieces.take<float>(m * kActsStride);
  for (int64_t row = 0; row < m; ++row)
    for (int64_t k = 0; k < columns; ++k)
      acts[row * kActsStride + k] = random.unit();
  return acts;
}

/// Fills a product of `m` rows; the last tile is partly padding when there is one group.
Product makeProduct(const tern_kernel_t &kernel, int64_t m, int64_t groups, Pieces &pieces,
                    Noise &random) {
  int64_t columns = kTiles * kernel.k, n = kBlocks * kernel.rows, padding = groups == 1 ? 5 : 0;
  const Range range = rangeOf(kernel.packing);
  Product product = {};
  int8_t *trits = product.trits = pieces.take<int8_t>(n * columns);
  for (int64_t i = 0; i < n * columns; ++i)
    trits[i] = i % columns >= columns - padding ? 0
               : i % (kernel.rows * columns) < columns
                   ? int8_t(range.most) // the largest sums a row can have
                   : range.value(random);
  int64_t blockBytes = kTiles * kernel.rows * (kernel.packing == kSixBit ? 12 : 4);
  uint8_t *weight = pieces.take<uint8_t>(kBlocks * blockBytes);
  for (int64_t b = 0; b < kBlocks; ++b)
    packBlock(kernel.packing, kernel.rows, kTiles, trits + b * kernel.rows * columns,
              weight + b * blockBytes);
  const bool floats = kernel.acts == kFloatActs;
  int64_t actsStride = kActsStride * (floats ? 4 : 1);
  int32_t *offsets = pieces.take<int32_t>(m * groups);
  void *acts =
      floats ? static_cast<void *>(makeFloats(m, columns - padding, pieces, random))
             : makeBytes(m, columns - padding, columns / groups, range, offsets, pieces, random);
  // A row of the weight has one scale for all groups in some products where it may.
  int64_t scaleGroups = kernel.acts == kGroupActs && m == 1 ? 1 : groups;
  int64_t rowScaleCount = m * (kernel.acts == kGroupActs ? groups : 1);
  const bool halves = m == 1;
  void *scale = pieces.take<float>(n * scaleGroups);
  float *rowScales = pieces.take<float>(rowScaleCount);
  float *residual = pieces.take<float>(m * n), *out = pieces.take<float>(m * n);
  product.expected = pieces.take<float>(m * n);
  for (int64_t i = 0; i < n * scaleGroups; ++i)
    if (halves)
      static_cast<uint16_t *>(scale)[i] = random.unitHalf();
    else
      static_cast<float *>(scale)[i] = random.unit();
  for (int64_t i = 0; i < rowScaleCount; ++i)
    rowScales[i] = random.unit();
  for (int64_t i = 0; i < m * n; ++i) {
    residual[i] = random.unit();
    out[i] = product.expected[i] = kUntouched;
  }
  float *gate = kernel.packing == kTwoBitRows ? pieces.take<float>(m * n) : nullptr;
  for (int64_t i = 0; gate && i < m * n; ++i)
    gate[i] = random.unit();
  product.args = {.weight = weight,
                  .scale = scale,
                  .acts = acts,
                  .row_scales = rowScales,
                  .offsets = offsets,
                  .residual = groups == 1 ? nullptr : residual,
                  .out = out,
                  .acts_stride = actsStride,
                  .offsets_stride = groups,
                  .out_stride = n,
                  .m = m,
                  .block_begin = 0,
                  .block_end = kBlocks - 1,
                  .k_tiles = kTiles,
                  .groups = groups,
                  .row_scales_stride = rowScaleCount / m,
                  .scale_groups = scaleGroups,
                  .scale_bytes = halves ? 2 : 4,
                  .gate = gate,
                  .gate_stride = n,
                  .near_ahead = 0,
                  .far_ahead = 0};
  return product;
}

std::string compare(const Product &product, int64_t n) {
  const tern_matmul_args_t &args = product.args;
  for (int64_t i = 0; i < args.m * n; ++i)
    if (std::memcmp(&args.out[i], &product.expected[i], sizeof(float)) != 0)
      return format("row %" PRId64 " of %" PRId64 ", column %" PRId64 " of %" PRId64 " (%" PRId64
                    " groups): expected %.9g, found %.9g",
                    i / n, args.m, i % n, n, args.groups, double(product.expected[i]),
                    double(args.out[i]));
  return {};
}

} // namespace

/// The byte of five digits (#ternary.packing base3).
static uint32_t base3Byte(const uint32_t *digits) {
  uint32_t a = digits[0] + 3 * digits[1], c = digits[2] + 3 * digits[3], e = digits[4];
  if (a && c)
    return e << 6 | (c - 1) << 3 | (a - 1);
  if (a || c)
    return 192 | (a ? e : 3 + e) << 3 | (a + c - 1);
  return e == 2 ? 249 : 240 | e;
}

static void packColumns(uint32_t rows, int64_t columns, const int8_t *trits, uint8_t *out) {
  std::memset(out, 0, uint64_t(columns) * rows / 4);
  for (uint32_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < columns; ++c) {
      uint8_t &byte = out[c * (rows / 4) + row / 64 * 16 + row % 16];
      byte = uint8_t(byte | (trits[row * columns + c] + 1) << row % 64 / 16 * 2);
    }
}

/// Bytes of three columns' codes, whose upper bits are the fourth's.
static void packSixBit(uint32_t rows, int64_t tiles, const int8_t *values, uint8_t *out) {
  for (int64_t tile = 0; tile < tiles; ++tile)
    for (int64_t plane = 0; plane < 3; ++plane)
      for (uint32_t row = 0; row < rows; ++row)
        for (int64_t j = 0; j < 4; ++j) {
          const int8_t *first = values + (row * tiles + tile) * 16 + j;
          uint32_t own = uint32_t(first[4 * plane] + 32), last = uint32_t(first[12] + 32);
          *out++ = uint8_t(own | (last >> 2 * plane & 3) << 6);
        }
}

void tern::packBlock(uint32_t packing, uint32_t rows, int64_t tiles, const int8_t *trits,
                     uint8_t *out) {
  if (packing == kTwoBitRows) {
    for (uint32_t row = 0; row < rows; ++row)
      packBlock(0, 1, tiles, trits + row * tiles * 16, out + row * tiles * 4);
    return;
  }
  if (packing == kTwoBitColumns)
    return packColumns(rows, tiles * 16, trits, out);
  if (packing == kSixBit)
    return packSixBit(rows, tiles, trits, out);
  int64_t digits = packing == 0 ? 4 : 5, k = digits * 4;
  for (int64_t tile = 0; tile < tiles; ++tile)
    for (uint32_t row = 0; row < rows; ++row)
      for (int64_t j = 0; j < 4; ++j) {
        const int8_t *first = trits + row * tiles * k + tile * k + j;
        uint32_t codes[5], twoBit = 0;
        for (int64_t s = 0; s < digits; ++s) {
          codes[s] = uint32_t(first[4 * s] + 1);
          twoBit |= codes[s] << 2 * s;
        }
        *out++ = uint8_t(packing == 0 ? twoBit : base3Byte(codes));
      }
}

/// acts * trit over one group.
static float plainGroup(const tern_matmul_args_t &args, uint32_t acts, int64_t m,
                        const int8_t *trits, int64_t begin, int64_t end) {
  const uint8_t *row = static_cast<const uint8_t *>(args.acts) + m * args.acts_stride;
  if (acts == kFloatActs) {
    const float *x = reinterpret_cast<const float *>(row);
    float sums[4] = {};
    for (int64_t c = begin; c < end; ++c)
      sums[(c - begin) % 4] += float(trits[c]) * x[c];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
  }
  const int8_t *x = reinterpret_cast<const int8_t *>(row);
  int32_t sum = 0;
  for (int64_t c = begin; c < end; ++c)
    sum += x[c] * trits[c];
  return float(sum);
}

/// Halves are normal ones here.
static float scaleAt(const tern_matmul_args_t &args, int64_t index) {
  if (args.scale_bytes == 4)
    return static_cast<const float *>(args.scale)[index];
  uint32_t half = static_cast<const uint16_t *>(args.scale)[index];
  uint32_t bits = (half & 0x8000) << 16 | ((half & 0x7fff) + ((127 - 15) << 10)) << 13;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// One output without the residual; `trits` are its row of the weight.
static float plainProduct(const tern_matmul_args_t &args, const int8_t *trits, uint32_t rows,
                          int64_t group, uint32_t acts, int64_t m, int64_t n) {
  int64_t ratio = args.groups / args.scale_groups;
  const float *rowScales = args.row_scales + m * args.row_scales_stride;
  float total = 0;
  for (int64_t g = 0; g < args.groups; ++g) {
    float scale = scaleAt(args, (n / rows * args.scale_groups + g / ratio) * rows + n % rows);
    float sum = plainGroup(args, acts, m, trits, g * group, (g + 1) * group);
    if (acts == kGroupActs)
      total = std::fma(sum * rowScales[g], scale, total);
    else
      // A single product is not added to zero: the sign of a zero would be lost.
      total = args.groups == 1 ? sum * scale : std::fma(sum, scale, total);
  }
  return acts == 0 ? total * args.row_scales[m] : total;
}

void tern::plainMatmul(const tern_matmul_args_t &args, const int8_t *trits, uint32_t rows,
                       uint32_t k, uint32_t acts) {
  int64_t columns = args.k_tiles * k, group = columns / args.groups;
  for (int64_t m = 0; m < args.m; ++m)
    for (int64_t n = args.block_begin * rows; n < args.block_end * int64_t(rows); ++n) {
      float value = plainProduct(args, trits + n * columns, rows, group, acts, m, n);
      if (args.gate) {
        float gate = args.gate[m * args.gate_stride + n];
        value = gate > 0 ? gate * gate * value : 0;
      }
      if (args.residual)
        value = args.residual[m * args.out_stride + n] + value;
      args.out[m * args.out_stride + n] = value;
    }
}

std::string tern::testKernel(const tern_kernel_t &kernel) {
  Noise random(0x7465726e);
  for (int64_t m : {int64_t(1), kMostRows})
    for (int64_t groups : {int64_t(1), kMostGroups}) {
      if (groups > 1 && (kernel.packing == kTwoBitRows || kernel.packing == kTwoBitColumns))
        continue; // they take one
      int64_t n = kBlocks * kernel.rows, columns = kTiles * kernel.k;
      Pieces pieces;
      uint64_t bytes =
          n * columns * 2 + m * (4 * kActsStride + 20 * n + 128) + 16 * n * groups + 4096;
      if (Status status = Arena::create(bytes, "self-test", &pieces.arena); !status.ok())
        return status.message();
      Product product = makeProduct(kernel, m, groups, pieces, random);
      // Block 0 is left out of one run, the last block of all: they must stay as they are.
      product.args.block_begin = groups == 1 ? 0 : 1;
      kernel.run(&product.args);
      tern_matmul_args_t plain = product.args;
      plain.out = product.expected;
      plainMatmul(plain, product.trits, kernel.rows, kernel.k, kernel.acts);
      if (std::string difference = compare(product, n); !difference.empty())
        return difference;
    }
  return {};
}

std::string tern::testVariant(const tern_variant_t &variant) {
  for (uint64_t i = 0; i < variant.kernel_count; ++i)
    if (std::string difference = testKernel(variant.kernels[i]); !difference.empty())
      return format("kernel %s: %s", variant.kernels[i].name, difference.c_str());
  return {};
}
