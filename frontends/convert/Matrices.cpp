//===- Matrices.cpp - weights of a module in a target's layout ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Matrices.h"

#include "dialect/Semantics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;

namespace tern::convert {

bool Source::isTrits(StringRef name) const {
  auto type = cast<mlir::ShapedType>(weights.lookup(name).getType());
  return isa<ternary::TritType>(type.getElementType());
}

ArrayRef<int64_t> Source::shape(StringRef name) const {
  return cast<mlir::ShapedType>(weights.lookup(name).getType()).getShape();
}

Expected<WeightReader> Source::reader(StringRef name) const {
  return WeightReader::create(weights.lookup(name), *files);
}

static Error matrixError(StringRef name, const Twine &text) {
  return createStringError(inconvertibleErrorCode(), "weight \"" + name + "\": " + text);
}

static std::string number(float value) {
  std::string text;
  raw_string_ostream(text) << format("%.9g", static_cast<double>(value));
  return text;
}

bool Matrix::oneScale() const { return all_equal(scales); }

Expected<Matrix> readMatrix(const Source &source, StringRef name) {
  Matrix matrix;
  matrix.name = name.str();
  Expected<WeightReader> trits = source.reader(name);
  if (!trits)
    return trits.takeError();
  matrix.rows = trits->rows(), matrix.columns = trits->columns();
  matrix.trits.resize(matrix.rows * matrix.columns);
  if (Error error = trits->readTrits(0, matrix.rows, matrix.trits.data()))
    return std::move(error);
  std::string scaleName = (name + ".scale").str();
  if (!source.weights.contains(scaleName))
    return matrixError(name, "has no scale");
  Expected<WeightReader> scales = source.reader(scaleName);
  if (!scales)
    return scales.takeError();
  ArrayRef<int64_t> shape = source.shape(scaleName);
  std::vector<float> values(scales->rows() * scales->columns());
  if (Error error = scales->readFloats(0, scales->rows(), values.data()))
    return std::move(error);
  int64_t groups = shape.size() == 2 ? shape[1] : 1;
  matrix.group = matrix.columns / groups;
  if (values.size() == 1)
    values.assign(matrix.rows, values[0]);
  else if (shape[0] == 1 && matrix.rows != 1)
    return matrixError(name, "scales of a form that cannot be converted");
  matrix.scales = std::move(values);
  return matrix;
}

void interleaveRows(Matrix &matrix, int64_t heads) {
  int64_t size = matrix.rows / heads, half = size / 2, perRow = matrix.columns / matrix.group;
  std::vector<int8_t> trits(matrix.trits.size());
  std::vector<float> scales(matrix.scales.size());
  for (int64_t row = 0; row < matrix.rows; ++row) {
    int64_t inHead = row % size;
    int64_t from = row - inHead + (inHead % 2) * half + inHead / 2;
    std::copy_n(matrix.trits.begin() + from * matrix.columns, matrix.columns,
                trits.begin() + row * matrix.columns);
    std::copy_n(matrix.scales.begin() + from * perRow, perRow, scales.begin() + row * perRow);
  }
  matrix.trits = std::move(trits);
  matrix.scales = std::move(scales);
}

/// The scales of a format's groups of `wanted` columns, from those of the matrix.
static Expected<std::vector<float>> regroup(const Matrix &matrix, int64_t wanted,
                                            StringRef format) {
  int64_t perRow = matrix.columns / matrix.group, count = matrix.columns / wanted;
  std::vector<float> result;
  result.reserve(matrix.rows * count);
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t at = 0; at < count; ++at) {
      int64_t first = at * wanted / matrix.group, last = ((at + 1) * wanted - 1) / matrix.group;
      ArrayRef<float> own = ArrayRef(matrix.scales).slice(row * perRow + first, last - first + 1);
      if (!all_equal(own))
        return matrixError(matrix.name, "row " + Twine(row) + ": has a scale for every " +
                                            Twine(matrix.group) + " columns, and " + format +
                                            " holds one for every " + Twine(wanted));
      result.push_back(own.front());
    }
  return result;
}

/// Scales that binary16 holds; rounded to it where that is wanted.
static Error checkHalf(const Matrix &matrix, std::vector<float> &scales, bool round,
                       StringRef format) {
  for (float &scale : scales) {
    float half = semantics::fromF16(semantics::toF16(scale));
    if (!std::isfinite(half))
      return matrixError(matrix.name, "scale " + number(scale) + " is beyond float16, which " +
                                          format + " holds; --type i2_s holds float32");
    if (half != scale && !round)
      return matrixError(matrix.name, "scale " + number(scale) +
                                          " is not exact in float16, which " + format +
                                          " holds; --type i2_s keeps a tensor's scale in float32, "
                                          "--round-scales takes " +
                                          number(half));
    scale = half;
  }
  return Error::success();
}

Expected<std::vector<uint8_t>> encodeMatrix(const Matrix &matrix, blocks::Format format,
                                            bool roundScales) {
  StringRef name = blocks::name(format);
  std::optional<int64_t> bytes = blocks::tensorBytes(format, matrix.rows, matrix.columns);
  bool whole = blocks::isI2S(format);
  // Other programs compute wrong products where a row of i2_s is no whole number of runs.
  if (!bytes || (whole && matrix.columns % 128 != 0))
    return matrixError(matrix.name, Twine(matrix.rows) + " x " + Twine(matrix.columns) +
                                        " does not fit " + name +
                                        ", whose columns are a multiple of " +
                                        (whole ? "128" : "64") + "; --type hf has no such limit");
  std::vector<float> scales;
  if (whole) {
    if (!matrix.oneScale())
      return matrixError(matrix.name, "has more than one scale, and i2_s holds one a tensor; "
                                      "--type tq2_0 holds one for every 256 columns");
    scales = {matrix.scales.front()};
    if (!(scales[0] > 0) || !std::isfinite(scales[0]))
      return matrixError(matrix.name, "scale " + number(scales[0]) +
                                          ": i2_s needs one that is finite and above 0");
  } else {
    Expected<std::vector<float>> groups =
        regroup(matrix, blocks::scaleColumns(format, matrix.columns), name);
    if (!groups)
      return groups.takeError();
    scales = std::move(*groups);
    if (Error error = checkHalf(matrix, scales, roundScales, name))
      return std::move(error);
  }
  std::vector<uint8_t> result(*bytes);
  int64_t perRow = whole ? 0 : static_cast<int64_t>(scales.size()) / matrix.rows;
  for (int64_t row = 0; row < matrix.rows; ++row)
    blocks::encodeTrits(format, matrix.rows, matrix.columns, row,
                        matrix.trits.data() + row * matrix.columns, scales.data() + row * perRow,
                        result.data());
  return result;
}

Expected<std::vector<uint8_t>> packMatrix(const Matrix &matrix) {
  if (matrix.rows % 4 != 0)
    return matrixError(matrix.name, Twine(matrix.rows) + " rows: four of them share a byte, so "
                                                         "they must be a multiple of 4");
  if (!matrix.oneScale())
    return matrixError(matrix.name, "has more than one scale, and a packed Hugging Face folder "
                                    "holds one a tensor; --type tq2_0 holds one for every 256 "
                                    "columns");
  int64_t packed = matrix.rows / 4;
  std::vector<uint8_t> result(packed * matrix.columns);
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t k = 0; k < matrix.columns; ++k)
      result[row % packed * matrix.columns + k] |=
          static_cast<uint8_t>(matrix.trits[row * matrix.columns + k] + 1) << (2 * (row / packed));
  return result;
}

} // namespace tern::convert
