//===- LowerToLLVM.cpp - packed functions to SPMD code --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/CodegenPasses.h"
#include "codegen/KernelTable.h"
#include "codegen/Lowering.h"
#include "dialect/HeadScreen.h"

#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "tern/abi.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace tern {

#define GEN_PASS_DEF_LOWERTOLLVM
#include "codegen/CodegenPasses.h.inc"

FailureOr<func::FuncOp> findEntry(ModuleOp module) {
  func::FuncOp entry;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function->hasAttr("ternary.entry"))
      continue;
    if (entry)
      return function.emitError("is a second ternary.entry; the first is @") << entry.getSymName();
    entry = function;
  }
  if (!entry)
    return module.emitError("no function has the attribute ternary.entry");
  return entry;
}

namespace {

/// Functions reached from the entry, callers before callees.
class CallOrder {
public:
  LogicalResult visit(func::FuncOp function) {
    if (done.contains(function))
      return success();
    if (!open.insert(function))
      return function.emitError("calls itself; recursive functions cannot be compiled");
    if (open.size() > ternary::kMaxCallDepth)
      return function.emitError("expected calls at most ") << ternary::kMaxCallDepth << " deep";
    WalkResult result = function.walk([&](func::CallOp call) {
      auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
      if (!callee || callee.isExternal()) {
        call.emitOpError("calls a function without a body");
        return WalkResult::interrupt();
      }
      return failed(visit(callee)) ? WalkResult::interrupt() : WalkResult::advance();
    });
    open.remove(function);
    done.insert(function);
    return failure(result.wasInterrupted());
  }
  SmallVector<func::FuncOp> order() const {
    return llvm::map_to_vector(llvm::reverse(done),
                               [](Operation *op) { return cast<func::FuncOp>(op); });
  }

private:
  llvm::SetVector<Operation *> open, done;
};

class LowerToLLVM : public impl::LowerToLLVMBase<LowerToLLVM> {
public:
  using LowerToLLVMBase::LowerToLLVMBase;

  void runOnOperation() override {
    FailureOr<Target> parsed = targetOf(getOperation(), target);
    if (failed(parsed))
      return signalPassFailure();
    if (failed(lower(getOperation(), *parsed)) || failed(finish()))
      signalPassFailure();
  }

private:
  static LogicalResult emitKernels(ModuleOp module);
  static LogicalResult lower(ModuleOp module, const Target &target);
  LogicalResult finish();
};

/// Attributes of `op` and the kernels they name, null for a name that is missing.
static SmallVector<std::pair<StringRef, StringAttr>> namedKernels(Operation *op) {
  SmallVector<std::pair<StringRef, StringAttr>> named;
  if (ternary::Product(op))
    for (StringRef attribute : {"ternary.gemv", "ternary.gemm"})
      named.push_back({attribute, op->getAttrOfType<StringAttr>(attribute)});
  auto head = dyn_cast<ternary::HeadOp>(op);
  if (!head || !head.integers())
    return named;
  auto type = cast<RankedTensorType>(head.integers().getType());
  auto kernels = op->getAttrOfType<ArrayAttr>(kHeadKernels);
  const int64_t parts = HeadScreen{cast<ternary::ScreenAttr>(type.getEncoding()).getBits()}.parts();
  for (int64_t part = 0; part < parts; ++part) {
    const bool known = kernels && static_cast<int64_t>(kernels.size()) == parts;
    named.push_back({kHeadKernels, known ? dyn_cast<StringAttr>(kernels[part]) : StringAttr()});
  }
  return named;
}

LogicalResult LowerToLLVM::emitKernels(ModuleOp module) {
  llvm::SetVector<StringAttr> names;
  WalkResult result = module.walk([&](Operation *op) {
    for (auto [attribute, name] : namedKernels(op)) {
      if (!name || !findKernel(name)) {
        op->emitOpError("names no known kernel in ") << attribute << "; run ternary-select-kernels";
        return WalkResult::interrupt();
      }
      names.insert(name);
    }
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  for (StringAttr name : names)
    emitKernel(module, *findKernel(name), name).setLinkage(LLVM::Linkage::Internal);
  return success();
}

LogicalResult LowerToLLVM::lower(ModuleOp module, const Target &target) {
  FailureOr<func::FuncOp> entry = findEntry(module);
  if (failed(entry) || failed(emitKernels(module)))
    return failure();
  CallOrder calls;
  if (failed(calls.visit(*entry)))
    return failure();
  ModuleLowering shared{module, target};
  auto maxRows = module->getAttrOfType<IntegerAttr>("ternary.max_rows");
  if (!maxRows)
    return module.emitError("has no ternary.max_rows; run ternary-plan-memory");
  shared.maxRows = maxRows.getInt();
  for (Type type : entry->getArgumentTypes())
    if (auto cache = dyn_cast<ternary::KVCacheType>(type))
      shared.cacheBlockBytes += cacheBytesPerPosition(cache) * TERN_KV_BLOCK;
  for (auto weight : module.getOps<ternary::WeightOp>())
    if (std::optional<ArrayRef<int64_t>> section = weight.getSection())
      shared.sections[weight.getSymName()] = section->front();
  for (func::FuncOp function : calls.order())
    if (failed(FunctionLowering(shared, function).run()))
      return failure();
  for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
    function.erase();
  for (auto weight : llvm::make_early_inc_range(module.getOps<ternary::WeightOp>()))
    weight.erase();
  // What is left on the module speaks of ops that are gone.
  for (NamedAttribute attribute : llvm::to_vector(module->getDiscardableAttrs()))
    if (attribute.getName().strref().starts_with("ternary."))
      module->removeDiscardableAttr(attribute.getName());
  return success();
}

LogicalResult LowerToLLVM::finish() {
  OpPassManager passes(ModuleOp::getOperationName());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertVectorToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  return runPipeline(passes, getOperation());
}

} // namespace

} // namespace tern
