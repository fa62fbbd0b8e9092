//===- kernels_test.cpp - every row of the kernel table -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelTable.h"
#include "tests/support/KernelJit.h"
#include "tests/support/MatmulCase.h"

#include "gtest/gtest.h"

#include <map>

using namespace tern;
using namespace tern::test;

namespace {

constexpr uint32_t kSeed = 20260401;

/// Compiled once for each target that this CPU can run.
const std::map<std::string, std::unique_ptr<KernelJit>> &jits() {
  static const auto compiled = [] {
    std::map<std::string, std::unique_ptr<KernelJit>> result;
    for (const Target &target : allTargets()) {
      if (!hostCanRun(target.cpuFeatures))
        continue;
      auto jit = KernelJit::compile(target);
      if (jit)
        result[target.name] = std::move(*jit);
      else
        ADD_FAILURE() << target.name << ": " << llvm::toString(jit.takeError());
    }
    return result;
  }();
  return compiled;
}

struct Compiled {
  std::string target;
  tern_matmul_fn run;
};

/// One row, once for each target.
std::vector<Compiled> compiled(const char *name) {
  std::vector<Compiled> functions;
  for (const auto &[target, jit] : jits())
    if (tern_matmul_fn run = jit->find(name))
      functions.push_back({target, run});
  return functions;
}

class KernelTest : public testing::Test {
protected:
  void use(const char *name) {
    row = findKernel(name);
    ASSERT_NE(row, nullptr) << name;
    functions = compiled(name);
    if (functions.empty())
      GTEST_SKIP() << "this CPU cannot run " << name << ", which needs "
                   << describeCpuFeatures(row->cpuFeatures);
  }

  void run(const MatmulShape &shape) {
    test.prepare(row->packing, row->acts, shape, random);
    for (const Compiled &function : functions) {
      std::string wrong = test.check(function.run);
      ASSERT_EQ(wrong, "") << row->name << " on " << function.target << ", seed " << kSeed;
      ++cases;
    }
  }

  /// Small shapes: all tails of tokens and columns, and rows around the ends of row blocks.
  void smallShapes() {
    for (int64_t m = 1; m <= row->mr + 2; ++m)
      for (int64_t n : {1, 2, 7, 15, 16, 17, 31, 32, 33})
        for (int64_t k = 0; k <= 2 * row->packing.k + 1; ++k) {
          MatmulShape shape;
          shape.m = m == row->mr + 2 ? std::max<int64_t>(17, m) : m;
          shape.n = n;
          shape.k = k;
          shape.atTail = (m + n + k) % 4 != 0;
          run(shape);
          if (HasFatalFailure())
            return;
        }
  }

  void randomShapes(int count) {
    auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % limit); };
    const int64_t kb = row->packing.k;
    for (int i = 0; i < count && !HasFatalFailure(); ++i) {
      MatmulShape shape;
      shape.m = 1 + below(2 * row->mr + 3);
      shape.n = 1 + below(5 * row->packing.rows);
      shape.k = 1 + below(i % 8 ? 700 : 2600);
      if (i % 2) {
        // Scale groups, of the sizes models use where the packing's k divides them.
        const int64_t sizes[] = {kb, 2 * kb, 4 * kb, 5 * kb, 8 * kb, 16 * kb};
        shape.groups = 1 + below(6);
        shape.k = sizes[below(6)] * shape.groups;
        if (row->acts == Acts::Int8Groups && i % 3)
          shape.scaleGroups = shape.groups % 2 ? 1 : shape.groups / 2;
      }
      const int64_t blocks = row->packing.rowBlocks(shape.n);
      shape.blockBegin = below(blocks + 1);
      shape.blockEnd = shape.blockBegin + below(blocks - shape.blockBegin + 1);
      shape.actsSlack = below(3) ? 0 : below(70);
      shape.halfScales = below(2);
      shape.groupSlack = below(3) ? 0 : below(5);
      shape.outSlack = below(3) ? 0 : below(70);
      shape.residual = static_cast<Residual>(below(3));
      shape.values = below(4) ? Values::Random : below(2) ? Values::AllLow : Values::AllHigh;
      shape.atTail = below(4) != 0;
      run(shape);
    }
  }

  /// The largest sums that ternary.matmul allows, K = 132104.
  void extremeSums() {
    for (Values values : {Values::AllLow, Values::AllHigh, Values::Random}) {
      MatmulShape shape;
      shape.m = 2;
      shape.n = 3;
      shape.k = 132104;
      shape.values = values;
      run(shape);
    }
  }

  void everything(const char *name) {
    use(name);
    if (IsSkipped() || HasFatalFailure())
      return;
    smallShapes();
    randomShapes(1500);
    extremeSums();
    EXPECT_GE(cases, 2000);
    RecordProperty("cases", static_cast<int>(cases));
  }

  const KernelRow *row = nullptr;
  std::vector<Compiled> functions;
  std::mt19937 random{kSeed};
  MatmulCase test;
  int64_t cases = 0;
};

#define TERN_KERNEL(PACKING, MR, NR, KB, ISA)                                                      \
  TEST_F(KernelTest, ComputesExactly_##PACKING##_##MR##x##NR##x##KB##_##ISA) {                     \
    everything("matmul_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA);                               \
  }
#define TERN_GROUP_KERNEL(PACKING, MR, NR, KB, ISA)                                                \
  TEST_F(KernelTest, ComputesExactlyOnGroups_##PACKING##_##MR##x##NR##x##KB##_##ISA) {             \
    everything("matmul_i8g_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA);                           \
  }
#define TERN_FLOAT_KERNEL(PACKING, MR, NR, KB, ISA)                                                \
  TEST_F(KernelTest, ComputesExactlyOnFloats_##PACKING##_##MR##x##NR##x##KB##_##ISA) {             \
    everything("matmul_f32_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA);                           \
  }
#include "codegen/KernelTable.inc"

TEST(KernelTable, HasAGemvAndAGemmThatEveryTargetRunsForEveryPacking) {
  for (const KernelRow &row : allKernels())
    for (const Target &target : allTargets())
      for (bool gemv : {true, false})
        EXPECT_NE(selectKernel(target, row.packing, row.acts, gemv), nullptr)
            << row.name << target.name;
}

TEST(KernelTable, SelectsTheBestRowAndSaysWhyOthersWereRefused) {
  llvm::Expected<std::vector<Target>> targets = parseTargets("x86-64-v4-vnni,x86-64-v3");
  ASSERT_TRUE(static_cast<bool>(targets));
  std::string why;
  const KernelRow *best =
      selectKernel(targets->front(), Packing{}, Acts::Int8, /*gemv=*/true, &why);
  ASSERT_NE(best, nullptr);
  EXPECT_STREQ(best->name, "matmul_two_bit_1x16x16_avx512vnni");
  EXPECT_EQ(why, "");
  const KernelRow *second =
      selectKernel(targets->back(), Packing{}, Acts::Int8, /*gemv=*/true, &why);
  ASSERT_NE(second, nullptr);
  EXPECT_STREQ(second->name, "matmul_two_bit_1x16x16_avx2");
  EXPECT_EQ(why, "matmul_two_bit_1x16x16_avx512vnni needs "
                 "avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vnni");
  EXPECT_EQ(selectKernel(targets->front(), Packing{Packing::Kind::TwoBit, 8, 16}, Acts::Int8, true),
            nullptr);
  EXPECT_STREQ(selectKernel(targets->front(), Packing{}, Acts::Float, /*gemv=*/false)->name,
               "matmul_f32_two_bit_8x16x16_avx512");
}

} // namespace
