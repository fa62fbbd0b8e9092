//===- ChoosePacking.cpp - trits and scales get their encodings -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"
#include "dialect/Product.h"
#include "passes/WeightTrail.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

namespace tern {
#define GEN_PASS_DEF_CHOOSEPACKING
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

/// Weights in new types. The first type asked for takes the weight itself, so names stay; others
/// take a copy.
class Retyper {
public:
  WeightOp retype(WeightOp weight, RankedTensorType type) {
    WeightOp &result = made[{weight, type.getAsOpaquePointer()}];
    if (result)
      return result;
    result = weight;
    if (!originals.try_emplace(weight, cast<RankedTensorType>(weight.getType())).second) {
      result = cast<WeightOp>(weight->clone());
      weight->getBlock()->getOperations().insertAfter(Block::iterator(weight), result);
    }
    result.setType(type);
    return result;
  }

  /// Gives loads that still want the former type a weight of that type.
  void restoreOriginals(ModuleOp module) {
    SymbolTable symbols(module);
    llvm::DenseMap<Operation *, WeightOp> copies;
    module.walk([&](LoadOp load) {
      auto weight = symbols.lookup<WeightOp>(load.getWeight());
      auto original = originals.find(weight);
      if (original == originals.end() || load.getType() != original->second ||
          load.getType() == weight.getType())
        return;
      WeightOp &copy = copies[weight];
      if (!copy) {
        copy = cast<WeightOp>(weight->clone());
        copy.setType(original->second);
        symbols.insert(copy, std::next(Block::iterator(weight)));
      }
      load.setWeight(copy.getSymName());
    });
  }

private:
  std::map<std::pair<Operation *, const void *>, WeightOp> made; // looked up only
  llvm::DenseMap<Operation *, RankedTensorType> originals;       // and their former types
};

struct ChoosePacking : tern::impl::ChoosePackingBase<ChoosePacking> {
  using ChoosePackingBase::ChoosePackingBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (rows < 1 || rows > 64) {
      module.emitError("expected packing rows of 1 to 64, got ") << rows.getValue();
      return signalPassFailure();
    }
    WeightTrail trail(module);
    Retyper retyper;
    WalkResult walked = module.walk([&](Operation *op) {
      Product product(op);
      return !product || succeeded(encode(product, trail, retyper)) ? WalkResult::advance()
                                                                    : WalkResult::interrupt();
    });
    if (walked.wasInterrupted())
      return signalPassFailure();
    trail.eraseUnused();
    retyper.restoreOriginals(module);
  }

private:
  LogicalResult encode(Product op, WeightTrail &trail, Retyper &retyper) {
    RankedTensorType weight = op.weightType(), scale = op.scaleType();
    if (weight.getEncoding() && scale.getEncoding())
      return success();
    if (weight.getEncoding() || scale.getEncoding())
      return op->emitOpError("expected weight and scale both packed or both not");
    int64_t groups = scale.getRank() == 2 ? scale.getDimSize(1) : 1;
    PackingAttr encoding = encodingFor(op, weight.getDimSize(1), std::max(groups, op.actGroups()));
    auto packed = RankedTensorType::get(weight.getShape(), weight.getElementType(), encoding);
    auto scales = RankedTensorType::get({weight.getDimSize(0), groups}, scale.getElementType(),
                                        ScalesAttr::get(&getContext(), encoding.getRows()));
    return success(succeeded(retype(op, op.weightOperand(), packed, trail, retyper)) &&
                   succeeded(retype(op, op.scaleOperand(), scales, trail, retyper)));
  }

  /// Whether the rows it multiplies are quantized from what gates let through.
  static bool readsGated(Product op) {
    auto quantize = op.acts().getDefiningOp<QuantizeRowsOp>();
    return quantize && quantize.getInput().getDefiningOp<GatedLinearOp>();
  }

  PackingAttr encodingFor(Product op, int64_t columns, int64_t groups) {
    if (op.gate())
      return PackingAttr::get(&getContext(), PackingKind::TwoBitRows, 16, 16);
    // Kernels write whole row blocks.
    if (readsGated(op) && groups == 1 && columns <= kMostSkippedColumns &&
        op.weightType().getDimSize(0) % kColumnBlockRows == 0)
      return PackingAttr::get(&getContext(), PackingKind::TwoBitColumns, kColumnBlockRows, 16);
    PackingKind kind = packing;
    // A group must be whole tiles: 20 columns do not divide the usual groups of 32 to 256.
    bool wholeTiles = groups == 1 || columns / groups % 20 == 0;
    // Kernels on floats read two_bit: their rows are padded to whole tiles of 16 columns.
    if (kind == PackingKind::Base3 && (!wholeTiles || op.takesFloats()))
      kind = PackingKind::TwoBit;
    return PackingAttr::get(&getContext(), kind, rows, kind == PackingKind::Base3 ? 20 : 16);
  }

  LogicalResult retype(Product op, OpOperand &operand, RankedTensorType type, WeightTrail &trail,
                       Retyper &retyper) {
    if (!trail.reachesLoads(operand.get()))
      return op->emitOpError("expected operand #")
             << operand.getOperandNumber()
             << " to be a ternary.load, or the argument of a private function whose callers pass "
                "loads";
    operand.set(
        trail.replace(operand.get(), type, op.getOperation(), [&](ArrayRef<WeightOp> originals) {
          return retyper.retype(originals.front(), type);
        }));
    return success();
  }
};

} // namespace
