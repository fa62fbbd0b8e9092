//===- RowKernel.h - the list of row-wise float kernels ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_ROWKERNEL_H
#define TERN_CODEGEN_ROWKERNEL_H

namespace tern {

/// One kernel works on one row (or one head of it), so that threads split by row or head. Operands
/// in the order given: `p` a pointer (llvm.ptr), `i` an i64, `f` an f32.
///
/// Rows of floats and of float tables are readable up to paddedRow(n) elements and zero from n on;
/// rows of int8 have paddedActs(n) bytes. Outputs are written up to there too, zeros from n on. An
/// output may not overlap an input. Elements must be naturally aligned; 64 bytes are best.
enum class RowKernel {
  RmsNorm,         ///< p x, p gain, f epsilon, i n, p out
  RmsNormHead,     ///< the same, but nothing is read or written past n: one head of a row
  QuantizeRow,     ///< p x, i n, i group, p values i8, p scale f32[1], p offsets i32[n / group]
  NormQuantizeRow, ///< p x, p gain, f epsilon, i n, i group, p values, p scale, p offsets
  /// p x, i n, i group, p values, p scales f32[n / group], p offsets: a scale a group of a
  /// multiple of 32 columns.
  QuantizeGroups,
  NormQuantizeGroups, ///< p x, p gain, f epsilon, i n, i group, p values, p scales, p offsets
  Rope,               ///< p x, p angles, i heads, i headSize, p out
  RopeAngles,         ///< i position, p frequencies f32[half], i half, p out [2 * half]
  GatedRelu2,         ///< p gate, p up, i n, p out
  GatedSilu,          ///< p gate, p up, i n, p out
  Add,                ///< p left, p right, i n, p out
  TableRowF32,        ///< p row, i n, p out: one row of a table as floats
  TableRowF16,        ///< the same
  TableRowBF16,       ///< the same
  /// p x, p table, i rows, i stride, i n, p out f32[rows]
  /// Dots of `x` with `rows` table rows, `stride` elements apart, in order. To split, pass the
  /// first row's address and the place of its result. `out` has no padding and gets none.
  HeadF32,
  HeadF16,  ///< the same
  HeadBF16, ///< the same
  /// p x, i xStride, p table, i rows, i stride, i n, p out, i outStride
  /// The same for kHeadTokens rows of `x`, xStride floats apart, which share what is read of the
  /// table; their results are outStride floats apart.
  HeadRowsF32,
  HeadRowsF16,
  HeadRowsBF16,
  ZeroPadding, ///< p row, i n: zeros in row[n .. paddedRow(n))
};
constexpr int kHeadTokens = 4;
constexpr unsigned kRowKernelCount = static_cast<unsigned>(RowKernel::ZeroPadding) + 1;

} // namespace tern

#endif // TERN_CODEGEN_ROWKERNEL_H
