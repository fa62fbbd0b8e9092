//===- FuseNormQuantize.cpp - a norm moves into quantize_rows -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace tern::ternary;

namespace tern {
#define GEN_PASS_DEF_FUSENORMQUANTIZE
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

/// Whether `use` is the row that a quantize_rows without a norm of its own takes in.
bool isPlainQuantizeInput(OpOperand &use) {
  auto quantize = dyn_cast<QuantizeRowsOp>(use.getOwner());
  return quantize && !quantize.getGain() && quantize.getInput() == use.get();
}

struct FuseNorm : OpRewritePattern<RmsNormOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RmsNormOp norm, PatternRewriter &rewriter) const override {
    if (norm->use_empty())
      return rewriter.notifyMatchFailure(norm, "nothing uses the norm");
    if (norm.getHeads() != 1)
      return rewriter.notifyMatchFailure(norm, "quantize_rows normalises whole rows");
    if (!llvm::all_of(norm->getUses(), isPlainQuantizeInput))
      return rewriter.notifyMatchFailure(norm, "the norm has users that are not quantize_rows");
    for (Operation *user : llvm::make_early_inc_range(norm->getUsers())) {
      auto quantize = cast<QuantizeRowsOp>(user);
      rewriter.setInsertionPoint(quantize);
      rewriter.replaceOpWithNewOp<QuantizeRowsOp>(quantize, quantize->getResultTypes(),
                                                  norm.getInput(), norm.getGain(),
                                                  norm.getEpsilonAttr(), quantize.getGroupAttr());
    }
    rewriter.eraseOp(norm);
    return success();
  }
};

struct FuseNormQuantize : tern::impl::FuseNormQuantizeBase<FuseNormQuantize> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseNorm>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
