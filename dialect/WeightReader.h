//===- WeightReader.h - decode a weight's source rows -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_WEIGHTREADER_H
#define TERN_DIALECT_WEIGHTREADER_H

#include "dialect/TernaryDialect.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <vector>

namespace tern {

/// The files a module's weights come from (module attribute `ternary.files`, names relative to one
/// folder), mapped read-only. A file may end sooner than a source says: every access is checked.
class WeightFiles {
public:
  /// No files: for modules whose sources are all `random`.
  WeightFiles() = default;
  /// Maps the files of `module`. Names that leave `folder` are refused.
  static llvm::Expected<WeightFiles> open(mlir::ModuleOp module, llvm::StringRef folder);

  /// The bytes of `source`, or an error naming file, offset and size.
  llvm::Expected<llvm::ArrayRef<uint8_t>> bytes(ternary::SourceAttr source) const;

private:
  std::vector<std::string> names;
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> buffers;
};

/// Decodes a weight's rows a few at a time: memory stays at what the caller asks for (plus, for
/// absmean and scale derivations, one value a source computed by a first pass over its rows).
class WeightReader {
public:
  static llvm::Expected<WeightReader> create(ternary::WeightOp weight, const WeightFiles &files);

  int64_t rows() const;    ///< first dimension; 1 for vectors
  int64_t columns() const; ///< last dimension
  bool isTrits() const;

  /// Rows `first .. first + count - 1`, row-major. Fails on codes that are no trits, on values that
  /// are not finite.
  llvm::Error readTrits(int64_t first, int64_t count, int8_t *out) const;
  llvm::Error readFloats(int64_t first, int64_t count, float *out) const;
  /// Rows in the weight's own element type (f32, f16 or bf16 bit patterns), for tables that stay in
  /// it.
  llvm::Error readRaw(int64_t first, int64_t count, void *out) const;

private:
  ternary::WeightOp weight;
  struct Segment {
    ternary::SourceAttr source;
    llvm::ArrayRef<uint8_t> bytes;
    int64_t firstRow, rows; ///< in the weight, zero rows at the end included
    float scale;            ///< absmean of the source, when a derivation needs it
  };
  std::vector<Segment> segments;
};

} // namespace tern

#endif // TERN_DIALECT_WEIGHTREADER_H
