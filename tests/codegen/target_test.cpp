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
  EXPECT_EQ(names("all"),
            "x86-64-v4-vbmi x86-64-v4-vnni x86-64-v3-vnni x86-64-v4 x86-64-v3 x86-64-v2 x86-64");
#endif
}

TEST(Target, HostIsOneLevelThatThisCpuCanRun) {
  llvm::Expected<std::vector<Target>> host = parseTargets("host");
  ASSERT_TRUE(static_cast<bool>(host)) << llvm::toString(host.takeError());
  ASSERT_EQ(host->size(), 1u);
  EXPECT_TRUE(hostCanRun(host->front().cpuFeatures));
#ifdef __x86_64__
  EXPECT_FALSE(hostCanRun(TERN_CPU_ARM_NEON));
#endif
}

TEST(Target, ArmLevelsAndCpusComeBestFirst) {
  EXPECT_EQ(names("aarch64-linux"), "aarch64-i8mm aarch64-dotprod aarch64");
  EXPECT_EQ(names("cortex-a53,neoverse-n1"), "neoverse-n1 cortex-a53");
  EXPECT_EQ(names("aarch64,aarch64-linux"), "aarch64-i8mm aarch64-dotprod aarch64");
  EXPECT_EQ(names("apple-m1"), "apple-m1");
}

TEST(Target, OnlyCheckedFeaturesAreUsed) {
  for (llvm::ArrayRef<Target> list : {allTargets(), namedCpus()})
    for (const Target &target : list)
      if (target.cpuFeatures & TERN_CPU_ARM_NEON) {
        EXPECT_EQ(target.cpu, "generic") << target.name;
        EXPECT_EQ(target.features.find("dotprod") != std::string::npos,
                  (target.cpuFeatures & TERN_CPU_ARM_DOTPROD) != 0)
            << target.name;
        EXPECT_EQ(target.features.find("i8mm") != std::string::npos,
                  (target.cpuFeatures & TERN_CPU_ARM_I8MM) != 0)
            << target.name;
      }
}

TEST(Target, OneLibraryIsOfOneSystem) {
  auto one = [](llvm::StringRef name) { return llvm::cantFail(parseTargets(name)).front(); };
  EXPECT_TRUE(sameSystem(one("cortex-a53"), one("aarch64-i8mm")));
  EXPECT_TRUE(sameSystem(one("x86-64"), one("x86-64-v3")));
  EXPECT_FALSE(sameSystem(one("x86-64"), one("aarch64")));
  EXPECT_FALSE(sameSystem(one("apple-m1"), one("aarch64")));
}

TEST(Target, UnknownNamesAreRefusedWithTheKnownOnes) {
  const std::string known =
      "expected host, all or some of aarch64-linux, x86-64-v4-amx, x86-64-v4-vbmi, x86-64-v4-vnni, "
      "x86-64-v3-vnni, x86-64-v4, x86-64-v3, x86-64-v2, x86-64, aarch64-i8mm, aarch64-dotprod, "
      "aarch64, neoverse-v2, neoverse-v1, neoverse-n1, cortex-a76, "
      "cortex-a72, cortex-a53, apple-m2, apple-m1";
  EXPECT_EQ(names("x86-64-v3,pdp11"), "error: unknown target 'pdp11', " + known);
  EXPECT_EQ(names(""), "error: unknown target '', " + known);
}

TEST(Target, BetterLevelsNeedMore) {
  llvm::ArrayRef<Target> targets = allTargets();
  for (size_t i = 0; i < targets.size(); ++i)
    for (size_t better = 0; better < i; ++better)
      if (sameSystem(targets[i], targets[better]))
        EXPECT_NE(targets[better].cpuFeatures & ~targets[i].cpuFeatures, 0u)
            << targets[i].name << " would never be chosen after " << targets[better].name;
  EXPECT_EQ(llvm::cantFail(parseTargets("x86-64")).front().cpuFeatures, 0u);
  EXPECT_EQ(llvm::cantFail(parseTargets("aarch64")).front().cpuFeatures, TERN_CPU_ARM_NEON);
  EXPECT_EQ(describeCpuFeatures(TERN_CPU_X86_AVX512VNNI), "avx512vnni");
  EXPECT_EQ(describeCpuFeatures(TERN_CPU_ARM_NEON | TERN_CPU_ARM_I8MM), "neon,i8mm");
  EXPECT_EQ(describeCpuFeatures(0), "none");
}

} // namespace
