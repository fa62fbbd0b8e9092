//===- HeadScreen.cpp - a coarse copy of a head's table -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/HeadScreen.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace tern;

namespace {

/// What one row of a screen is.
struct ScreenRow {
  float step = 0, error = 0, norm = 0;
};

/// A float at least as large as `value`, whose own computation in binary64 may have lost 2^-40.
float roundedUp(double value) {
  double padded = value * (1 + 0x1p-40);
  float result = static_cast<float>(padded);
  return static_cast<double>(result) < padded
             ? std::nextafter(result, std::numeric_limits<float>::infinity())
             : result;
}

ScreenRow encodeRow(const float *row, int64_t columns, int64_t levels, uint8_t *codes) {
  float largest = 0;
  for (int64_t k = 0; k < columns; ++k)
    largest = std::max(largest, std::fabs(row[k]));
  const double middle = static_cast<double>(levels) / 2;
  ScreenRow made;
  made.step = static_cast<float>(static_cast<double>(largest) / middle);
  double errors = 0, squares = 0, stands = 0;
  for (int64_t k = 0; k < columns; ++k) {
    const double value = static_cast<double>(row[k]), step = static_cast<double>(made.step);
    const double place = step > 0 ? std::nearbyint(value / step + middle) : 0;
    codes[k] = static_cast<uint8_t>(std::clamp(place, 0.0, static_cast<double>(levels)));
    const double meant = step * (static_cast<double>(codes[k]) - middle);
    errors += (value - meant) * (value - meant);
    squares += value * value;
    stands += meant * meant;
  }
  made.error = roundedUp(std::sqrt(errors));
  made.norm = roundedUp(std::sqrt(std::max(squares, stands)));
  return made;
}

} // namespace

void HeadScreen::encodeBlock(const float *rows, int64_t validRows, int64_t columns,
                             uint8_t *out) const {
  std::vector<uint8_t> codes(kRows * columns, 0);
  std::vector<float> scales(digits * kRows, 0), errors(kRows), norms(kRows, 0);
  for (int64_t r = 0; r < kRows; ++r) {
    errors[r] = std::numeric_limits<float>::infinity();
    if (r >= validRows)
      continue;
    ScreenRow row = encodeRow(rows + r * columns, columns, levels(), &codes[r * columns]);
    errors[r] = row.error;
    norms[r] = row.norm;
    for (int64_t digit = 0; digit < digits; ++digit)
      scales[digit * kRows + r] = std::ldexp(row.step, static_cast<int>(2 * digit));
  }
  const Packing packing{Packing::Kind::TwoBit, kRows, kColumns};
  std::vector<int8_t> trits(codes.size());
  for (int64_t digit = 0; digit < digits; ++digit) {
    // A two_bit code is trit + 1: digits 0 .. 3 go in as -1 .. 2.
    std::transform(codes.begin(), codes.end(), trits.begin(),
                   [&](uint8_t code) { return static_cast<int8_t>((code >> 2 * digit & 3) - 1); });
    packing.encodeBlock(trits.data(), kRows, columns, columns,
                        out + digit * packing.blockBytes(columns));
  }
  auto place = [&](int64_t offset, const std::vector<float> &values) {
    std::memcpy(out + offset, values.data(), values.size() * sizeof(float));
  };
  place(scalesOffset(columns), scales);
  place(errorsOffset(columns), errors);
  place(normsOffset(columns), norms);
}
