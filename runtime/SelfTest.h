//===- SelfTest.h - kernels against plain C ---------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_SELFTEST_H
#define TERN_RUNTIME_SELFTEST_H

#include "runtime/Status.h"

namespace tern {

/// Packs `rows` rows of `tiles * k` trits (integers), row after row, as `#ternary.packing`
/// describes (packing and k as in tern_kernel_t; dialect/Packing.h for six_bit) into `tiles * rows
/// * 4` bytes, three times as many for six_bit.
void packBlock(uint32_t packing, uint32_t rows, int64_t tiles, const int8_t *trits, uint8_t *out);

/// What `args` asks for, in plain C over trits that are not packed: `block_end` blocks of rows.
/// `acts` as in tern_kernel_t.
void plainMatmul(const tern_matmul_args_t &args, const int8_t *trits, uint32_t rows, uint32_t k,
                 uint32_t acts);

/// Runs one kernel on small pseudo-random products and compares every bit. Empty if it is right,
/// else what differed.
std::string testKernel(const tern_kernel_t &kernel);

/// All kernels of a variant. The first that is wrong, as "kernel NAME: ...", or empty.
std::string testVariant(const tern_variant_t &variant);

} // namespace tern

#endif // TERN_RUNTIME_SELFTEST_H
