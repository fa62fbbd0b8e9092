//===- CodegenPasses.h - passes from packed modules to code -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_CODEGENPASSES_H
#define TERN_CODEGEN_CODEGENPASSES_H

#include "codegen/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <string>

namespace tern {

#define GEN_PASS_DECL
#include "codegen/CodegenPasses.h.inc"

/// The one target that a pass option names; an error at `op` if it names none or several.
mlir::FailureOr<Target> targetOf(mlir::Operation *op, const std::string &option);

/// Registers every pass of codegen/ by name.
#define GEN_PASS_REGISTRATION
#include "codegen/CodegenPasses.h.inc"

} // namespace tern

#endif // TERN_CODEGEN_CODEGENPASSES_H
