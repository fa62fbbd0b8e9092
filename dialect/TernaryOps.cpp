//===- TernaryOps.cpp - verifiers -----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/TernaryDialect.h"

using namespace mlir;
using namespace tern::ternary;

#define GET_OP_CLASSES
#include "dialect/TernaryOps.cpp.inc"

LogicalResult LoadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("expected a ternary.weight named ") << getWeightAttr();
  if (weight.getType() != getType())
    return emitOpError("expected the weight's type ") << weight.getType() << ", got " << getType();
  return success();
}
LogicalResult WeightOp::verify() { return success(); }
LogicalResult QuantizeWeightOp::verify() { return success(); }
LogicalResult PackOp::verify() { return success(); }
LogicalResult UnpackOp::verify() { return success(); }
OpFoldResult PackOp::fold(FoldAdaptor) { return {}; }
OpFoldResult UnpackOp::fold(FoldAdaptor) { return {}; }
LogicalResult LinearOp::verify() { return success(); }
LogicalResult QuantizeRowsOp::verify() { return success(); }
LogicalResult MatmulOp::verify() { return success(); }
LogicalResult RescaleOp::verify() { return success(); }
LogicalResult FusedLinearOp::verify() { return success(); }
LogicalResult RmsNormOp::verify() { return success(); }
LogicalResult RopeAnglesOp::verify() { return success(); }
LogicalResult RopeOp::verify() { return success(); }
LogicalResult AttentionOp::verify() { return success(); }
LogicalResult EmbeddingOp::verify() { return success(); }
LogicalResult HeadOp::verify() { return success(); }
