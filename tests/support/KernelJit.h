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
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

#include <memory>
#include <string>

namespace tern::test {

/// Every row of the kernel table that a target can run, as functions of their names.
llvm::Expected<std::unique_ptr<llvm::Module>> translateKernels(const Target &target,
                                                               llvm::LLVMContext &context);

/// Every row of the kernel table that a target can run, compiled for it into this process.
class KernelJit {
public:
  /// `change` gets the kernels before they are optimised; it may take some out.
  static llvm::Expected<std::unique_ptr<KernelJit>>
  compile(const Target &target, llvm::function_ref<void(llvm::Module &)> change = {});
  ~KernelJit();

  /// NULL for a row that the target cannot run.
  tern_matmul_fn find(llvm::StringRef kernel) const;

private:
  struct Impl;
  explicit KernelJit(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_KERNELJIT_H
