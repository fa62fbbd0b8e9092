//===- Product.h - what the kernels of the table compute --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_PRODUCT_H
#define TERN_DIALECT_PRODUCT_H

#include "dialect/TernaryDialect.h"

namespace tern::ternary {

/// A `fused_linear` or `gated_linear`, on int8 rows, or a `linear` that keeps its activations
/// float: all end with weight, scale and perhaps a residual or a gate, and run as one kernel.
class Product {
public:
  Product() = default;
  /// None for any other op, and for NULL.
  explicit Product(mlir::Operation *candidate) {
    auto linear = llvm::dyn_cast_if_present<LinearOp>(candidate);
    if ((linear && linear.getActivations() == Activations::Float) ||
        llvm::isa_and_present<FusedLinearOp, GatedLinearOp>(candidate))
      op = candidate;
  }

  explicit operator bool() const { return op; }
  mlir::Operation *operator->() const { return op; }
  mlir::Operation *getOperation() const { return op; }

  bool takesFloats() const { return llvm::isa<LinearOp>(op); }
  /// Groups of an int8 row that have a scale of their own; 0 where the row has one, or floats.
  int64_t actGroups() const {
    auto fused = llvm::dyn_cast<FusedLinearOp>(op);
    return fused && fused.getRowScales().getType().getRank() == 2
               ? fused.getOffsets().getType().getDimSize(1)
               : 0;
  }
  /// The rows it multiplies.
  mlir::Value acts() const { return op->getOperand(0); }
  /// `acts`, and for int8 rows their scales and offsets.
  mlir::OperandRange activations() const { return op->getOperands().take_front(weightAt()); }
  mlir::OpOperand &weightOperand() const { return op->getOpOperand(weightAt()); }
  mlir::OpOperand &scaleOperand() const { return op->getOpOperand(weightAt() + 1); }
  mlir::Value weight() const { return weightOperand().get(); }
  mlir::Value scale() const { return scaleOperand().get(); }
  /// NULL if there is none.
  mlir::Value residual() const {
    const unsigned at = weightAt() + 2;
    return !gate() && op->getNumOperands() > at ? op->getOperand(at) : mlir::Value();
  }
  /// NULL if there is none.
  mlir::Value gate() const {
    auto gated = llvm::dyn_cast<GatedLinearOp>(op);
    return gated ? gated.getGate() : mlir::Value();
  }
  mlir::Value result() const { return op->getResult(0); }
  mlir::RankedTensorType weightType() const {
    return llvm::cast<mlir::RankedTensorType>(weight().getType());
  }
  mlir::RankedTensorType scaleType() const {
    return llvm::cast<mlir::RankedTensorType>(scale().getType());
  }

  /// The same product, without a gate, on the same activations with other operands.
  Product rebuild(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type type,
                  mlir::Value newWeight, mlir::Value newScale, mlir::Value newResidual) const {
    if (takesFloats())
      return Product(LinearOp::create(builder, loc, type, acts(), newWeight, newScale,
                                      Activations::Float, newResidual));
    return Product(FusedLinearOp::create(builder, loc, type, acts(), op->getOperand(1),
                                         op->getOperand(2), newWeight, newScale, newResidual));
  }

private:
  unsigned weightAt() const { return takesFloats() ? 1 : 3; }

  mlir::Operation *op = nullptr;
};

} // namespace tern::ternary

#endif // TERN_DIALECT_PRODUCT_H
