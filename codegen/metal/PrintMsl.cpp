//===- PrintMsl.cpp - GPU kernels as Metal Shading Language ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/metal/PrintMsl.h"

#include "codegen/metal/MslFunction.h"

using namespace mlir;

namespace tern::metal {

static constexpr const char *kPrologue =
    R"(// Kernels of a ternary model. Every float operation is rounded by itself: compile without fast math.
#include <metal_stdlib>
using namespace metal;
#pragma METAL fp contract(off)

)";

llvm::Expected<std::string> printMsl(ModuleOp module) {
  std::string text = kPrologue, error;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    error += (error.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  LogicalResult result = success();
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    // Functions come before the kernels that call them.
    MslFunction printer(text);
    if (auto function = dyn_cast<func::FuncOp>(op))
      result = printer.printFunction(function);
    else if (auto kernel = dyn_cast<mlir::gpu::GPUFuncOp>(op))
      result = printer.printKernel(kernel);
    else
      return WalkResult::advance();
    text += "\n";
    return failed(result) ? WalkResult::interrupt() : WalkResult::skip();
  });
  if (failed(result))
    return llvm::createStringError("printing MSL: " + error);
  text.pop_back();
  return text;
}

} // namespace tern::metal
