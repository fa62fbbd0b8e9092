//===- QuantizeWeights.cpp - master weights to trits, by reference --------===//
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
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

/// Whether the master has less precision than its source: trits derived from the source would then
/// not be those of the master.
bool isRounded(WeightOp master) {
  Type element = cast<RankedTensorType>(master.getType()).getElementType();
  Encoding encoding = cast<SourceAttr>(master.getSources()[0]).getEncoding();
  return !(element.isF32() || (element.isBF16() && encoding == Encoding::BF16) ||
           (element.isF16() && encoding == Encoding::F16));
}

/// The weights made so far, by master and derivation. Looked up only.
using DerivedWeights = llvm::DenseMap<std::pair<Operation *, uint32_t>, StringAttr>;

struct QuantizeLoaded : OpRewritePattern<QuantizeWeightOp> {
  QuantizeLoaded(MLIRContext *context, SymbolTable &symbols, DerivedWeights &derived)
      : OpRewritePattern(context), symbols(symbols), derived(derived) {}

  LogicalResult matchAndRewrite(QuantizeWeightOp op, PatternRewriter &rewriter) const override {
    auto load = op.getWeight().getDefiningOp<LoadOp>();
    if (!load)
      return rewriter.notifyMatchFailure(op, "the weight is not a ternary.load");
    auto master = symbols.lookup<WeightOp>(load.getWeight());
    if (!master)
      return rewriter.notifyMatchFailure(op, "the weight is not in this module");
    if (master.getSources().size() != 1 || master.getSegmentRows())
      return rewriter.notifyMatchFailure(op, "the mean is one of the whole matrix: one source");
    if (cast<SourceAttr>(master.getSources()[0]).getDerive() != Derivation::None)
      return rewriter.notifyMatchFailure(op, "the weight is derived already");

    if (isRounded(master))
      return rewriter.notifyMatchFailure(op, "the weight is rounded from a finer source");

    StringRef name = master.getSymName();
    name.consume_back(".master");
    StringAttr trits =
        derive(rewriter, master, name, cast<RankedTensorType>(op.getTrits().getType()),
               Derivation::AbsmeanTrits);
    StringAttr scale =
        derive(rewriter, master, (name + ".scale").str(),
               cast<RankedTensorType>(op.getScale().getType()), Derivation::AbsmeanScale);
    Value loadedTrits = LoadOp::create(rewriter, op.getLoc(), op.getTrits().getType(),
                                       FlatSymbolRefAttr::get(trits));
    Value loadedScale = LoadOp::create(rewriter, op.getLoc(), op.getScale().getType(),
                                       FlatSymbolRefAttr::get(scale));
    rewriter.replaceOp(op, {loadedTrits, loadedScale});
    return success();
  }

private:
  /// The name of the weight of `type` over the master's bytes: `name`, unless that is taken.
  StringAttr derive(PatternRewriter &rewriter, WeightOp master, StringRef name,
                    RankedTensorType type, Derivation derivation) const {
    StringAttr &made = derived[{master, static_cast<uint32_t>(derivation)}];
    if (made)
      return made;
    auto source = cast<SourceAttr>(master.getSources()[0]);
    ArrayAttr sources = rewriter.getArrayAttr(
        SourceAttr::get(rewriter.getContext(), source.getFile(), source.getOffset(),
                        source.getBytes(), source.getShape(), source.getEncoding(), derivation,
                        source.getPermute(), source.getScales()));
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(master);
    auto weight = WeightOp::create(rewriter, master.getLoc(), name, type, sources,
                                   DenseI64ArrayAttr(), DenseI64ArrayAttr());
    return made = symbols.insert(weight, Block::iterator(master));
  }

  SymbolTable &symbols;
  DerivedWeights &derived;
};

struct QuantizeWeights : tern::impl::QuantizeWeightsBase<QuantizeWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    llvm::SetVector<StringAttr> masters;
    module.walk([&](QuantizeWeightOp op) {
      if (auto load = op.getWeight().getDefiningOp<LoadOp>())
        masters.insert(load.getWeightAttr().getAttr());
    });

    DerivedWeights derived;
    RewritePatternSet patterns(&getContext());
    patterns.add<QuantizeLoaded>(&getContext(), symbols, derived);
    if (failed(applyPatternsGreedily(module, std::move(patterns))))
      return signalPassFailure();

    module.walk([&](LoadOp load) { masters.remove(load.getWeightAttr().getAttr()); });
    for (StringAttr name : masters)
      if (Operation *master = symbols.lookup(name))
        symbols.erase(master);
  }
};

} // namespace
