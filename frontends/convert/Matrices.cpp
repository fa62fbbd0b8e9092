//===- Matrices.cpp - weights of a module in a target's layout ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Matrices.h"

#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::convert {

bool Matrix::oneScale() const { return all_equal(scales); }

Expected<Matrix> readMatrix(const Source &source, StringRef name) {
  Matrix matrix;
  matrix.name = name.str();
  ArrayRef<int64_t> shape = source.shape(name);
  matrix.rows = shape[0], matrix.columns = shape[1];
  std::string scaleName = (name + ".scale").str();
  if (!source.weights.contains(scaleName))
    return createStringError("weight \"" + name + "\": has no scale");
  Expected<WeightReader> scales = source.reader(scaleName);
  if (!scales)
    return scales.takeError();
  shape = source.shape(scaleName);
  matrix.scales.resize(scales->rows() * scales->columns());
  if (Error error = scales->readFloats(0, scales->rows(), matrix.scales.data()))
    return std::move(error);
  matrix.group = matrix.columns / (shape.size() == 2 ? shape[1] : 1);
  if (matrix.scales.size() == 1)
    matrix.scales.assign(matrix.rows, matrix.scales[0]);
  else if (shape[0] != matrix.rows)
    return createStringError("weight \"" + name + "\": scales of a form that cannot be converted");
  return matrix;
}

/// Calls `use(row of the output, row of the matrix, its trits)` for each row, in that order.
static Error eachRow(const Source &source, const Matrix &matrix, int64_t heads,
                     function_ref<void(int64_t, int64_t, const int8_t *)> use) {
  Expected<WeightReader> trits = source.reader(matrix.name);
  if (!trits)
    return trits.takeError();
  std::vector<int8_t> values(matrix.columns);
  int64_t size = heads ? matrix.rows / heads : 0;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    int64_t from = row;
    if (heads) {
      int64_t inHead = row % size;
      from = row - inHead + inHead % 2 * (size / 2) + inHead / 2;
    }
    if (Error error = trits->readTrits(from, 1, values.data()))
      return error;
    use(row, from, values.data());
  }
  return Error::success();
}

Expected<std::vector<uint8_t>> encodeMatrix(const Source &source, const Matrix &matrix,
                                            blocks::Format format, int64_t heads) {
  int64_t wanted =
      blocks::isI2S(format) ? matrix.columns : blocks::scaleColumns(format, matrix.columns);
  int64_t perRow = matrix.columns / matrix.group;
  std::vector<float> scales(matrix.columns / wanted);
  std::vector<uint8_t> result(*blocks::tensorBytes(format, matrix.rows, matrix.columns));
  Error failure =
      eachRow(source, matrix, heads, [&](int64_t row, int64_t from, const int8_t *trits) {
        for (auto [index, scale] : enumerate(scales))
          scale =
              matrix.scales[from * perRow + static_cast<int64_t>(index) * wanted / matrix.group];
        blocks::encodeTrits(format, matrix.rows, matrix.columns, row, trits, scales.data(),
                            result.data());
      });
  if (failure)
    return std::move(failure);
  return result;
}

Expected<std::vector<uint8_t>> packMatrix(const Source &source, const Matrix &matrix) {
  int64_t packed = matrix.rows / 4;
  std::vector<uint8_t> result(packed * matrix.columns);
  Error failure = eachRow(source, matrix, 0, [&](int64_t row, int64_t, const int8_t *trits) {
    uint8_t *out = result.data() + row % packed * matrix.columns;
    for (int64_t k = 0; k < matrix.columns; ++k)
      out[k] |= static_cast<uint8_t>(trits[k] + 1) << (2 * (row / packed));
  });
  if (failure)
    return std::move(failure);
  return result;
}

} // namespace tern::convert
