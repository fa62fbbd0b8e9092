//===- VerifyPacked.cpp - what code generation relies on ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"
#include "dialect/Product.h"
#include "passes/Passes.h"
#include "passes/Storage.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

namespace tern {
#define GEN_PASS_DEF_VERIFYPACKED
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

/// The pass that should have replaced `op`, or null for ops that may stay.
const char *passThatReplaces(Operation *op) {
  return llvm::TypeSwitch<Operation *, const char *>(op)
      .Case<QuantizeWeightOp>([](auto) { return "ternary-quantize-weights"; })
      .Case<LinearOp>([](auto) { return "ternary-quantize-activations"; })
      .Case<MatmulOp, RescaleOp>([](auto) { return "ternary-fuse-epilogue"; })
      .Case<PackOp, UnpackOp>([](auto) { return "ternary-choose-packing"; })
      .Default(nullptr);
}

/// What kernels of contiguous rows and columns rely on.
LogicalResult checkSkipping(Product op, PackingAttr packing) {
  const bool byRows = packing.getKind() == PackingKind::TwoBitRows;
  if (op.gate() && !byRows)
    return op->emitOpError("expected two_bit_rows for a product with a gate, got ") << packing;
  if (!byRows && packing.getKind() != PackingKind::TwoBitColumns)
    return success();
  auto scale = op.scaleType();
  if (op.takesFloats() || op.actGroups() || scale.getDimSize(1) != 1)
    return op->emitOpError("expected int8 activations of one group for ")
           << packing << ", got scales of type " << scale;
  if (!byRows && op.weightType().getDimSize(0) % kColumnBlockRows)
    return op->emitOpError("expected a multiple of ") << kColumnBlockRows << " rows for " << packing
                                                      << ", got " << op.weightType().getDimSize(0);
  return success();
}

LogicalResult checkProduct(Product op) {
  auto packing = dyn_cast_or_null<PackingAttr>(op.weightType().getEncoding());
  auto scales = dyn_cast_or_null<ScalesAttr>(op.scaleType().getEncoding());
  if (!packing || !scales)
    return op->emitOpError("expected ternary-choose-packing to have packed weight and scale, got ")
           << op.weightType() << " and " << op.scaleType();
  int64_t rows = packing.getRows(), scaleRows = scales.getRows();
  if (rows != scaleRows)
    return op->emitOpError("expected weight and scale in blocks of as many rows, got ")
           << rows << " and " << scaleRows;
  return checkSkipping(op, packing);
}

LogicalResult checkOp(Operation *op) {
  if (Product product(op); product)
    return checkProduct(product);
  if (const char *pass = passThatReplaces(op))
    return op->emitOpError("expected ") << pass << " to have replaced this op";
  return success();
}

LogicalResult checkWeight(WeightOp weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  if (isa<TritType>(type.getElementType()) && !type.getEncoding())
    return weight.emitOpError("expected ternary-choose-packing to have packed the trits, got ")
           << type;
  if (!weight.getSection())
    return weight.emitOpError("expected ternary-pack-weights to have given the weight a section");
  return success();
}

LogicalResult checkArena(Operation *op) {
  if (!llvm::any_of(op->getResults(), [](OpResult result) { return needsStorage(result); }))
    return success();
  auto arena = op->getAttrOfType<DenseI64ArrayAttr>("ternary.arena");
  if (!arena || arena.size() != op->getNumResults())
    return op->emitOpError("expected ternary-plan-memory to have set ternary.arena, with ")
           << op->getNumResults() << " offsets";
  for (auto [result, offset] : llvm::zip_equal(op->getResults(), arena.asArrayRef())) {
    bool has = needsStorage(result) && !livesInCaller(result);
    if (has ? offset < 0 || offset % 64 : offset != -1)
      return op->emitOpError("expected the arena offset of result #")
             << result.getResultNumber() << " to be "
             << (has ? "a multiple of 64" : "-1, since it has no storage of its own") << ", got "
             << offset;
  }
  return success();
}

struct VerifyPacked : tern::impl::VerifyPackedBase<VerifyPacked> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    bool valid = true;
    // Every fault is told, not only the first; but weights only when their users are in order,
    // since an op that was not replaced leaves its weights behind.
    for (auto function : module.getOps<func::FuncOp>())
      function.walk([&](Operation *op) {
        if (failed(checkOp(op)) || (op->getParentOp() == function && failed(checkArena(op))))
          valid = false;
      });
    if (valid)
      for (auto weight : module.getOps<WeightOp>())
        if (failed(checkWeight(weight)))
          valid = false;
    for (const char *name : {"ternary.weights_bytes", "ternary.arena_bytes", "ternary.max_rows"})
      if (!module->hasAttr(name)) {
        module.emitError("expected the module attribute ") << name;
        valid = false;
      }
    if (!valid)
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};

} // namespace
