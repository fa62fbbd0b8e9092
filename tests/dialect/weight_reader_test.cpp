//===- weight_reader_test.cpp - from file bytes to weight rows ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"
#include "dialect/Semantics.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <random>
#include <sys/stat.h>

using namespace tern;

namespace {
/// A module over one file "w" with the given bytes.
struct Fixture {
  TempFolder folder;
  Program program;
  WeightFiles files;

  Fixture(llvm::StringRef bytes, const std::string &weights)
      : program("module attributes {ternary.files = [\"w\"]} {" + weights + "}") {
    folder.write("w", bytes);
    files = llvm::cantFail(WeightFiles::open(*program.module, folder.path()));
  }

  llvm::Expected<WeightReader> reader(llvm::StringRef name = "x") {
    return WeightReader::create(program.weight(name), files);
  }
  std::vector<float> floats(llvm::StringRef name = "x") {
    WeightReader weight = llvm::cantFail(reader(name));
    std::vector<float> values(weight.rows() * weight.columns());
    EXPECT_EQ(message(weight.readFloats(0, weight.rows(), values.data())), "no error");
    return values;
  }
  std::vector<int8_t> trits(llvm::StringRef name = "x") {
    WeightReader weight = llvm::cantFail(reader(name));
    std::vector<int8_t> values(weight.rows() * weight.columns(), 9);
    EXPECT_EQ(message(weight.readTrits(0, weight.rows(), values.data())), "no error");
    return values;
  }
  /// The first error of creating a reader and reading everything.
  std::string failure(llvm::StringRef name = "x") {
    llvm::Expected<WeightReader> weight = reader(name);
    if (!weight)
      return message(weight.takeError());
    std::vector<float> values(weight->rows() * weight->columns());
    std::vector<int8_t> trits(values.size());
    return message(weight->isTrits() ? weight->readTrits(0, weight->rows(), trits.data())
                                     : weight->readFloats(0, weight->rows(), values.data()));
  }
};
} // namespace

static std::string source(int64_t offset, int64_t bytes, llvm::StringRef shape,
                          llvm::StringRef encoding, llvm::StringRef derive = "") {
  return llvm::formatv("#ternary.source<file = 0, offset = {0}, bytes = {1}, shape = [{2}], "
                       "encoding = {3}{4}{5}>",
                       offset, bytes, shape, encoding, derive.empty() ? "" : ", derive = ", derive)
      .str();
}

static std::string weight(llvm::StringRef type, const std::string &sources,
                          llvm::StringRef rows = "", llvm::StringRef name = "x") {
  return llvm::formatv("ternary.weight @{0} : tensor<{1}> from [{2}]{3}{4}\n", name, type, sources,
                       rows.empty() ? "" : " rows ", rows)
      .str();
}

template <typename T> static std::string bytesOf(const std::vector<T> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)};
}

//===----------------------------------------------------------------------===//
// Encodings
//===----------------------------------------------------------------------===//

TEST(WeightReader, DecodesFloatsOfEveryEncodingAtAnyOffset) {
  std::vector<float> values{1.0f, -2.5f, 0.0f, 100.0f, 0.5f, -0.125f};
  std::vector<uint16_t> half, brain;
  for (float value : values) {
    half.push_back(semantics::toF16(value));
    brain.push_back(semantics::toBF16(value));
  }
  Fixture f("?" + bytesOf(values) + bytesOf(half) + bytesOf(brain),
            weight("2x3xf32", source(1, 24, "2, 3", "f32"), "", "a") +
                weight("6xf32", source(25, 12, "6", "f16"), "", "b") +
                weight("2x3xbf16", source(37, 12, "2, 3", "bf16"), "", "c"));
  EXPECT_EQ(f.floats("a"), values);
  EXPECT_EQ(f.floats("b"), values);
  EXPECT_EQ(f.floats("c"), values);

  WeightReader a = llvm::cantFail(f.reader("a")), b = llvm::cantFail(f.reader("b")),
               c = llvm::cantFail(f.reader("c"));
  EXPECT_EQ(a.rows(), 2);
  EXPECT_EQ(a.columns(), 3);
  EXPECT_EQ(b.rows(), 1);
  EXPECT_EQ(b.columns(), 6);
  std::vector<float> row(3);
  ASSERT_EQ(message(a.readFloats(1, 1, row.data())), "no error");
  EXPECT_EQ(row, (std::vector<float>{100.0f, 0.5f, -0.125f}));
  std::vector<uint16_t> raw(3);
  ASSERT_EQ(message(c.readRaw(1, 1, raw.data())), "no error");
  EXPECT_EQ(raw, std::vector<uint16_t>(brain.begin() + 3, brain.end()));
  ASSERT_EQ(message(a.readRaw(1, 1, row.data())), "no error");
  EXPECT_EQ(row[0], 100.0f);
}

TEST(WeightReader, RoundsToTheWeightsOwnElementType) {
  Fixture f(bytesOf<float>({1.00390625f, 70000.0f}),
            weight("1x1xbf16", source(0, 4, "1, 1", "f32"), "", "a") +
                weight("1x1xf16", source(4, 4, "1, 1", "f32"), "", "b"));
  EXPECT_EQ(f.floats("a"), std::vector<float>{1.0f});
  EXPECT_EQ(f.failure("b"), "weight 'b': w: offset 4: row 0, column 0: the value does not fit the "
                            "weight's element type");
}

TEST(WeightReader, DecodesHFPackedRowsAQuarterApart) {
  const int64_t rows = 12, columns = 37;
  std::mt19937 random(6);
  std::vector<int8_t> trits(rows * columns);
  std::vector<uint8_t> packed(rows / 4 * columns, 0);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      int8_t trit = static_cast<int8_t>(random() % 3) - 1;
      trits[row * columns + column] = trit;
      packed[row % 3 * columns + column] |= static_cast<uint8_t>((trit + 1) << (row / 3 * 2));
    }
  Fixture f("pad" + bytesOf(packed),
            weight("12x37x!ternary.trit", source(3, 111, "12, 37", "hf_u8")));
  EXPECT_EQ(f.trits(), trits);
  WeightReader reader = llvm::cantFail(f.reader());
  std::vector<int8_t> some(2 * columns);
  ASSERT_EQ(message(reader.readTrits(5, 2, some.data())), "no error");
  EXPECT_EQ(some, std::vector<int8_t>(trits.begin() + 5 * columns, trits.begin() + 7 * columns));
}

TEST(WeightReader, MakesTheSameRandomRowsInAnyOrder) {
  Program program(weight("64x101x!ternary.trit", source(3, 0, "64, 101", "random"), "", "t") +
                  weight("64x101x!ternary.trit", source(4, 0, "64, 101", "random"), "", "u") +
                  weight("64x101xf32", source(3, 0, "64, 101", "random"), "", "f"));
  WeightFiles none;
  WeightReader t = llvm::cantFail(WeightReader::create(program.weight("t"), none));
  WeightReader u = llvm::cantFail(WeightReader::create(program.weight("u"), none));
  WeightReader f = llvm::cantFail(WeightReader::create(program.weight("f"), none));
  std::vector<int8_t> whole(64 * 101), other(64 * 101), row(101);
  std::vector<float> floats(64 * 101), line(101);
  ASSERT_EQ(message(t.readTrits(0, 64, whole.data())), "no error");
  ASSERT_EQ(message(u.readTrits(0, 64, other.data())), "no error");
  ASSERT_EQ(message(f.readFloats(0, 64, floats.data())), "no error");
  EXPECT_NE(whole, other);
  for (int r : {63, 0, 17}) {
    ASSERT_EQ(message(t.readTrits(r, 1, row.data())), "no error");
    EXPECT_TRUE(std::equal(row.begin(), row.end(), whole.begin() + r * 101));
    ASSERT_EQ(message(f.readFloats(r, 1, line.data())), "no error");
    EXPECT_TRUE(std::equal(line.begin(), line.end(), floats.begin() + r * 101));
  }
  int64_t counts[3] = {};
  for (int8_t trit : whole)
    ++counts[trit + 1];
  for (int64_t count : counts)
    EXPECT_NEAR(count, 64 * 101 / 3, 200);
  EXPECT_LT(*std::max_element(floats.begin(), floats.end()), 0.05f);
  EXPECT_GT(*std::max_element(floats.begin(), floats.end()), 0.049f);
  EXPECT_GE(*std::min_element(floats.begin(), floats.end()), -0.05f);
}

//===----------------------------------------------------------------------===//
// Derivations
//===----------------------------------------------------------------------===//

TEST(WeightReader, InvertsScalesThatDivide) {
  Fixture f(bytesOf<float>({4.0f, 0.3f}), weight("2xf32", source(0, 8, "2", "f32", "reciprocal")));
  EXPECT_EQ(f.floats(), (std::vector<float>{0.25f, 1.0f / 0.3f}));
}

TEST(WeightReader, QuantizesMastersByAbsmean) {
  std::mt19937 random(10);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  std::vector<float> values(100 * 96);
  double sum = 0;
  for (float &value : values) {
    value = normal(random);
    sum += std::fabs(double(value));
  }
  auto m = static_cast<float>(sum / values.size());
  Fixture f(
      bytesOf(values),
      weight("100x96x!ternary.trit", source(0, 38400, "100, 96", "f32", "absmean_trits"), "", "t") +
          weight("1xf32", source(0, 38400, "100, 96", "f32", "absmean_scale"), "", "s") +
          weight("100xf32", source(0, 38400, "100, 96", "f32", "absmean_scale"), "", "spread"));
  EXPECT_EQ(f.floats("s"), std::vector<float>{m});
  EXPECT_EQ(f.floats("spread"), std::vector<float>(100, m));
  std::vector<int8_t> expected(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    expected[i] =
        static_cast<int8_t>(std::clamp(std::nearbyint(values[i] * (1.0f / m)), -1.0f, 1.0f));
  EXPECT_EQ(f.trits("t"), expected);
}

TEST(WeightReader, GivesZeroMastersTheSmallestScale) {
  Fixture f(std::string(256, '\0'),
            weight("2x32x!ternary.trit", source(0, 256, "2, 32", "f32", "absmean_trits"), "", "t") +
                weight("1xf32", source(0, 256, "2, 32", "f32", "absmean_scale"), "", "s"));
  EXPECT_EQ(f.trits("t"), std::vector<int8_t>(64, 0));
  EXPECT_EQ(f.floats("s"), std::vector<float>{1e-5f});
}

TEST(WeightReader, SplitsTernaryFloatsIntoSignsAndMagnitudes) {
  // Two rows of two groups of 32: magnitudes 0.5, 0.25 and 2, 0 (a group of zeros).
  std::vector<float> values(128, 0.0f);
  std::vector<int8_t> signs(128, 0);
  for (int i = 0; i < 96; i += 3) {
    signs[i] = i % 2 ? 1 : -1;
    values[i] = signs[i] * (i < 32 ? 0.5f : i < 64 ? 0.25f : 2.0f);
  }
  auto scale = [&](const char *type, const char *name) {
    return weight(type, source(0, 512, "2, 64", "f32", "magnitude_scale"), "", name);
  };
  Fixture f(bytesOf(values),
            weight("2x64x!ternary.trit", source(0, 512, "2, 64", "f32", "sign_trits"), "", "t") +
                scale("1xf32", "tensor") + scale("2xf32", "row") + scale("2x2xf32", "group") +
                scale("2x1xf32, #ternary.scales<rows = 16>", "rowPacked") +
                scale("2x2xf32, #ternary.scales<rows = 16>", "groupPacked"));
  EXPECT_EQ(f.trits("t"), signs);
  EXPECT_EQ(f.floats("tensor"), std::vector<float>{2.0f});
  EXPECT_EQ(f.floats("row"), (std::vector<float>{0.5f, 2.0f}));
  EXPECT_EQ(f.floats("group"), (std::vector<float>{0.5f, 0.25f, 2.0f, 0.0f}));
  EXPECT_EQ(f.floats("rowPacked"), f.floats("row"));
  EXPECT_EQ(f.floats("groupPacked"), f.floats("group"));
}

TEST(WeightReader, NeedsGroupsThatDivideTheColumns) {
  Fixture f(std::string(512, '\0'),
            weight("2x3xf32", source(0, 512, "2, 64", "f32", "magnitude_scale")));
  EXPECT_EQ(f.failure(), "weight 'x': w: offset 0: expected a multiple of 3 columns, got 64");
}

//===----------------------------------------------------------------------===//
// Segments
//===----------------------------------------------------------------------===//

TEST(WeightReader, StacksSourcesWithZeroRowsBetween) {
  // hf_u8: 4 x 2 of +1 (codes 2: 0xaa), then 4 x 2 of -1 (codes 0).
  Fixture f(std::string("\xaa\xaa\0\0", 4),
            weight("11x2x!ternary.trit",
                   source(0, 2, "4, 2", "hf_u8") + ", " + source(2, 2, "4, 2", "hf_u8"), "[6, 5]"));
  std::vector<int8_t> expected(22, 0);
  std::fill(expected.begin(), expected.begin() + 8, 1);
  std::fill(expected.begin() + 12, expected.begin() + 20, -1);
  EXPECT_EQ(f.trits(), expected);
  WeightReader reader = llvm::cantFail(f.reader());
  for (int first = 0; first < 11; ++first)
    for (int count = 1; first + count <= 11; ++count) {
      std::vector<int8_t> some(count * 2, 9);
      ASSERT_EQ(message(reader.readTrits(first, count, some.data())), "no error");
      EXPECT_TRUE(std::equal(some.begin(), some.end(), expected.begin() + 2 * first));
    }
}

TEST(WeightReader, SpreadsLoneScalesOverTheirSegments) {
  Fixture f(
      bytesOf<float>({3.0f, 4.0f, 5.0f, 6.0f}),
      weight("8xf32",
             source(0, 4, "1", "f32") + ", " + source(4, 8, "2", "f32") + ", " +
                 source(12, 4, "1", "f32", "reciprocal"),
             "[3, 3, 2]", "vector") +
          weight("5x2xf32, #ternary.scales<rows = 16>",
                 source(0, 4, "1", "f32") + ", " + source(4, 8, "1, 2", "f32"), "[3, 2]",
                 "matrix") +
          weight("3x1xf32, #ternary.scales<rows = 16>", source(4, 12, "3", "f32"), "", "rows") +
          weight("4x1xf32, #ternary.scales<rows = 16>", source(12, 4, "1", "f32"), "", "one"));
  EXPECT_EQ(f.floats("vector"), (std::vector<float>{3, 3, 3, 4, 5, 0, 1.0f / 6.0f, 1.0f / 6.0f}));
  EXPECT_EQ(f.floats("matrix"), (std::vector<float>{3, 3, 3, 3, 3, 3, 4, 5, 0, 0}));
  EXPECT_EQ(f.floats("rows"), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(f.floats("one"), (std::vector<float>{6, 6, 6, 6}));
}

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

TEST(WeightReader, NamesThePlaceOfCode3) {
  // Row 6 of 8 is packed row 0, bits 6 .. 7 (two packed rows of five columns).
  std::string bytes(13, 0x55);
  bytes[3 + 1] = static_cast<char>(0xd5);
  Fixture f(bytes, weight("8x5x!ternary.trit", source(3, 10, "8, 5", "hf_u8")));
  EXPECT_EQ(f.failure(), "weight 'x': w: offset 4: row 6, column 1: code 3 is no trit");
}

TEST(WeightReader, RefusesValuesThatAreNotFinite) {
  Fixture f(
      bytesOf<float>({1.0f, 2.0f, 3.0f, std::nanf("")}) +
          bytesOf<uint16_t>({0x7c00, 0x3c00, 0x7f80, 0x3f80}),
      weight("2x2xf32", source(0, 16, "2, 2", "f32"), "", "a") +
          weight("2xf32", source(16, 4, "2", "f16"), "", "b") +
          weight("2x1xbf16", source(20, 4, "2, 1", "bf16"), "", "c") +
          weight("2x2x!ternary.trit", source(0, 16, "2, 2", "f32", "absmean_trits"), "", "d") +
          weight("2x2x!ternary.trit", source(0, 16, "2, 2", "f32", "sign_trits"), "", "e") +
          weight("2xf32", source(0, 16, "2, 2", "f32", "magnitude_scale"), "", "f"));
  std::string place = ": w: offset 12: row 1, column 1: expected a finite value, got nan";
  EXPECT_EQ(f.failure("a"), "weight 'a'" + place);
  EXPECT_EQ(f.failure("b"),
            "weight 'b': w: offset 16: row 0, column 0: expected a finite value, got INF");
  EXPECT_EQ(f.failure("c"),
            "weight 'c': w: offset 20: row 0, column 0: expected a finite value, got INF");
  for (const char *name : {"d", "e", "f"})
    EXPECT_EQ(f.failure(name), "weight '" + std::string(name) + "'" + place);
  WeightReader reader = llvm::cantFail(f.reader("c"));
  uint16_t raw[2];
  EXPECT_EQ(message(reader.readRaw(0, 1, raw)), f.failure("c"));
  EXPECT_EQ(message(reader.readRaw(1, 1, raw)), "no error");
}

TEST(WeightReader, RefusesReciprocalsThatAreNotFinite) {
  Fixture f(bytesOf<float>({1.0f, 0.0f}), weight("2xf32", source(0, 8, "2", "f32", "reciprocal")));
  EXPECT_NE(f.failure().find("weight 'x': w: offset 4: row 1, column 0: no finite reciprocal of 0"),
            std::string::npos)
      << f.failure();
}

TEST(WeightReader, RefusesSourcesThatEndPastTheFile) {
  Fixture f("12345678", weight("4xf32", source(0, 16, "4", "f32"), "", "a") +
                            weight("2xf32", source(4, 8, "2", "f32"), "", "b") +
                            weight("1xf32", source(9223372036854775807, 4, "1", "f32"), "", "c"));
  EXPECT_EQ(f.failure("a"), "weight 'a': w: expected 16 bytes at offset 0, but the file ends at 8");
  EXPECT_EQ(f.failure("b"), "weight 'b': w: expected 8 bytes at offset 4, but the file ends at 8");
  EXPECT_EQ(f.failure("c"),
            "weight 'c': w: expected 4 bytes at offset 9223372036854775807, but the "
            "file ends at 8");
}

TEST(WeightReader, RefusesFilesTheModuleDoesNotName) {
  Program program(weight("1xf32", source(0, 4, "1", "f32")));
  EXPECT_EQ(message(WeightReader::create(program.weight("x"), WeightFiles())),
            "weight 'x': expected one of the 0 files of ternary.files, got file 0");
}

TEST(WeightReader, RefusesBytesThatDoNotHoldTheirShape) {
  // The parser refuses this, so build the attribute unchecked.
  Fixture f("12345678", weight("1xf32", source(0, 4, "1", "f32")));
  ternary::WeightOp op = f.program.weight("x");
  auto wrong = ternary::SourceAttr::get(&f.program.context, 0, 0, 4, {int64_t(1) << 62, 8},
                                        ternary::Encoding::F32, ternary::Derivation::None);
  op.setSourcesAttr(mlir::ArrayAttr::get(&f.program.context, {wrong}));
  EXPECT_EQ(f.failure(), "weight 'x': w: offset 0: 4 bytes do not hold the source's shape");
}

static std::string openFailure(const std::string &files, llvm::StringRef folder) {
  Program program("module attributes {ternary.files = " + files + "} {}");
  return message(WeightFiles::open(*program.module, folder));
}

TEST(WeightFiles, RefuseNamesOutsideTheFolder) {
  TempFolder folder;
  for (const char *name : {"", "/etc/passwd", "../w", "a/../../w", "a\\\\b", "a\\00b"})
    EXPECT_NE(openFailure("[\"" + std::string(name) + "\"]", folder.path())
                  .find("ternary.files: expected a file name inside the model's folder"),
              std::string::npos)
        << name;
  EXPECT_EQ(openFailure("7", folder.path()), "ternary.files: expected an array of strings");
  EXPECT_EQ(openFailure("[7]", folder.path()), "ternary.files: expected an array of strings");
}

TEST(WeightFiles, RefuseWhatIsNoRegularFile) {
  TempFolder folder;
  const std::string &path = folder.path();
  EXPECT_EQ(openFailure("[\"missing\"]", path), path + "/missing: No such file or directory");
  ASSERT_EQ(mkdir((path + "/folder").c_str(), 0700), 0);
  ASSERT_EQ(mkfifo((path + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(openFailure("[\"folder\"]", path), path + "/folder: expected a regular file");
  EXPECT_EQ(openFailure("[\"pipe\"]", path), path + "/pipe: expected a regular file");
}
