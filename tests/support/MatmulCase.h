//===- MatmulCase.h - one call of a ternary kernel, and its answer -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_MATMULCASE_H
#define TERN_TESTS_SUPPORT_MATMULCASE_H

#include "codegen/Acts.h"
#include "dialect/Packing.h"
#include "tern/abi.h"
#include "tests/support/GuardedBuffer.h"

#include <random>
#include <string>
#include <vector>

namespace tern::test {

enum class Residual { None, Separate, SameAsOut };
enum class Values { Random, AllLow, AllHigh, FewActs };

struct MatmulShape {
  int64_t m = 1, n = 1, k = 1, groups = 1;
  int64_t scaleGroups = 0;               ///< of the weight; 0: `groups`
  int64_t blockBegin = 0, blockEnd = -1; ///< -1: all blocks
  bool halfScales = false;
  int64_t actsSlack = 0, groupSlack = 0, outSlack = 0; ///< beyond the tight strides
  Residual residual = Residual::None;
  Values values = Values::Random;
  bool gated = false; ///< with a gate, about half of it closed; without a residual
  bool atTail = true; ///< buffers end at a guard page; else they begin at one

  std::string describe() const;
};

/// The buffers of a call, each between guard pages, and the expected output from plain loops over
/// unpacked trits.
class MatmulCase {
public:
  MatmulCase();
  void prepare(const Packing &packing, Acts acts, const MatmulShape &shape, std::mt19937 &random);
  /// Runs the kernel on fresh output; returns what is wrong, or nothing.
  std::string check(tern_matmul_fn kernel);

private:
  template <typename T> T *place(GuardedBuffer &buffer, int64_t count) {
    return shape.atTail ? buffer.tail<T>(count) : buffer.head<T>(count);
  }
  void fillActs(std::mt19937 &random);
  void fillFloatActs(std::mt19937 &random);
  void fillWeights(std::mt19937 &random);
  void fillFloats(std::mt19937 &random);
  void fillGate(std::mt19937 &random);
  void resetOut();
  void computeExpected();
  float expectedAt(int64_t m, int64_t n) const;

  Packing packing;
  Acts kind = Acts::Int8;
  MatmulShape shape;
  tern_matmul_args_t args{};
  GuardedBuffer weight, scale, acts, rowScales, offsets, residual, gate, out;
  std::vector<int8_t> trits;
  std::vector<float> scales; ///< what args.scale holds
  std::vector<float> before, expected;
  std::vector<bool> compared;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_MATMULCASE_H
