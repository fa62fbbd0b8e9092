//===- TernaryFloats.cpp - floats that are already ternary ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/TernaryFloats.h"

#include "dialect/Semantics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"

#include <algorithm>
#include <cmath>

using namespace llvm;
using namespace tern::ternary;

namespace tern::import {

float floatAt(ArrayRef<uint8_t> bytes, Encoding encoding, size_t index) {
  switch (encoding) {
  case Encoding::F32:
    return bit_cast<float>(support::endian::read32le(bytes.data() + 4 * index));
  case Encoding::F16:
    return semantics::fromF16(support::endian::read16le(bytes.data() + 2 * index));
  case Encoding::BF16:
    return semantics::fromBF16(support::endian::read16le(bytes.data() + 2 * index));
  default:
    llvm_unreachable("not an encoding of floats");
  }
}

namespace {
/// Smallest and largest nonzero magnitude seen.
struct Range {
  float least = INFINITY, most = 0;

  void add(float magnitude) {
    if (magnitude == 0)
      return;
    least = std::min(least, magnitude);
    most = std::max(most, magnitude);
  }
  void add(const Range &other) {
    least = std::min(least, other.least);
    most = std::max(most, other.most);
  }
  bool uniform() const { return most == 0 || most - least <= most * kMagnitudeSpread; }
};

/// Candidates for columns a scale, finest last; each is dropped at the first row it does not fit.
class Detector {
public:
  Detector(int64_t rows, int64_t columns) : rows(rows), columns(columns) {
    for (int64_t group : {128, 64, 256, 32})
      if (columns % group == 0 && columns > group)
        groups.push_back(group);
  }

  /// False when no candidate is left.
  bool addRow(ArrayRef<float> magnitudes) {
    Range row;
    for (float magnitude : magnitudes)
      row.add(magnitude);
    all.add(row);
    perRow &= row.uniform();
    if (!row.uniform())
      llvm::erase_if(groups, [&](int64_t group) { return !fits(magnitudes, group); });
    return perRow || !groups.empty();
  }

  std::optional<TernaryScales> result() const {
    if (all.most == 0)
      return std::nullopt;
    if (all.uniform())
      return TernaryScales{1, 1, all.least, all.most};
    if (perRow)
      return TernaryScales{rows, 1, all.least, all.most};
    if (!groups.empty())
      return TernaryScales{rows, columns / groups.front(), all.least, all.most};
    return std::nullopt;
  }

private:
  static bool fits(ArrayRef<float> magnitudes, int64_t group) {
    for (size_t begin = 0; begin < magnitudes.size(); begin += group) {
      Range range;
      for (float magnitude : magnitudes.slice(begin, group))
        range.add(magnitude);
      if (!range.uniform())
        return false;
    }
    return true;
  }

  int64_t rows, columns;
  Range all;
  bool perRow = true;
  SmallVector<int64_t, 4> groups;
};
} // namespace

std::optional<TernaryScales> detectTernary(ArrayRef<uint8_t> bytes, Encoding encoding, int64_t rows,
                                           int64_t columns) {
  Detector detector(rows, columns);
  std::vector<float> magnitudes(columns);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      float magnitude = std::fabs(floatAt(bytes, encoding, row * columns + column));
      if (!std::isfinite(magnitude))
        return std::nullopt;
      magnitudes[column] = magnitude;
    }
    if (!detector.addRow(magnitudes))
      return std::nullopt;
  }
  return detector.result();
}

} // namespace tern::import
