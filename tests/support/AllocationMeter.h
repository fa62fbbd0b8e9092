//===- AllocationMeter.h - how much a piece of code allocates ---*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_ALLOCATIONMETER_H
#define TERN_TESTS_SUPPORT_ALLOCATIONMETER_H

#include <cstdint>

namespace tern::test {

/// Bytes that all threads have asked malloc, calloc, realloc and new for since this was made, freed
/// or not: more than was ever held at once. Counts calls of every library of the process.
class AllocationMeter {
public:
  AllocationMeter();
  uint64_t bytes() const;

private:
  uint64_t before;
};

/// What reading a file of that many bytes may allocate.
constexpr uint64_t allocationCap(uint64_t fileBytes) {
  return (UINT64_C(64) << 20) + 4 * fileBytes;
}

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_ALLOCATIONMETER_H
