//===- EmitObject.cpp - LLVM module to optimised machine code -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitObject.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/Transforms/Utils/LowerMemIntrinsics.h"

#include <mutex>

using namespace tern;

static void initialiseTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
  });
}

llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
tern::createTargetMachine(const Target &target) {
  initialiseTargets();
  std::string error;
  llvm::Triple triple(target.triple);
  const llvm::Target *found = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!found)
    return llvm::createStringError("target %s: %s", target.name.c_str(), error.c_str());
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(
      found->createTargetMachine(triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
                                 llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return llvm::createStringError("target %s: LLVM offers no code generator for %s",
                                   target.name.c_str(), target.triple.c_str());
  return machine;
}

static void setAttributes(llvm::Module &module, const Target &target,
                          llvm::ArrayRef<std::string> keep) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    // Bitcode from other compilers brings its own ideas of the CPU.
    for (const char *name : {"target-cpu", "target-features", "tune-cpu"})
      function.removeFnAttr(name);
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty())
      function.addFnAttr("target-features", target.features);
    if (!target.tune.empty())
      function.addFnAttr("tune-cpu", target.tune);
    function.addFnAttr("no-builtins");
    function.setDoesNotThrow();
    function.setUWTableKind(llvm::UWTableKind::None);
  }
  for (llvm::GlobalValue &value : module.global_values()) {
    if (value.isDeclaration() || value.hasLocalLinkage())
      continue;
    if (llvm::is_contained(keep, value.getName())) {
      if (value.getName() != "tern_query")
        value.setVisibility(llvm::GlobalValue::HiddenVisibility);
      continue;
    }
    if (auto *object = llvm::dyn_cast<llvm::GlobalObject>(&value))
      object->setComdat(nullptr);
    value.setLinkage(llvm::GlobalValue::InternalLinkage);
  }
}

/// Copies and fills that optimisation left become loops: their library functions do not exist here.
static void expandMemoryIntrinsics(llvm::Module &module, llvm::TargetMachine &machine) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    llvm::SmallVector<llvm::MemIntrinsic *> found;
    for (llvm::BasicBlock &block : function)
      for (llvm::Instruction &instruction : block)
        if (auto *intrinsic = llvm::dyn_cast<llvm::MemIntrinsic>(&instruction))
          found.push_back(intrinsic);
    llvm::TargetTransformInfo info = machine.getTargetTransformInfo(function);
    for (llvm::MemIntrinsic *intrinsic : found) {
      if (auto *copy = llvm::dyn_cast<llvm::MemCpyInst>(intrinsic))
        llvm::expandMemCpyAsLoop(copy, info);
      else if (auto *move = llvm::dyn_cast<llvm::MemMoveInst>(intrinsic))
        llvm::expandMemMoveAsLoop(move, info);
      else
        llvm::expandMemSetAsLoop(llvm::cast<llvm::MemSetInst>(intrinsic));
      intrinsic->eraseFromParent();
    }
  }
}

void tern::optimiseModule(llvm::Module &module, const Target &target, llvm::TargetMachine &machine,
                          llvm::ArrayRef<std::string> keep) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  setAttributes(module, target, keep);

  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
  expandMemoryIntrinsics(module, machine);
}

llvm::Error tern::emitModule(llvm::Module &module, llvm::TargetMachine &machine,
                             llvm::CodeGenFileType type, llvm::raw_pwrite_stream &out) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  std::string problem;
  llvm::raw_string_ostream text(problem);
  if (llvm::verifyModule(module, &text))
    return llvm::createStringError("generated LLVM IR is not valid: %s", problem.c_str());
  llvm::legacy::PassManager passes;
  llvm::TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  passes.add(new llvm::TargetLibraryInfoWrapperPass(library));
  if (machine.addPassesToEmitFile(passes, out, nullptr, type))
    return llvm::createStringError("this target cannot write such a file");
  passes.run(module);
  return llvm::Error::success();
}
