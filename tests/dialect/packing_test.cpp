//===- packing_test.cpp - how trits lie in bytes --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

using namespace tern;

static Packing twoBit(int64_t rows) { return {Packing::Kind::TwoBit, rows, 16}; }
static Packing base3(int64_t rows) { return {Packing::Kind::Base3, rows, 20}; }

static std::vector<int8_t> randomTrits(std::mt19937 &random, int64_t count) {
  std::vector<int8_t> trits(count);
  for (int8_t &trit : trits)
    trit = static_cast<int8_t>(random() % 3) - 1;
  return trits;
}

/// The description of #ternary.packing, word for word, one trit at a time.
static std::vector<uint8_t> describedBytes(const Packing &packing, const std::vector<int8_t> &trits,
                                           int64_t validRows, int64_t columns) {
  std::vector<uint8_t> bytes;
  for (int64_t tile = 0; tile * packing.k < columns; ++tile)
    for (int64_t row = 0; row < packing.rows; ++row)
      for (int64_t j = 0; j < 4; ++j) {
        int value = 0, d[5];
        for (int64_t s = 0; s < packing.k / 4; ++s) {
          int64_t column = tile * packing.k + 4 * s + j;
          bool there = row < validRows && column < columns;
          d[s] = (there ? trits[row * columns + column] : 0) + 1;
          value += d[s] << (2 * s);
        }
        if (packing.kind == Packing::Kind::Base3) {
          const int a = d[0] + 3 * d[1], c = d[2] + 3 * d[3], e = d[4], both[] = {240, 241, 249};
          value = a > 0 && c > 0 ? 64 * e + 8 * (c - 1) + (a - 1)
                  : a > 0        ? 192 + 8 * e + (a - 1)
                  : c > 0        ? 192 + 8 * (3 + e) + (c - 1)
                                 : both[e];
        }
        bytes.push_back(static_cast<uint8_t>(value));
      }
  return bytes;
}

static std::vector<uint8_t> encode(const Packing &packing, const std::vector<int8_t> &trits,
                                   int64_t validRows, int64_t columns) {
  std::vector<uint8_t> bytes(packing.blockBytes(columns), 0xcc);
  packing.encodeBlock(trits.data(), validRows, columns, columns, bytes.data());
  return bytes;
}

TEST(Packing, RoundTripsEveryLengthAndEdgeRow) {
  const unsigned seed = 22;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (Packing packing : {twoBit(1), twoBit(5), twoBit(16), base3(1), base3(3), base3(16)})
    for (int64_t columns = 0; columns <= 1025; ++columns) {
      int64_t validRows = random() % (packing.rows + 1);
      std::vector<int8_t> trits = randomTrits(random, validRows * columns);
      std::vector<uint8_t> bytes = encode(packing, trits, validRows, columns);
      ASSERT_EQ(bytes, describedBytes(packing, trits, validRows, columns))
          << columns << " columns, " << validRows << " of " << packing.rows << " rows";
      std::vector<int8_t> back(trits.size(), 9);
      ASSERT_TRUE(packing.decodeBlock(bytes.data(), validRows, columns, columns, back.data()));
      ASSERT_EQ(back, trits) << columns << " columns";
    }
}

TEST(Packing, RoundTripsEveryNumberOfRows) {
  std::mt19937 random(23);
  for (int64_t rows = 1; rows <= 64; ++rows)
    for (Packing packing : {twoBit(rows), base3(rows)})
      for (int64_t validRows = 0; validRows <= rows; ++validRows) {
        const int64_t columns = 39;
        std::vector<int8_t> trits = randomTrits(random, validRows * columns);
        std::vector<uint8_t> bytes = encode(packing, trits, validRows, columns);
        std::vector<int8_t> back(trits.size());
        ASSERT_EQ(bytes, describedBytes(packing, trits, validRows, columns));
        ASSERT_TRUE(packing.decodeBlock(bytes.data(), validRows, columns, columns, back.data()));
        ASSERT_EQ(back, trits);
      }
}

TEST(Packing, HonoursTheStrideOfRows) {
  std::mt19937 random(24);
  const int64_t columns = 33, stride = 50;
  for (Packing packing : {twoBit(4), base3(4)}) {
    std::vector<int8_t> wide = randomTrits(random, 4 * stride), dense;
    for (int64_t row = 0; row < 4; ++row)
      dense.insert(dense.end(), &wide[row * stride], &wide[row * stride] + columns);
    std::vector<uint8_t> bytes(packing.blockBytes(columns));
    packing.encodeBlock(wide.data(), 4, columns, stride, bytes.data());
    EXPECT_EQ(bytes, encode(packing, dense, 4, columns));

    std::vector<int8_t> back(4 * stride, 7);
    ASSERT_TRUE(packing.decodeBlock(bytes.data(), 4, columns, stride, back.data()));
    for (int64_t row = 0; row < 4; ++row)
      for (int64_t column = 0; column < stride; ++column)
        EXPECT_EQ(back[row * stride + column], column < columns ? wide[row * stride + column] : 7);
  }
}

TEST(Packing, PutsTwoBitCodesWhereTheDescriptionSays) {
  // Columns 0, 4, 8, 12 share byte 0: codes 0, 1, 2, 0 from the low bits up.
  std::vector<int8_t> trits(16, 0);
  trits[0] = -1, trits[8] = 1, trits[12] = -1;
  EXPECT_EQ(encode(twoBit(1), trits, 1, 16), (std::vector<uint8_t>{0x24, 0x55, 0x55, 0x55}));
  EXPECT_EQ(encode(twoBit(1), std::vector<int8_t>(16, 1), 1, 16), std::vector<uint8_t>(4, 0xaa));
  EXPECT_EQ(encode(twoBit(1), std::vector<int8_t>(16, -1), 1, 16), std::vector<uint8_t>(4, 0));
  // Column 17 is byte 1 of the second tile's first lane.
  trits.assign(18, 0), trits[17] = 1;
  EXPECT_EQ(encode(twoBit(1), trits, 1, 18),
            (std::vector<uint8_t>{0x55, 0x55, 0x55, 0x55, 0x55, 0x56, 0x55, 0x55}));
}

TEST(Packing, PutsSixBitCodesWhereTheDescriptionSays) {
  const Packing packing{Packing::Kind::SixBit, 1, 16};
  // Zeros are 32, of which plane 2 has the two upper bits in the fourth slot's name.
  EXPECT_EQ(encode(packing, std::vector<int8_t>(16, 0), 1, 16),
            (std::vector<uint8_t>{32, 32, 32, 32, 32, 32, 32, 32, 160, 160, 160, 160}));
  // Byte 1 of the planes: columns 1, 5 and 9; column 13 is 0b111001 there.
  std::vector<int8_t> integers(16, -32);
  integers[1] = -31, integers[5] = 0, integers[9] = 31, integers[13] = 25;
  EXPECT_EQ(
      encode(packing, integers, 1, 16),
      (std::vector<uint8_t>{0, 1 | 1 << 6, 0, 0, 0, 32 | 2 << 6, 0, 0, 0, 63 | 3 << 6, 0, 0}));
}

TEST(Packing, RoundTripsSixBitIntegers) {
  std::mt19937 random(25);
  for (int64_t rows : {1, 5, 16})
    for (int64_t columns = 0; columns <= 70; ++columns) {
      const Packing packing{Packing::Kind::SixBit, rows, 16};
      const int64_t validRows = random() % (rows + 1);
      std::vector<int8_t> integers(validRows * columns);
      for (int8_t &integer : integers)
        integer = static_cast<int8_t>(random() % 64) - 32;
      std::vector<uint8_t> bytes = encode(packing, integers, validRows, columns);
      std::vector<int8_t> back(integers.size(), 99);
      ASSERT_TRUE(packing.decodeBlock(bytes.data(), validRows, columns, columns, back.data()));
      ASSERT_EQ(back, integers) << columns << " columns, " << validRows << " of " << rows;
      if (columns % 16 == 0 || validRows == 0)
        continue;
      bytes[packing.tileBytes() * (packing.kTiles(columns) - 1) + 2 * 4 * rows + 3] ^= 0x80;
      EXPECT_FALSE(packing.decodeBlock(bytes.data(), validRows, columns, columns, back.data()));
    }
}

TEST(Packing, PutsBase3DigitsWhereTheDescriptionSays) {
  // Digits 2, 2, 2, 2, 2: a = c = 8. Digits 1, 1, 1, 1, 1: a = c = 4.
  EXPECT_EQ(encode(base3(1), std::vector<int8_t>(20, 1), 1, 20), std::vector<uint8_t>(4, 191));
  EXPECT_EQ(encode(base3(1), std::vector<int8_t>(20, 0), 1, 20), std::vector<uint8_t>(4, 91));
  EXPECT_EQ(encode(base3(1), std::vector<int8_t>(20, -1), 1, 20), std::vector<uint8_t>(4, 240));
  // Column 2 is the first digit of byte 2: a = 2, c = 0.
  std::vector<int8_t> trits(20, -1);
  trits[2] = 1;
  EXPECT_EQ(encode(base3(1), trits, 1, 20), (std::vector<uint8_t>{240, 240, 193, 240}));
  // Column 17 is the last digit of byte 1, column 12 the fourth of byte 0: c = 6.
  trits[2] = -1, trits[17] = 1, trits[12] = 1;
  EXPECT_EQ(encode(base3(1), trits, 1, 20), (std::vector<uint8_t>{221, 249, 240, 240}));
}

TEST(Packing, DecodesAllTwoBitBytesWithoutCode3) {
  for (int byte = 0; byte < 256; ++byte) {
    uint8_t lane[4] = {0x55, 0x55, 0x55, static_cast<uint8_t>(byte)};
    int8_t trits[16];
    bool legal = true;
    for (int s = 0; s < 4; ++s)
      legal &= (byte >> (2 * s) & 3) != 3;
    ASSERT_EQ(twoBit(1).decodeBlock(lane, 1, 16, 16, trits), legal) << byte;
    for (int s = 0; legal && s < 4; ++s)
      EXPECT_EQ(trits[4 * s + 3], (byte >> (2 * s) & 3) - 1) << byte;
  }
}

TEST(Packing, DecodesTheCanonicalBase3Bytes) {
  int refused = 0;
  for (int byte = 0; byte < 256; ++byte) {
    uint8_t lane[4] = {91, static_cast<uint8_t>(byte), 91, 91};
    int8_t trits[20];
    bool legal = base3(1).decodeBlock(lane, 1, 20, 20, trits);
    std::vector<uint8_t> again = encode(base3(1), {trits, trits + 20}, 1, 20);
    EXPECT_EQ(legal, again[1] == byte) << byte;
    refused += !legal;
  }
  EXPECT_EQ(refused, 13);
}

TEST(Packing, RefusesPaddingThatIsNotZeroTrits) {
  for (Packing packing : {twoBit(4), base3(4)}) {
    const int64_t columns = packing.k + 3;
    std::vector<int8_t> trits(3 * columns, 1), back(trits.size());
    std::vector<uint8_t> good = encode(packing, trits, 3, columns);
    ASSERT_TRUE(packing.decodeBlock(good.data(), 3, columns, columns, back.data()));
    std::vector<uint8_t> badRow = good;
    badRow[3 * 4] = 0; // first lane of the missing fourth row: trits of -1
    EXPECT_FALSE(packing.decodeBlock(badRow.data(), 3, columns, columns, back.data()));
    std::vector<uint8_t> badColumn = good;
    badColumn[packing.tileBytes() + 3] = 0; // column k + 3 of row 0
    EXPECT_FALSE(packing.decodeBlock(badColumn.data(), 3, columns, columns, back.data()));
  }
}

TEST(Packing, CountsBytesOfWholeBlocks) {
  Packing packing = twoBit(16);
  EXPECT_EQ(packing.blockBytes(512), 32 * 64);
  EXPECT_EQ(packing.packedBytes(17, 512), 2 * 32 * 64);
  EXPECT_EQ(packing.packedBytes(16, 513), 33 * 64);
  EXPECT_EQ(packing.packedBytes(0, 512), 0);
  EXPECT_EQ(base3(16).blockBytes(512), 26 * 64);
}
