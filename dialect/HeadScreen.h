//===- HeadScreen.h - a coarse copy of a head's table -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_HEADSCREEN_H
#define TERN_DIALECT_HEADSCREEN_H

#include "dialect/Packing.h"

#include <cstdint>

namespace tern {

/// #ternary.screen in plain C++: each row of a float table as integers of `digits` base-4 digits,
/// with what is needed to bound how far a product with it is from one with the row itself
/// (docs/two-stage-head.md).
///
/// A row `w` has the step `s = max |w| / (L / 2)`, `L = 4^digits - 1`, and the codes
/// `c[k] = clamp(rint(w[k] / s + L / 2), 0, L)`; what it stands for is `s (c[k] - L / 2)`.
///
/// Blocks of 16 rows follow one another, each:
///  * for each digit, lowest first, the digits as `two_bit` tiles: 16 rows by 16 columns, 64 bytes;
///  * for each digit j, 16 floats `4^j s`: scales of products with the digits;
///  * 16 floats: at least the Euclidean norm of the row minus what the codes stand for; +inf for
///    rows behind the table's last;
///  * 16 floats: at least the norm of the row, and of what the codes stand for.
struct HeadScreen {
  int64_t digits = 3;

  static constexpr int64_t kRows = 16, kColumns = 16, kTileBytes = 64;
  /// Sums of int8 times two-bit digits must stay exact in binary32.
  static constexpr int64_t kMaxColumns = 16384;

  int64_t tiles(int64_t columns) const { return (columns + kColumns - 1) / kColumns; }
  int64_t levels() const { return (int64_t(1) << 2 * digits) - 1; }
  int64_t scalesOffset(int64_t columns) const { return digits * tiles(columns) * kTileBytes; }
  int64_t errorsOffset(int64_t columns) const {
    return scalesOffset(columns) + digits * kRows * int64_t(sizeof(float));
  }
  int64_t normsOffset(int64_t columns) const {
    return errorsOffset(columns) + kRows * int64_t(sizeof(float));
  }
  int64_t blockBytes(int64_t columns) const {
    return normsOffset(columns) + kRows * int64_t(sizeof(float));
  }
  int64_t packedBytes(int64_t rows, int64_t columns) const {
    return (rows + kRows - 1) / kRows * blockBytes(columns);
  }

  /// `validRows <= 16` rows of finite floats, `columns` apart, into blockBytes(columns) bytes.
  void encodeBlock(const float *rows, int64_t validRows, int64_t columns, uint8_t *out) const;
};

} // namespace tern

#endif // TERN_DIALECT_HEADSCREEN_H
