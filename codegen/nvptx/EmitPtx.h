//===- EmitPtx.h - GPU kernels as PTX ---------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_NVPTX_EMITPTX_H
#define TERN_CODEGEN_NVPTX_EMITPTX_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern::nvptx {

/// The PTX of a module of codegen/gpu/Kernels.h, which is lowered in place, for `chip` ("sm_90"). A
/// kernel takes its buffers as pointers and its scalars as 32-bit values, in order.
llvm::Expected<std::string> emitPtx(mlir::ModuleOp module, llvm::StringRef chip);

} // namespace tern::nvptx

#endif // TERN_CODEGEN_NVPTX_EMITPTX_H
