//===- Acts.h - what a ternary kernel multiplies ----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_ACTS_H
#define TERN_CODEGEN_ACTS_H

#include <cstdint>

namespace tern {

/// What a kernel multiplies; values as in `tern_kernel` of abi.h.
enum class Acts : uint32_t {
  Int8 = 0,
  Float = 1,
  Int8Groups = 2, ///< int8 with a scale a group
};

} // namespace tern

#endif // TERN_CODEGEN_ACTS_H
