//===- FakeMetal.h - Metal and Objective-C, as far as used ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_METAL_FAKEMETAL_H
#define TERN_TESTS_METAL_FAKEMETAL_H

#include "runtime/metal/ObjC.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tern::test {

/// What the fake device is and does wrong.
struct FakeBehaviour {
  bool noDevice = false;
  uint64_t simdWidth = 32, mostThreads = 1024, threadgroupMemory = 32768;
  std::string missingFunction; ///< a kernel the library does not have
  std::string gpuFault;        ///< not empty: command buffers end in an error that says so
  int64_t failingBuffer = -1;  ///< the n-th newBufferWithLength gives nil
};

/// One dispatch as it was encoded.
struct FakeDispatch {
  std::string kernel;
  uint64_t groups[3], threads;
  std::vector<uint64_t> offsets; ///< of the buffers, by index
  uint64_t scalarBytes;
};

/// Stands for Metal while it lives: a few classes of our own with the selectors that
/// runtime/metal uses. Kernels are compiled from the MSL by the shim and run when a command buffer
/// is committed. Whatever the real one would not forgive (messages to dead objects, unbound
/// buffers, dispatches after endEncoding, offsets out of range) ends up in `complaints`; buffers
/// end at pages that nobody may touch.
class FakeMetal {
public:
  explicit FakeMetal(const FakeBehaviour &behaviour = {});
  ~FakeMetal();
  FakeMetal(const FakeMetal &) = delete;

  static const std::vector<std::string> &complaints();
  static const std::vector<FakeDispatch> &dispatches();
  static void forgetDispatches();
  /// Objects that were made and not released.
  static int64_t living();
};

} // namespace tern::test

#endif // TERN_TESTS_METAL_FAKEMETAL_H
