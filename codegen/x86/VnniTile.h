//===- VnniTile.h - the GEMM tile of vpdpbusd -------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_X86_VNNITILE_H
#define TERN_CODEGEN_X86_VNNITILE_H

#include "codegen/MatmulKernel.h"

namespace tern {

/// GEMM: a tile is unpacked once for all its token rows. Two vpdpbusd start in a cycle and one
/// takes five: fewer than ten sums would wait for each other, so where they are `chained`, few
/// token rows have several each.
class TwoBitBlockVnni : public DotTile {
public:
  explicit TwoBitBlockVnni(int64_t lanes, bool chained = false) : DotTile(lanes), chained(chained) {
    ownBodies = chained ? 8 : 1;
  }

  /// The state is [chain][token].

  llvm::SmallVector<mlir::Value> start(KernelBuilder &b, int64_t tokens,
                                       mlir::ValueRange initial) const override;
  llvm::SmallVector<mlir::Value> step(KernelBuilder &b, mlir::ValueRange state, mlir::Value tile,
                                      mlir::ValueRange acts, int64_t count,
                                      int64_t slice) const override;
  llvm::SmallVector<mlir::Value> stepUnpacked(KernelBuilder &b, mlir::ValueRange state,
                                              mlir::Value tile, mlir::ValueRange acts,
                                              int64_t count) const override;
  llvm::SmallVector<mlir::Value> stepUnpacking(KernelBuilder &b, mlir::ValueRange state,
                                               mlir::Value tile, mlir::Value blockBytes,
                                               mlir::Value out,
                                               mlir::ValueRange acts) const override;
  llvm::SmallVector<mlir::Value> finish(KernelBuilder &b, mlir::ValueRange state) const override;

private:
  void addSlot(KernelBuilder &b, mlir::MutableArrayRef<mlir::Value> state, int64_t slot,
               mlir::ValueRange codes, mlir::ValueRange acts) const;
  int64_t chains(int64_t tokens) const { return !chained || tokens > 8 ? 1 : tokens > 4 ? 2 : 4; }

  bool chained;
};

/// A two-bit tile as it lies in memory.
mlir::Value loadTwoBit(KernelBuilder &b, mlir::Value tile, int64_t lanes);
/// The codes of one of its four column slots as bytes, [row][column mod 4].
mlir::Value unpackTwoBit(KernelBuilder &b, mlir::Value fields, int64_t slot);

} // namespace tern

#endif // TERN_CODEGEN_X86_VNNITILE_H
