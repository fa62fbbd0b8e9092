//===- Matrices.h - weights of a module in a target's layout ----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_MATRICES_H
#define TERN_FRONTENDS_CONVERT_MATRICES_H

#include "dialect/BlockFormats.h"
#include "dialect/WeightReader.h"
#include "llvm/ADT/StringMap.h"

namespace tern::convert {

/// What a module and its card say about a decoder, and its weights.
struct Source {
  mlir::ModuleOp module;
  const WeightFiles *files;
  llvm::StringMap<ternary::WeightOp> weights;
  std::vector<std::string> order; ///< names, as the module has them
  std::string family;
  int64_t hidden = 0, layers = 0, heads = 0, kvHeads = 0, headSize = 0, feedForward = 0;
  int64_t vocabulary = 0, maxPositions = 0;
  float epsilon = 0;
  double ropeTheta = 0;
  bool relu2 = false, floatActivations = false;

  bool isTrits(llvm::StringRef name) const;
  /// [rows, columns], or [elements].
  llvm::ArrayRef<int64_t> shape(llvm::StringRef name) const;
  llvm::Expected<WeightReader> reader(llvm::StringRef name) const;
};

/// A ternary matrix in memory. One scale a row, or one for every `group` columns of a row.
struct Matrix {
  std::string name;
  int64_t rows = 0, columns = 0;
  int64_t group = 0; ///< columns a scale, at most all of them
  std::vector<int8_t> trits;
  std::vector<float> scales; ///< rows x columns / group
  bool oneScale() const;
};

llvm::Expected<Matrix> readMatrix(const Source &source, llvm::StringRef name);
/// Puts rows where `heads` interleaved heads want them: row 2i + j of a head is row
/// j * (d / 2) + i of the matrix.
void interleaveRows(Matrix &matrix, int64_t heads);

/// The bytes of a matrix in `format`, or an error where the format cannot hold it exactly.
llvm::Expected<std::vector<uint8_t>> encodeMatrix(const Matrix &matrix, blocks::Format format,
                                                  bool roundScales);
/// Four rows a byte, as quant_method "bitnet" packs them. One scale only, which stays outside.
llvm::Expected<std::vector<uint8_t>> packMatrix(const Matrix &matrix);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_MATRICES_H
