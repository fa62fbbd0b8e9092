//===- AmxEmulation.h - AMX for CPUs without it -----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_AMXEMULATION_H
#define TERN_TESTS_SUPPORT_AMXEMULATION_H

#include "codegen/Target.h"
#include "llvm/IR/Module.h"

namespace tern::test {

/// Makes calls of functions of this process out of the module's AMX instructions. They compute what
/// the instructions are documented to, and end the process where those would fault.
void emulateAmx(llvm::Module &module);

/// The target's rows on the instructions of a CPU without AMX.
Target withoutAmx(const Target &target);

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_AMXEMULATION_H
