//===- MslShim.h - runs printed MSL on the CPU ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_MSLSHIM_H
#define TERN_TESTS_SUPPORT_MSLSHIM_H

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tern::test {

/// MSL text, compiled as C++ against tests/metal/shim. Knows nothing of MLIR.
class MslShim {
public:
  /// Null for text that does not compile; `error` says why.
  /// One text is compiled once in a process.
  static std::shared_ptr<MslShim> compile(const std::string &text, std::string *error);
  ~MslShim();
  MslShim(const MslShim &) = delete;

  /// Buffers by index: of a kernel's arguments and, last, its scalars as one struct.
  using Kernel = void (*)(void *const *buffers, const uint32_t *grid, uint32_t threads);
  Kernel find(const std::string &name) const; ///< null: no such kernel

private:
  explicit MslShim(void *handle) : handle(handle) {}
  void *handle;
};

/// The kernels of MSL text, in order.
std::vector<std::string> kernelNames(const std::string &text);
/// C++ around MSL text: TERN_SHIM_KERNEL for each kernel, then `rest`.
std::string shimSource(const std::string &text, const std::string &rest = "");
/// Compiles C++ with the tests' compiler and `flags`; empty: it worked, else what was said. Source
/// and log stay beside `output`: give it a folder of the test's own.
std::string compileCxx(const std::string &source, const std::string &flags,
                       const std::string &output);

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_MSLSHIM_H
