//===- kernels_cross_test.cpp - every kernel this CPU can run -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/cross/CrossLevels.h"
#include "tests/support/KernelSweep.h"

#include <cstdio>
#include <gtest/gtest.h>

using namespace tern;
using namespace tern::test;

namespace {

/// Token rows of the widest tile, from "matmul_two_bit_16x16x16_dotprod".
int64_t widestTile(const std::string &name) {
  const bool prefixed = name.starts_with("matmul_f32") || name.starts_with("matmul_i8g");
  size_t at = name.find_first_of("0123456789", prefixed ? 10 : 0);
  return name.starts_with("matmul_base3") ? std::stoll(name.substr(13))
                                          : std::stoll(name.substr(at));
}

/// Compiled for every level that has it; the order is that of the table.
std::vector<SweptKernel> kernels() {
  std::vector<SweptKernel> found;
  for (const CrossLevel &level : crossLevels()) {
    if (!level.runsHere())
      continue;
    for (const tern_kernel_t &kernel : level.kernels) {
      auto known = std::find_if(found.begin(), found.end(), [&](const SweptKernel &other) {
        return other.name == kernel.name;
      });
      if (known == found.end()) {
        Packing packing{static_cast<Packing::Kind>(kernel.packing), kernel.rows, kernel.k};
        found.push_back(
            {kernel.name, packing, static_cast<Acts>(kernel.acts), widestTile(kernel.name), {}});
        known = found.end() - 1;
      }
      known->functions.push_back({level.name, kernel.run});
    }
  }
  return found;
}

class CrossKernels : public testing::TestWithParam<SweptKernel> {};

TEST_P(CrossKernels, ComputeExactly) {
  KernelSweep sweep(GetParam());
  sweep.smallShapes();
  sweep.randomShapes(200);
  sweep.panels();
  sweep.longRows();
  sweep.extremeSums();
  EXPECT_GE(sweep.cases, 900);
}

INSTANTIATE_TEST_SUITE_P(Table, CrossKernels, testing::ValuesIn(kernels()),
                         [](const auto &info) { return info.param.name; });

TEST(CrossKernels, AreThoseOfTheLevelsThisCpuHas) {
  size_t most = 0;
  for (const CrossLevel &level : crossLevels())
    if (level.runsHere())
      most = std::max(most, level.kernels.size());
  EXPECT_EQ(kernels().size(), most);
  EXPECT_GE(most, 8u);
}

} // namespace
