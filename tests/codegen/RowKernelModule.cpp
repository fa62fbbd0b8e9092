//===- RowKernelModule.cpp - row kernels compiled for a test --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowKernelModule.h"
#include "RowKernelCallers.h"

#include "codegen/EmitObject.h"
#include "codegen/HalideKernels.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Operator.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"

#include <map>

using namespace tern;

struct RowKernelModule::Jit {
  std::unique_ptr<llvm::orc::LLJIT> lljit;
};

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

static const std::vector<Target> &runnableTargets() {
  static const std::vector<Target> found = [] {
    std::vector<Target> runnable;
    for (const Target &target : allTargets())
      if (hostCanRun(target.cpuFeatures))
        runnable.push_back(target);
    return runnable;
  }();
  return found;
}

RowKernelModule::RowKernelModule(size_t level) : jit(std::make_unique<Jit>()) {
  const Target &target = runnableTargets()[level];
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine = llvm::cantFail(createTargetMachine(target));
  std::unique_ptr<llvm::Module> module = makeRowKernelCallers(context);
  module->setTargetTriple(machine->getTargetTriple());
  module->setDataLayout(machine->createDataLayout());
  llvm::cantFail(linkRowKernels(*module, target));
  fast = countFast(*module);
  std::vector<std::string> callers;
  for (unsigned kernel = 0; kernel < kRowKernelCount; ++kernel)
    callers.push_back(rowKernelCaller(kernel));
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
    addresses[kernel] = llvm::cantFail(jit->lljit->lookup(rowKernelCaller(kernel))).toPtr<void *>();
}

RowKernelModule::~RowKernelModule() = default;

const std::vector<std::string> &RowKernelModule::levels() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> names;
    for (const Target &target : runnableTargets())
      names.push_back(target.name);
    return names;
  }();
  return names;
}

const RowKernelModule &RowKernelModule::get(size_t level) {
  static std::map<size_t, std::unique_ptr<RowKernelModule>> made;
  std::unique_ptr<RowKernelModule> &entry = made[level];
  if (!entry)
    entry.reset(new RowKernelModule(level));
  return *entry;
}

std::string RowKernelModule::linkErrorWithoutBitcode() {
  Target target = allTargets().front();
  target.name = target.rowKernels = "z80";
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = makeRowKernelCallers(context);
  return llvm::toString(linkRowKernels(*module, target));
}
