//===- BlockBuilder.h - one decoder block as IR -----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_BLOCKBUILDER_H
#define TERN_FRONTENDS_IMPORT_BLOCKBUILDER_H

#include "frontends/import/ModelBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tern::import {

/// One entry of a layer: a norm's gain, or a linear layer.
struct LayerSlot {
  llvm::StringLiteral name; ///< "attn_q": the weight is @blk.N.attn_q
  const WeightSpec *norm;   ///< exactly one of the two is set
  const LinearSpec *linear;
};

/// The entries of a layer in the order in which a block takes them.
llvm::SmallVector<LayerSlot, 13> layerSlots(const LayerSpec &layer);

/// Type of the block that computes `layer`: (h, angles, position, cache, gains and trits and
/// scales) -> h.
mlir::FunctionType blockType(mlir::MLIRContext &context, const ModelSpec &spec,
                             const LayerSpec &layer);

/// Adds the private function `name` of `type` at the builder's place.
mlir::func::FuncOp buildBlock(mlir::OpBuilder &builder, llvm::StringRef name,
                              mlir::FunctionType type, const ModelSpec &spec,
                              const LayerSpec &layer);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_BLOCKBUILDER_H
