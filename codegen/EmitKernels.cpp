//===- EmitKernels.cpp - the kernels a module names -----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/CodegenPasses.h"
#include "codegen/KernelTable.h"
#include "dialect/Product.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace tern {

#define GEN_PASS_DEF_EMITKERNELS
#include "codegen/CodegenPasses.h.inc"

namespace {

class EmitKernels : public impl::EmitKernelsBase<EmitKernels> {
public:
  using EmitKernelsBase::EmitKernelsBase;

  void runOnOperation() override {
    llvm::StringSet<> named;
    WalkResult result = getOperation().walk([&](Operation *op) -> WalkResult {
      if (!ternary::Product(op))
        return WalkResult::advance();
      for (StringRef which : {"ternary.gemv", "ternary.gemm"}) {
        auto name = op->getAttrOfType<StringAttr>(which);
        if (!name)
          return op->emitOpError("expected attribute ") << which << "; run ternary-select-kernels";
        if (!findKernel(name))
          return op->emitOpError("expected the name of a kernel in ") << which << ", got " << name;
        named.insert(name);
      }
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    for (const KernelRow &row : allKernels())
      if (named.contains(row.name) && !getOperation().lookupSymbol(row.name))
        emitKernel(getOperation(), row, row.name);
  }
};

} // namespace

} // namespace tern
