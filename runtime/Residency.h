//===- Residency.h - which of our memory is really there --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_RESIDENCY_H
#define TERN_RUNTIME_RESIDENCY_H

#include <cstdint>

namespace tern {

struct Residency {
  uint64_t resident = 0; ///< bytes this process has mapped pages for
  uint64_t huge = 0;     ///< of these in huge pages
};

/// What the system says of `bytes` at `data`, by mappings: one that reaches beyond them counts with
/// at most the bytes inside. Zeros where it says nothing.
Residency residencyOf(const void *data, uint64_t bytes);

} // namespace tern

#endif // TERN_RUNTIME_RESIDENCY_H
