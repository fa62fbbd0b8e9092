//===- ScreenHead.cpp - heads get a coarse copy of their table ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/HeadScreen.h"
#include "passes/Passes.h"
#include "passes/Storage.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

namespace tern {
#define GEN_PASS_DEF_SCREENHEAD
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

struct ScreenHead : tern::impl::ScreenHeadBase<ScreenHead> {
  using ScreenHeadBase::ScreenHeadBase;

  void runOnOperation() override {
    if (bits != 6 && bits != 8) {
      getOperation().emitError("expected a screen of 6 or 8 bits, got ") << bits.getValue();
      return signalPassFailure();
    }
    SymbolTable symbols(getOperation());
    getOperation().walk([&](HeadOp head) {
      if (wants(head))
        addScreen(head, symbols);
    });
    moveTablesToTheEnd();
  }

private:
  /// The caller's buffer takes the bounds, so the logits must be what the entry returns.
  bool wants(HeadOp head) {
    auto function = head->getParentOfType<func::FuncOp>();
    auto table = cast<RankedTensorType>(head.getTable().getType());
    return !head.getScreen() && function && isEntry(function) &&
           livesInCaller(cast<OpResult>(head.getResult())) &&
           head.getTable().getDefiningOp<LoadOp>() && !table.getEncoding() &&
           table.getDimSize(1) <= HeadScreen::kMaxColumns &&
           table.getNumElements() * table.getElementTypeBitWidth() / 8 >= minBytes;
  }

  void addScreen(HeadOp head, SymbolTable &symbols) {
    auto load = head.getTable().getDefiningOp<LoadOp>();
    auto weight = symbols.lookup<WeightOp>(load.getWeight());
    auto table = cast<RankedTensorType>(weight.getType());
    auto type = RankedTensorType::get(table.getShape(), table.getElementType(),
                                      ScreenAttr::get(&getContext(), bits));
    WeightOp &screen = screens[weight];
    if (!screen) {
      screen = cast<WeightOp>(weight->clone());
      screen.setSymName((weight.getSymName() + ".screen").str());
      screen.setType(type);
      symbols.insert(screen, std::next(Block::iterator(weight)));
    }
    OpBuilder b(head);
    Value loaded = LoadOp::create(b, head.getLoc(), type, screen.getSymName());
    head.getScreenMutable().assign(loaded);
  }

  /// Weights lie in the module's order. Of a table with a screen decoding reads a few rows: behind
  /// all others, it can stay in its file where they are loaded.
  void moveTablesToTheEnd() {
    Operation *last = nullptr;
    for (auto weight : getOperation().getOps<WeightOp>())
      last = weight;
    for (auto weight : llvm::make_early_inc_range(getOperation().getOps<WeightOp>()))
      if (screens.contains(weight) && weight != last)
        weight->moveAfter(last);
  }

  llvm::DenseMap<Operation *, WeightOp> screens;
};

} // namespace
