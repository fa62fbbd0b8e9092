//===- QuantizeActivations.cpp - int8 rows in front of each product -------===//
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
#define GEN_PASS_DEF_QUANTIZEACTIVATIONS
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

struct QuantizeInput : OpRewritePattern<LinearOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(LinearOp op, PatternRewriter &rewriter) const override {
    if (op.getActivations() == Activations::Float)
      return rewriter.notifyMatchFailure(op, "the activations stay float");
    auto input = cast<RankedTensorType>(op.getInput().getType());
    auto weight = cast<RankedTensorType>(op.getWeight().getType());
    auto scale = cast<RankedTensorType>(op.getScale().getType());
    int64_t m = input.getDimSize(0), k = input.getDimSize(1), n = weight.getDimSize(0);
    int64_t groups = scale.getRank() == 2 ? scale.getDimSize(1) : 1;
    SmallVector<int64_t> scales = {m};
    if (int64_t group = activationGroup(op.getActivations())) {
      groups = k / group;
      scales.push_back(groups);
    }

    Location loc = op.getLoc();
    Type i32 = rewriter.getI32Type();
    auto rows = QuantizeRowsOp::create(
        rewriter, loc, RankedTensorType::get({m, k}, rewriter.getI8Type()),
        RankedTensorType::get(scales, rewriter.getF32Type()),
        RankedTensorType::get({m, groups}, i32), op.getInput(), /*gain=*/Value(),
        /*epsilon=*/FloatAttr(), rewriter.getI64IntegerAttr(k / groups));
    auto product = MatmulOp::create(rewriter, loc, RankedTensorType::get({m, n, groups}, i32),
                                    rows.getValues(), op.getWeight());
    rewriter.replaceOpWithNewOp<RescaleOp>(op, op.getType(), product, rows.getScales(),
                                           op.getScale());
    return success();
  }
};

struct QuantizeActivations : tern::impl::QuantizeActivationsBase<QuantizeActivations> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<QuantizeInput>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
