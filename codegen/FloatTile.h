//===- FloatTile.h - tiles on float activations -----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_FLOATTILE_H
#define TERN_CODEGEN_FLOATTILE_H

#include "codegen/MatmulKernel.h"

namespace tern {

/// Two-bit tiles on float rows. A 32-bit lane holds 16 columns of one packing row: byte `j` those
/// with k mod 4 = j, which are the terms of the partial sum p[j] of `ternary.linear`. So a chain of
/// additions stays in its lane and takes its terms in the rule's order, whatever the vector width.
///
/// A tile of few token rows keeps all four partial sums in registers and reads weights once; one of
/// many token rows walks each group's tiles in `slices` turns, a few partial sums each.
class FloatTile : public DotTile {
public:
  FloatTile(int64_t lanes, int64_t parts, int64_t slices) : DotTile(lanes, parts) {
    takesFloats = true;
    this->slices = slices;
  }

  /// [partial sum of the slice][token][part], of f32.
  llvm::SmallVector<mlir::Value> start(KernelBuilder &b, int64_t tokens,
                                       mlir::ValueRange initial) const override;
  llvm::SmallVector<mlir::Value> step(KernelBuilder &b, mlir::ValueRange state, mlir::Value tile,
                                      mlir::ValueRange acts, int64_t count,
                                      int64_t slice) const override;
  /// The states of all slices, in order; returns [token][part].
  llvm::SmallVector<mlir::Value> finish(KernelBuilder &b, mlir::ValueRange states) const override;

protected:
  /// The trits of byte `j` of each lane of `words`, as floats, for its four columns.
  virtual llvm::SmallVector<mlir::Value> decode(KernelBuilder &b, mlir::Value words,
                                                int64_t j) const = 0;
  /// sum + trit * x. A fused multiply-add gives the same bits: products with -1, 0 and 1 are exact.
  virtual mlir::Value accumulate(KernelBuilder &b, mlir::Value trit, mlir::Value x,
                                 mlir::Value sum) const = 0;

  /// Activation `column` of the tile, in all lanes.
  virtual mlir::Value activation(KernelBuilder &b, mlir::Value row, int64_t column) const;

  mlir::VectorType floats(KernelBuilder &b) const;

private:
  /// One tile, whose first column is activation `column`.
  llvm::SmallVector<mlir::Value> stepTile(KernelBuilder &b, mlir::ValueRange state,
                                          mlir::Value tile, mlir::ValueRange acts, int64_t column,
                                          int64_t slice) const;
};

} // namespace tern

#endif // TERN_CODEGEN_FLOATTILE_H
