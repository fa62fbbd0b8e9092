//===- semantics_test.cpp - the scalar meaning of every op ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Semantics.h"

#include "llvm/ADT/APFloat.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

using namespace tern;

static constexpr unsigned kSeed = 5;

static std::vector<float> randomFloats(std::mt19937 &random, int64_t count, float reach = 2.0f) {
  std::uniform_real_distribution<float> uniform(-reach, reach);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

TEST(Semantics, RowSumAddsInterleavedPartialsAsATree) {
  std::mt19937 random(kSeed);
  for (int64_t n : {0, 1, 31, 32, 33, 64, 100, 1408}) {
    std::vector<float> x = randomFloats(random, n);
    float partial[32] = {};
    for (int64_t i = 0; i < n; ++i)
      partial[i % 32] += x[i];
    for (int width : {16, 8, 4, 2, 1})
      for (int j = 0; j < width; ++j)
        partial[j] = partial[j] + partial[j + width];
    EXPECT_EQ(semantics::rowSum(x.data(), n), partial[0]) << n << ", seed " << kSeed;
  }
}

TEST(Semantics, SumsDoNotDependOnZeroPadding) {
  std::mt19937 random(kSeed);
  for (int64_t n = 1; n < 200; ++n) {
    std::vector<float> x = randomFloats(random, n), y = randomFloats(random, n);
    float sum = semantics::rowSum(x.data(), n), dot = semantics::rowDot(x.data(), y.data(), n);
    x.resize(256), y.resize(256);
    EXPECT_EQ(semantics::rowSum(x.data(), 256), sum);
    EXPECT_EQ(semantics::rowDot(x.data(), y.data(), 256), dot);
  }
}

TEST(Semantics, SumsAreCloseToBinary64) {
  std::mt19937 random(kSeed);
  std::vector<float> x = randomFloats(random, 6912), y = randomFloats(random, 6912);
  std::vector<int8_t> trits(6912);
  double sum = 0, dot = 0, ternary = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    trits[i] = static_cast<int8_t>(random() % 3) - 1;
    sum += x[i], dot += double(x[i]) * y[i], ternary += trits[i] * double(x[i]);
  }
  EXPECT_NEAR(semantics::rowSum(x.data(), 6912), sum, 1e-3);
  EXPECT_NEAR(semantics::rowDot(x.data(), y.data(), 6912), dot, 1e-3);
  EXPECT_NEAR(semantics::tritDot(trits.data(), x.data(), 6912), ternary, 1e-3);
}

TEST(Semantics, ExpIsWithinTwoUnitsInTheLastPlace) {
  EXPECT_EQ(semantics::exp(0.0f), 1.0f);
  for (float x = -87.0f; x < 88.0f; x += 0.00731f)
    EXPECT_NEAR(semantics::exp(x) / std::exp(double(x)), 1.0, 2.4e-7) << x;
}

TEST(Semantics, ExpIsDefinedEverywhere) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(semantics::exp(-infinity), semantics::exp(-87.3f));
  EXPECT_EQ(semantics::exp(infinity), semantics::exp(88.3f));
  EXPECT_EQ(semantics::exp(std::nanf("")), semantics::exp(-87.3f));
  EXPECT_GE(semantics::exp(-87.3f), std::numeric_limits<float>::min());
  EXPECT_TRUE(std::isfinite(semantics::exp(88.3f)));
}

TEST(Semantics, CosAndSinAreRoundedFromBinary64) {
  EXPECT_EQ(semantics::cos(0.0f), 1.0f);
  EXPECT_EQ(semantics::sin(0.0f), 0.0f);
  for (float angle : {0.25f, 0.785f, 0.786f, 1.5707964f, 3.1415927f, 511.0f, 131071.5f, 1e6f}) {
    EXPECT_NEAR(semantics::cos(angle), std::cos(double(angle)), 6e-8) << angle;
    EXPECT_NEAR(semantics::sin(angle), std::sin(double(angle)), 6e-8) << angle;
  }
  int different = 0;
  for (float angle = 0.0f; angle < 600.0f; angle += 0.0137f)
    different += semantics::cos(angle) != static_cast<float>(std::cos(double(angle))) ||
                 semantics::sin(angle) != static_cast<float>(std::sin(double(angle)));
  EXPECT_EQ(different, 0);
  // Out of scope, but defined.
  EXPECT_TRUE(std::isnan(semantics::cos(std::numeric_limits<float>::infinity())));
}

TEST(Semantics, RmsNormIsCloseToBinary64) {
  std::mt19937 random(kSeed);
  std::vector<float> x = randomFloats(random, 512), gain = randomFloats(random, 512), out(512);
  semantics::rmsNorm(x.data(), gain.data(), 1e-5f, 512, out.data());
  double squares = 0;
  for (float value : x)
    squares += double(value) * value;
  for (int i = 0; i < 512; ++i)
    EXPECT_NEAR(out[i], x[i] / std::sqrt(squares / 512 + 1e-5) * gain[i], 1e-6);
}

TEST(Semantics, RmsNormOfZerosIsZero) {
  std::vector<float> x(64, 0.0f), gain(64, 3.0f), out(64, 1.0f);
  semantics::rmsNorm(x.data(), gain.data(), 1e-5f, 64, out.data());
  EXPECT_EQ(out, x);
}

namespace {
struct QuantizedRow {
  std::vector<int8_t> values;
  float scale;
  std::vector<int32_t> offsets;
};
} // namespace

static QuantizedRow quantize(const std::vector<float> &x, int64_t group) {
  int64_t n = x.size();
  QuantizedRow row{std::vector<int8_t>(n), 0, std::vector<int32_t>(n / group)};
  semantics::quantizeRow(x.data(), n, group, row.values.data(), &row.scale, row.offsets.data());
  return row;
}

TEST(Semantics, QuantizeRowRoundsTiesToEven) {
  // 128 gives s = 127 / 128 exactly, so 64 lies at 63.5.
  QuantizedRow row = quantize({128.0f, 64.0f, -64.0f, 0.0f}, 4);
  EXPECT_EQ(row.values, (std::vector<int8_t>{127, 64, -64, 0}));
  // 1 gives s = 127; these products round to their tie exactly.
  std::vector<float> x{1.0f};
  std::vector<int8_t> expected{127};
  for (float tie : {0.5f, 1.5f, 2.5f, 3.5f, -0.5f, -1.5f, -2.5f})
    if (float value = tie / 127.0f; value * 127.0f == tie) {
      x.push_back(value);
      expected.push_back(static_cast<int8_t>(2.0f * std::nearbyint(tie / 2.0f)));
    }
  ASSERT_GT(x.size(), 4u);
  EXPECT_EQ(quantize(x, x.size()).values, expected);
}

TEST(Semantics, QuantizeRowTakesTheReciprocalFirst) {
  std::mt19937 random(kSeed);
  std::vector<float> x = randomFloats(random, 96, 7.0f);
  QuantizedRow row = quantize(x, 32);
  float largest = 0.0f;
  for (float value : x)
    largest = std::max(largest, std::fabs(value));
  float s = (1.0f / largest) * 127.0f;
  EXPECT_EQ(row.scale, 1.0f / s);
  for (int group = 0; group < 3; ++group) {
    int32_t sum = 0;
    for (int i = 32 * group; i < 32 * group + 32; ++i) {
      EXPECT_EQ(row.values[i], static_cast<int>(std::nearbyint(x[i] * s)));
      sum += row.values[i];
    }
    EXPECT_EQ(row.offsets[group], -sum);
  }
}

TEST(Semantics, QuantizeRowKeepsZerosAndTinyRows) {
  QuantizedRow zeros = quantize(std::vector<float>(64, 0.0f), 32);
  EXPECT_EQ(zeros.values, std::vector<int8_t>(64, 0));
  EXPECT_EQ(zeros.offsets, (std::vector<int32_t>{0, 0}));
  EXPECT_EQ(zeros.scale, 1.0f / ((1.0f / 1e-5f) * 127.0f));
  QuantizedRow tiny = quantize({1e-5f, 5e-6f, 1e-20f}, 3);
  EXPECT_EQ(tiny.values, (std::vector<int8_t>{127, 64, 0}));
  // Nothing a caller passes may be undefined.
  quantize({std::nanf(""), std::numeric_limits<float>::infinity(), 1.0f}, 3);
}

TEST(Semantics, RescaleAddsGroupsInOrder) {
  int32_t acc[3] = {1000, -2000, 16777216};
  float scale[3] = {0.3f, 0.7f, 1e-7f};
  EXPECT_EQ(semantics::rescale(acc, scale, 1, 0.1f), (1000.0f * 0.3f) * 0.1f);
  float total = 0.0f;
  total = std::fma(1000.0f, 0.3f, total);
  total = std::fma(-2000.0f, 0.7f, total);
  total = std::fma(16777216.0f, 1e-7f, total);
  EXPECT_EQ(semantics::rescale(acc, scale, 3, 0.1f), total * 0.1f);
}

TEST(Semantics, RescaleGroupsTakesAScaleOfBothSides) {
  int32_t acc[4] = {1000, -2000, 16777216, 0};
  float actScales[4] = {0.1f, 0.3f, 1e-7f, 2.0f}, scale[2] = {0.7f, -0.9f};
  float total = std::fma(1000.0f * 0.1f, 0.7f, 0.0f);
  total = std::fma(-2000.0f * 0.3f, 0.7f, total);
  total = std::fma(16777216.0f * 1e-7f, -0.9f, total);
  EXPECT_EQ(semantics::rescaleGroups(acc, actScales, 4, scale, 2), total);
  // Rounded once: what the first product lost is left when it is taken away again.
  int32_t opposite[2] = {1, -1};
  float tenths[2] = {0.1f, 0.1f};
  EXPECT_NE(semantics::rescaleGroups(opposite, tenths, 2, tenths, 1), 0.0f);
  int32_t none = 0;
  float minus = -1.0f;
  EXPECT_FALSE(std::signbit(semantics::rescaleGroups(&none, &minus, 1, scale, 1)));
}

TEST(Semantics, QuantizeGroupsTreatsEachGroupAsARow) {
  std::mt19937 random(kSeed);
  std::vector<float> x = randomFloats(random, 96, 7.0f);
  for (int i = 32; i < 64; ++i)
    x[i] *= 1e-3f;
  std::vector<int8_t> values(96);
  float scales[3];
  int32_t offsets[3];
  semantics::quantizeGroups(x.data(), 96, 32, values.data(), scales, offsets);
  for (int g = 0; g < 3; ++g) {
    QuantizedRow row = quantize({x.begin() + 32 * g, x.begin() + 32 * g + 32}, 32);
    EXPECT_EQ(std::vector<int8_t>(values.begin() + 32 * g, values.begin() + 32 * g + 32),
              row.values);
    EXPECT_EQ(scales[g], row.scale);
    EXPECT_EQ(offsets[g], row.offsets[0]);
  }
  EXPECT_LT(scales[1], 0.01f * scales[0]);
}

TEST(Semantics, LinearFloatScalesEachGroup) {
  std::mt19937 random(kSeed);
  std::vector<float> x = randomFloats(random, 96);
  std::vector<int8_t> trits(96);
  for (int8_t &trit : trits)
    trit = static_cast<int8_t>(random() % 3) - 1;
  float scale[3] = {0.5f, 0.25f, 3.0f};
  EXPECT_EQ(semantics::linearFloat(trits.data(), x.data(), 96, scale, 1),
            semantics::tritDot(trits.data(), x.data(), 96) * 0.5f);
  double expected = 0;
  for (int i = 0; i < 96; ++i)
    expected += trits[i] * double(x[i]) * scale[i / 32];
  EXPECT_NEAR(semantics::linearFloat(trits.data(), x.data(), 96, scale, 3), expected, 1e-5);
}

TEST(Semantics, TritDotAddsFourInterleavedSums) {
  // 2^24 + 1 is lost in binary32, so only this order gives these sums.
  float x[9] = {16777216.0f, 1.0f, 2.0f, 3.0f, 1.0f, 16777216.0f, 1.0f, 1.0f, 1.0f};
  int8_t trits[9] = {1, 1, 1, -1, 1, 1, -1, 0, 1};
  // p = {2^24, 2^24 + 0, 2 - 1, -3}: one more is lost each time in p[0] and p[1].
  EXPECT_EQ(semantics::tritDot(trits, x, 9), (16777216.0f + 1.0f) + (16777216.0f - 3.0f));
  float zero[2] = {-0.0f, 0.0f};
  EXPECT_FALSE(std::signbit(semantics::tritDot(trits, zero, 2)));
}

TEST(Semantics, RopeRotatesHalfSplitPairs) {
  float frequencies[2] = {1.0f, 0.01f}, angles[4], x[4] = {1.0f, 2.0f, 3.0f, 4.0f}, y[4];
  semantics::ropeAngles(0, frequencies, 2, angles);
  semantics::rope(x, angles, 4, y);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(y[i], x[i]);
  semantics::ropeAngles(7, frequencies, 2, angles);
  EXPECT_EQ(angles[0], semantics::cos(7.0f));
  EXPECT_EQ(angles[3], semantics::sin(7.0f * 0.01f));
  semantics::rope(x, angles, 4, y);
  EXPECT_NEAR(y[0], std::cos(7.0) - 3 * std::sin(7.0), 1e-6);
  EXPECT_NEAR(y[2], 3 * std::cos(7.0) + std::sin(7.0), 1e-6);
  EXPECT_NEAR(y[1], 2 * std::cos(0.07) - 4 * std::sin(0.07), 1e-6);
}

TEST(Semantics, AttendIsASoftmaxMix) {
  std::mt19937 random(kSeed);
  const int64_t length = 600, size = 16, stride = 40;
  std::vector<float> query = randomFloats(random, size),
                     keys = randomFloats(random, length * stride),
                     values = randomFloats(random, length * stride), out(size);
  semantics::attend(query.data(), {keys.data(), stride}, {values.data(), stride}, length, size,
                    out.data());
  std::vector<double> weights(length);
  double total = 0;
  for (int64_t t = 0; t < length; ++t) {
    double score = 0;
    for (int64_t d = 0; d < size; ++d)
      score += double(query[d]) * keys[t * stride + d];
    total += weights[t] = std::exp(score / 4.0);
  }
  for (int64_t d = 0; d < size; ++d) {
    double expected = 0;
    for (int64_t t = 0; t < length; ++t)
      expected += weights[t] / total * values[t * stride + d];
    EXPECT_NEAR(out[d], expected, 1e-6);
  }
}

TEST(Semantics, AttendToOnePositionReturnsItsValue) {
  float query[2] = {1.0f, -3.0f}, key[2] = {20.0f, 5.0f}, value[2] = {0.3f, -7.0f}, out[2];
  semantics::attend(query, {key, 2}, {value, 2}, 1, 2, out);
  EXPECT_EQ(out[0], 0.3f);
  EXPECT_EQ(out[1], -7.0f);
}

TEST(Semantics, GatesMultiplyInTheStatedOrder) {
  EXPECT_EQ(semantics::relu2(3.0f, 0.1f), 9.0f * 0.1f);
  EXPECT_EQ(semantics::relu2(-3.0f, 0.1f), 0.0f);
  EXPECT_EQ(semantics::silu(0.0f, 5.0f), 0.0f);
  EXPECT_NEAR(semantics::silu(2.0f, 3.0f), 2.0 / (1.0 + std::exp(-2.0)) * 3.0, 1e-6);
  EXPECT_NEAR(semantics::silu(-200.0f, 1.0f), 0.0, 1e-30);
}

TEST(Semantics, AbsmeanRoundsTiesToEvenAndClamps) {
  EXPECT_EQ(semantics::absmeanScale(6.0, 4), 1.5f);
  EXPECT_EQ(semantics::absmeanScale(0.0, 4), 1e-5f);
  for (auto [weight, trit] : {std::pair{0.5f, 0},
                              {0.50001f, 1},
                              {-0.5f, 0},
                              {-0.51f, -1},
                              {1.5f, 1},
                              {7.0f, 1},
                              {-7.0f, -1},
                              {0.0f, 0}})
    EXPECT_EQ(semantics::absmeanTrit(weight, 1.0f), trit) << weight;
}

static uint16_t convert(float value, const llvm::fltSemantics &format) {
  llvm::APFloat number(value);
  bool lost;
  number.convert(format, llvm::APFloat::rmNearestTiesToEven, &lost);
  return static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue());
}

TEST(Semantics, ShortFloatsConvertAsIeeeDemands) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    auto narrow = static_cast<uint16_t>(bits);
    llvm::APFloat half(llvm::APFloat::IEEEhalf(), llvm::APInt(16, bits));
    bool lost;
    half.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &lost);
    if (!half.isNaN()) {
      ASSERT_EQ(semantics::fromF16(narrow), half.convertToFloat()) << bits;
      ASSERT_EQ(semantics::toF16(semantics::fromF16(narrow)), narrow);
    } else {
      ASSERT_TRUE(std::isnan(semantics::fromF16(narrow))) << bits;
    }
    if (!std::isnan(semantics::fromBF16(narrow)))
      ASSERT_EQ(semantics::toBF16(semantics::fromBF16(narrow)), narrow);
  }
}

TEST(Semantics, ShortFloatsRoundToNearestEven) {
  std::mt19937 random(kSeed);
  std::vector<float> values{65504.0f,     65519.9f,   65520.0f,        0x1p-24f,
                            0x1p-25f,     0x1.8p-25f, 0x1p-14f,        0x1.ffcp-15f,
                            0x1.ffep-15f, -0.0f,      1.0f + 0x1p-11f, 1.0f + 0x3p-11f};
  for (int i = 0; i < 200000; ++i)
    if (auto value = std::bit_cast<float>(static_cast<uint32_t>(random())); !std::isnan(value)) {
      values.push_back(value);
      values.push_back(
          std::ldexp(value, -std::ilogb(value) + static_cast<int>(random() % 44) - 27));
    }
  for (float value : values) {
    if (std::isnan(value))
      continue;
    ASSERT_EQ(semantics::toF16(value), convert(value, llvm::APFloat::IEEEhalf())) << value;
    ASSERT_EQ(semantics::toBF16(value), convert(value, llvm::APFloat::BFloat())) << value;
  }
}
