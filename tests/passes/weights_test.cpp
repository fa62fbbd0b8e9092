//===- weights_test.cpp - the packed section, byte for byte ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/PackWeights.h"
#include "passes/Passes.h"
#include "tests/support/RandomModules.h"
#include "tests/support/RunModule.h"
#include "gtest/gtest.h"

#include <chrono>
#include <cstring>

using namespace mlir;
using namespace tern;
using namespace tern::ternary;
using namespace tern::test;

namespace {

/// The whole section, from pieces that must come in order.
std::vector<uint8_t> writeAll(ModuleOp module, unsigned threads) {
  std::vector<uint8_t> section;
  uint64_t last = 0;
  llvm::Error error = writeWeights(
      module, WeightFiles(),
      [&](uint64_t offset, ArrayRef<uint8_t> bytes) {
        EXPECT_GE(offset, section.size());
        section.resize(offset);
        section.insert(section.end(), bytes.begin(), bytes.end());
        return llvm::Error::success();
      },
      [&](uint64_t done, uint64_t total) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, total);
        last = done;
      },
      threads);
  EXPECT_FALSE(static_cast<bool>(error)) << llvm::toString(std::move(error));
  section.resize(module->getAttrOfType<IntegerAttr>("ternary.weights_bytes").getInt());
  return section;
}

/// A weight's bytes from one reading of all its rows.
std::vector<uint8_t> packWhole(WeightOp weight) {
  WeightFiles files;
  llvm::Expected<WeightReader> reader = WeightReader::create(weight, files);
  EXPECT_TRUE(static_cast<bool>(reader)) << llvm::toString(reader.takeError());
  auto type = cast<RankedTensorType>(weight.getType());
  int64_t rows = reader->rows(), columns = reader->columns();
  std::vector<uint8_t> out;
  if (auto encoding = dyn_cast_if_present<PackingAttr>(type.getEncoding())) {
    Packing packing = packingOf(encoding);
    std::vector<int8_t> trits(rows * columns);
    EXPECT_FALSE(reader->readTrits(0, rows, trits.data()));
    out.resize(packing.packedBytes(rows, columns));
    for (int64_t block = 0; block < packing.rowBlocks(rows); ++block)
      packing.encodeBlock(trits.data() + block * packing.rows * columns,
                          std::min(packing.rows, rows - block * packing.rows), columns, columns,
                          out.data() + block * packing.blockBytes(columns));
    return out;
  }
  if (auto encoding = dyn_cast_if_present<ScalesAttr>(type.getEncoding())) {
    int64_t r = encoding.getRows(), bytes = type.getElementTypeBitWidth() / 8;
    std::vector<uint8_t> values(rows * columns * bytes);
    if (bytes == 4)
      EXPECT_FALSE(reader->readFloats(0, rows, reinterpret_cast<float *>(values.data())));
    else
      EXPECT_FALSE(reader->readRaw(0, rows, values.data()));
    for (int64_t block = 0; block < (rows + r - 1) / r; ++block)
      for (int64_t group = 0; group < columns; ++group)
        for (int64_t row = block * r; row < (block + 1) * r; ++row)
          for (int64_t i = 0; i < bytes; ++i)
            out.push_back(row < rows ? values[(row * columns + group) * bytes + i] : 0);
    return out;
  }
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  std::vector<uint8_t> dense(rows * columns * bytes);
  EXPECT_FALSE(reader->readRaw(0, rows, dense.data()));
  out.resize(rows * paddedRow(columns) * bytes);
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(&out[row * paddedRow(columns) * bytes], &dense[row * columns * bytes],
                columns * bytes);
  return out;
}

TEST(WriteWeights, EqualsPackingOfWholeWeights) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto context = makeContext();
    auto module = parse(*context, seed % 2 ? randomMlp(seed) : randomDecoder(seed, 2));
    std::string packing = seed % 3 ? "two_bit" : "base3";
    ASSERT_TRUE(runPipeline(*module, "ternary-prepare{packing=" + packing + "}"));
    std::vector<uint8_t> section = writeAll(*module, 1 + seed % 3), expected;
    for (auto weight : module->getOps<WeightOp>()) {
      std::vector<uint8_t> bytes = packWhole(weight);
      auto place = *weight.getSection();
      ASSERT_EQ(place[0] % 64, 0);
      ASSERT_EQ(place[1], static_cast<int64_t>(bytes.size())) << print(weight);
      ASSERT_GE(place[0], static_cast<int64_t>(expected.size()));
      expected.resize(place[0]);
      expected.insert(expected.end(), bytes.begin(), bytes.end());
    }
    expected.resize(section.size());
    ASSERT_EQ(section, expected);
  }
}

std::string oneWeight(const std::string &name, const std::string &type, const std::string &shape) {
  return "  ternary.weight @" + name + " : " + type +
         " from [#ternary.source<file = 0, offset = 7, bytes = 0, shape = [" + shape +
         "], encoding = random>]\n";
}

/// Weights of more rows and elements than one chunk holds.
std::string largeModule(int64_t n, int64_t k) {
  std::string rows = std::to_string(n), columns = std::to_string(k);
  std::string trits = "tensor<" + rows + "x" + columns + "x!ternary.trit>";
  std::string scales = "tensor<" + rows + "xf32>",
              table = "tensor<" + rows + "x" + columns + "xf16>";
  return "module {\n" + oneWeight("w", trits, rows + ", " + columns) +
         oneWeight("s", scales, rows) + oneWeight("t", table, rows + ", " + columns) +
         "  func.func @main(%x: tensor<?x" + columns + "xf32>, %i: tensor<?xi32>) -> (tensor<?x" +
         rows + "xf32>, tensor<?x" + columns +
         "xf32>) attributes {ternary.entry} {\n    %w = " + "ternary.load @w : " + trits +
         "\n    %s = ternary.load @s : " + scales + "\n    %t = ternary.load @t : " + table +
         "\n    %y = ternary.linear %x, %w, %s " + "activations(int8_per_token) : tensor<?x" +
         columns + "xf32>, " + trits + ", " + scales + " -> tensor<?x" + rows +
         "xf32>\n    %e = ternary.embedding %i, %t : tensor<?xi32>, " + table + " -> tensor<?x" +
         columns + "xf32>\n    return %y, %e : tensor<?x" + rows + "xf32>, tensor<?x" + columns +
         "xf32>\n  }\n}\n";
}

TEST(WriteWeights, EqualsWholeWeightsOverManyChunks) {
  for (auto [n, k] : {std::pair<int64_t, int64_t>{2501, 801}, {70, 132104}, {5000, 3}}) {
    SCOPED_TRACE(n);
    auto context = makeContext();
    auto module = parse(*context, largeModule(n, k));
    ASSERT_TRUE(module);
    ASSERT_TRUE(runPipeline(*module, "ternary-prepare"));
    std::vector<uint8_t> section = writeAll(*module, 2);
    ASSERT_EQ(section, writeAll(*module, 1));
    for (auto weight : module->getOps<WeightOp>()) {
      std::vector<uint8_t> bytes = packWhole(weight);
      ASSERT_TRUE(
          std::equal(bytes.begin(), bytes.end(), section.begin() + (*weight.getSection())[0]));
    }
  }
}

TEST(WriteWeights, StopsAtTheSinksError) {
  auto context = makeContext();
  auto module = parse(*context, randomDecoder(2, 2));
  ASSERT_TRUE(runPipeline(*module, "ternary-prepare"));
  int calls = 0;
  llvm::Error error = writeWeights(*module, WeightFiles(), [&](uint64_t, ArrayRef<uint8_t>) {
    return ++calls < 3 ? llvm::Error::success() : llvm::createStringError("disk full");
  });
  EXPECT_EQ(llvm::toString(std::move(error)), "disk full");
  EXPECT_EQ(calls, 3);
}

TEST(WriteWeights, RefusesModulesWithoutLayout) {
  auto context = makeContext();
  auto module = parse(*context, randomMlp(1));
  llvm::Error error = writeWeights(*module, WeightFiles(), [&](uint64_t, ArrayRef<uint8_t>) {
    ADD_FAILURE() << "nothing to write";
    return llvm::Error::success();
  });
  EXPECT_NE(llvm::toString(std::move(error)).find("ternary-pack-weights"), std::string::npos);
}

TEST(PackedWeightBytes, RefusesSizesThatDoNotFit) {
  auto context = makeContext();
  Type f32 = Float32Type::get(context.get());
  EXPECT_EQ(packedWeightBytes(RankedTensorType::get({3, 65}, f32)), 3 * 128 * 4);
  EXPECT_EQ(packedWeightBytes(RankedTensorType::get({65}, f32)), 128 * 4);
  EXPECT_FALSE(packedWeightBytes(RankedTensorType::get({int64_t(1) << 40, int64_t(1) << 40}, f32)));
  EXPECT_FALSE(packedWeightBytes(RankedTensorType::get({int64_t(1) << 62}, f32)));
  EXPECT_FALSE(packedWeightBytes(RankedTensorType::get({2, 2, 2}, f32)));
  EXPECT_FALSE(packedWeightBytes(RankedTensorType::get({4, 4}, TritType::get(context.get()))));
}

} // namespace
