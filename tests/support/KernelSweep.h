//===- KernelSweep.h - a kernel over many shapes ----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_KERNELSWEEP_H
#define TERN_TESTS_SUPPORT_KERNELSWEEP_H

#include "tests/support/MatmulCase.h"

#include <random>
#include <string>
#include <vector>

namespace tern::test {

/// A row of the kernel table, compiled for one or several levels.
struct SweptKernel {
  struct Function {
    std::string level;
    tern_matmul_fn run;
  };
  std::string name;
  Packing packing;
  Acts acts;
  int64_t mr;
  std::vector<Function> functions;
};

/// Compares a kernel with plain loops, all its functions on the same shapes. Failures are those of
/// the running test.
class KernelSweep {
public:
  explicit KernelSweep(SweptKernel kernel);

  /// All tails of tokens and columns, and rows around the ends of row blocks.
  void smallShapes();
  void randomShapes(int count);
  /// All tails of the panels of row blocks and of the token rows that a GEMM unpacks them for.
  void panels();
  /// Around the length up to which a GEMM unpacks rows beforehand.
  void longRows();
  /// The largest sums that ternary.matmul allows, K = 132104.
  void extremeSums();

  const SweptKernel kernel;
  int64_t cases = 0;

private:
  void run(const MatmulShape &shape);

  std::mt19937 random;
  MatmulCase test;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_KERNELSWEEP_H
