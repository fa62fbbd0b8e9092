//===- FuseEpilogue.cpp - rescale and residual join the product -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Product.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace tern::ternary;

namespace tern {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

struct FuseRescale : OpRewritePattern<RescaleOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RescaleOp op, PatternRewriter &rewriter) const override {
    auto matmul = op.getAcc().getDefiningOp<MatmulOp>();
    if (!matmul)
      return rewriter.notifyMatchFailure(op, "the sums are not of a matmul");
    if (!matmul->hasOneUse())
      return rewriter.notifyMatchFailure(op, "the matmul has other users");
    auto rows = matmul.getActs().getDefiningOp<QuantizeRowsOp>();
    if (!rows || matmul.getActs() != rows.getValues() || op.getRowScales() != rows.getScales())
      return rewriter.notifyMatchFailure(op, "acts and row scales are not of one quantize_rows");
    // Kernels start from the offset of each group.
    if (cast<RankedTensorType>(matmul.getType()).getDimSize(2) !=
        cast<RankedTensorType>(rows.getOffsets().getType()).getDimSize(1))
      return rewriter.notifyMatchFailure(op, "the offsets are of another group");
    rewriter.replaceOpWithNewOp<FusedLinearOp>(op, op.getType(), matmul.getActs(), rows.getScales(),
                                               rows.getOffsets(), matmul.getWeight(), op.getScale(),
                                               Value());
    return success();
  }
};

struct FuseResidual : OpRewritePattern<arith::AddFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::AddFOp add, PatternRewriter &rewriter) const override {
    Product product(add.getRhs().getDefiningOp());
    if (!product)
      return rewriter.notifyMatchFailure(add, "no product on the right");
    if (!product->hasOneUse())
      return rewriter.notifyMatchFailure(add, "the product has other users");
    if (product.residual())
      return rewriter.notifyMatchFailure(add, "the product has a residual already");
    if (product.gate())
      return rewriter.notifyMatchFailure(add, "the product has a gate");
    if (add.getFastmath() != arith::FastMathFlags::none)
      return rewriter.notifyMatchFailure(add, "the addition has fast-math flags");
    Product fused = product.rebuild(rewriter, add.getLoc(), add.getType(), product.weight(),
                                    product.scale(), add.getLhs());
    rewriter.replaceOp(add, fused.getOperation());
    return success();
  }
};

struct FuseEpilogue : tern::impl::FuseEpilogueBase<FuseEpilogue> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseRescale, FuseResidual>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
