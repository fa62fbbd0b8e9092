//===- EmitPtx.cpp - GPU kernels as PTX -----------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/nvptx/EmitPtx.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

using namespace mlir;

namespace tern::nvptx {

/// Buffers have no size in kernel IR; the calling convention of bare pointers asks for one.
static void givePointers(mlir::gpu::GPUModuleOp module) {
  constexpr int64_t kAnySize = int64_t(1) << 30;
  module.walk([](mlir::gpu::GPUFuncOp kernel) {
    SmallVector<Type> types;
    auto space =
        mlir::gpu::AddressSpaceAttr::get(kernel.getContext(), mlir::gpu::AddressSpace::Global);
    for (BlockArgument argument : kernel.getBody().front().getArguments().take_front(
             kernel.getFunctionType().getNumInputs())) {
      if (auto buffer = dyn_cast<MemRefType>(argument.getType()))
        argument.setType(MemRefType::get({kAnySize}, buffer.getElementType(),
                                         MemRefLayoutAttrInterface(), space));
      types.push_back(argument.getType());
    }
    kernel.setFunctionType(FunctionType::get(kernel.getContext(), types, {}));
  });
}

/// To the LLVM and NVVM dialects. Upstream's pass would call a device library for what is one
/// instruction here: square roots and rounding.
static LogicalResult lower(mlir::gpu::GPUModuleOp module) {
  MLIRContext &context = *module.getContext();
  context.loadDialect<LLVM::LLVMDialect, NVVM::NVVMDialect, cf::ControlFlowDialect>();
  PassManager passes(&context, mlir::gpu::GPUModuleOp::getOperationName());
  passes.addPass(createSCFToControlFlowPass());
  if (failed(passes.run(module)))
    return failure();
  LowerToLLVMOptions options(&context);
  options.useBarePtrCallConv = true;
  LLVMTypeConverter converter(&context, options);
  configureGpuToNVVMTypeConverter(converter);
  RewritePatternSet patterns(&context);
  arith::populateArithToLLVMConversionPatterns(converter, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
  populateFuncToLLVMConversionPatterns(converter, patterns);
  populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns);
  populateVectorToLLVMConversionPatterns(converter, patterns);
  populateMathToLLVMConversionPatterns(converter, patterns, /*approximateLog1p=*/false,
                                       /*benefit=*/10);
  populateGpuToNVVMConversionPatterns(converter, patterns);
  ConversionTarget target(context);
  target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  target.addLegalOp<mlir::gpu::GPUModuleOp>();
  return applyFullConversion(module, target, std::move(patterns));
}

/// The one instruction that four products and their sum are here.
static void useDotInstruction(llvm::Module &module) {
  llvm::Function *function = module.getFunction("dot4");
  if (!function)
    return;
  function->deleteBody();
  auto *block = llvm::BasicBlock::Create(module.getContext(), "", function);
  llvm::IRBuilder<> b(block);
  b.CreateRet(b.CreateIntrinsic(b.getInt32Ty(), llvm::Intrinsic::nvvm_idp4a_u_s,
                                {function->getArg(0), function->getArg(1), function->getArg(2)}));
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> machineOf(llvm::StringRef chip) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return llvm::createStringError(error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, chip, "+ptx78", options, std::nullopt, std::nullopt,
                                  llvm::CodeGenOptLevel::Aggressive));
}

static void optimise(llvm::Module &module, llvm::TargetMachine &machine) {
  for (llvm::Function &function : module)
    if (!function.isDeclaration() && function.getCallingConv() != llvm::CallingConv::PTX_Kernel) {
      function.setLinkage(llvm::GlobalValue::InternalLinkage);
      function.addFnAttr(llvm::Attribute::AlwaysInline);
    }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graph;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graph, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

llvm::Expected<std::string> emitPtx(ModuleOp module, llvm::StringRef chip) {
  std::string errors;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    errors += (errors.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  mlir::gpu::GPUModuleOp kernels = *module.getOps<mlir::gpu::GPUModuleOp>().begin();
  givePointers(kernels);
  if (failed(lower(kernels)))
    return llvm::createStringError("lowering kernels for " + chip.str() + ": " + errors);
  registerBuiltinDialectTranslation(*module.getContext());
  registerGPUDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  registerNVVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(kernels, context, "tern");
  if (!code)
    return llvm::createStringError("translating kernels for " + chip.str() + ": " + errors);
  auto machine = machineOf(chip);
  if (!machine)
    return machine.takeError();
  code->setTargetTriple((*machine)->getTargetTriple());
  code->setDataLayout((*machine)->createDataLayout());
  useDotInstruction(*code);
  optimise(*code, **machine);
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emitter;
  if ((*machine)->addPassesToEmitFile(emitter, stream, nullptr,
                                      llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("LLVM cannot write PTX for " + chip.str());
  emitter.run(*code);
  return std::string(text.data(), text.size());
}

} // namespace tern::nvptx
