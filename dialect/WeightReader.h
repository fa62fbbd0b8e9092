//===- WeightReader.h - decode a weight's source rows -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_WEIGHTREADER_H
#define TERN_DIALECT_WEIGHTREADER_H

#include "dialect/TernaryDialect.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include <memory>
#include <optional>
#include <string>
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

  /// The bytes of `source` (none for `random`), or an error naming file, offset and size.
  llvm::Expected<llvm::ArrayRef<uint8_t>> bytes(ternary::SourceAttr source) const;
  /// The file of `source` as `ternary.files` names it; "random" when there is none.
  llvm::StringRef name(ternary::SourceAttr source) const;
  /// Gives the pages of all of them back to the system (releasePages).
  void release() const;

private:
  std::vector<std::string> names;
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> buffers;
};

/// Decodes a weight's rows a few at a time: memory stays at what the caller asks for (plus, for
/// absmean and scale derivations, one value a source computed by a first pass over its rows). The
/// WeightFiles must outlive it.
class WeightReader {
public:
  static llvm::Expected<WeightReader> create(ternary::WeightOp weight, const WeightFiles &files);

  int64_t rows() const;    ///< first dimension; 1 for vectors
  int64_t columns() const; ///< last dimension
  bool isTrits() const { return mlir::isa<ternary::TritType>(type.getElementType()); }

  /// Rows `first .. first + count - 1`, row-major. Fails on codes that are no trits, on values that
  /// are not finite. Floats are rounded to the weight's element type where the source is finer.
  llvm::Error readTrits(int64_t first, int64_t count, int8_t *out) const;
  llvm::Error readFloats(int64_t first, int64_t count, float *out) const;
  /// Rows in the weight's own element type (f32, f16 or bf16 bit patterns), for tables that stay in
  /// it.
  llvm::Error readRaw(int64_t first, int64_t count, void *out) const;

private:
  struct Segment {
    ternary::SourceAttr source;
    llvm::ArrayRef<uint8_t> bytes;
    llvm::ArrayRef<uint8_t> scales; ///< of mlx2 in a weight of floats
    llvm::StringRef file;
    int64_t firstRow, rows; ///< in the weight, zero rows at the end included
    int64_t ownRows;        ///< the rows that come from the source
    bool fills;             ///< `scale` is the value of every element of the segment
    float scale;            ///< of the whole source: the derived scale, or absmean for trits

    int64_t elements() const;
    int64_t sourceColumns() const;
    /// Where the file has row `row` of the source, one of ownRows.
    int64_t storedRow(int64_t row) const;
    std::optional<blocks::Format> format() const { return blockFormat(source.getEncoding()); }
    blocks::Tensor tensor() const;
  };

  llvm::Expected<Segment> makeSegment(ternary::SourceAttr source, const WeightFiles &files,
                                      std::optional<int64_t> rows) const;
  llvm::Error addSegments(ternary::WeightOp op, const WeightFiles &files);
  llvm::Error checkShape(const Segment &segment) const;
  llvm::Error checkBlocks(Segment &segment, const WeightFiles &files) const;
  llvm::Error computeScale(Segment &segment) const;
  llvm::Error
  eachRun(int64_t first, int64_t count,
          llvm::function_ref<llvm::Error(const Segment &, int64_t row, int64_t rows, int64_t at)>
              run) const;
  llvm::Error eachChunk(const Segment &segment, int64_t first, int64_t count,
                        llvm::function_ref<void(llvm::ArrayRef<float>)> chunk) const;
  llvm::Error decodeFloats(const Segment &segment, int64_t first, int64_t count, float *out) const;
  llvm::Error decodeHFPacked(const Segment &segment, int64_t row, int8_t *out) const;
  llvm::Error decodeBlockTrits(const Segment &segment, int64_t row, int8_t *out) const;
  llvm::Error decodeBlockFloats(const Segment &segment, int64_t row, float *out) const;
  llvm::Error decodeBlockScales(const Segment &segment, int64_t row, int64_t rows,
                                float *out) const;
  llvm::Error decodeTrits(const Segment &segment, int64_t row, int64_t rows, int8_t *out) const;
  llvm::Error decodeScales(const Segment &segment, int64_t row, int64_t rows, float *out) const;
  llvm::Error roundRows(const Segment &segment, int64_t row, int64_t rows, float *values) const;
  llvm::Error error(const Segment &segment, int64_t element, const llvm::Twine &what) const;

  /// A vector is handled as a matrix of one column; its rows are elements.
  int64_t width() const { return type.getRank() == 2 ? type.getDimSize(1) : 1; }
  int64_t height() const { return type.getDimSize(0); }

  std::string weight;
  mlir::RankedTensorType type;
  std::vector<Segment> segments;
};

} // namespace tern

#endif // TERN_DIALECT_WEIGHTREADER_H
