//===- weight_blocks_test.cpp - weights whose source is a block format ----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"
#include "dialect/Semantics.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <numeric>
#include <random>

using namespace tern;
using blocks::Format;
using llvm::formatv;

namespace {
constexpr Format kWithScales[] = {Format::I2S,    Format::I2SL64, Format::I2SL4Row, Format::TQ1_0,
                                  Format::TQ2_0,  Format::Q2_0,   Format::PQ2_0,    Format::PTQ1_0,
                                  Format::IQ1_BN, Format::IQ2_BN};

int64_t scaleCount(Format format, int64_t columns) {
  int64_t group = blocks::scaleColumns(format, columns);
  return group > 0 ? columns / group : 1;
}

/// A random ternary matrix in a file "w", after three bytes of something else.
struct Matrix {
  Format format;
  int64_t rows, columns;
  std::vector<int8_t> trits;
  std::vector<float> scales;
  std::string bytes;

  Matrix(Format format, int64_t rows, int64_t columns, uint64_t seed)
      : format(format), rows(rows), columns(columns), trits(rows * columns),
        scales(format == Format::MLX2 ? rows * columns / 128 : rows * scaleCount(format, columns)) {
    std::mt19937_64 engine(seed);
    for (int8_t &trit : trits)
      trit = static_cast<int8_t>(engine() % 3) - 1;
    for (float &scale : scales)
      scale = semantics::fromF16(static_cast<uint16_t>(0x2000 + engine() % 0x2000));
    std::vector<uint8_t> encoded(*blocks::tensorBytes(format, rows, columns));
    for (int64_t row = 0; row < rows; ++row)
      blocks::encodeTrits(format, rows, columns, row, trits.data() + row * columns,
                          scales.data() + (blocks::isI2S(format) ? 0 : row * groups()),
                          encoded.data());
    bytes = "???" + std::string(encoded.begin(), encoded.end());
  }

  int64_t groups() const { return scaleCount(format, columns); }
  float scale(int64_t row, int64_t column) const {
    return scales[blocks::isI2S(format) ? 0 : row * groups() + column / (columns / groups())];
  }
  std::string source(const std::string &more = "") const {
    return formatv("[#ternary.source<file = 0, offset = 3, bytes = {0}, shape = [{1}, {2}], "
                   "encoding = {3}{4}>]",
                   *blocks::tensorBytes(format, rows, columns), rows, columns, blocks::name(format),
                   more);
  }
  std::string trit(const std::string &more = "") const {
    return formatv("ternary.weight @t : tensor<{0}x{1}x!ternary.trit> from {2}\n", rows, columns,
                   source(more));
  }
  std::string scaleType() const {
    if (blocks::isI2S(format))
      return "1xf32";
    std::string width = groups() == 1 ? "" : std::to_string(groups()) + "x";
    return formatv("{0}x{1}f32", rows, width);
  }
  std::string scaleWeight(const std::string &more = "") const {
    return formatv("ternary.weight @s : tensor<{0}> from {1}\n", scaleType(),
                   source(", derive = block_scale" + more));
  }
  std::string floats(const std::string &more = "") const {
    return formatv("ternary.weight @f : tensor<{0}x{1}xf32> from {2}\n", rows, columns,
                   source(more));
  }
};

struct Fixture {
  TempFolder folder;
  Program program;
  WeightFiles files;

  Fixture(const std::string &bytes, const std::string &weights)
      : program("module attributes {ternary.files = [\"w\"]} {" + weights + "}") {
    folder.write("w", bytes);
    files = llvm::cantFail(WeightFiles::open(*program.module, folder.path()));
  }
  std::vector<int8_t> trits(int64_t first, int64_t count) {
    WeightReader reader = llvm::cantFail(WeightReader::create(program.weight("t"), files));
    std::vector<int8_t> values(count * reader.columns());
    EXPECT_EQ(message(reader.readTrits(first, count, values.data())), "no error");
    return values;
  }
  std::vector<float> floats(llvm::StringRef name) {
    WeightReader reader = llvm::cantFail(WeightReader::create(program.weight(name), files));
    std::vector<float> values(reader.rows() * reader.columns());
    EXPECT_EQ(message(reader.readFloats(0, reader.rows(), values.data())), "no error");
    return values;
  }
  std::string failure(llvm::StringRef name) {
    llvm::Expected<WeightReader> reader = WeightReader::create(program.weight(name), files);
    if (!reader)
      return message(reader.takeError());
    std::vector<float> values(reader->rows() * reader->columns());
    std::vector<int8_t> trits(values.size());
    return message(reader->isTrits() ? reader->readTrits(0, reader->rows(), trits.data())
                                     : reader->readFloats(0, reader->rows(), values.data()));
  }
};

/// Row of the weight that lies at `stored` in the file.
int64_t plainRow(int64_t stored, int64_t size) {
  int64_t place = stored % size;
  return stored - place + place % 2 * (size / 2) + place / 2;
}
} // namespace

TEST(WeightBlocks, GiveTritsScalesAndFloats) {
  uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  for (Format format : kWithScales) {
    SCOPED_TRACE(blocks::name(format));
    Matrix m(format, 8, 512, seed);
    Fixture f(m.bytes, m.trit() + m.scaleWeight() + m.floats());
    EXPECT_EQ(f.trits(0, 8), m.trits);
    EXPECT_EQ(f.trits(5, 2),
              std::vector<int8_t>(m.trits.begin() + 5 * 512, m.trits.begin() + 7 * 512));
    std::vector<float> scales = m.scales;
    scales.resize(blocks::isI2S(format) ? 1 : 8 * m.groups());
    EXPECT_EQ(f.floats("s"), scales);
    std::vector<float> values = f.floats("f");
    for (int64_t i = 0; i < 8 * 512; ++i)
      ASSERT_EQ(values[i], static_cast<float>(m.trits[i]) * m.scale(i / 512, i % 512)) << i;
  }
}

TEST(WeightBlocks, PermutedRowsComeBackInOrder) {
  uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  for (Format format : kWithScales)
    for (int64_t heads : {1, 2, 8}) {
      SCOPED_TRACE(blocks::name(format));
      Matrix m(format, 32, 256, seed);
      std::string permute = formatv(", permute = {0}", heads);
      Fixture f(m.bytes, m.trit(permute) + m.scaleWeight(permute) + m.floats(permute));
      std::vector<int8_t> trits = f.trits(0, 32), middle = f.trits(7, 9);
      EXPECT_TRUE(std::equal(middle.begin(), middle.end(), trits.begin() + 7 * 256));
      std::vector<float> scales = f.floats("s"), values = f.floats("f");
      for (int64_t stored = 0; stored < 32; ++stored) {
        int64_t row = plainRow(stored, 32 / heads);
        for (int64_t column = 0; column < 256; ++column) {
          ASSERT_EQ(trits[row * 256 + column], m.trits[stored * 256 + column]);
          ASSERT_EQ(values[row * 256 + column],
                    static_cast<float>(m.trits[stored * 256 + column]) * m.scale(stored, column));
          if (!blocks::isI2S(format))
            ASSERT_EQ(scales[row * m.groups() + column / (256 / m.groups())],
                      m.scale(stored, column));
        }
      }
    }
}

TEST(WeightBlocks, PermutedFloatsAndSegmentsWithPadding) {
  std::vector<float> rows(8);
  std::iota(rows.begin(), rows.end(), 1.0f);
  std::string bytes(reinterpret_cast<const char *>(rows.data()), 32);
  Fixture f(bytes, "ternary.weight @f : tensor<12x1xf32> from [#ternary.source<file = 0, offset = "
                   "0, bytes = 32, shape = [8, 1], encoding = f32, permute = 2>] rows [12]");
  EXPECT_EQ(f.floats("f"), (std::vector<float>{1, 3, 2, 4, 5, 7, 6, 8, 0, 0, 0, 0}));
}

TEST(WeightBlocks, MlxTakesItsScalesFromAnotherTensor) {
  Matrix m(Format::MLX2, 4, 256, 1);
  std::string scales;
  for (float scale : m.scales) {
    uint16_t bits = semantics::toF16(scale);
    scales.append(reinterpret_cast<const char *>(&bits), 2);
  }
  std::string beside =
      formatv(", scales = #ternary.source<file = 0, offset = {0}, bytes = 16, shape "
              "= [4, 2], encoding = f16>",
              m.bytes.size());
  Fixture f(m.bytes + scales, m.trit() + m.floats(beside));
  EXPECT_EQ(f.trits(0, 4), m.trits);
  std::vector<float> values = f.floats("f");
  for (int64_t i = 0; i < 4 * 256; ++i)
    ASSERT_EQ(values[i], static_cast<float>(m.trits[i]) * m.scales[i / 128]);

  Fixture cut(m.bytes, m.floats(beside));
  EXPECT_EQ(cut.failure("f"),
            "weight 'f': w: expected 16 bytes at offset 259, but the file ends at "
            "259");
}

TEST(WeightBlocks, CodeThreeIsNoTrit) {
  for (Format format : {Format::I2S, Format::I2SL64, Format::I2SL4Row, Format::TQ2_0, Format::Q2_0,
                        Format::PQ2_0, Format::IQ2_BN}) {
    SCOPED_TRACE(blocks::name(format));
    Matrix m(format, 4, 256, 2);
    m.trits[2 * 256 + 130] = 2;
    std::vector<uint8_t> encoded(*blocks::tensorBytes(format, 4, 256));
    for (int64_t row = 0; row < 4; ++row)
      blocks::encodeTrits(format, 4, 256, row, m.trits.data() + row * 256,
                          m.scales.data() + (blocks::isI2S(format) ? 0 : row * m.groups()),
                          encoded.data());
    Fixture f("???" + std::string(encoded.begin(), encoded.end()), m.trit() + m.floats());
    int64_t offset = 3 + blocks::byteOf(format, 4, 256, 2, 130);
    std::string expected = formatv("w: offset {0}: row 2, column 130: code 3 is no trit", offset);
    EXPECT_EQ(f.failure("t"), "weight 't': " + expected);
    EXPECT_EQ(f.failure("f"), blocks::isI2S(format) ? "weight 'f': " + expected : "no error");
  }
}

TEST(WeightBlocks, ScalesMustBeFinite) {
  for (Format format : kWithScales)
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      SCOPED_TRACE(blocks::name(format));
      Matrix m(format, 4, 256, 3);
      Matrix wrong = m;
      for (float &scale : wrong.scales)
        scale = bad;
      std::vector<uint8_t> encoded(*blocks::tensorBytes(format, 4, 256));
      for (int64_t row = 0; row < 4; ++row)
        blocks::encodeTrits(format, 4, 256, row, m.trits.data() + row * 256,
                            (row == 3 || blocks::isI2S(format) ? wrong : m).scales.data(),
                            encoded.data());
      Fixture f("???" + std::string(encoded.begin(), encoded.end()), m.scaleWeight() + m.floats());
      bool one = blocks::isI2S(format);
      EXPECT_NE(f.failure("s").find(one ? "offset 259: row 0, column 0: expected a positive, finite"
                                        : "row 3, column 0: expected a finite scale, got "),
                std::string::npos)
          << f.failure("s");
      EXPECT_NE(f.failure("f").find("expected a finite value, got "), std::string::npos);
    }
}

TEST(WeightBlocks, OnlyTheScaleOfI2SMustBePositive) {
  for (Format format : kWithScales)
    for (float scale : {-0.5f, 0.0f}) {
      SCOPED_TRACE(blocks::name(format));
      Matrix m(format, 4, 256, 4);
      std::vector<float> scales(m.groups(), scale);
      std::vector<uint8_t> encoded(*blocks::tensorBytes(format, 4, 256));
      for (int64_t row = 0; row < 4; ++row)
        blocks::encodeTrits(format, 4, 256, row, m.trits.data() + row * 256, scales.data(),
                            encoded.data());
      Fixture f("???" + std::string(encoded.begin(), encoded.end()), m.scaleWeight());
      EXPECT_EQ(f.failure("s") == "no error", !blocks::isI2S(format)) << f.failure("s");
    }
}

TEST(WeightBlocks, AFileThatEndsTooSoonIsAnError) {
  for (Format format : kWithScales) {
    Matrix m(format, 4, 256, 5);
    Fixture f(m.bytes.substr(0, m.bytes.size() - 1), m.trit() + m.scaleWeight() + m.floats());
    for (llvm::StringRef name : {"t", "s", "f"})
      EXPECT_NE(f.failure(name).find("but the file ends at"), std::string::npos);
  }
}

TEST(WeightBlocks, ManyValuedBlocksGiveFloats) {
  Fixture f(std::string("\x00\x38\x01\xff", 4) + std::string(30, '\x02'),
            "ternary.weight @f : tensor<1x32xbf16> from [#ternary.source<file = 0, offset = 0, "
            "bytes = 34, shape = [1, 32], encoding = q8_0>]");
  std::vector<float> expected(32, 1.0f);
  expected[0] = 0.5f, expected[1] = -0.5f;
  EXPECT_EQ(f.floats("f"), expected);
}

TEST(WeightBlocks, UncheckedAttributesAreCheckedAgain) {
  Matrix m(Format::TQ2_0, 4, 256, 6);
  Fixture f(m.bytes, m.trit());
  using namespace ternary;
  auto weight = f.program.weight("t");
  auto *context = &f.program.context;
  auto fail = [&](SourceAttr source) {
    weight.setSourcesAttr(mlir::ArrayAttr::get(context, {source}));
    return f.failure("t");
  };
#ifdef NDEBUG
  EXPECT_EQ(fail(SourceAttr::get(context, 0, 0, 264, {4, 255}, Encoding::TQ2_0, Derivation::None)),
            "weight 't': w: offset 0: 264 bytes do not hold the source's shape");
#endif
  EXPECT_EQ(
      fail(SourceAttr::get(context, 0, 0, 264, {4, 256}, Encoding::TQ2_0, Derivation::BlockScale)),
      "weight 't': w: offset 0: no trits come from tq2_0 with derivation block_scale");
}
