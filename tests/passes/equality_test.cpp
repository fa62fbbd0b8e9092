//===- equality_test.cpp - passes keep every bit of the results -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "tests/support/RandomModules.h"
#include "tests/support/RunModule.h"
#include "gtest/gtest.h"

#include <bit>

using namespace tern;
using namespace tern::test;

namespace {

constexpr uint64_t kSeeds = 60;
const char *const kPipeline[] = {
    "ternary-quantize-weights",        "ternary-quantize-activations", "cse",
    "ternary-fuse-norm-quantize",      "ternary-fuse-epilogue",        "ternary-exploit-sparsity",
    "ternary-merge-linears",           "ternary-choose-packing",       "ternary-pack-weights",
    "ternary-plan-memory{max-rows=7}", "ternary-verify-packed"};

std::string randomModule(uint64_t seed) {
  return seed % 2 ? randomMlp(seed) : randomDecoder(seed, 1 + seed % 3);
}

/// Bit patterns, so that -0 and 0 differ.
std::vector<uint32_t> bits(const std::vector<float> &values) {
  std::vector<uint32_t> out;
  for (float value : values)
    out.push_back(std::bit_cast<uint32_t>(value));
  return out;
}

TEST(Passes, EachKeepsTheResultsOfRandomModules) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto context = makeContext();
    auto module = parse(*context, randomModule(seed));
    ASSERT_TRUE(module) << randomModule(seed);
    int64_t rows = 1 + seed % 6;
    auto expected = bits(runEntry(*module, seed, rows));
    ASSERT_FALSE(expected.empty()) << randomModule(seed);
    for (const char *pass : kPipeline) {
      ASSERT_TRUE(runPipeline(*module, pass)) << pass << '\n' << print(*module);
      ASSERT_EQ(bits(runEntry(*module, seed, rows)), expected) << pass << '\n' << print(*module);
    }
  }
}

TEST(Passes, EveryPackingKeepsTheResults) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed)
    for (const char *options :
         {"packing=base3", "packing=two_bit rows=8", "packing=base3 rows=4", "sparse=true"}) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " " + options);
      auto context = makeContext();
      auto module = parse(*context, randomModule(seed));
      ASSERT_TRUE(module);
      auto expected = bits(runEntry(*module, seed, 2));
      ASSERT_TRUE(runPipeline(*module, std::string("ternary-prepare{") + options + "}"));
      ASSERT_EQ(bits(runEntry(*module, seed, 2)), expected);
    }
}

TEST(Passes, MoreLayersLeaveTheBlockAsItIs) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::string block[2];
    for (int64_t twice : {0, 1}) {
      auto context = makeContext();
      auto module = parse(*context, randomDecoder(seed, twice ? 6 : 3));
      ASSERT_TRUE(module);
      ASSERT_TRUE(runPipeline(*module, "ternary-prepare"));
      block[twice] = print(module->lookupSymbol("block"));
    }
    EXPECT_EQ(block[0], block[1]);
  }
}

TEST(Passes, SameInputGivesTheSameText) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::string text[2];
    for (std::string &out : text) {
      auto context = makeContext();
      auto module = parse(*context, randomModule(seed));
      ASSERT_TRUE(runPipeline(*module, "ternary-prepare"));
      out = print(*module);
    }
    EXPECT_EQ(text[0], text[1]) << "seed " << seed;
  }
}

TEST(Passes, PipelineIsBuiltWithOptions) {
  auto context = makeContext();
  auto module = parse(*context, randomMlp(1));
  PrepareOptions options;
  options.maxRows = 5;
  options.packing = ternary::PackingKind::Base3;
  mlir::OpPassManager passes("builtin.module");
  buildPrepare(passes, options);
  std::string text;
  llvm::raw_string_ostream stream(text);
  passes.printAsTextualPipeline(stream);
  ASSERT_TRUE(
      runPipeline(*module, text.substr(text.find('(') + 1, text.rfind(')') - text.find('(') - 1)));
  EXPECT_EQ((*module)->getAttrOfType<mlir::IntegerAttr>("ternary.max_rows").getInt(), 5);
  EXPECT_NE(print(*module).find("packing<base3"), std::string::npos);
}

} // namespace
