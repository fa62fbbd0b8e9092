//===- RowKernelCallers.cpp - functions that only call row kernels --------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowKernelCallers.h"

#include "codegen/HalideKernels.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"

using namespace mlir;

namespace tern {

/// Operand types as HalideKernels.h lists them: p pointer, i i64, f f32.
static constexpr const char *kOperands[kRowKernelCount] = {
    "ppfip",  "ppfip",  "piippp", "ppfiippp", "piippp",   "ppfiippp", "ppiip",
    "ipip",   "ppip",   "ppip",   "ppip",     "pip",      "pip",      "pip",
    "ppiiip", "ppiiip", "ppiiip", "pipiiipi", "pipiiipi", "pipiiipi", "pi"};

std::string rowKernelCaller(unsigned kernel) { return "call_" + std::to_string(kernel); }

std::unique_ptr<llvm::Module> makeRowKernelCallers(llvm::LLVMContext &llvmContext) {
  MLIRContext context;
  context.loadDialect<LLVM::LLVMDialect>();
  registerBuiltinDialectTranslation(context);
  registerLLVMDialectTranslation(context);
  Location loc = UnknownLoc::get(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder(&context);
  for (unsigned kernel = 0; kernel < kRowKernelCount; ++kernel) {
    SmallVector<Type> types;
    for (char letter : llvm::StringRef(kOperands[kernel]))
      types.push_back(letter == 'p'   ? Type(LLVM::LLVMPointerType::get(&context))
                      : letter == 'i' ? Type(builder.getI64Type())
                                      : Type(builder.getF32Type()));
    builder.setInsertionPointToEnd(module->getBody());
    auto function = LLVM::LLVMFuncOp::create(
        builder, loc, rowKernelCaller(kernel),
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&context), types));
    Block *entry = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    emitRowKernel(builder, loc, *module, static_cast<RowKernel>(kernel), entry->getArguments());
    LLVM::ReturnOp::create(builder, loc, ValueRange{});
  }
  return translateModuleToLLVMIR(*module, llvmContext);
}

} // namespace tern
