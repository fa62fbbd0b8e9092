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

/// To an integer, ties to even, of a double below 2^51: what nearbyint does, but not by a call.
double roundedToInteger(double value) {
  constexpr double kRounder = 0x1.8p52;
  return value + kRounder - kRounder;
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
    const double place = step > 0 ? roundedToInteger(value / step + middle) : 0;
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

float HeadScreen::middleExcess() const {
  int64_t middles = 0;
  for (int64_t part = 0; part < parts(); ++part)
    middles += middle(part) << shift(part);
  return static_cast<float>(middles) - static_cast<float>(levels()) / 2;
}

void HeadScreen::encodeBlock(const float *rows, int64_t validRows, int64_t columns,
                             uint8_t *out) const {
  std::vector<uint8_t> codes(kRows * columns, 0);
  std::vector<float> scales(parts() * kRows, 0), errors(kRows), norms(kRows, 0);
  for (int64_t r = 0; r < kRows; ++r) {
    errors[r] = std::numeric_limits<float>::infinity();
    if (r >= validRows)
      continue;
    ScreenRow row = encodeRow(rows + r * columns, columns, levels(), &codes[r * columns]);
    errors[r] = row.error;
    norms[r] = row.norm;
    for (int64_t part = 0; part < parts(); ++part)
      scales[part * kRows + r] = std::ldexp(row.step, static_cast<int>(shift(part)));
  }
  std::vector<int8_t> integers(codes.size());
  for (int64_t part = 0; part < parts(); ++part) {
    // Codes 0 .. 3 of two_bit go in as -1 .. 2.
    const Packing packed = packing(part);
    const int mask = packed.kind == Packing::Kind::TwoBit ? 3 : 63;
    std::transform(codes.begin(), codes.end(), integers.begin(), [&](uint8_t code) {
      return static_cast<int8_t>((code >> shift(part) & mask) + packed.least());
    });
    packed.encodeBlock(integers.data(), kRows, columns, columns, out + partOffset(part, columns));
  }
  auto place = [&](int64_t offset, const std::vector<float> &values) {
    std::memcpy(out + offset, values.data(), values.size() * sizeof(float));
  };
  place(scalesOffset(columns), scales);
  place(errorsOffset(columns), errors);
  place(normsOffset(columns), norms);
}

//===----------------------------------------------------------------------===//
// The rule of products, one operation at a time, as codegen/LowerHead.cpp has them
//===----------------------------------------------------------------------===//

/// To an integer, ties to even, of a float below 2^22.
static float roundedToInteger(float value) {
  constexpr float kRounder = 12582912.0f;
  return value + kRounder - kRounder;
}

SplitRow::SplitRow(const float *x, int64_t columns) : high(columns), low(columns) {
  float largest = 1e-30f, poison = 0;
  for (int64_t k = 0; k < columns; ++k) {
    const float size = std::fabs(x[k]);
    largest = size > largest ? size : largest;
    poison = poison + x[k] * 0.0f;
  }
  step = largest / kLargest;
  const float unit = 1 / step;
  int32_t highs = 0, lows = 0;
  for (int64_t k = 0; k < columns; ++k) {
    float place = x[k] * unit;
    place = place > -kLargest ? place : -kLargest;
    place = kLargest > place ? place : kLargest;
    const float whole = roundedToInteger(place);
    const float upper = roundedToInteger(whole * (1 / kRadix));
    high[k] = static_cast<int8_t>(upper);
    low[k] = static_cast<int8_t>(whole - upper * kRadix);
    highs += high[k];
    lows += low[k];
  }
  sum = static_cast<float>(highs) * (step * kRadix) + static_cast<float>(lows) * step + poison;
}

float HeadScreen::product(const SplitRow &x, const float *row) const {
  const auto columns = static_cast<int64_t>(x.high.size());
  std::vector<uint8_t> codes(columns);
  const float step = encodeRow(row, columns, levels(), codes.data()).step;
  float total = step * x.sum * middleExcess();
  for (int64_t part = 0; part < parts(); ++part) {
    const float scale = std::ldexp(step, static_cast<int>(shift(part)));
    const int mask = packing(part).kind == Packing::Kind::TwoBit ? 3 : 63;
    int32_t highs = 0, lows = 0;
    for (int64_t k = 0; k < columns; ++k) {
      const int code = (codes[k] >> shift(part) & mask) - static_cast<int>(middle(part));
      highs += code * x.high[k];
      lows += code * x.low[k];
    }
    total = total + static_cast<float>(highs) * scale * (x.step * SplitRow::kRadix);
    total = total + static_cast<float>(lows) * scale * x.step;
  }
  return total;
}
