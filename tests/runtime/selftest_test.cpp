//===- selftest_test.cpp - the self-test's own packing and products -------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

#include "FakeModel.h"
#include "dialect/Packing.h"
#include "dialect/Semantics.h"
#include "runtime/SelfTest.h"

using namespace tern;

namespace {

TEST(SelfTest, PacksAsTheDialectDoes) {
  unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (Packing::Kind kind : {Packing::Kind::TwoBit, Packing::Kind::Base3, Packing::Kind::SixBit})
    for (int64_t rows : {1, 8, 16, 32})
      for (int64_t tiles : {1, 2, 7}) {
        Packing packing{kind, rows, kind == Packing::Kind::Base3 ? 20 : 16};
        int64_t columns = tiles * packing.k;
        std::vector<int8_t> trits(size_t(rows * columns));
        for (int8_t &trit : trits)
          trit = int8_t(int(random() % unsigned(packing.most() - packing.least() + 1)) +
                        packing.least());
        std::vector<uint8_t> expected(size_t(packing.blockBytes(columns))), found(expected.size());
        packing.encodeBlock(trits.data(), rows, columns, columns, expected.data());
        packBlock(uint32_t(kind), uint32_t(rows), tiles, trits.data(), found.data());
        EXPECT_EQ(found, expected) << "rows " << rows << ", tiles " << tiles;
      }
}

TEST(SelfTest, PacksKnownBytes) {
  int8_t trits[20] = {};
  uint8_t out[4];
  // Columns 0, 4, 8 and 12 share byte 0: codes 2, 1, 0, 1 from the lowest bits up.
  trits[0] = 1;
  trits[8] = -1;
  packBlock(0, 1, 1, trits, out);
  EXPECT_EQ(out[0], 2 | 1 << 2 | 0 << 4 | 1 << 6);
  EXPECT_EQ(out[1], 0x55);
  // Digits 2, 1, 0, 1, 1: the pairs 2 + 3 and 0 + 3, the fifth 1.
  packBlock(1, 1, 1, trits, out);
  EXPECT_EQ(out[0], 1 << 6 | (3 - 1) << 3 | (5 - 1));
}

TEST(SelfTest, PassesRightKernels) {
  EXPECT_EQ(testKernel(fakeKernels[0]), "");
  EXPECT_EQ(testKernel(fakeKernels[1]), "");
  EXPECT_EQ(testVariant(fakeVariants[1]), "");
}

/// The trit of a two_bit weight, from the description of #ternary.packing.
float tritAt(const tern_matmul_args_t *args, int64_t n, int64_t k) {
  const uint8_t *tile = args->weight + (n / 16 * args->k_tiles + k / 16) * 64;
  return float((tile[n % 16 * 4 + k % 4] >> (k % 16 / 4 * 2) & 3) - 1);
}

float scaleAt(const tern_matmul_args_t *args, int64_t index) {
  if (args->scale_bytes == 4)
    return static_cast<const float *>(args->scale)[index];
  return semantics::fromF16(static_cast<const uint16_t *>(args->scale)[index]);
}

/// A product on float rows, from the description in abi.h; `Sums` is 4 if it is right.
template <int64_t Sums> void floatProduct(const tern_matmul_args_t *args) {
  int64_t group = args->k_tiles * 16 / args->groups;
  for (int64_t m = 0; m < args->m; ++m)
    for (int64_t n = args->block_begin * 16; n < args->block_end * 16; ++n) {
      const float *x = static_cast<const float *>(args->acts) + m * (args->acts_stride / 4);
      float total = 0;
      for (int64_t g = 0; g < args->groups; ++g) {
        float p[4] = {};
        for (int64_t k = 0; k < group; ++k)
          p[k % Sums] += tritAt(args, n, g * group + k) * x[g * group + k];
        float part = (p[0] + p[2]) + (p[1] + p[3]);
        float scale = scaleAt(args, (n / 16 * args->groups + g) * 16 + n % 16);
        total = args->groups == 1 ? part * scale : std::fma(part, scale, total);
      }
      args->out[m * args->out_stride + n] =
          args->residual ? args->residual[m * args->out_stride + n] + total : total;
    }
}

TEST(SelfTest, TestsKernelsOnFloats) {
  tern_kernel_t kernel = {"floats",  floatProduct<4>, /*packing=*/0, /*rows=*/16, /*k=*/16,
                          /*acts=*/1};
  EXPECT_EQ(testKernel(kernel), "");
  kernel.run = floatProduct<2>; // the sum in another order
  EXPECT_NE(testKernel(kernel), "");
  kernel.run = fakeKernels[0].run; // int8
  EXPECT_NE(testKernel(kernel), "");
}

/// A product on int8 rows with a scale a group, from the description in abi.h.
template <bool Fused> void groupProduct(const tern_matmul_args_t *args) {
  int64_t group = args->k_tiles * 16 / args->groups, ratio = args->groups / args->scale_groups;
  for (int64_t m = 0; m < args->m; ++m)
    for (int64_t n = args->block_begin * 16; n < args->block_end * 16; ++n) {
      const int8_t *x = static_cast<const int8_t *>(args->acts) + m * args->acts_stride;
      float total = 0;
      for (int64_t g = 0; g < args->groups; ++g) {
        int32_t sum = args->offsets[m * args->offsets_stride + g];
        for (int64_t k = g * group; k < (g + 1) * group; ++k)
          sum += x[k] * int32_t(tritAt(args, n, k) + 1);
        float part = float(sum) * args->row_scales[m * args->row_scales_stride + g];
        float scale = scaleAt(args, (n / 16 * args->scale_groups + g / ratio) * 16 + n % 16);
        total = Fused ? std::fma(part, scale, total) : total + part * scale;
      }
      args->out[m * args->out_stride + n] =
          args->residual ? args->residual[m * args->out_stride + n] + total : total;
    }
}

TEST(SelfTest, TestsKernelsOnGroups) {
  tern_kernel_t kernel = {"groups",  groupProduct<true>, /*packing=*/0, /*rows=*/16, /*k=*/16,
                          /*acts=*/2};
  EXPECT_EQ(testKernel(kernel), "");
  kernel.run = groupProduct<false>; // rounded twice
  EXPECT_NE(testKernel(kernel), "");
  kernel.run = fakeKernels[0].run; // one scale a row
  EXPECT_NE(testKernel(kernel), "");
}

tern_matmul_fn inner;

TEST(SelfTest, NoticesEveryKindOfMistake) {
  inner = fakeKernels[0].run;
  struct Case {
    const char *name;
    tern_matmul_fn run;
  } cases[] = {{"nothing computed", [](const tern_matmul_args_t *) {}},
               {"residual left out",
                [](const tern_matmul_args_t *args) {
                  tern_matmul_args_t other = *args;
                  other.residual = nullptr;
                  inner(&other);
                }},
               {"only one row",
                [](const tern_matmul_args_t *args) {
                  tern_matmul_args_t other = *args;
                  other.m = 1;
                  inner(&other);
                }},
               {"last tile left out",
                [](const tern_matmul_args_t *args) {
                  tern_matmul_args_t other = *args;
                  if (other.groups == 1)
                    other.k_tiles -= 1;
                  inner(&other);
                }},
               {"starts at the first block",
                [](const tern_matmul_args_t *args) {
                  tern_matmul_args_t other = *args;
                  other.block_begin = 0;
                  inner(&other);
                }},
               {"goes on to the last block",
                [](const tern_matmul_args_t *args) {
                  tern_matmul_args_t other = *args;
                  other.block_end += 1;
                  inner(&other);
                }},
               {"row scale applied twice", [](const tern_matmul_args_t *args) {
                  inner(args);
                  for (int64_t m = 0; m < args->m; ++m)
                    args->out[m * args->out_stride + args->block_begin * 16] *= args->row_scales[m];
                }}};
  for (const Case &one : cases) {
    tern_kernel_t kernel = fakeKernels[0];
    kernel.run = one.run;
    EXPECT_NE(testKernel(kernel), "") << one.name;
  }
  tern_kernel_t wrong = fakeKernels[1];
  wrong.packing = 0;
  wrong.k = 16;
  EXPECT_NE(testKernel(wrong), "");
}

} // namespace
