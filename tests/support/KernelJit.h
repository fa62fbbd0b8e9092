//===- KernelJit.h - kernels of the table as functions ----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_KERNELJIT_H
#define TERN_TESTS_SUPPORT_KERNELJIT_H

#include "codegen/Target.h"
#include "tern/abi.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace tern::test {

/// Every row of the kernel table that a target can run, compiled for it into this process.
class KernelJit {
public:
  static llvm::Expected<std::unique_ptr<KernelJit>> compile(const Target &target);
  ~KernelJit();

  /// NULL for a row that the target cannot run.
  tern_matmul_fn find(llvm::StringRef kernel) const;
  /// Assembly text of all of them, for people.
  static llvm::Expected<std::string> assembly(const Target &target);

private:
  struct Impl;
  explicit KernelJit(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_KERNELJIT_H
