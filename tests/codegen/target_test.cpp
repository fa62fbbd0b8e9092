//===- target_test.cpp - CPU levels, from and to text ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Target.h"
#include "tern/abi.h"

#include "gtest/gtest.h"

using namespace tern;

namespace {

std::string names(llvm::StringRef text) {
  llvm::Expected<std::vector<Target>> targets = parseTargets(text);
  if (!targets)
    return "error: " + llvm::toString(targets.takeError());
  std::string joined;
  for (const Target &target : *targets)
    joined += (joined.empty() ? "" : " ") + target.name;
  return joined;
}

TEST(Target, ListsComeBackBestFirstAndEachOnce) {
  EXPECT_EQ(names("x86-64,x86-64-v4-vnni,x86-64"), "x86-64-v4-vnni x86-64");
  EXPECT_EQ(names("x86-64-v3"), "x86-64-v3");
}

TEST(Target, AllIsEveryLevelOfThisArchitecture) {
#ifdef __x86_64__
  EXPECT_EQ(names("all"), "x86-64-v4-vnni x86-64-v3 x86-64");
#endif
}

TEST(Target, HostIsOneLevelThatThisCpuCanRun) {
  llvm::Expected<std::vector<Target>> host = parseTargets("host");
  ASSERT_TRUE(static_cast<bool>(host)) << llvm::toString(host.takeError());
  ASSERT_EQ(host->size(), 1u);
  EXPECT_TRUE(hostCanRun(host->front().cpuFeatures));
}

TEST(Target, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_EQ(names("x86-64-v3,pdp11"), "error: unknown target 'pdp11', expected host, all or some "
                                      "of x86-64-v4-vnni, x86-64-v3, x86-64");
  EXPECT_EQ(names(""), "error: unknown target '', expected host, all or some of x86-64-v4-vnni, "
                       "x86-64-v3, x86-64");
}

TEST(Target, BetterLevelsNeedMore) {
  llvm::ArrayRef<Target> targets = allTargets();
  for (size_t i = 1; i < targets.size(); ++i)
    EXPECT_EQ(targets[i].cpuFeatures & ~targets[i - 1].cpuFeatures, 0u) << targets[i].name;
  EXPECT_EQ(targets.back().cpuFeatures, 0u);
  EXPECT_EQ(describeCpuFeatures(TERN_CPU_X86_AVX512VNNI), "avx512vnni");
  EXPECT_EQ(describeCpuFeatures(0), "none");
}

} // namespace
