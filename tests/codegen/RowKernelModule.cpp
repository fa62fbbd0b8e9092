//===- RowKernelModule.cpp - row kernels compiled for a test --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowKernelModule.h"

#include "codegen/EmitObject.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Operator.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"

#include <map>

using namespace mlir;
using namespace tern;

struct RowKernelModule::Jit {
  std::unique_ptr<llvm::orc::LLJIT> lljit;
};

/// Operand types as HalideKernels.h lists them: p pointer, i i64, f f32.
static constexpr const char *kOperands[kRowKernelCount] = {
    "ppfip", "ppfip",    "piippp", "ppfiippp", "piippp", "ppfiippp", "ppiip",
    "ipip",  "pppiiipp", "ppip",   "ppip",     "ppip",   "pip",      "pip",
    "pip",   "ppiiip",   "ppiiip", "ppiiip",   "pi"};

static std::string callerName(unsigned kernel) { return "call_" + std::to_string(kernel); }

static std::unique_ptr<llvm::Module> makeModule(llvm::LLVMContext &llvmContext) {
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
        builder, loc, callerName(kernel),
        LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&context), types));
    Block *entry = function.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    emitRowKernel(builder, loc, *module, static_cast<RowKernel>(kernel), entry->getArguments());
    LLVM::ReturnOp::create(builder, loc, ValueRange{});
  }
  return translateModuleToLLVMIR(*module, llvmContext);
}

static unsigned countFast(const llvm::Module &module) {
  unsigned fast = 0;
  for (const llvm::Function &function : module)
    for (const llvm::Instruction &instruction : llvm::instructions(function))
      if (llvm::isa<llvm::FPMathOperator>(instruction) && instruction.getFastMathFlags().any())
        ++fast;
  return fast;
}

static std::vector<std::string> undefinedIn(llvm::MemoryBufferRef buffer) {
  std::vector<std::string> names;
  auto object = llvm::cantFail(llvm::object::ObjectFile::createObjectFile(buffer));
  for (const llvm::object::SymbolRef &symbol : object->symbols())
    if (llvm::cantFail(symbol.getFlags()) & llvm::object::SymbolRef::SF_Undefined)
      if (llvm::StringRef name = llvm::cantFail(symbol.getName()); !name.empty())
        names.push_back(name.str());
  return names;
}

RowKernelModule::RowKernelModule(const Target &target) : jit(std::make_unique<Jit>()) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine = llvm::cantFail(createTargetMachine(target));
  std::unique_ptr<llvm::Module> module = makeModule(context);
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  llvm::cantFail(linkRowKernels(*module, target));
  fast = countFast(*module);
  std::vector<std::string> callers;
  for (unsigned kernel = 0; kernel < kRowKernelCount; ++kernel)
    callers.push_back(callerName(kernel));
  optimiseModule(*module, target, *machine, callers);
  llvm::SmallVector<char> object;
  llvm::raw_svector_ostream out(object);
  llvm::cantFail(emitModule(*module, *machine, llvm::CodeGenFileType::ObjectFile, out));
  bytes = object.size();
  auto buffer = std::make_unique<llvm::SmallVectorMemoryBuffer>(std::move(object), false);
  undefined = undefinedIn(*buffer);
  jit->lljit = llvm::cantFail(llvm::orc::LLJITBuilder().create());
  llvm::cantFail(jit->lljit->addObjectFile(std::move(buffer)));
  for (unsigned kernel = 0; kernel < kRowKernelCount; ++kernel)
    addresses[kernel] = llvm::cantFail(jit->lljit->lookup(callerName(kernel))).toPtr<void *>();
}

RowKernelModule::~RowKernelModule() = default;

const RowKernelModule &RowKernelModule::get(const Target &target) {
  static std::map<std::string, std::unique_ptr<RowKernelModule>> made;
  std::unique_ptr<RowKernelModule> &entry = made[target.name];
  if (!entry)
    entry.reset(new RowKernelModule(target));
  return *entry;
}

std::string RowKernelModule::linkError(const Target &target) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = makeModule(context);
  return llvm::toString(linkRowKernels(*module, target));
}
