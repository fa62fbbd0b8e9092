//===- HeadScreen.h - a head's table in integers ----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_HEADSCREEN_H
#define TERN_DIALECT_HEADSCREEN_H

#include "dialect/Packing.h"

#include <cstdint>
#include <vector>

namespace tern {

/// A row of activations as two rows of integers: each is nearly `step (kRadix high + low)`.
struct SplitRow {
  static constexpr float kRadix = 126, kDigit = 63;
  /// The largest activation in steps. A little less than what two digits can say: no high digit
  /// rounds up to kDigit + 1.
  static constexpr float kLargest = kRadix * kDigit + 50;

  SplitRow(const float *x, int64_t columns);

  float step;
  std::vector<int8_t> high, low; ///< -63 .. 63
  float sum;                     ///< of what they stand for; NaN if an activation is not finite
};

/// #ternary.screen in plain C++: each row of a float table as integers of `bits` bits, with what is
/// needed to bound how far a product with it is from one with the row itself
/// (docs/two-stage-head.md).
///
/// A row `w` has the step `s = max |w| / (L / 2)`, `L = 2^bits - 1`, and the codes
/// `c[k] = clamp(rint(w[k] / s + L / 2), 0, L)`; what it stands for is `s (c[k] - L / 2)`.
///
/// Codes are cut into parts that kernels multiply: of 6 bits the six_bit integers `c - 32`; of 8
/// bits first `c mod 4` as two_bit codes, then `c / 4 - 32` as six_bit integers. Blocks of 16 rows
/// follow one another, each:
///  * for each part its tiles, 16 rows by 16 columns;
///  * for each part 16 floats: `s`, times 4 for what 8 bits have in their upper 6;
///  * 16 floats: at least the Euclidean norm of the row minus what the codes stand for; +inf for
///    rows behind the table's last;
///  * 16 floats: at least the norm of the row, and of what the codes stand for.
struct HeadScreen {
  int64_t bits = 6; ///< 6 or 8

  static constexpr int64_t kRows = 16, kColumns = 16, kMaxParts = 2;
  static constexpr int64_t kMaxColumns = 16384;

  int64_t parts() const { return bits == 6 ? 1 : 2; }
  Packing packing(int64_t part) const {
    const bool low = part + 1 < parts();
    return {low ? Packing::Kind::TwoBit : Packing::Kind::SixBit, kRows, kColumns};
  }
  /// Bits of the code below those of the part.
  int64_t shift(int64_t part) const { return 2 * part; }
  /// What is taken off a part's codes, so that they lie around zero.
  int64_t middle(int64_t part) const {
    return packing(part).kind == Packing::Kind::TwoBit ? 2 : 32;
  }
  int64_t levels() const { return (int64_t(1) << bits) - 1; }
  /// How much less the parts say, minus their middles, than `c - L / 2`: 0.5 or 2.5, exactly.
  float middleExcess() const;

  int64_t partOffset(int64_t part, int64_t columns) const {
    return part == 0 ? 0 : packing(0).blockBytes(columns);
  }
  int64_t scalesOffset(int64_t columns) const {
    return partOffset(parts() - 1, columns) + packing(parts() - 1).blockBytes(columns);
  }
  int64_t errorsOffset(int64_t columns) const {
    return scalesOffset(columns) + parts() * kRows * int64_t(sizeof(float));
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
  /// The product of `x` and a row of the table by the rule of ternary.head with a table of
  /// #ternary.screen.
  float product(const SplitRow &x, const float *row) const;
};

} // namespace tern

#endif // TERN_DIALECT_HEADSCREEN_H
