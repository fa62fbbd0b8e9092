//===- CodegenPasses.h - passes from packed modules to code -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_CODEGENPASSES_H
#define TERN_CODEGEN_CODEGENPASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <string>

namespace tern {

#define GEN_PASS_DECL
#include "codegen/CodegenPasses.h.inc"

/// Registers every pass of codegen/ by name.
#define GEN_PASS_REGISTRATION
#include "codegen/CodegenPasses.h.inc"

} // namespace tern

#endif // TERN_CODEGEN_CODEGENPASSES_H
