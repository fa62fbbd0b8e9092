//===- WeightDecode.cpp - decode the values of one source -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WeightReader.h"

#include "dialect/Semantics.h"
#include "llvm/Support/FormatVariadic.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace tern;
using namespace tern::ternary;
using llvm::ArrayRef;
using llvm::Error;
using llvm::formatv;

/// Elements decoded at a time where only a sum or a maximum is kept.
static constexpr int64_t kChunk = 4096;

static int64_t elementBytes(Encoding encoding) { return encoding == Encoding::F32 ? 4 : 2; }

//===----------------------------------------------------------------------===//
// Random values: a function of seed and position, so that any row can be made alone
//===----------------------------------------------------------------------===//

/// The finaliser of a 64-bit counter-based generator (two multiply-xorshift rounds).
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// Four trits a draw, 16 bits each.
static void randomTrits(uint64_t seed, uint64_t row, int64_t columns, int8_t *out) {
  uint64_t key = mix(mix(seed) + row);
  for (int64_t column = 0; column < columns; column += 4) {
    uint64_t draw = mix(key + static_cast<uint64_t>(column));
    for (int64_t j = 0; j < std::min<int64_t>(4, columns - column); ++j, draw >>= 16)
      out[column + j] = static_cast<int8_t>(((draw & 0xffff) * 3 >> 16) - 1);
  }
}

/// Uniform in [-0.05, 0.05), in steps of 0.1 / 2^24.
static float randomFloat(uint64_t key, uint64_t element) {
  float unit = static_cast<float>(mix(key + element) >> 40) * 0x1p-24f;
  return unit * 0.1f - 0.05f;
}

/// Whether element `i` is among the zeros that the source asks for.
static bool isRandomZero(SourceAttr source, uint64_t element) {
  const uint64_t key = mix(~static_cast<uint64_t>(source.getOffset()));
  return static_cast<int64_t>((mix(key + element) >> 44) * 1000 >> 20) < source.getBytes();
}

//===----------------------------------------------------------------------===//
// Decoding one source
//===----------------------------------------------------------------------===//

Error WeightReader::eachChunk(const Segment &segment, int64_t first, int64_t count,
                              llvm::function_ref<void(ArrayRef<float>)> chunk) const {
  float values[kChunk];
  for (int64_t done = 0; done < count; done += kChunk) {
    int64_t size = std::min(kChunk, count - done);
    if (Error failed = decodeFloats(segment, first + done, size, values))
      return failed;
    chunk(ArrayRef<float>(values, size));
  }
  return Error::success();
}

/// Index of the first value that is not finite; `count` where all are.
static int64_t firstNotFinite(const float *values, int64_t count) {
  uint32_t exponent = 0;
  for (int64_t i = 0; i < count; ++i)
    exponent = std::max(exponent, std::bit_cast<uint32_t>(values[i]) & 0x7f800000);
  if (exponent != 0x7f800000)
    return count;
  return std::find_if_not(values, values + count, [](float x) { return std::isfinite(x); }) -
         values;
}

/// Elements of the source as floats, reciprocals where asked for; all finite.
Error WeightReader::decodeFloats(const Segment &segment, int64_t first, int64_t count,
                                 float *out) const {
  if (count == 0)
    return Error::success();
  Encoding encoding = segment.source.getEncoding();
  if (segment.format()) {
    int64_t columns = segment.sourceColumns();
    assert(first % columns == 0 && count % columns == 0 && "blocks are read by whole rows");
    for (int64_t row = first / columns; count > 0; ++row, count -= columns, out += columns)
      if (Error failed = decodeBlockFloats(segment, row, out))
        return failed;
    return Error::success();
  }
  const uint8_t *in = nullptr;
  if (encoding != Encoding::Random)
    in = segment.bytes.data() + first * elementBytes(encoding);
  auto widen = [&](auto convert) {
    for (int64_t i = 0; i < count; ++i) {
      uint16_t bits;
      std::memcpy(&bits, in + 2 * i, sizeof bits);
      out[i] = convert(bits);
    }
  };
  if (encoding == Encoding::F32)
    std::memcpy(out, in, count * sizeof *out);
  else if (encoding == Encoding::F16)
    widen([](uint16_t bits) { return semantics::fromF16(bits); });
  else if (encoding == Encoding::BF16)
    widen([](uint16_t bits) { return semantics::fromBF16(bits); });
  else
    for (int64_t i = 0, key = mix(segment.source.getOffset()); i < count; ++i)
      out[i] = isRandomZero(segment.source, first + i) ? 0.0f : randomFloat(key, first + i);

  if (int64_t at = firstNotFinite(out, count); at < count)
    return error(segment, first + at, formatv("expected a finite value, got {0}", out[at]).str());
  if (segment.source.getDerive() != Derivation::Reciprocal)
    return Error::success();
  for (int64_t i = 0; i < count; ++i) {
    float inverse = 1.0f / out[i];
    if (!std::isfinite(inverse))
      return error(segment, first + i, formatv("no finite reciprocal of {0}", out[i]).str());
    out[i] = inverse;
  }
  return Error::success();
}

/// A quarter of the rows apart, four rows share a packed row, two bits each.
Error WeightReader::decodeHFPacked(const Segment &segment, int64_t row, int8_t *out) const {
  int64_t packedRows = segment.source.getShape()[0] / 4, columns = segment.sourceColumns();
  const uint8_t *in = segment.bytes.data() + row % packedRows * columns;
  int shift = static_cast<int>(row / packedRows) * 2;
  uint8_t worst = 0;
  for (int64_t column = 0; column < columns; ++column) {
    uint8_t code = in[column] >> shift & 3;
    worst = std::max(worst, code);
    out[column] = static_cast<int8_t>(code - 1);
  }
  if (worst < 3)
    return Error::success();
  int64_t column = std::find(out, out + columns, 2) - out;
  return error(segment, row * columns + column, "code 3 is no trit");
}

Error WeightReader::decodeBlockTrits(const Segment &segment, int64_t row, int8_t *out) const {
  if (blocks::decodeTrits(segment.tensor(), row, out))
    return Error::success();
  int64_t columns = segment.sourceColumns(), column = std::find(out, out + columns, 2) - out;
  return error(segment, row * columns + column, "code 3 is no trit");
}

/// mlx2's scales are those of their own source: one for each of its columns.
static void decodeMLX2(const blocks::Tensor &codes, SourceAttr scales, const uint8_t *in,
                       int64_t row, float *out) {
  std::vector<int8_t> trits(codes.columns);
  (void)blocks::decodeTrits(codes, row, trits.data());
  int64_t groups = scales.getShape()[1], group = codes.columns / groups;
  Encoding encoding = scales.getEncoding();
  for (int64_t i = 0; i < codes.columns; ++i) {
    const uint8_t *at = in + (row * groups + i / group) * elementBytes(encoding);
    uint32_t bits = 0;
    std::memcpy(&bits, at, elementBytes(encoding));
    float scale = encoding == Encoding::F32   ? std::bit_cast<float>(bits)
                  : encoding == Encoding::F16 ? semantics::fromF16(static_cast<uint16_t>(bits))
                                              : semantics::fromBF16(static_cast<uint16_t>(bits));
    out[i] = static_cast<float>(trits[i]) * scale;
  }
}

Error WeightReader::decodeBlockFloats(const Segment &segment, int64_t row, float *out) const {
  int64_t columns = segment.sourceColumns();
  if (segment.format() == blocks::Format::MLX2) {
    decodeMLX2(segment.tensor(), cast<SourceAttr>(segment.source.getScales()),
               segment.scales.data(), row, out);
  } else if (!blocks::decodeFloats(segment.tensor(), row, out)) {
    std::vector<int8_t> trits(columns);
    return decodeBlockTrits(segment, row, trits.data());
  }
  if (int64_t at = firstNotFinite(out, columns); at < columns)
    return error(segment, row * columns + at,
                 formatv("expected a finite value, got {0}", out[at]).str());
  return Error::success();
}

/// The scales stored in the blocks; that of i2_s must be positive.
Error WeightReader::decodeBlockScales(const Segment &segment, int64_t row, int64_t rows,
                                      float *out) const {
  blocks::Tensor tensor = segment.tensor();
  int64_t group = blocks::scaleColumns(tensor.format, tensor.columns);
  int64_t count = group ? tensor.columns / group : 1;
  for (int64_t i = 0; i < rows; ++i, out += count) {
    blocks::decodeScales(tensor, row + i, out);
    int64_t at = std::min(firstNotFinite(out, count), count - 1);
    bool tensorScale = blocks::isI2S(tensor.format);
    if (!std::isfinite(out[at]) || (tensorScale && out[at] <= 0))
      return error(segment, (row + i) * tensor.columns + at * group,
                   formatv("expected a {0} scale, got {1}",
                           tensorScale ? "positive, finite" : "finite", out[at])
                       .str());
  }
  return Error::success();
}

Error WeightReader::decodeTrits(const Segment &segment, int64_t row, int64_t rows,
                                int8_t *out) const {
  int64_t columns = segment.sourceColumns();
  Derivation derive = segment.source.getDerive();
  if (derive == Derivation::None) {
    for (int64_t i = 0; i < rows; ++i, out += columns)
      if (segment.source.getEncoding() == Encoding::Random)
        randomTrits(segment.source.getOffset(), row + i, columns, out);
      else if (Error failed = segment.format() ? decodeBlockTrits(segment, row + i, out)
                                               : decodeHFPacked(segment, row + i, out))
        return failed;
    return Error::success();
  }
  float inverse = 1.0f / segment.scale;
  return eachChunk(segment, row * columns, rows * columns, [&](ArrayRef<float> chunk) {
    for (float value : chunk)
      *out++ = derive == Derivation::AbsmeanTrits
                   ? semantics::absmeanTrit(value, inverse)
                   : static_cast<int8_t>((value > 0.0f) - (value < 0.0f));
  });
}

/// The largest magnitude of each row and group.
Error WeightReader::decodeScales(const Segment &segment, int64_t row, int64_t rows,
                                 float *out) const {
  int64_t group = segment.sourceColumns() / width();
  for (int64_t i = 0; i < rows * width(); ++i) {
    out[i] = 0.0f;
    Error failed =
        eachChunk(segment, (row * width() + i) * group, group, [&](ArrayRef<float> chunk) {
          for (float value : chunk)
            out[i] = std::max(out[i], std::fabs(value));
        });
    if (failed)
      return failed;
  }
  return Error::success();
}
