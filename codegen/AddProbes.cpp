//===- AddProbes.cpp - numbers for what compiled code begins --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/CodegenPasses.h"
#include "codegen/Probes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "tern/abi.h"

using namespace mlir;

namespace tern {

#define GEN_PASS_DEF_ADDPROBES
#include "codegen/CodegenPasses.h.inc"

namespace {
class AddProbes : public impl::AddProbesBase<AddProbes> {
public:
  void runOnOperation() override {
    Builder builder(&getContext());
    int64_t next = TERN_PROBE_FIRST;
    auto number = [&](Operation *op) {
      op->setAttr("ternary.probe", builder.getI64IntegerAttr(next++));
    };
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      number(function);
      for (Block &block : function.getBody())
        for (Operation &op : block)
          if (!onlyNamesValues(&op))
            number(&op);
    }
  }
};
} // namespace

} // namespace tern
