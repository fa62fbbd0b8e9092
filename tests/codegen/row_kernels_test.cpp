//===- row_kernels_test.cpp - how row kernels are compiled ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowKernelModule.h"

#include <gtest/gtest.h>

using namespace tern;

namespace {

TEST(RowKernelModule, CallsNothingOutsideTheModule) {
  for (size_t level = 0; level < RowKernelModule::levels().size(); ++level)
    EXPECT_EQ(RowKernelModule::get(level).undefinedSymbols(), std::vector<std::string>{})
        << RowKernelModule::levels()[level];
}

TEST(RowKernelModule, HasNoFastMath) {
  for (size_t level = 0; level < RowKernelModule::levels().size(); ++level)
    EXPECT_EQ(RowKernelModule::get(level).fastInstructions(), 0u)
        << RowKernelModule::levels()[level];
}

TEST(RowKernelModule, RefusesTargetWithoutBitcode) {
  EXPECT_EQ(RowKernelModule::linkErrorWithoutBitcode(), "row kernels: no bitcode for target 'z80'");
}

} // namespace
