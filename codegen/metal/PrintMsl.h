//===- PrintMsl.h - GPU kernels as Metal Shading Language -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_METAL_PRINTMSL_H
#define TERN_CODEGEN_METAL_PRINTMSL_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace tern::metal {

/// The text of a module of codegen/gpu/Kernels.h. A kernel's buffers are its Metal buffers 0, 1, ..
/// in order, its scalars one struct in the buffer after them; its last three parameters are the
/// threadgroup's place, the thread's index in it, and in its simdgroup.
llvm::Expected<std::string> printMsl(mlir::ModuleOp module);

/// What Metal's compiler would refuse or Apple's limits forbid, line by line: pointers and
/// references without an address space, buffer indices that are not 0, 1, .. up to 30, more than
/// 32 KiB of threadgroup memory in a kernel, double, recursion. Empty: none found.
std::vector<std::string> lintMsl(llvm::StringRef text);

} // namespace tern::metal

#endif // TERN_CODEGEN_METAL_PRINTMSL_H
