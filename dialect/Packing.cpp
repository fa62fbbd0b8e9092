//===- Packing.cpp - how trits lie in bytes -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>

using namespace tern;

// Lanes are handled as 32-bit words: byte j of a word belongs to column j of a group of four.
static_assert(std::endian::native == std::endian::little);

static constexpr uint32_t kOnes = 0x01010101;
static constexpr int kWidestTile = 20;
static constexpr int kBase3Codes = 243;

static uint32_t loadWord(const int8_t *trits) {
  uint32_t word;
  std::memcpy(&word, trits, sizeof word);
  return word;
}

/// Four trits to four codes `trit + 1`. -1 is 3 modulo 4, so no sum leaves its byte.
static uint32_t codesOf(uint32_t trits) { return ((trits & 3 * kOnes) + kOnes) & 3 * kOnes; }

/// Four codes 0 .. 2 to four trits; bit 7 keeps the borrow inside its byte.
static uint32_t tritsOf(uint32_t codes) { return ((codes | 0x80 * kOnes) - kOnes) ^ 0x80 * kOnes; }

//===----------------------------------------------------------------------===//
// base3 bytes
//===----------------------------------------------------------------------===//

/// The byte of two pairs of digits, 0 .. 8 each, and the fifth digit.
static constexpr uint8_t base3Byte(int first, int second, int last) {
  if (first && second)
    return static_cast<uint8_t>(last << 6 | (second - 1) << 3 | (first - 1));
  if (first)
    return static_cast<uint8_t>(192 | last << 3 | (first - 1));
  if (second)
    return static_cast<uint8_t>(192 | (3 + last) << 3 | (second - 1));
  return last < 2 ? static_cast<uint8_t>(240 | last) : 249;
}

struct Digits {
  uint8_t digit[5];
  bool canonical; ///< five digits have this byte
};

/// The byte of the number whose digits in base 3 are d[0] .. d[4], d[0] first.
static constexpr std::array<uint8_t, kBase3Codes> makeBytes() {
  std::array<uint8_t, kBase3Codes> table{};
  for (int value = 0; value < kBase3Codes; ++value)
    table[value] =
        base3Byte(value / 27 % 3 * 3 + value / 81, value / 3 % 3 * 3 + value / 9 % 3, value % 3);
  return table;
}

/// Bytes that no digits have decode to zero trits.
static constexpr std::array<Digits, 256> makeDigits() {
  constexpr auto bytes = makeBytes();
  std::array<Digits, 256> table{};
  for (Digits &digits : table)
    digits = {{1, 1, 1, 1, 1}, false};
  for (int value = 0; value < kBase3Codes; ++value) {
    Digits &digits = table[bytes[value]];
    for (int s = 4, rest = value; s >= 0; --s, rest /= 3)
      digits.digit[s] = static_cast<uint8_t>(rest % 3);
    digits.canonical = true;
  }
  return table;
}

static constexpr auto kBytes = makeBytes();
static constexpr auto kDigits = makeDigits();

//===----------------------------------------------------------------------===//
// Lanes: the k trits of one row in one tile
//===----------------------------------------------------------------------===//

static uint32_t encodeTwoBit(const int8_t *trits) {
  uint32_t lane = 0;
  for (int s = 0; s < 4; ++s)
    lane |= codesOf(loadWord(trits + 4 * s)) << (2 * s);
  return lane;
}

static uint32_t encodeBase3(const int8_t *trits) {
  // At most 242 a byte, so the four sums stay apart.
  uint32_t values = 0;
  for (int s = 0; s < 5; ++s)
    values = values * 3 + codesOf(loadWord(trits + 4 * s));
  uint32_t lane = 0;
  for (int j = 0; j < 4; ++j)
    lane |= static_cast<uint32_t>(kBytes[values >> (8 * j) & 0xff]) << (8 * j);
  return lane;
}

static bool decodeTwoBit(uint32_t lane, int8_t *trits) {
  for (int s = 0; s < 4; ++s) {
    uint32_t word = tritsOf(lane >> (2 * s) & 3 * kOnes);
    std::memcpy(trits + 4 * s, &word, sizeof word);
  }
  return (lane & lane >> 1 & 0x55 * kOnes) == 0;
}

static bool decodeBase3(uint32_t lane, int8_t *trits) {
  bool canonical = true;
  for (int j = 0; j < 4; ++j) {
    const Digits &digits = kDigits[lane >> (8 * j) & 0xff];
    for (int s = 0; s < 5; ++s)
      trits[4 * s + j] = static_cast<int8_t>(digits.digit[s] - 1);
    canonical &= digits.canonical;
  }
  return canonical;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

template <int K, uint32_t (*EncodeLane)(const int8_t *)>
static void encodeTiles(const Packing &packing, const int8_t *trits, int64_t validRows,
                        int64_t columns, int64_t stride, uint8_t *out) {
  constexpr int8_t kZeros[kWidestTile] = {};
  const uint32_t missing = EncodeLane(kZeros);
  for (int64_t column = 0; column < columns; column += K) {
    int64_t width = std::min<int64_t>(K, columns - column);
    for (int64_t row = 0; row < packing.rows; ++row, out += sizeof missing) {
      uint32_t lane = missing;
      if (row < validRows) {
        const int8_t *source = trits + row * stride + column;
        int8_t edge[kWidestTile] = {};
        if (width < K)
          source = static_cast<int8_t *>(std::memcpy(edge, source, width));
        lane = EncodeLane(source);
      }
      std::memcpy(out, &lane, sizeof lane);
    }
  }
}

template <int K, bool (*DecodeLane)(uint32_t, int8_t *)>
static bool decodeTiles(const Packing &packing, const uint8_t *in, int64_t validRows,
                        int64_t columns, int64_t stride, int8_t *trits) {
  bool good = true;
  for (int64_t column = 0; column < columns; column += K) {
    int64_t width = std::min<int64_t>(K, columns - column);
    for (int64_t row = 0; row < packing.rows; ++row) {
      uint32_t lane;
      std::memcpy(&lane, in, sizeof lane);
      in += sizeof lane;
      if (row < validRows && width == K) {
        good &= DecodeLane(lane, trits + row * stride + column);
        continue;
      }
      int8_t edge[kWidestTile];
      good &= DecodeLane(lane, edge);
      int64_t kept = row < validRows ? width : 0;
      if (kept > 0)
        std::copy_n(edge, kept, trits + row * stride + column);
      good &= std::all_of(edge + kept, edge + K, [](int8_t trit) { return trit == 0; });
    }
  }
  return good;
}

//===----------------------------------------------------------------------===//
// Blocks whose rows, or columns, are contiguous
//===----------------------------------------------------------------------===//

/// A row is a block of one row.
static Packing oneRow() { return {Packing::Kind::TwoBit, 1, 16}; }

static void encodeRows(const Packing &packing, const int8_t *trits, int64_t validRows,
                       int64_t columns, int64_t stride, uint8_t *out) {
  for (int64_t row = 0; row < packing.rows; ++row, out += oneRow().blockBytes(columns))
    encodeTiles<16, encodeTwoBit>(oneRow(), trits + std::min(row, validRows) * stride,
                                  row < validRows, columns, stride, out);
}

static bool decodeRows(const Packing &packing, const uint8_t *in, int64_t validRows,
                       int64_t columns, int64_t stride, int8_t *trits) {
  bool good = true;
  for (int64_t row = 0; row < packing.rows; ++row, in += oneRow().blockBytes(columns))
    good &= decodeTiles<16, decodeTwoBit>(oneRow(), in, row < validRows, columns, stride,
                                          trits + std::min(row, validRows) * stride);
  return good;
}

namespace {
/// Where row `r` of a two_bit_columns block lies in each of its columns.
struct ColumnPlace {
  explicit ColumnPlace(int64_t r)
      : byte(r / 64 * 16 + r % 16), shift(static_cast<int>(r % 64 / 16 * 2)) {}
  int64_t byte;
  int shift;
};
} // namespace

static void encodeColumns(const Packing &packing, const int8_t *trits, int64_t validRows,
                          int64_t columns, int64_t stride, uint8_t *out) {
  const int64_t columnBytes = packing.rows / 4, all = packing.kTiles(columns) * packing.k;
  std::memset(out, 0, all * columnBytes);
  for (int64_t row = 0; row < packing.rows; ++row) {
    const ColumnPlace place(row);
    const int64_t valid = row < validRows ? columns : 0;
    for (int64_t column = 0; column < all; ++column) {
      int code = column < valid ? trits[row * stride + column] + 1 : 1;
      uint8_t &byte = out[column * columnBytes + place.byte];
      byte = static_cast<uint8_t>(byte | code << place.shift);
    }
  }
}

static bool decodeColumns(const Packing &packing, const uint8_t *in, int64_t validRows,
                          int64_t columns, int64_t stride, int8_t *trits) {
  const int64_t columnBytes = packing.rows / 4, all = packing.kTiles(columns) * packing.k;
  bool good = true;
  for (int64_t row = 0; row < packing.rows; ++row) {
    const ColumnPlace place(row);
    const int64_t valid = row < validRows ? columns : 0;
    for (int64_t column = 0; column < all; ++column) {
      int trit = (in[column * columnBytes + place.byte] >> place.shift & 3) - 1;
      good &= column < valid ? trit < 2 : trit == 0;
      if (column < valid)
        trits[row * stride + column] = static_cast<int8_t>(trit);
    }
  }
  return good;
}

//===----------------------------------------------------------------------===//
// Integers of six bits
//===----------------------------------------------------------------------===//

/// Calls visit(at, width, lane) for each row of each tile of a block: the tile has `width` integers
/// of the row, from `at` on (none of padding rows); `lane` is its first byte in plane 0.
template <typename Visit>
static void eachSixBitLane(const Packing &packing, int64_t validRows, int64_t columns,
                           int64_t stride, Visit visit) {
  for (int64_t tile = 0; tile < packing.kTiles(columns); ++tile)
    for (int64_t row = 0; row < packing.rows; ++row) {
      const int64_t first = tile * packing.k;
      const int64_t width = row < validRows ? std::min(packing.k, columns - first) : 0;
      visit(std::min(row, validRows) * stride + first, width, tile * packing.tileBytes() + row * 4);
    }
}

static void encodeSixBit(const Packing &packing, const int8_t *integers, int64_t validRows,
                         int64_t columns, int64_t stride, uint8_t *out) {
  eachSixBitLane(packing, validRows, columns, stride, [&](int64_t at, int64_t width, int64_t lane) {
    for (int64_t j = 0; j < 4; ++j) {
      int codes[4];
      for (int64_t slot = 0; slot < 4; ++slot)
        codes[slot] = (4 * slot + j < width ? integers[at + 4 * slot + j] : 0) - packing.least();
      for (int64_t plane = 0; plane < 3; ++plane)
        out[lane + plane * packing.rows * 4 + j] =
            static_cast<uint8_t>(codes[plane] | (codes[3] >> 2 * plane & 3) << 6);
    }
  });
}

static bool decodeSixBit(const Packing &packing, const uint8_t *in, int64_t validRows,
                         int64_t columns, int64_t stride, int8_t *integers) {
  bool good = true;
  eachSixBitLane(packing, validRows, columns, stride, [&](int64_t at, int64_t width, int64_t lane) {
    for (int64_t j = 0; j < 4; ++j) {
      int codes[4] = {};
      for (int64_t plane = 0; plane < 3; ++plane) {
        const int byte = in[lane + plane * packing.rows * 4 + j];
        codes[plane] = byte & 63;
        codes[3] |= byte >> 6 << 2 * plane;
      }
      for (int64_t slot = 0; slot < 4; ++slot) {
        const int integer = codes[slot] + packing.least();
        if (4 * slot + j < width)
          integers[at + 4 * slot + j] = static_cast<int8_t>(integer);
        else
          good &= integer == 0;
      }
    }
  });
  return good;
}

void Packing::encodeBlock(const int8_t *trits, int64_t validRows, int64_t columns, int64_t stride,
                          uint8_t *out) const {
  assert(k == (kind == Kind::Base3 ? 20 : 16) && "a packing's kind fixes its tile width");
  assert(validRows >= 0 && validRows <= rows && "a block has at most `rows` rows");
  switch (kind) {
  case Kind::TwoBit:
    return encodeTiles<16, encodeTwoBit>(*this, trits, validRows, columns, stride, out);
  case Kind::Base3:
    return encodeTiles<20, encodeBase3>(*this, trits, validRows, columns, stride, out);
  case Kind::TwoBitRows:
    return encodeRows(*this, trits, validRows, columns, stride, out);
  case Kind::TwoBitColumns:
    return encodeColumns(*this, trits, validRows, columns, stride, out);
  case Kind::SixBit:
    return encodeSixBit(*this, trits, validRows, columns, stride, out);
  }
}

bool Packing::decodeBlock(const uint8_t *in, int64_t validRows, int64_t columns, int64_t stride,
                          int8_t *trits) const {
  assert(k == (kind == Kind::Base3 ? 20 : 16) && "a packing's kind fixes its tile width");
  assert(validRows >= 0 && validRows <= rows && "a block has at most `rows` rows");
  switch (kind) {
  case Kind::TwoBit:
    return decodeTiles<16, decodeTwoBit>(*this, in, validRows, columns, stride, trits);
  case Kind::Base3:
    return decodeTiles<20, decodeBase3>(*this, in, validRows, columns, stride, trits);
  case Kind::TwoBitRows:
    return decodeRows(*this, in, validRows, columns, stride, trits);
  case Kind::TwoBitColumns:
    return decodeColumns(*this, in, validRows, columns, stride, trits);
  case Kind::SixBit:
    return decodeSixBit(*this, in, validRows, columns, stride, trits);
  }
  return false;
}
