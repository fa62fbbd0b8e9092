//===- Packing.h - how trits lie in bytes -----------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_PACKING_H
#define TERN_DIALECT_PACKING_H

#include <cstdint>

namespace tern {

/// Arena and payload rows of floats are padded with zeros to this many elements.
constexpr int64_t kRowPadding = 64;
/// int8 activation rows are padded to this many bytes: whole tiles of every packing.
constexpr int64_t kActsPadding = 320;
/// Columns that two_bit_rows and two_bit_columns take at most: their kernels keep lists and
/// unpacked panels of so many columns on the stack.
constexpr int64_t kMostSkippedColumns = 16384;
/// Rows of a block of two_bit_columns: a column of it is one cache line.
constexpr int64_t kColumnBlockRows = 256;

constexpr int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
constexpr int64_t paddedRow(int64_t elements) { return roundUp(elements, kRowPadding); }
constexpr int64_t paddedActs(int64_t elements) { return roundUp(elements, kActsPadding); }

/// #ternary.packing in plain C++ (its description has the bit layout). Used by passes, codegen,
/// the interpreter and tests; knows nothing of MLIR.
///
/// SixBit is not for trits and has no attribute: it packs the integers of #ternary.screen, -32 ..
/// 31. Tiles are three planes of `rows` rows by 4 bytes. With `c[s][j]` the code, integer + 32, of
/// column 4 s + j, byte j of a row in plane p is `c[p][j] | (c[3][j] >> 2 p & 3) << 6`. Its kernels
/// take activations of -63 .. 63.
struct Packing {
  enum class Kind : uint32_t {
    TwoBit = 0,
    Base3 = 1,
    TwoBitRows = 2,
    TwoBitColumns = 3,
    SixBit = 4
  };

  Kind kind = Kind::TwoBit;
  int64_t rows = 16;
  int64_t k = 16;

  /// What is packed lies in least .. most; a code is that minus `least`.
  int8_t least() const { return kind == Kind::SixBit ? -32 : -1; }
  int8_t most() const { return kind == Kind::SixBit ? 31 : 1; }
  int8_t leastAct() const { return kind == Kind::SixBit ? -63 : -128; }
  int8_t mostAct() const { return kind == Kind::SixBit ? 63 : 127; }

  int64_t tileBytes() const { return rows * (kind == Kind::SixBit ? 12 : 4); }
  int64_t kTiles(int64_t columns) const { return (columns + k - 1) / k; }
  int64_t rowBlocks(int64_t n) const { return (n + rows - 1) / rows; }
  int64_t blockBytes(int64_t columns) const { return kTiles(columns) * tileBytes(); }
  int64_t packedBytes(int64_t n, int64_t columns) const {
    return rowBlocks(n) * blockBytes(columns);
  }

  /// Packs `validRows <= rows` rows of `columns` trits (integers), `stride` apart, into
  /// blockBytes(columns) bytes.
  void encodeBlock(const int8_t *trits, int64_t validRows, int64_t columns, int64_t stride,
                   uint8_t *out) const;
  /// Inverse; false when a two-bit code is 3, a byte has no digits or padding is not zero trits.
  [[nodiscard]] bool decodeBlock(const uint8_t *in, int64_t validRows, int64_t columns,
                                 int64_t stride, int8_t *trits) const;
};

} // namespace tern

#endif // TERN_DIALECT_PACKING_H
