//===- BlockFormats.h - quantised blocks of weights -------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_BLOCKFORMATS_H
#define TERN_DIALECT_BLOCKFORMATS_H

#include <cstdint>
#include <optional>

/// The quantised layouts of GGUF and MLX, byte for byte: docs/formats.md describes each. Rows are
/// decoded one at a time from the bytes of the whole tensor. Plain C++ without MLIR.
namespace tern::blocks {

/// Numbered as the cases of ternary::Encoding.
enum class Format : uint32_t {
  I2S = 5,      ///< 128 trits in 32 bytes; 32 bytes with the tensor's scale at the end
  I2SL64 = 6,   ///< the same in runs of 64
  I2SL4Row = 7, ///< the same, four rows a byte
  TQ1_0 = 8,
  TQ2_0 = 9,
  Q2_0 = 10,  ///< groups of 64
  PQ2_0 = 11, ///< groups of 128
  PTQ1_0 = 12,
  IQ1_BN = 13, ///< a scale a row
  IQ2_BN = 14,
  MLX2 = 15, ///< codes only: scales lie in a tensor of their own
  Q8_0 = 16,
  Q4_0 = 17,
  Q4_1 = 18,
  Q5_0 = 19,
  Q4_K = 20,
  Q5_K = 21,
  Q6_K = 22,
};
constexpr Format kFirstFormat = Format::I2S, kLastFormat = Format::Q6_K;

/// Codes that stand for trits, as opposed to many-valued floats.
constexpr bool isTernary(Format format) { return format <= Format::MLX2; }
constexpr bool isI2S(Format format) { return format <= Format::I2SL4Row; }

/// "tq1_0": the spelling of the IR.
const char *name(Format format);

/// Bytes of a tensor of `rows` x `columns`; nothing where the format cannot hold that shape.
std::optional<int64_t> tensorBytes(Format format, int64_t rows, int64_t columns);
/// What the shape must be, for messages: "columns that are a multiple of 256".
const char *shapeRule(Format format);

/// Scales beside a tensor's trits: one of the whole tensor (i2_s: 0 columns a scale), one a row
/// (iq*_bn: `columns`), or one for each group of that many columns. mlx2 has none of its own: -1.
int64_t scaleColumns(Format format, int64_t columns);

/// Offset of the byte (of the block's first byte) that holds an element.
int64_t byteOf(Format format, int64_t rows, int64_t columns, int64_t row, int64_t column);

/// A tensor's bytes, tensorBytes(format, rows, columns) of them.
struct Tensor {
  Format format;
  int64_t rows, columns;
  const uint8_t *bytes;
};

/// One row of trits. False where a code is none (3): its place then holds 2.
bool decodeTrits(const Tensor &tensor, int64_t row, int8_t *trits);
/// The scales of one row: columns / scaleColumns of them, one for i2_s. Any bit pattern may come
/// out, NaN included.
void decodeScales(const Tensor &tensor, int64_t row, float *scales);
/// One row of floats: of ternary formats (code - 1) * scale, so that code 3 gives twice the scale
/// (false where i2_s has one: it means nothing there). Not for mlx2.
bool decodeFloats(const Tensor &tensor, int64_t row, float *values);

/// One block of a many-valued format.
void decodeFloatBlock(Format format, const uint8_t *block, float *values);

/// Encodes one row of trits with its scales (as decodeScales gives them; rounded to f16 where the
/// format holds f16) at the place of the row in `bytes`, the whole tensor. Bytes of i2_s are shared
/// by neighbouring rows; its one scale is written with the last row. `scales` is not read for
/// mlx2. Not for the many-valued formats.
void encodeTrits(Format format, int64_t rows, int64_t columns, int64_t row, const int8_t *trits,
                 const float *scales, uint8_t *bytes);

} // namespace tern::blocks

#endif // TERN_DIALECT_BLOCKFORMATS_H
