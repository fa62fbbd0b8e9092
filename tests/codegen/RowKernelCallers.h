//===- RowKernelCallers.h - functions that only call row kernels *- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_CODEGEN_ROWKERNELCALLERS_H
#define TERN_TESTS_CODEGEN_ROWKERNELCALLERS_H

#include "llvm/IR/Module.h"

#include <memory>
#include <string>

namespace tern {

/// The function that calls row kernel number `kernel` with its own operands.
std::string rowKernelCaller(unsigned kernel);
/// A module of these functions; the row kernels are declared.
std::unique_ptr<llvm::Module> makeRowKernelCallers(llvm::LLVMContext &context);

} // namespace tern

#endif // TERN_TESTS_CODEGEN_ROWKERNELCALLERS_H
