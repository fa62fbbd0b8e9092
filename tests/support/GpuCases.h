//===- GpuCases.h - calls of GPU kernels with their results -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_GPUCASES_H
#define TERN_TESTS_SUPPORT_GPUCASES_H

#include "codegen/gpu/Kernels.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tern::test {

using ByteVector = std::vector<uint8_t>;

/// One dispatch: buffers before it and after it, bit for bit. Every buffer ends in bytes that no
/// kernel may touch.
struct GpuCase {
  const gpu::KernelInfo *kernel = nullptr;
  std::string name; ///< kernel and shape
  std::vector<ByteVector> before, after;
  std::vector<uint32_t> scalars; ///< i32 and f32 alike, as bits
  uint32_t grid[3] = {1, 1, 1};
};

/// Every kernel at and around the edges of its tiles; expectations are Semantics' own.
std::vector<GpuCase> gpuCases();
/// The smallest case of each kernel that still has several threadgroups, simdgroups and barriers.
std::vector<GpuCase> smallGpuCases();

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_GPUCASES_H
