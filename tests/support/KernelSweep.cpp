//===- KernelSweep.cpp - a kernel over many shapes ------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/KernelSweep.h"

#include "gtest/gtest.h"

#include <algorithm>

namespace tern::test {

static constexpr uint32_t kSeed = 20260401;

/// Its kernels take one group.
static bool sparse(const Packing &packing) {
  return packing.kind == Packing::Kind::TwoBitRows || packing.kind == Packing::Kind::TwoBitColumns;
}

KernelSweep::KernelSweep(SweptKernel kernel) : kernel(std::move(kernel)), random(kSeed) {}

void KernelSweep::run(const MatmulShape &shape) {
  test.prepare(kernel.packing, kernel.acts, shape, random);
  for (const SweptKernel::Function &function : kernel.functions) {
    std::string wrong = test.check(function.run);
    ASSERT_EQ(wrong, "") << kernel.name << " on " << function.level << ", seed " << kSeed;
    ++cases;
  }
}

/// Small shapes: all tails of tokens and columns, and rows around the ends of row blocks.
void KernelSweep::smallShapes() {
  for (int64_t m = 1; m <= kernel.mr + 2; ++m)
    for (int64_t n : {1, 2, 7, 15, 16, 17, 31, 32, 33})
      for (int64_t k = 0; k <= 2 * kernel.packing.k + 1; ++k) {
        MatmulShape shape;
        shape.m = m == kernel.mr + 2 ? std::max<int64_t>(17, m) : m;
        shape.n = n;
        shape.k = k;
        shape.atTail = (m + n + k) % 4 != 0;
        run(shape);
        if (testing::Test::HasFatalFailure())
          return;
      }
}

void KernelSweep::randomShapes(int count) {
  auto below = [&](int64_t limit) { return static_cast<int64_t>(random() % limit); };
  const int64_t kb = kernel.packing.k;
  for (int i = 0; i < count && !testing::Test::HasFatalFailure(); ++i) {
    MatmulShape shape;
    shape.m = 1 + below(2 * kernel.mr + 3);
    shape.n = 1 + below(5 * kernel.packing.rows);
    shape.k = 1 + below(i % 8 ? 700 : 2600);
    if (i % 2 && !sparse(kernel.packing)) {
      // Scale groups, of the sizes models use where the packing's k divides them.
      const int64_t sizes[] = {kb, 2 * kb, 4 * kb, 5 * kb, 8 * kb, 16 * kb};
      shape.groups = 1 + below(6);
      shape.k = sizes[below(6)] * shape.groups;
      if (kernel.acts == Acts::Int8Groups && i % 3)
        shape.scaleGroups = shape.groups % 2 ? 1 : shape.groups / 2;
    }
    const int64_t blocks = kernel.packing.rowBlocks(shape.n);
    shape.blockBegin = below(blocks + 1);
    shape.blockEnd = shape.blockBegin + below(blocks - shape.blockBegin + 1);
    shape.actsSlack = below(3) ? 0 : below(70);
    shape.halfScales = below(2);
    shape.groupSlack = below(3) ? 0 : below(5);
    shape.outSlack = below(3) ? 0 : below(70);
    shape.residual = static_cast<Residual>(below(3));
    shape.values = below(4) ? Values::Random : below(2) ? Values::AllLow : Values::AllHigh;
    if (sparse(kernel.packing) && i % 2)
      shape.values = Values::FewActs;
    shape.gated = kernel.packing.kind == Packing::Kind::TwoBitRows && i % 4 < 2;
    if (shape.gated)
      shape.residual = Residual::None;
    shape.atTail = below(4) != 0;
    run(shape);
  }
}

void KernelSweep::panels() {
  if (kernel.mr == 1)
    return;
  for (int64_t n : {48, 64, 79, 128, 191, 255, 271, 336})
    for (int64_t m = kernel.mr; m <= kernel.mr + 12; ++m) {
      MatmulShape shape;
      shape.m = m;
      shape.n = n;
      shape.groups = sparse(kernel.packing) ? 1 : 1 + m % 3;
      shape.k = (1 + (m + n) % 5) * kernel.packing.k * shape.groups;
      shape.residual = static_cast<Residual>(n % 3);
      shape.outSlack = m % 2;
      run(shape);
      if (testing::Test::HasFatalFailure())
        return;
    }
}

/// Around the lengths up to which a GEMM unpacks rows beforehand, which end with a tile.
void KernelSweep::longRows() {
  if (sparse(kernel.packing))
    return; // as many columns as they take is a shape of the others
  for (int64_t k : {2600, 8192, 8193, 8200, 8201, 16384, 16385, 32760, 32761}) {
    MatmulShape shape;
    shape.m = (k < 20000 ? 2 : 1) * kernel.mr + 1;
    shape.n = (k < 8000 ? 21 : 4) * kernel.packing.rows + 1;
    shape.k = k;
    run(shape);
  }
}

/// The largest sums that ternary.matmul or the packing allows.
void KernelSweep::extremeSums() {
  for (Values values : {Values::AllLow, Values::AllHigh, Values::Random}) {
    MatmulShape shape;
    shape.m = 2;
    shape.n = 3;
    shape.k = sparse(kernel.packing) ? kMostSkippedColumns : 132104;
    shape.values = values;
    run(shape);
  }
}

} // namespace tern::test
