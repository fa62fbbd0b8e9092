//===- block_formats_test.cpp - blocks against their definitions ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/BlockFormats.h"
#include "dialect/Semantics.h"

#include "gtest/gtest.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using namespace tern;
using blocks::Format;

namespace {
using Bytes = std::vector<uint8_t>;
using Trits = std::vector<int8_t>;

constexpr Format kTernary[] = {Format::I2S,    Format::I2SL64, Format::I2SL4Row, Format::TQ1_0,
                               Format::TQ2_0,  Format::Q2_0,   Format::PQ2_0,    Format::PTQ1_0,
                               Format::IQ1_BN, Format::IQ2_BN, Format::MLX2};
constexpr Format kFloats[] = {Format::Q8_0, Format::Q4_0, Format::Q4_1, Format::Q5_0,
                              Format::Q4_K, Format::Q5_K, Format::Q6_K};

Bytes fromHex(const std::string &hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

int8_t goldenTrit(int i) { return static_cast<int8_t>((i * i + 3 * i) % 7 % 3 - 1); }
Trits goldenTrits(int count) {
  Trits trits(count);
  for (int i = 0; i < count; ++i)
    trits[i] = goldenTrit(i);
  return trits;
}

Trits decode(Format format, int64_t rows, int64_t columns, const Bytes &bytes) {
  Trits trits(rows * columns);
  for (int64_t row = 0; row < rows; ++row)
    EXPECT_TRUE(blocks::decodeTrits({format, rows, columns, bytes.data()}, row,
                                    trits.data() + row * columns));
  return trits;
}

int64_t scaleCount(Format format, int64_t columns) {
  int64_t group = blocks::scaleColumns(format, columns);
  return group > 0 ? columns / group : 1;
}

Bytes encode(Format format, int64_t rows, int64_t columns, const Trits &trits,
             const std::vector<float> &scales) {
  Bytes bytes(*blocks::tensorBytes(format, rows, columns));
  for (int64_t row = 0; row < rows; ++row)
    blocks::encodeTrits(format, rows, columns, row, trits.data() + row * columns,
                        scales.data() +
                            (blocks::isI2S(format) ? 0 : row * scaleCount(format, columns)),
                        bytes.data());
  return bytes;
}

struct Golden {
  Format format;
  int64_t rows, columns;
  const char *hex;
};

// Every scale is 0.5.
const Golden kGolden[] = {
    {Format::TQ1_0, 1, 256,
     "1096435b32c1c91096435b32c1c91096435b32c1c91096435b32c1c91096435bd70885188f48add70885188f48"
     "add708435930c10038"},
    {Format::TQ2_0, 1, 256,
     "908918412462069089184124620690891841246206908918412462069089184118412462069089184124620690"
     "891841246206908918412462069089184124620038"},
    {Format::Q2_0, 1, 64, "00384428114a8412a14428114a8412a14428"},
    {Format::PQ2_0, 1, 128, "00384428114a8412a14428114a8412a14428114a8412a14428114a8412a14428114a"},
    {Format::PTQ1_0, 1, 128, "0885188f48add70885188f48add708856f4de7b62061256f85170038"},
    {Format::I2S, 1, 128,
     "06622441188990066224411889900662244118899006622441188990066224410000003f"},
    {Format::I2SL64, 1, 128,
     "02580960258096025809602580960258580960258096025809602580960258090000003f"},
    {Format::I2S, 4, 64,
     "066224411889900662244118899006622441188990066224411889900662244124411889900662244118899006"
     "622441188990066224411889900662244118890000003f"},
    {Format::I2SL4Row, 4, 64,
     "1144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a28a1841144124a"
     "28a1841144124a28a1841144124a28a184110000003f"},
    {Format::IQ1_BN, 1, 64, "003820254de720256fe720616fe718"},
    {Format::IQ2_BN, 1, 64, "0000003f80256009580296802560095802968025"},
    // mlx2 has the codes of pq2_0 without the scale.
    {Format::MLX2, 1, 128, "4428114a8412a14428114a8412a14428114a8412a14428114a8412a14428114a"},
};

//===----------------------------------------------------------------------===//
// The definitions of docs/formats.md, one element at a time
//===----------------------------------------------------------------------===//

/// Digit `i` of a base-3 byte, most significant first, by search: the number whose byte covers it.
int digitOf(uint8_t byte, int i) {
  int number = 0;
  while (number < 242 && (number * 256 + 242) / 243 < byte)
    ++number;
  if ((number * 256 + 242) / 243 > byte)
    --number;
  for (int drop = 4; drop > i; --drop)
    number /= 3;
  return number % 3;
}

uint16_t half(const uint8_t *at) { return static_cast<uint16_t>(at[0] + 256 * at[1]); }

/// Code 0 .. 3 of one element.
int codeOf(Format format, const Bytes &b, int64_t columns, int64_t row, int64_t column) {
  int64_t flat = row * columns + column;
  auto place = [&](int64_t block, int64_t bytes, int64_t header) {
    return b.data() + row * (header + columns / block * bytes) + header + column / block * bytes;
  };
  auto bits = [](uint8_t byte, int64_t slot) { return byte >> 2 * slot & 3; };
  switch (format) {
  case Format::I2S: {
    int64_t e = flat % 128;
    return bits(b[flat / 128 * 32 + e % 32], 3 - e / 32);
  }
  case Format::I2SL64: {
    int64_t e = flat % 64;
    return bits(b[flat / 64 * 16 + e % 16], 3 - e / 16);
  }
  case Format::I2SL4Row:
    return bits(b[row / 4 * columns + column], 3 - row % 4);
  case Format::TQ1_0: {
    const uint8_t *in = place(256, 54, 0);
    int e = static_cast<int>(column % 256);
    if (e < 160)
      return digitOf(in[e % 32], e / 32);
    if (e < 240)
      return digitOf(in[32 + (e - 160) % 16], (e - 160) / 16);
    return digitOf(in[48 + (e - 240) % 4], (e - 240) / 4);
  }
  case Format::PTQ1_0: {
    const uint8_t *in = place(128, 28, 0);
    int e = static_cast<int>(column % 128);
    if (e < 80)
      return digitOf(in[e % 16], e / 16);
    if (e < 120)
      return digitOf(in[16 + (e - 80) % 8], (e - 80) / 8);
    return digitOf(in[24 + (e - 120) % 2], (e - 120) / 2);
  }
  case Format::TQ2_0: {
    int64_t e = column % 256;
    return bits(place(256, 66, 0)[32 * (e / 128) + e % 32], e % 128 / 32);
  }
  case Format::Q2_0:
    return bits(place(64, 18, 0)[2 + column % 64 / 4], column % 4);
  case Format::PQ2_0:
    return bits(place(128, 34, 0)[2 + column % 128 / 4], column % 4);
  case Format::MLX2:
    return bits(b[flat / 4], flat % 4);
  case Format::IQ2_BN:
    return bits(place(64, 16, 4)[column % 16], column % 64 / 16);
  case Format::IQ1_BN: {
    const uint8_t *in = place(64, 13, 2);
    int e = static_cast<int>(column % 64), quarter = e / 16, inside = e % 16;
    if (inside == 15)
      return digitOf(in[12], 4 - quarter);
    return digitOf(in[3 * quarter + inside / 5], 4 - inside % 5);
  }
  default:
    ADD_FAILURE();
    return 0;
  }
}

float scaleOf(Format format, const Bytes &b, int64_t rows, int64_t columns, int64_t row,
              int64_t column) {
  auto single = [](const uint8_t *at) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  };
  auto blockEnd = [&](int64_t block, int64_t bytes) {
    return b.data() + (row * (columns / block) + column / block + 1) * bytes;
  };
  switch (format) {
  case Format::TQ1_0:
    return semantics::fromF16(half(blockEnd(256, 54) - 2));
  case Format::TQ2_0:
    return semantics::fromF16(half(blockEnd(256, 66) - 2));
  case Format::PTQ1_0:
    return semantics::fromF16(half(blockEnd(128, 28) - 2));
  case Format::Q2_0:
    return semantics::fromF16(half(blockEnd(64, 18) - 18));
  case Format::PQ2_0:
    return semantics::fromF16(half(blockEnd(128, 34) - 34));
  case Format::IQ1_BN:
    return semantics::fromF16(half(b.data() + row * (2 + 13 * columns / 64)));
  case Format::IQ2_BN:
    return single(b.data() + row * (4 + columns / 4));
  default:
    return single(b.data() + rows * columns / 4);
  }
}

/// One value of a many-valued block.
double valueOf(Format format, const uint8_t *b, int e) {
  auto h = [&](int at) { return static_cast<double>(semantics::fromF16(half(b + at))); };
  auto nibble = [&](int at, int m) { return m < 16 ? b[at + m] % 16 : b[at + m - 16] / 16; };
  switch (format) {
  case Format::Q8_0:
    return h(0) * static_cast<int8_t>(b[2 + e]);
  case Format::Q4_0:
    return h(0) * (nibble(2, e) - 8);
  case Format::Q4_1:
    return h(0) * nibble(4, e) + h(2);
  case Format::Q5_0:
    return h(0) * (nibble(6, e) + 16 * (b[2 + e / 8] >> e % 8 & 1) - 16);
  case Format::Q4_K:
  case Format::Q5_K: {
    const uint8_t *s = b + 4, *q = b + (format == Format::Q4_K ? 16 : 48);
    int j = e / 32, l = e % 32, scale, least;
    if (j < 4)
      scale = s[j] & 63, least = s[j + 4] & 63;
    else
      scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4, least = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    int code = j % 2 ? q[32 * (j / 2) + l] / 16 : q[32 * (j / 2) + l] % 16;
    if (format == Format::Q5_K)
      code += 16 * (b[16 + l] >> j & 1);
    return h(0) * scale * code - h(2) * least;
  }
  default: { // q6_k
    int H = e / 128, r = e % 128 / 32, l = e % 32;
    int low = b[64 * H + 32 * (r % 2) + l];
    low = r < 2 ? low % 16 : low / 16;
    int high = b[128 + 32 * H + l] >> 2 * r & 3;
    return h(208) * static_cast<int8_t>(b[192 + 8 * H + 2 * r + (l >= 16)]) *
           (low + 16 * high - 32);
  }
  }
}

struct Random {
  uint64_t seed = std::random_device{}();
  std::mt19937_64 engine{seed};
  int64_t below(int64_t bound) { return static_cast<int64_t>(engine() % bound); }
};
} // namespace

//===----------------------------------------------------------------------===//
// Golden vectors
//===----------------------------------------------------------------------===//

TEST(BlockFormats, DecodesTheGoldenVectors) {
  for (const Golden &golden : kGolden) {
    SCOPED_TRACE(blocks::name(golden.format));
    Bytes bytes = fromHex(golden.hex);
    bytes.resize(*blocks::tensorBytes(golden.format, golden.rows, golden.columns), 0xee);
    EXPECT_EQ(decode(golden.format, golden.rows, golden.columns, bytes),
              goldenTrits(static_cast<int>(golden.rows * golden.columns)));
    if (golden.format == Format::MLX2)
      continue;
    std::vector<float> values(golden.columns);
    EXPECT_TRUE(blocks::decodeFloats({golden.format, golden.rows, golden.columns, bytes.data()},
                                     golden.rows - 1, values.data()));
    int first = static_cast<int>((golden.rows - 1) * golden.columns);
    for (int i = 0; i < golden.columns; ++i)
      ASSERT_EQ(values[i], 0.5f * goldenTrit(first + i)) << i;
  }
}

TEST(BlockFormats, EncodesTheGoldenVectors) {
  for (const Golden &golden : kGolden) {
    SCOPED_TRACE(blocks::name(golden.format));
    Bytes expected = fromHex(golden.hex);
    std::vector<float> scales(golden.rows * scaleCount(golden.format, golden.columns), 0.5f);
    Bytes bytes = encode(golden.format, golden.rows, golden.columns,
                         goldenTrits(static_cast<int>(golden.rows * golden.columns)), scales);
    // i2_s ends with 28 bytes of padding.
    ASSERT_GE(bytes.size(), expected.size());
    EXPECT_EQ(Bytes(bytes.begin(), bytes.begin() + expected.size()), expected);
  }
}

TEST(BlockFormats, DecodesTheGoldenFloatBlocks) {
  struct Case {
    Format format;
    int d, least; ///< where the f16 fields lie; -1: none
    std::vector<double> first;
    double sum, magnitudes;
    std::vector<std::pair<int, double>> others;
  };
  const Case cases[] = {
      {Format::Q4_0,
       0,
       -1,
       {-0.75, 0.5, 1.75, -1, 0.25, 1.5, -1.25, 0},
       -5.25,
       30.75,
       {{9, -1.5}, {19, 1}, {29, -1.25}, {31, 0}}},
      {Format::Q4_1,
       0,
       2,
       {3.875, 1.125, 2.375, 3.625, 0.875, 2.125, 3.375, 0.625},
       65.25,
       65.25,
       {{9, 3.125}, {19, 0.125}, {31, 3.125}}},
      {Format::Q5_0,
       0,
       -1,
       {2.25, -0.5, 0.75, -2, 3.25, -3.5, 1.75, -1},
       3.75,
       61.75,
       {{9, 1.5}, {19, 1.25}, {31, 0.25}}},
      {Format::Q8_0,
       0,
       -1,
       {21.25, 30.5, -24.25, -15, -5.75, 3.5, 12.75, 22},
       -44,
       543,
       {{9, -23.5}, {31, -12}}},
      {Format::Q4_K,
       0,
       2,
       {78.875, -6.375, 32.375, 71.125, 109.875, 24.625, 63.375, 102.125},
       13610,
       13757,
       {{65, -7.625}, {131, 96}, {197, 46.875}, {255, 12.125}}},
      {Format::Q5_K,
       0,
       2,
       {202.875, -6.375, 156.375, 71.125, 233.875, 24.625, 187.375, 102.125},
       29054,
       29139.75,
       {{255, 27.125}}},
      {Format::Q6_K,
       208,
       -1,
       {-357.75, 424, 145.75, -132.5, -410.75, 371, 92.75, -185.5},
       1153,
       66625.5,
       {{65, 451.25}, {131, -32.5}, {255, -15}}},
  };
  for (const Case &c : cases) {
    SCOPED_TRACE(blocks::name(c.format));
    int64_t columns = c.format >= Format::Q4_K ? 256 : 32;
    Bytes bytes(*blocks::tensorBytes(c.format, 1, columns));
    for (size_t p = 0; p < bytes.size(); ++p)
      bytes[p] = static_cast<uint8_t>(37 * p + 11);
    bytes[c.d] = 0x00, bytes[c.d + 1] = 0x34; // 0.25
    if (c.least >= 0)
      bytes[c.least] = 0x00, bytes[c.least + 1] = 0x30; // 0.125
    std::vector<float> values(columns);
    EXPECT_TRUE(blocks::decodeFloats({c.format, 1, columns, bytes.data()}, 0, values.data()));
    double sum = 0, magnitudes = 0;
    for (float value : values)
      sum += value, magnitudes += std::fabs(value);
    EXPECT_EQ(sum, c.sum);
    EXPECT_EQ(magnitudes, c.magnitudes);
    for (size_t i = 0; i < c.first.size(); ++i)
      EXPECT_EQ(values[i], c.first[i]) << i;
    for (auto [index, value] : c.others)
      EXPECT_EQ(values[index], value) << index;
  }
}

//===----------------------------------------------------------------------===//
// Random blocks against the definitions
//===----------------------------------------------------------------------===//

TEST(BlockFormats, RandomBytesDecodeAsDefined) {
  Random random;
  SCOPED_TRACE(random.seed);
  for (Format format : kTernary)
    for (int64_t columns : {256, 768}) {
      SCOPED_TRACE(blocks::name(format));
      int64_t rows = 8;
      Bytes bytes(*blocks::tensorBytes(format, rows, columns));
      for (uint8_t &byte : bytes)
        byte = static_cast<uint8_t>(random.below(256));
      Trits trits(columns);
      for (int64_t row = 0; row < rows; ++row) {
        bool areTrits =
                 blocks::decodeTrits({format, rows, columns, bytes.data()}, row, trits.data()),
             none = false;
        for (int64_t column = 0; column < columns; ++column) {
          int code = codeOf(format, bytes, columns, row, column);
          none |= code == 3;
          ASSERT_EQ(trits[column], code - 1) << row << ", " << column;
        }
        EXPECT_EQ(areTrits, !none);
      }
    }
}

TEST(BlockFormats, RandomTritsSurviveTheirRoundTrip) {
  Random random;
  SCOPED_TRACE(random.seed);
  for (Format format : kTernary)
    for (auto [rows, columns] : {std::pair<int64_t, int64_t>{4, 256}, {16, 512}, {256, 1280}}) {
      SCOPED_TRACE(blocks::name(format));
      Trits trits(rows * columns);
      for (int8_t &trit : trits)
        trit = static_cast<int8_t>(random.below(3) - 1);
      std::vector<float> scales(rows * scaleCount(format, columns));
      for (float &scale : scales)
        scale = semantics::fromF16(static_cast<uint16_t>(random.below(0x7c00))); // 0 and subnormal
      Bytes bytes = encode(format, rows, columns, trits, scales);
      ASSERT_EQ(decode(format, rows, columns, bytes), trits);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column)
          ASSERT_EQ(codeOf(format, bytes, columns, row, column), trits[row * columns + column] + 1);
      if (format == Format::MLX2)
        continue;
      int64_t count = scaleCount(format, columns), group = columns / count;
      std::vector<float> read(count), values(columns);
      for (int64_t row = 0; row < rows; ++row) {
        blocks::Tensor tensor{format, rows, columns, bytes.data()};
        blocks::decodeScales(tensor, row, read.data());
        ASSERT_TRUE(blocks::decodeFloats(tensor, row, values.data()));
        for (int64_t column = 0; column < columns; ++column) {
          float scale = scaleOf(format, bytes, rows, columns, row, column);
          ASSERT_EQ(read[column / group], scale);
          ASSERT_EQ(scale, scales[blocks::isI2S(format) ? 0 : row * count + column / group]);
          ASSERT_EQ(values[column], static_cast<float>(trits[row * columns + column]) * scale);
        }
      }
    }
}

TEST(BlockFormats, RunsOfI2SCrossTheEndsOfRows) {
  Random random;
  SCOPED_TRACE(random.seed);
  for (Format format : {Format::I2S, Format::I2SL64})
    for (auto [rows, columns] :
         {std::pair<int64_t, int64_t>{32, 20}, {128, 1}, {128, 33}, {64, 5460}}) {
      Trits trits(rows * columns);
      for (int8_t &trit : trits)
        trit = static_cast<int8_t>(random.below(3) - 1);
      Bytes bytes = encode(format, rows, columns, trits, {2.0f});
      ASSERT_EQ(decode(format, rows, columns, bytes), trits);
      int64_t row = random.below(rows), column = random.below(columns);
      ASSERT_EQ(codeOf(format, bytes, columns, row, column), trits[row * columns + column] + 1);
      int64_t flat = row * columns + column, lanes = format == Format::I2S ? 32 : 16;
      EXPECT_EQ(blocks::byteOf(format, rows, columns, row, column),
                flat / (4 * lanes) * lanes + flat % lanes);
    }
}

TEST(BlockFormats, RandomFloatBlocksDecodeAsDefined) {
  Random random;
  SCOPED_TRACE(random.seed);
  for (Format format : kFloats) {
    SCOPED_TRACE(blocks::name(format));
    int64_t elements = format >= Format::Q4_K ? 256 : 32, rows = 3, columns = 4 * elements;
    int64_t size = *blocks::tensorBytes(format, 1, elements);
    Bytes bytes(rows * 4 * size);
    for (int repeat = 0; repeat < 50; ++repeat) {
      for (uint8_t &byte : bytes)
        byte = static_cast<uint8_t>(random.below(256));
      for (int64_t block = 0; block < 12; ++block) // finite f16 fields
        for (int64_t at : {int64_t(1), int64_t(3), int64_t(209)})
          if (at < size)
            bytes[block * size + at] &= 0xbb;
      std::vector<float> values(columns);
      for (int64_t row = 0; row < rows; ++row) {
        EXPECT_TRUE(
            blocks::decodeFloats({format, rows, columns, bytes.data()}, row, values.data()));
        for (int64_t i = 0; i < columns; ++i) {
          const uint8_t *block = bytes.data() + (row * 4 + i / elements) * size;
          double expected = valueOf(format, block, static_cast<int>(i % elements));
          double terms = std::fabs(expected) + std::fabs(valueOf(format, block, 0)) + 70000.0;
          ASSERT_NEAR(values[i], expected, terms * 0x1p-20) << row << ", " << i;
        }
      }
    }
  }
}

TEST(BlockFormats, CodeThreeIsTwiceTheScaleAsFloatExceptInI2S) {
  Bytes q2 = fromHex(kGolden[2].hex);
  q2[2] |= 3;
  Trits trits(64);
  EXPECT_FALSE(blocks::decodeTrits({Format::Q2_0, 1, 64, q2.data()}, 0, trits.data()));
  EXPECT_EQ(trits[0], 2);
  std::vector<float> values(128);
  EXPECT_TRUE(blocks::decodeFloats({Format::Q2_0, 1, 64, q2.data()}, 0, values.data()));
  EXPECT_EQ(values[0], 1.0f);
  Bytes i2s(64, 0xff);
  EXPECT_FALSE(blocks::decodeFloats({Format::I2S, 1, 128, i2s.data()}, 0, values.data()));
}

TEST(BlockFormats, KnowsWhichShapesFit) {
  EXPECT_EQ(blocks::tensorBytes(Format::I2S, 2, 65), std::nullopt);
  EXPECT_EQ(blocks::tensorBytes(Format::I2S, 2, 64), 64);
  EXPECT_EQ(blocks::tensorBytes(Format::I2SL64, 1, 64), 48);
  EXPECT_EQ(blocks::tensorBytes(Format::I2SL4Row, 6, 64), std::nullopt);
  EXPECT_EQ(blocks::tensorBytes(Format::TQ1_0, 2, 512), 4 * 54);
  EXPECT_EQ(blocks::tensorBytes(Format::TQ2_0, 2, 384), std::nullopt);
  EXPECT_EQ(blocks::tensorBytes(Format::IQ1_BN, 3, 128), 3 * 28);
  EXPECT_EQ(blocks::tensorBytes(Format::IQ2_BN, 3, 128), 3 * 36);
  EXPECT_EQ(blocks::tensorBytes(Format::MLX2, 3, 16), 12);
  EXPECT_EQ(blocks::tensorBytes(Format::Q6_K, 1, 256), 210);
  EXPECT_EQ(blocks::tensorBytes(Format::Q5_0, 1, 33), std::nullopt);
}

/// Two billion weights must pack in well under a minute: far above 100 million trits a second.
TEST(BlockFormats, DecodesFastEnough) {
  int64_t rows = 64, columns = 2560;
  for (Format format : kTernary) {
    Trits trits(columns);
    Bytes bytes(*blocks::tensorBytes(format, rows, columns));
    auto start = std::chrono::steady_clock::now();
    int64_t decoded = 0;
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(20))
      for (int64_t row = 0; row < rows; ++row, decoded += columns)
        (void)blocks::decodeTrits({format, rows, columns, bytes.data()}, row, trits.data());
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    RecordProperty(blocks::name(format), std::to_string(decoded / seconds / 1e6));
    printf("%-12s %8.0f million trits a second\n", blocks::name(format), decoded / seconds / 1e6);
  }
}
