//===- CrossLevels.h - kernels compiled on another machine ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_CROSS_CROSSLEVELS_H
#define TERN_TESTS_CROSS_CROSSLEVELS_H

#include "tern/abi.h"

#include <string>
#include <vector>

namespace tern::test {

/// What kernel_code.cpp made for one level, linked in.
struct CrossLevel {
  std::string name;
  uint64_t cpuFeatures;
  std::vector<tern_kernel_t> kernels;
  void *const *rowKernels; ///< by RowKernel

  bool runsHere() const;
};

/// Best first.
const std::vector<CrossLevel> &crossLevels();

} // namespace tern::test

#endif // TERN_TESTS_CROSS_CROSSLEVELS_H
