//===- Fuzz.h - what a fuzz target gives the driver -------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_FUZZ_FUZZ_H
#define TERN_TESTS_FUZZ_FUZZ_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// Must return for any input; the sanitizers do the judging.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

namespace tern::test {
/// Good inputs that the seeded driver changes.
std::vector<std::string> fuzzSeeds();
} // namespace tern::test

#endif // TERN_TESTS_FUZZ_FUZZ_H
