//===- Matrices.h - weights of a module in a target's layout ----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_MATRICES_H
#define TERN_FRONTENDS_CONVERT_MATRICES_H

#include "dialect/BlockFormats.h"
#include "frontends/convert/Convert.h"
#include "frontends/convert/Source.h"

namespace tern::convert {

/// The scales of a ternary matrix. Its trits stay where they are until they are written.
struct Matrix {
  std::string name;
  int64_t rows = 0, columns = 0;
  int64_t group = 0;         ///< columns a scale, at most all of them
  std::vector<float> scales; ///< rows x columns / group
  bool oneScale() const;
};
llvm::Expected<Matrix> readMatrix(const Source &source, llvm::StringRef name);

/// How a target holds a matrix: `why` not, or in which format of GGUF.
struct Fit {
  std::string why;
  bool rounds = false; ///< `why` is only that scales must be rounded
  blocks::Format format = blocks::Format::I2S;
  explicit operator bool() const { return why.empty(); }
};
Fit fit(const Matrix &matrix, Target target, bool roundScales);

/// "--type i2_s or hf can hold it", for messages: the targets that hold all matrices exactly.
/// `folder`: a packed folder can hold the rest of the model.
std::string whatHolds(const Source &source, bool folder = true);
/// The fit of a matrix, or an error that names it and the targets that hold all of them.
llvm::Expected<Fit> requireFit(const Source &source, const Matrix &matrix, const Options &options);

/// The bytes of a matrix in `format`; its scales rounded to what that holds. With `heads`, row
/// 2 i + j of a head of size d is row j (d / 2) + i of the matrix.
llvm::Expected<std::vector<uint8_t>> encodeMatrix(const Source &source, const Matrix &matrix,
                                                  blocks::Format format, int64_t heads);
/// Four rows a byte, as quant_method "bitnet" packs them. The scale stays outside.
llvm::Expected<std::vector<uint8_t>> packMatrix(const Source &source, const Matrix &matrix);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_MATRICES_H
