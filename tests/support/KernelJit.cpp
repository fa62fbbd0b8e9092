//===- KernelJit.cpp - kernels of the table as functions ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/KernelJit.h"

#include "codegen/KernelTable.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

namespace tern::test {

struct KernelJit::Impl {
  std::unique_ptr<orc::LLJIT> jit;
  StringMap<tern_matmul_fn> functions;
};

static orc::JITTargetMachineBuilder machineFor(const Target &target) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  orc::JITTargetMachineBuilder builder{Triple(target.triple)};
  SmallVector<StringRef> features;
  StringRef(target.features).split(features, ',', -1, /*KeepEmpty=*/false);
  for (StringRef feature : features)
    builder.getFeatures().AddFeature(feature);
  return builder.setCPU(target.cpu).setCodeGenOptLevel(CodeGenOptLevel::Aggressive);
}

static void optimise(Module &module, TargetMachine &machine) {
  module.setDataLayout(machine.createDataLayout());
  module.setTargetTriple(machine.getTargetTriple());
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager components;
  ModuleAnalysisManager modules;
  PassBuilder builder(&machine);
  // Compiled models have no libc: loops must stay loops.
  TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3).run(module, modules);
}

Expected<std::unique_ptr<Module>> translateKernels(const Target &target, LLVMContext &context) {
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::MLIRContext mlirContext(registry);
  loadKernelDialects(mlirContext);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&mlirContext));
  for (const KernelRow &row : allKernels())
    if ((row.cpuFeatures & ~target.cpuFeatures) == 0)
      emitKernel(*module, row, row.name);
  if (failed(lowerKernelsToLLVM(*module)))
    return createStringError("lowering the kernels failed");
  std::unique_ptr<Module> result = mlir::translateModuleToLLVMIR(*module, context);
  if (!result)
    return createStringError("translating the kernels failed");
  return result;
}

Expected<std::unique_ptr<KernelJit>> KernelJit::compile(const Target &target,
                                                        function_ref<void(Module &)> change) {
  orc::JITTargetMachineBuilder machineBuilder = machineFor(target);
  auto machine = machineBuilder.createTargetMachine();
  if (!machine)
    return machine.takeError();
  auto context = std::make_unique<LLVMContext>();
  auto module = translateKernels(target, *context);
  if (!module)
    return module.takeError();
  if (change)
    change(**module);
  optimise(**module, **machine);
  SmallVector<const char *> names;
  for (const KernelRow &row : allKernels())
    if ((*module)->getFunction(row.name))
      names.push_back(row.name);
  auto jit = orc::LLJITBuilder().setJITTargetMachineBuilder(machineBuilder).create();
  if (!jit)
    return jit.takeError();
  auto impl = std::make_unique<Impl>();
  impl->jit = std::move(*jit);
  if (Error error = impl->jit->addIRModule({std::move(*module), std::move(context)}))
    return std::move(error);
  for (const char *name : names) {
    auto address = impl->jit->lookup(name);
    if (!address)
      return address.takeError();
    impl->functions[name] = address->toPtr<tern_matmul_fn>();
  }
  return std::unique_ptr<KernelJit>(new KernelJit(std::move(impl)));
}

KernelJit::KernelJit(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
KernelJit::~KernelJit() = default;

tern_matmul_fn KernelJit::find(StringRef kernel) const { return impl->functions.lookup(kernel); }

} // namespace tern::test
