//===- WeightReader.cpp - decode a weight's source rows -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WeightReader.h"

#include "dialect/Semantics.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace tern;
using namespace tern::ternary;
using llvm::ArrayRef;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

int64_t WeightReader::Segment::sourceColumns() const {
  return source.getShape().size() == 2 ? source.getShape()[1] : 1;
}

int64_t WeightReader::Segment::elements() const {
  return source.getShape().front() * sourceColumns();
}

/// Row 2 i + j of a head of size d in the file is row j (d / 2) + i here.
int64_t WeightReader::Segment::storedRow(int64_t row) const {
  if (!source.getPermute())
    return row;
  int64_t size = source.getShape().front() / source.getPermute(), place = row % size;
  return row - place + 2 * (place % (size / 2)) + place / (size / 2);
}

blocks::Tensor WeightReader::Segment::tensor() const {
  return {*format(), source.getShape()[0], source.getShape()[1], bytes.data()};
}

static int64_t elementBytes(Encoding encoding) { return encoding == Encoding::F32 ? 4 : 2; }

/// Attributes that code built unchecked may promise more than their bytes hold.
static bool holdsItsShape(SourceAttr source, size_t bytes) {
  ArrayRef<int64_t> shape = source.getShape();
  int64_t elements = 1;
  if (shape.empty() || shape.size() > 2)
    return false;
  for (int64_t size : shape)
    if (size < 1 || llvm::MulOverflow(elements, size, elements))
      return false;
  int64_t heads = source.getPermute();
  if (heads < 0 || (heads > 0 && (shape[0] % heads || shape[0] / heads % 2)))
    return false;
  if (auto format = blockFormat(source.getEncoding()))
    return shape.size() == 2 && elements <= int64_t(1) << 44 &&
           blocks::tensorBytes(*format, shape[0], shape[1]) == static_cast<int64_t>(bytes);
  if (source.getEncoding() == Encoding::HFPacked)
    return shape.size() == 2 && shape[0] % 4 == 0 && bytes == static_cast<size_t>(elements) / 4;
  return source.getEncoding() == Encoding::Random ||
         bytes / elementBytes(source.getEncoding()) == static_cast<size_t>(elements);
}

Error WeightReader::error(const Segment &segment, int64_t element, const llvm::Twine &what) const {
  int64_t columns = segment.sourceColumns();
  int64_t row = element / columns, column = element % columns;
  int64_t offset = segment.source.getOffset();
  // The scale of i2_s lies behind the codes.
  if (auto format = segment.format();
      format && segment.source.getDerive() == Derivation::BlockScale && blocks::isI2S(*format))
    offset += segment.elements() / 4;
  else if (format)
    offset += blocks::byteOf(*format, segment.source.getShape()[0], columns, row, column);
  else if (segment.source.getEncoding() == Encoding::HFPacked)
    offset += row % (segment.source.getShape()[0] / 4) * columns + column;
  else if (segment.source.getEncoding() != Encoding::Random)
    offset += element * elementBytes(segment.source.getEncoding());
  return llvm::createStringError(formatv("weight '{0}': {1}: offset {2}: row {3}, column {4}: {5}",
                                         weight, segment.file, offset, row, column, what)
                                     .str());
}

int64_t WeightReader::rows() const { return type.getRank() == 2 ? type.getDimSize(0) : 1; }
int64_t WeightReader::columns() const { return type.getDimSize(type.getRank() - 1); }

Expected<WeightReader> WeightReader::create(WeightOp op, const WeightFiles &files) {
  WeightReader reader;
  reader.weight = op.getSymName().str();
  reader.type = dyn_cast<RankedTensorType>(op.getType());
  if (!reader.type || !reader.type.hasStaticShape() || reader.type.getRank() < 1 ||
      reader.type.getRank() > 2)
    return llvm::createStringError(
        formatv("weight '{0}': expected a static tensor of rank 1 or 2", reader.weight).str());
  if (Error failed = reader.addSegments(op, files))
    return std::move(failed);
  return reader;
}

static Error sizeError(llvm::StringRef weight, const llvm::Twine &expected, int64_t got) {
  return llvm::createStringError("weight '" + weight + "': expected " + expected + ", got " +
                                 llvm::Twine(got));
}

/// Which rows the source gives and the segment takes, by the rules of ternary.weight's verifier.
Expected<WeightReader::Segment> WeightReader::makeSegment(SourceAttr source,
                                                          const WeightFiles &files,
                                                          std::optional<int64_t> rows) const {
  Expected<ArrayRef<uint8_t>> bytes = files.bytes(source);
  if (!bytes)
    return llvm::createStringError("weight '" + weight + "': " + llvm::toString(bytes.takeError()));
  Segment segment{source, *bytes, {}, files.name(source), 0, 0, 0, false, 0.0f};
  if (!holdsItsShape(source, bytes->size()))
    return llvm::createStringError(
        formatv("weight '{0}': {1}: offset {2}: {3} bytes do not hold the source's shape", weight,
                segment.file, source.getOffset(), bytes->size())
            .str());
  if (Error failed = checkBlocks(segment, files))
    return std::move(failed);
  Derivation derive = source.getDerive();
  bool oneOfTensor = derive == Derivation::MagnitudeScale && height() == 1 && width() == 1;
  oneOfTensor |= derive == Derivation::AbsmeanScale ||
                 (derive == Derivation::BlockScale && blocks::isI2S(*segment.format()));
  segment.fills = !isTrits() && (segment.elements() == 1 || oneOfTensor);
  segment.ownRows = segment.fills ? 1 : source.getShape().front();
  segment.rows = rows.value_or(segment.ownRows);
  if (segment.rows < segment.ownRows)
    return sizeError(
        weight, "a segment to hold the " + llvm::Twine(segment.ownRows) + " rows of its source",
        segment.rows);
  if (Error failed = checkShape(segment))
    return std::move(failed);
  if (Error failed = computeScale(segment))
    return std::move(failed);
  return segment;
}

Error WeightReader::addSegments(WeightOp op, const WeightFiles &files) {
  std::optional<ArrayRef<int64_t>> segmentRows = op.getSegmentRows();
  size_t count = op.getSources().size();
  if (segmentRows && segmentRows->size() != count)
    return sizeError(weight, "segment rows for each of " + llvm::Twine(count) + " sources",
                     segmentRows->size());
  int64_t next = 0;
  for (auto [index, attribute] : llvm::enumerate(op.getSources())) {
    std::optional<int64_t> rows;
    if (segmentRows)
      rows = (*segmentRows)[index];
    auto segment = makeSegment(cast<SourceAttr>(attribute), files, rows);
    if (!segment)
      return segment.takeError();
    // A lone value with no segment rows stands for the whole weight.
    if (!rows && segment->fills && count == 1)
      segment->rows = height();
    segment->firstRow = next;
    if (segment->rows > height() - next)
      return sizeError(weight,
                       "sources of " + llvm::Twine(height()) +
                           " rows in all and room for segment " + llvm::Twine(index),
                       segment->rows);
    next += segment->rows;
    segments.push_back(*segment);
  }
  if (next != height())
    return sizeError(weight, "sources of " + llvm::Twine(height()) + " rows in all", next);
  return Error::success();
}

/// Repeats what the attribute's verifier knows, and finds the scales of mlx2.
Error WeightReader::checkBlocks(Segment &segment, const WeightFiles &files) const {
  SourceAttr source = segment.source;
  Derivation derive = source.getDerive();
  auto format = segment.format();
  bool outside = format == blocks::Format::MLX2;
  bool inside = format && blocks::isTernary(*format) && !outside;
  bool known = derive == Derivation::BlockScale ? inside && !isTrits()
               : format ? derive == Derivation::None && (!isTrits() || inside || outside)
                        : true;
  auto scales = dyn_cast_or_null<SourceAttr>(source.getScales());
  if (!known || (outside && isTrits() == (scales != nullptr)))
    return llvm::createStringError(
        formatv("weight '{0}': {1}: offset {2}: no {3} come from {4} with derivation {5}", weight,
                segment.file, source.getOffset(), isTrits() ? "trits" : "floats",
                stringifyEncoding(source.getEncoding()), stringifyDerivation(derive))
            .str());
  if (!scales || !outside)
    return Error::success();
  Expected<ArrayRef<uint8_t>> bytes = files.bytes(scales);
  if (!bytes)
    return llvm::createStringError("weight '" + weight + "': " + llvm::toString(bytes.takeError()));
  ArrayRef<int64_t> shape = scales.getShape();
  bool plain = scales.getEncoding() <= Encoding::BF16 && scales.getDerive() == Derivation::None;
  if (!plain || !holdsItsShape(scales, bytes->size()) || shape.size() != 2 ||
      shape[0] != source.getShape()[0] || source.getShape()[1] % shape[1])
    return llvm::createStringError(
        formatv("weight '{0}': {1}: offset {2}: the scales do not suit the weight", weight,
                files.name(scales), scales.getOffset())
            .str());
  segment.scales = *bytes;
  return Error::success();
}

Error WeightReader::checkShape(const Segment &segment) const {
  if (segment.fills)
    return Error::success();
  int64_t columns = segment.sourceColumns();
  if (segment.source.getDerive() == Derivation::BlockScale)
    columns /= blocks::scaleColumns(*segment.format(), columns);
  bool grouped = segment.source.getDerive() == Derivation::MagnitudeScale;
  if (grouped ? columns % width() != 0 : columns != width())
    return llvm::createStringError(
        formatv("weight '{0}': {1}: offset {2}: expected {3} {4} columns, got {5}", weight,
                segment.file, segment.source.getOffset(), grouped ? "a multiple of" : "rows of",
                width(), columns)
            .str());
  return Error::success();
}

/// The first pass of absmean, and the one value of a segment that is filled with it.
Error WeightReader::computeScale(Segment &segment) const {
  Derivation derive = segment.source.getDerive();
  if (derive == Derivation::AbsmeanTrits || derive == Derivation::AbsmeanScale) {
    double sum = 0.0;
    Error failed = eachChunk(segment, 0, segment.elements(), [&](ArrayRef<float> chunk) {
      for (float value : chunk)
        sum += static_cast<double>(std::fabs(value));
    });
    segment.scale = semantics::absmeanScale(sum, segment.elements());
    return failed;
  }
  if (!segment.fills)
    return Error::success();
  if (derive == Derivation::BlockScale)
    return decodeBlockScales(segment, 0, 1, &segment.scale);
  if (derive != Derivation::MagnitudeScale)
    return decodeFloats(segment, 0, 1, &segment.scale);
  return eachChunk(segment, 0, segment.elements(), [&](ArrayRef<float> chunk) {
    for (float value : chunk)
      segment.scale = std::max(segment.scale, std::fabs(value));
  });
}

//===----------------------------------------------------------------------===//
// Rows of the weight
//===----------------------------------------------------------------------===//

/// Calls `run` for each stretch of rows of one segment; `row` is the first one's place in the file,
/// `at` counts rows from `first`.
Error WeightReader::eachRun(
    int64_t first, int64_t count,
    llvm::function_ref<Error(const Segment &, int64_t row, int64_t rows, int64_t at)> run) const {
  for (const Segment &segment : segments) {
    int64_t begin = std::max(first, segment.firstRow);
    int64_t end = std::min(first + count, segment.firstRow + segment.rows);
    int64_t ownEnd = std::min(end, segment.firstRow + segment.ownRows);
    for (; segment.source.getPermute() && !segment.fills && begin < ownEnd; ++begin)
      if (Error failed =
              run(segment, segment.storedRow(begin - segment.firstRow), 1, begin - first))
        return failed;
    if (begin >= end)
      continue;
    if (Error failed = run(segment, begin - segment.firstRow, end - begin, begin - first))
      return failed;
  }
  return Error::success();
}

Error WeightReader::readTrits(int64_t first, int64_t count, int8_t *out) const {
  assert(isTrits() && first >= 0 && first + count <= rows() && "rows of a trit weight");
  return eachRun(first, count, [&](const Segment &segment, int64_t row, int64_t rows, int64_t at) {
    int64_t own = std::clamp<int64_t>(segment.ownRows - row, 0, rows);
    int8_t *target = out + at * width();
    std::fill(target + own * width(), target + rows * width(), 0);
    return decodeTrits(segment, row, own, target);
  });
}

static float roundTo(Type element, float value) {
  if (element.isBF16())
    return semantics::fromBF16(semantics::toBF16(value));
  return element.isF16() ? semantics::fromF16(semantics::toF16(value)) : value;
}

/// Rounds decoded rows to the weight's element type, unless the source has that type already.
Error WeightReader::roundRows(const Segment &segment, int64_t row, int64_t rows,
                              float *values) const {
  Type element = type.getElementType();
  Encoding encoding = segment.source.getEncoding();
  bool same = (element.isBF16() && encoding == Encoding::BF16) ||
              (element.isF16() && encoding == Encoding::F16);
  if (element.isF32() || (same && segment.source.getDerive() == Derivation::None))
    return Error::success();
  for (int64_t i = 0; i < rows * width(); ++i) {
    float rounded = roundTo(element, values[i]);
    if (!std::isfinite(rounded))
      return error(segment, row * width() + i, "the value does not fit the weight's element type");
    values[i] = rounded;
  }
  return Error::success();
}

Error WeightReader::readFloats(int64_t first, int64_t count, float *out) const {
  assert(!isTrits() && first >= 0 && first + count <= rows() && "rows of a float weight");
  if (type.getRank() == 1)
    count *= height();
  return eachRun(
      first, count, [&](const Segment &segment, int64_t row, int64_t rows, int64_t at) -> Error {
        int64_t own = std::clamp<int64_t>(segment.ownRows - row, 0, rows);
        float *target = out + at * width(), *end = target + rows * width();
        if (segment.fills) {
          std::fill(target, end, segment.scale);
        } else {
          std::fill(target + own * width(), end, 0.0f);
          Derivation derive = segment.source.getDerive();
          if (Error failed = derive == Derivation::MagnitudeScale
                                 ? decodeScales(segment, row, own, target)
                             : derive == Derivation::BlockScale
                                 ? decodeBlockScales(segment, row, own, target)
                                 : decodeFloats(segment, row * width(), own * width(), target))
            return failed;
        }
        return roundRows(segment, row, rows, target);
      });
}

Error WeightReader::readRaw(int64_t first, int64_t count, void *out) const {
  if (type.getElementType().isF32())
    return readFloats(first, count, static_cast<float *>(out));
  std::vector<float> row(columns());
  auto *bits = static_cast<uint16_t *>(out);
  bool brain = type.getElementType().isBF16();
  for (int64_t i = 0; i < count; ++i) {
    if (Error failed = readFloats(first + i, 1, row.data()))
      return failed;
    for (float value : row)
      *bits++ = brain ? semantics::toBF16(value) : semantics::toF16(value);
  }
  return Error::success();
}
