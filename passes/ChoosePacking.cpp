//===- ChoosePacking.cpp - trits and scales get their encodings -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"
#include "dialect/Product.h"
#include "passes/ShapePacking.h"
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
    if (failed(readShapes(module)))
      return signalPassFailure();
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
  LogicalResult readShapes(ModuleOp module) {
    byShape.clear();
    for (const std::string &text : shapes) {
      llvm::Expected<ShapePacking> shape = ShapePacking::parse(text);
      if (!shape)
        return module.emitError("shapes: ") << llvm::toString(shape.takeError());
      if (!byShape.try_emplace({shape->rows, shape->columns}, shape->packing).second)
        return module.emitError("shapes: ") << shape->rows << "x" << shape->columns << " is twice";
    }
    return success();
  }

  LogicalResult encode(Product op, WeightTrail &trail, Retyper &retyper) {
    RankedTensorType weight = op.weightType(), scale = op.scaleType();
    if (weight.getEncoding() && scale.getEncoding())
      return success();
    if (weight.getEncoding() || scale.getEncoding())
      return op->emitOpError("expected weight and scale both packed or both not");
    int64_t groups = scale.getRank() == 2 ? scale.getDimSize(1) : 1;
    PackingAttr encoding = encodingFor(op, std::max(groups, op.actGroups()));
    if (!encoding)
      return failure();
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

  /// Why a product's weight cannot be `base3`; empty if it can.
  static std::string refusal(Product op, int64_t groups) {
    // Their rows are padded to whole tiles of 16 columns.
    if (op.takesFloats())
      return "kernels on float activations read two_bit only";
    const int64_t group = op.weightType().getDimSize(1) / groups;
    if (groups != 1 && group % 20 != 0)
      return "scale groups of " + std::to_string(group) + " columns are not whole tiles of 20";
    return "";
  }

  /// Null, and an error, where the packing asked for by shape is impossible.
  PackingAttr encodingFor(Product op, int64_t groups) {
    RankedTensorType type = op.weightType();
    if (op.gate())
      return PackingAttr::get(&getContext(), PackingKind::TwoBitRows, 16, 16);
    // Kernels write whole row blocks.
    if (readsGated(op) && groups == 1 && type.getDimSize(1) <= kMostSkippedColumns &&
        type.getDimSize(0) % kColumnBlockRows == 0)
      return PackingAttr::get(&getContext(), PackingKind::TwoBitColumns, kColumnBlockRows, 16);
    auto found = byShape.find({type.getDimSize(0), type.getDimSize(1)});
    const bool asked = found != byShape.end();
    PackingKind kind = asked ? found->second : packing;
    const std::string why = kind == PackingKind::Base3 ? refusal(op, groups) : "";
    const std::string shape =
        std::to_string(type.getDimSize(0)) + "x" + std::to_string(type.getDimSize(1));
    if (asked && !why.empty()) {
      op->emitOpError("expected a packing other than base3 for ") << shape << ": " << why;
      return {};
    }
    if (!why.empty()) {
      op->emitRemark() << shape << ": two_bit instead of base3: " << why;
      kind = PackingKind::TwoBit;
    }
    if (asked)
      op->emitRemark() << shape << ": " << stringifyPackingKind(kind) << ", chosen for its shape";
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

  std::map<std::pair<int64_t, int64_t>, PackingKind> byShape;
};

} // namespace
