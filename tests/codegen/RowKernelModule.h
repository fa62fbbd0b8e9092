//===- RowKernelModule.h - row kernels compiled for a test ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_CODEGEN_ROWKERNELMODULE_H
#define TERN_TESTS_CODEGEN_ROWKERNELMODULE_H

#include "codegen/RowKernel.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace tern {

/// A module with one function a row kernel that does nothing but call it, compiled the way a model
/// is: linked, O3, object code, loaded.
class RowKernelModule {
public:
  /// The levels this CPU can run, by name.
  static const std::vector<std::string> &levels();
  static const RowKernelModule &get(size_t level);
  /// The text of linkRowKernels' error for a target that has no bitcode, "z80".
  static std::string linkErrorWithoutBitcode();
  ~RowKernelModule();

  template <typename Signature, typename... Arguments>
  void call(RowKernel kernel, Arguments... arguments) const {
    reinterpret_cast<Signature *>(addresses[static_cast<unsigned>(kernel)])(arguments...);
  }
  const std::vector<std::string> &undefinedSymbols() const { return undefined; }
  /// Floating-point instructions with any fast-math flag, before optimisation.
  unsigned fastInstructions() const { return fast; }
  /// Size of the object file in bytes.
  size_t objectBytes() const { return bytes; }

private:
  struct Jit;
  explicit RowKernelModule(size_t level);

  std::unique_ptr<Jit> jit;
  std::array<void *, kRowKernelCount> addresses{};
  std::vector<std::string> undefined;
  unsigned fast = 0;
  size_t bytes = 0;
};

} // namespace tern

#endif // TERN_TESTS_CODEGEN_ROWKERNELMODULE_H
