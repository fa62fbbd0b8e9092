//===- EmitObject.h - LLVM module to optimised machine code -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_EMITOBJECT_H
#define TERN_CODEGEN_EMITOBJECT_H

#include "codegen/Target.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>

namespace tern {

/// The target machine of a level: position independent, floats exactly as written.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>> createTargetMachine(const Target &target);

/// Gives `module` the machine's triple and data layout, every function the level's attributes and,
/// but for symbols the library needs across objects, internal linkage. Then O3, without
/// assuming that any library function exists: the result calls nothing outside the module.
void optimiseModule(llvm::Module &module, const Target &target, llvm::TargetMachine &machine,
                    llvm::ArrayRef<std::string> keep);

/// Machine code of `module` as object or assembly.
llvm::Error emitModule(llvm::Module &module, llvm::TargetMachine &machine,
                       llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out);

} // namespace tern

#endif // TERN_CODEGEN_EMITOBJECT_H
