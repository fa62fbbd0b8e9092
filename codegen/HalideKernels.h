//===- HalideKernels.h - row-wise float kernels -----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_HALIDEKERNELS_H
#define TERN_CODEGEN_HALIDEKERNELS_H

#include "codegen/RowKernel.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ValueRange.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace llvm {
class Module;
}

/// The row-wise float work of a model, made from Halide generators (codegen/halide) when the
/// compiler is built and carried inside it as bitcode, one module a CPU level. Every kernel agrees
/// bit for bit with dialect/Semantics.h.
namespace tern {

struct Target;

/// The symbol of a kernel, "tern_row_rms_norm": a plain function of the operands above, void.
llvm::StringRef rowKernelSymbol(RowKernel kernel);

/// Emits an llvm.call of the kernel; declares it in `module` on first use.
void emitRowKernel(mlir::OpBuilder &builder, mlir::Location loc, mlir::ModuleOp module,
                   RowKernel kernel, mlir::ValueRange operands);

/// Defines every kernel that `module` declares, from the bitcode of `target`'s level: internal
/// functions with the target's attributes, which call nothing outside the module.
llvm::Error linkRowKernels(llvm::Module &module, const Target &target);

} // namespace tern

#endif // TERN_CODEGEN_HALIDEKERNELS_H
