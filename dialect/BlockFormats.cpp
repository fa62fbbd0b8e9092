//===- BlockFormats.cpp - ternary blocks ----------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/BlockFormats.h"

#include "dialect/Semantics.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <vector>

using namespace tern;
using namespace tern::blocks;

namespace {
/// `elements` of a row in `bytes`; a row begins with `header` bytes of scale. A group of zero
/// elements: scales that are not laid out by blocks.
struct Layout {
  const char *name, *rule;
  int64_t elements, bytes, header;
};

constexpr Layout kLayouts[] = {
    {"i2_s", "elements that are a multiple of 128", 0, 0, 0},
    {"i2_s_l64", "elements that are a multiple of 64", 0, 0, 0},
    {"i2_s_l4row", "rows that are a multiple of 4", 0, 0, 0},
    {"tq1_0", "columns that are a multiple of 256", 256, 54, 0},
    {"tq2_0", "columns that are a multiple of 256", 256, 66, 0},
    {"q2_0", "columns that are a multiple of 64", 64, 18, 0},
    {"pq2_0", "columns that are a multiple of 128", 128, 34, 0},
    {"ptq1_0", "columns that are a multiple of 128", 128, 28, 0},
    {"iq1_bn", "columns that are a multiple of 64", 64, 13, 2},
    {"iq2_bn", "columns that are a multiple of 64", 64, 16, 4},
    {"mlx2", "columns that are a multiple of 16", 16, 4, 0},
    {"q8_0", "columns that are a multiple of 32", 32, 34, 0},
    {"q4_0", "columns that are a multiple of 32", 32, 18, 0},
    {"q4_1", "columns that are a multiple of 32", 32, 20, 0},
    {"q5_0", "columns that are a multiple of 32", 32, 22, 0},
    {"q4_k", "columns that are a multiple of 256", 256, 144, 0},
    {"q5_k", "columns that are a multiple of 256", 256, 176, 0},
    {"q6_k", "columns that are a multiple of 256", 256, 210, 0},
};

const Layout &layout(Format format) {
  assert(format >= kFirstFormat && format <= kLastFormat);
  return kLayouts[static_cast<uint32_t>(format) - static_cast<uint32_t>(kFirstFormat)];
}

/// Bytes after the codes of i2_s: the scale and padding.
constexpr int64_t kI2STail = 32;

/// Bytes a run of i2_s, where its elements are not spread over rows.
int64_t runBytes(Format format) { return format == Format::I2S ? 32 : 16; }

int64_t rowBytes(const Layout &form, int64_t columns) {
  return form.header + columns / form.elements * form.bytes;
}

/// A byte of up to five base-3 digits is the fraction ceil(n * 256 / 243): multiplying by 3^i and
/// keeping 8 bits drops the first i digits, and the next one is the integer part of 3 times that.
constexpr uint8_t kPowers[] = {1, 3, 9, 27, 81};

int8_t digit(uint8_t byte, int index) {
  return static_cast<int8_t>((static_cast<uint8_t>(byte * kPowers[index]) * 3 >> 8) - 1);
}

/// The byte of `count` trits, `stride` apart, most significant first; missing ones count as -1.
uint8_t base3(const int8_t *trits, int count, int64_t stride) {
  int number = 0;
  for (int i = 0; i < 5; ++i)
    number = number * 3 + (i < count ? trits[i * stride] + 1 : 0);
  return static_cast<uint8_t>((number * 256 + 242) / 243);
}

//===----------------------------------------------------------------------===//
// Where codes lie: each walk visits stretches of consecutive bytes and elements
//===----------------------------------------------------------------------===//

/// Calls visit(element in the row, byte in the tensor, shift, count) for the two-bit codes of one
/// row of i2_s: `count` elements lie one a byte at the same bits.
template <typename Visit>
void eachI2SStretch(Format format, int64_t columns, int64_t row, Visit visit) {
  if (format == Format::I2SL4Row)
    return visit(int64_t(0), row / 4 * columns, 6 - 2 * static_cast<int>(row % 4), columns);
  int64_t lanes = runBytes(format), first = row * columns;
  for (int64_t at = 0; at < columns;) {
    int64_t element = first + at, run = element / (4 * lanes), place = element % (4 * lanes);
    int64_t count = std::min(lanes - place % lanes, columns - at);
    visit(at, run * lanes + place % lanes, 6 - 2 * static_cast<int>(place / lanes), count);
    at += count;
  }
}

/// The same over one block of base-3 bytes: visit(element, byte, digits, count), where digit i of a
/// byte is `count` elements further on.
template <typename Visit> void eachBase3Stretch(Format format, Visit visit) {
  if (format == Format::TQ1_0) {
    visit(0, 0, 5, 32);
    visit(160, 32, 5, 16);
    visit(240, 48, 4, 4);
  } else {
    visit(0, 0, 5, 16);
    visit(80, 16, 5, 8);
    visit(120, 24, 4, 2);
  }
}

/// Lanes of the formats whose byte m of a run holds elements m, m + lanes, m + 2 lanes, ... in
/// ascending bits; 1 where a byte holds four neighbours.
int64_t twoBitLanes(Format format) {
  return format == Format::TQ2_0 ? 32 : format == Format::IQ2_BN ? 16 : 1;
}

/// Offset of a block's first code byte and of its f16 scale.
int64_t codeOffset(Format format) {
  return format == Format::Q2_0 || format == Format::PQ2_0 ? 2 : 0;
}
int64_t scaleOffset(Format format) { return codeOffset(format) ? 0 : layout(format).bytes - 2; }

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

template <int64_t Lanes> void decodeTwoBit(const uint8_t *in, int64_t elements, int8_t *out) {
  for (int64_t run = 0; run < elements; run += 4 * Lanes, in += Lanes)
    for (int slot = 0; slot < 4; ++slot)
      for (int64_t m = 0; m < Lanes; ++m)
        out[run + slot * Lanes + m] = static_cast<int8_t>((in[m] >> 2 * slot & 3) - 1);
}

void encodeTwoBit(const int8_t *trits, int64_t elements, int64_t lanes, uint8_t *out) {
  for (int64_t run = 0; run < elements; run += 4 * lanes, out += lanes)
    for (int64_t m = 0; m < lanes; ++m) {
      int byte = 0;
      for (int slot = 0; slot < 4; ++slot)
        byte |= (trits[run + slot * lanes + m] + 1) << 2 * slot;
      out[m] = static_cast<uint8_t>(byte);
    }
}

/// 13 bytes of iq1_bn: the first of five elements is the least significant digit, and the last byte
/// has the last element of each quarter.
void decodeIQ1(const uint8_t *in, int8_t *out) {
  for (int quarter = 0; quarter < 4; ++quarter, out += 16) {
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 5; ++i)
        out[5 * j + i] = digit(in[3 * quarter + j], 4 - i);
    out[15] = digit(in[12], 4 - quarter);
  }
}

void encodeIQ1(const int8_t *trits, uint8_t *out) {
  for (int quarter = 0; quarter < 4; ++quarter)
    for (int j = 0; j < 3; ++j)
      out[3 * quarter + j] = base3(trits + 16 * quarter + 5 * j + 4, 5, -1);
  // The digit of weight 81 stays 0.
  int8_t last[] = {-1, trits[63], trits[47], trits[31], trits[15]};
  out[12] = base3(last, 5, 1);
}

void decodeBlock(Format format, const uint8_t *in, int8_t *out) {
  int64_t elements = layout(format).elements;
  switch (format) {
  case Format::TQ1_0:
  case Format::PTQ1_0:
    return eachBase3Stretch(format, [&](int64_t element, int64_t byte, int digits, int64_t count) {
      for (int i = 0; i < digits; ++i)
        for (int64_t m = 0; m < count; ++m)
          out[element + i * count + m] = digit(in[byte + m], i);
    });
  case Format::IQ1_BN:
    return decodeIQ1(in, out);
  case Format::TQ2_0:
    return decodeTwoBit<32>(in, elements, out);
  case Format::IQ2_BN:
    return decodeTwoBit<16>(in, elements, out);
  default:
    return decodeTwoBit<1>(in + codeOffset(format), elements, out);
  }
}

void encodeBlock(Format format, const int8_t *trits, uint8_t *out) {
  switch (format) {
  case Format::TQ1_0:
  case Format::PTQ1_0:
    return eachBase3Stretch(format, [&](int64_t element, int64_t byte, int digits, int64_t count) {
      for (int64_t m = 0; m < count; ++m)
        out[byte + m] = base3(trits + element + m, digits, count);
    });
  case Format::IQ1_BN:
    return encodeIQ1(trits, out);
  default:
    return encodeTwoBit(trits, layout(format).elements, twoBitLanes(format),
                        out + codeOffset(format));
  }
}

float loadF16(const uint8_t *in) {
  return semantics::fromF16(static_cast<uint16_t>(in[0] | in[1] << 8));
}
void storeF16(uint8_t *out, float value) {
  uint16_t bits = semantics::toF16(value);
  out[0] = static_cast<uint8_t>(bits), out[1] = static_cast<uint8_t>(bits >> 8);
}
float loadF32(const uint8_t *in) {
  float value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

bool hasBlockScales(Format format) { return isTernary(format) && scaleColumns(format, 1) > 1; }

} // namespace

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

const char *blocks::name(Format format) { return layout(format).name; }
const char *blocks::shapeRule(Format format) { return layout(format).rule; }

std::optional<int64_t> blocks::tensorBytes(Format format, int64_t rows, int64_t columns) {
  if (isI2S(format)) {
    bool fits =
        format == Format::I2SL4Row ? rows % 4 == 0 : rows * columns % (4 * runBytes(format)) == 0;
    return fits ? std::optional(rows * columns / 4 + kI2STail) : std::nullopt;
  }
  const Layout &form = layout(format);
  if (columns % form.elements)
    return std::nullopt;
  return rows * rowBytes(form, columns);
}

int64_t blocks::scaleColumns(Format format, int64_t columns) {
  assert(isTernary(format));
  if (format == Format::MLX2)
    return -1;
  if (isI2S(format))
    return 0;
  return layout(format).header ? columns : layout(format).elements;
}

int64_t blocks::byteOf(Format format, int64_t rows, int64_t columns, int64_t row, int64_t column) {
  (void)rows;
  if (isI2S(format)) {
    int64_t found = 0;
    eachI2SStretch(format, columns, row, [&](int64_t at, int64_t byte, int, int64_t count) {
      if (column >= at && column < at + count)
        found = byte + column - at;
    });
    return found;
  }
  const Layout &form = layout(format);
  return row * rowBytes(form, columns) + form.header + column / form.elements * form.bytes;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

bool blocks::decodeTrits(const Tensor &tensor, int64_t row, int8_t *trits) {
  assert(isTernary(tensor.format) && row >= 0 && row < tensor.rows);
  if (isI2S(tensor.format)) {
    eachI2SStretch(tensor.format, tensor.columns, row,
                   [&](int64_t at, int64_t byte, int shift, int64_t count) {
                     const uint8_t *in = tensor.bytes + byte;
                     for (int64_t i = 0; i < count; ++i)
                       trits[at + i] = static_cast<int8_t>((in[i] >> shift & 3) - 1);
                   });
  } else if (tensor.format == Format::MLX2) {
    // Codes without gaps: the row is one block.
    decodeTwoBit<1>(tensor.bytes + row * tensor.columns / 4, tensor.columns, trits);
  } else {
    const Layout &form = layout(tensor.format);
    const uint8_t *in = tensor.bytes + row * rowBytes(form, tensor.columns) + form.header;
    for (int64_t at = 0; at < tensor.columns; at += form.elements, in += form.bytes)
      decodeBlock(tensor.format, in, trits + at);
  }
  int8_t most = 0;
  for (int64_t i = 0; i < tensor.columns; ++i)
    most = std::max(most, trits[i]);
  return most < 2;
}

void blocks::decodeScales(const Tensor &tensor, int64_t row, float *scales) {
  assert(isTernary(tensor.format) && tensor.format != Format::MLX2);
  if (isI2S(tensor.format)) {
    *scales = loadF32(tensor.bytes + tensor.rows * tensor.columns / 4);
    return;
  }
  const Layout &form = layout(tensor.format);
  const uint8_t *in = tensor.bytes + row * rowBytes(form, tensor.columns);
  if (form.header) {
    *scales = form.header == 2 ? loadF16(in) : loadF32(in);
    return;
  }
  in += scaleOffset(tensor.format);
  for (int64_t at = 0; at < tensor.columns; at += form.elements, in += form.bytes)
    *scales++ = loadF16(in);
}

bool blocks::decodeFloats(const Tensor &tensor, int64_t row, float *values) {
  assert(tensor.format != Format::MLX2);
  if (!isTernary(tensor.format)) {
    const Layout &form = layout(tensor.format);
    const uint8_t *in = tensor.bytes + row * rowBytes(form, tensor.columns);
    for (int64_t at = 0; at < tensor.columns; at += form.elements, in += form.bytes)
      decodeFloatBlock(tensor.format, in, values + at);
    return true;
  }
  std::vector<int8_t> trits(tensor.columns);
  bool areTrits = decodeTrits(tensor, row, trits.data());
  int64_t group = scaleColumns(tensor.format, tensor.columns);
  if (group == 0)
    group = tensor.columns;
  std::vector<float> scales(tensor.columns / group);
  decodeScales(tensor, row, scales.data());
  for (int64_t g = 0; g * group < tensor.columns; ++g)
    for (int64_t i = g * group; i < (g + 1) * group; ++i)
      values[i] = static_cast<float>(trits[i]) * scales[g];
  return areTrits || !isI2S(tensor.format);
}

static void encodeI2S(Format format, int64_t rows, int64_t columns, int64_t row,
                      const int8_t *trits, const float *scales, uint8_t *bytes) {
  eachI2SStretch(format, columns, row, [&](int64_t at, int64_t byte, int shift, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      uint8_t &place = bytes[byte + i];
      place = static_cast<uint8_t>((place & ~(3 << shift)) | (trits[at + i] + 1) << shift);
    }
  });
  if (row != rows - 1)
    return;
  uint8_t *tail = bytes + rows * columns / 4;
  std::memset(tail, 0, kI2STail);
  std::memcpy(tail, scales, sizeof *scales);
}

void blocks::encodeTrits(Format format, int64_t rows, int64_t columns, int64_t row,
                         const int8_t *trits, const float *scales, uint8_t *bytes) {
  assert(isTernary(format) && tensorBytes(format, rows, columns));
  if (isI2S(format))
    return encodeI2S(format, rows, columns, row, trits, scales, bytes);
  const Layout &form = layout(format);
  uint8_t *out = bytes + row * rowBytes(form, columns);
  if (form.header == 2)
    storeF16(out, *scales);
  else if (form.header == 4)
    std::memcpy(out, scales, sizeof *scales);
  out += form.header;
  for (int64_t at = 0; at < columns; at += form.elements, out += form.bytes) {
    encodeBlock(format, trits + at, out);
    if (hasBlockScales(format))
      storeF16(out + scaleOffset(format), *scales++);
  }
}
