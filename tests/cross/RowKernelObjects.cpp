//===- RowKernelObjects.cpp - row kernels compiled on another machine -----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The part of RowKernelModule that halide_test.cpp uses.
//
//===----------------------------------------------------------------------===//

#include "RowKernelModule.h"
#include "tests/cross/CrossLevels.h"

#include <algorithm>

using namespace tern;

struct RowKernelModule::Jit {};

/// The best level of this CPU: the others are tested on the CPUs they are best for.
static const test::CrossLevel &bestLevel() {
  return *std::find_if(test::crossLevels().begin(), test::crossLevels().end(),
                       [](const test::CrossLevel &level) { return level.runsHere(); });
}

RowKernelModule::RowKernelModule(size_t) {
  for (size_t kernel = 0; kernel < addresses.size(); ++kernel)
    addresses[kernel] = bestLevel().rowKernels[kernel];
}

RowKernelModule::~RowKernelModule() = default;

const std::vector<std::string> &RowKernelModule::levels() {
  static const std::vector<std::string> names = {bestLevel().name};
  return names;
}

const RowKernelModule &RowKernelModule::get(size_t level) {
  static const RowKernelModule best(level);
  return best;
}
