//===- CrossLevels.cpp - kernels compiled on another machine --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/cross/CrossLevels.h"

#include "tern/tern.h"

#define TERN_LEVEL(LEVEL)                                                                          \
  extern "C" const tern_kernel_t tern_kernels_##LEVEL[];                                           \
  extern "C" const uint64_t tern_kernel_count_##LEVEL;                                             \
  extern "C" void *const tern_row_kernels_##LEVEL[];
TERN_LEVEL(aarch64_i8mm)
TERN_LEVEL(aarch64_dotprod)
TERN_LEVEL(aarch64)
#undef TERN_LEVEL

namespace tern::test {

bool CrossLevel::runsHere() const { return (cpuFeatures & ~tern_cpu_features()) == 0; }

const std::vector<CrossLevel> &crossLevels() {
  constexpr uint64_t neon = TERN_CPU_ARM_NEON, dotprod = neon | TERN_CPU_ARM_DOTPROD;
#define TERN_LEVEL(NAME, FEATURES, LEVEL)                                                          \
  {                                                                                                \
    NAME, FEATURES, {tern_kernels_##LEVEL, tern_kernels_##LEVEL + tern_kernel_count_##LEVEL},      \
        tern_row_kernels_##LEVEL                                                                   \
  }
  static const std::vector<CrossLevel> levels = {
      TERN_LEVEL("aarch64-i8mm", dotprod | TERN_CPU_ARM_I8MM, aarch64_i8mm),
      TERN_LEVEL("aarch64-dotprod", dotprod, aarch64_dotprod),
      TERN_LEVEL("aarch64", neon, aarch64),
  };
#undef TERN_LEVEL
  return levels;
}

} // namespace tern::test
