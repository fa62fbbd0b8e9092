//===- kernels_test.cpp - every row of the kernel table -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelTable.h"
#include "tests/support/AmxEmulation.h"
#include "tests/support/KernelJit.h"
#include "tests/support/KernelSweep.h"

#include "gtest/gtest.h"

#include <map>

using namespace tern;
using namespace tern::test;

namespace {

/// A target that this CPU runs but for AMX.
bool needsEmulation(const Target &target) {
  constexpr uint64_t amx = TERN_CPU_X86_AMXINT8;
  return (target.cpuFeatures & amx) && !hostCanRun(amx) && hostCanRun(target.cpuFeatures & ~amx);
}

bool takes(const Target &target, const KernelRow &row) {
  return selectKernel(target, row.packing, row.acts, row.isGemv()) == &row;
}

/// Rows not taken stay where one that is taken calls them; the optimizer deletes the others.
void hideRowsNotTaken(const Target &target, llvm::Module &module) {
  for (const KernelRow &row : allKernels())
    if (llvm::Function *function = module.getFunction(row.name); function && !takes(target, row)) {
      function->setLinkage(llvm::GlobalValue::InternalLinkage);
      function->setName(llvm::Twine(row.name) + ".hidden");
    }
}

/// Compiled once for each target that this CPU can run.
const std::map<std::string, std::unique_ptr<KernelJit>> &jits() {
  static const auto compiled = [] {
    std::map<std::string, std::unique_ptr<KernelJit>> result;
    for (const Target &target : allTargets()) {
      if (!needsEmulation(target) && !hostCanRun(target.cpuFeatures))
        continue;
      const bool emulated = needsEmulation(target);
      auto jit =
          KernelJit::compile(emulated ? withoutAmx(target) : target, [&](llvm::Module &module) {
            hideRowsNotTaken(target, module);
            if (emulated)
              emulateAmx(module);
          });
      if (jit)
        result[target.name] = std::move(*jit);
      else
        ADD_FAILURE() << target.name << ": " << llvm::toString(jit.takeError());
    }
    return result;
  }();
  return compiled;
}

/// One row, once for each target that takes it.
std::vector<SweptKernel::Function> compiled(const KernelRow &row) {
  std::vector<SweptKernel::Function> functions;
  for (const Target &target : allTargets()) {
    auto jit = jits().find(target.name);
    if (jit != jits().end() && takes(target, row))
      functions.push_back({target.name, jit->second->find(row.name)});
  }
  return functions;
}

class KernelTest : public testing::Test {
protected:
  void everything(const char *name) {
    const KernelRow *row = findKernel(name);
    ASSERT_NE(row, nullptr) << name;
    KernelSweep sweep({row->name, row->packing, row->acts, row->mr, compiled(*row)});
    if (sweep.kernel.functions.empty())
      GTEST_SKIP() << "this CPU cannot run " << name << ", which needs "
                   << describeCpuFeatures(row->cpuFeatures);
    sweep.smallShapes();
    sweep.randomShapes(1500);
    sweep.panels();
    sweep.longRows();
    sweep.extremeSums();
    EXPECT_GE(sweep.cases, 2000);
    RecordProperty("cases", static_cast<int>(sweep.cases));
  }
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
#define TERN_SPARSE_KERNEL(PACKING, MR, NR, KB, ISA)                                               \
  TEST_F(KernelTest, ComputesExactly_##PACKING##_##MR##x##NR##x##KB##_##ISA) {                     \
    everything("matmul_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA);                               \
  }
#include "codegen/KernelTable.inc"

TEST(KernelTable, HasAGemvAndAGemmThatEveryTargetRunsForEveryPacking) {
  for (const KernelRow &row : allKernels())
    for (const Target &target : allTargets())
      for (bool gemv : {true, false}) {
        // A head's input is always several rows of integers.
        if (gemv && row.packing.kind == Packing::Kind::SixBit)
          continue;
        EXPECT_NE(selectKernel(target, row.packing, row.acts, gemv), nullptr)
            << row.name << target.name;
      }
}

TEST(KernelTable, HasNoRowThatNoTargetTakes) {
  for (const KernelRow &row : allKernels())
    EXPECT_TRUE(llvm::any_of(allTargets(), [&](const Target &target) {
      return takes(target, row);
    })) << row.name;
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
                 "avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vnni, "
                 "matmul_two_bit_1x16x16_avxvnni needs avxvnni, matmul_two_bit_1x16x16_avx512 "
                 "needs avx512f,avx512cd,avx512bw,avx512dq,avx512vl");
  EXPECT_EQ(selectKernel(targets->front(), Packing{Packing::Kind::TwoBit, 8, 16}, Acts::Int8, true),
            nullptr);
  EXPECT_STREQ(selectKernel(targets->front(), Packing{}, Acts::Float, /*gemv=*/false)->name,
               "matmul_f32_two_bit_8x16x16_avx512");
}

} // namespace
