//===- VnniTile.h - the GEMM tiles of vpdpbusd ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_X86_VNNITILE_H
#define TERN_CODEGEN_X86_VNNITILE_H

#include "codegen/MatmulKernel.h"

namespace tern {

/// Adds four products of an unsigned and a signed byte to each 32-bit lane.
mlir::Value vpdpbusd(KernelBuilder &b, mlir::Value sum, mlir::Value codes, mlir::Value acts);

/// GEMM: a tile is unpacked once for all its token rows. Two vpdpbusd start in a cycle and one
/// takes five: fewer than ten sums would wait for each other, so where they are `chained`, few
/// token rows have several each.
class VnniBlock : public DotTile {
public:
  /// `slots`: groups of four columns in a tile.
  VnniBlock(int64_t lanes, int64_t slots, bool chained)
      : DotTile(lanes), slots(slots), chained(chained) {
    ownBodies = chained ? 8 : 1;
  }

  /// Four row blocks at once meet six token rows, unpacked beforehand where rows have at most
  /// `columns` columns.
  void unpackPanels(int64_t columns);

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

protected:
  /// A packed tile as registers hold it while its slots are unpacked.
  virtual llvm::SmallVector<mlir::Value> load(KernelBuilder &b, mlir::Value tile) const = 0;
  /// The codes of a slot of what `load` gave, as bytes, [row][column mod 4].
  virtual mlir::Value unpack(KernelBuilder &b, mlir::ValueRange loaded, int64_t slot) const = 0;

private:
  /// Bytes of a slot's codes.
  int64_t slotBytes() const { return 4 * lanes; }
  void addSlot(KernelBuilder &b, mlir::MutableArrayRef<mlir::Value> state, int64_t slot,
               mlir::ValueRange codes, mlir::ValueRange acts) const;
  void unpackBlock(KernelBuilder &b, mlir::MutableArrayRef<mlir::Value> sums, mlir::Value tile,
                   mlir::Value out, mlir::ValueRange acts) const;
  int64_t chains(int64_t tokens) const { return !chained || tokens > 8 ? 1 : tokens > 4 ? 2 : 4; }

  const int64_t slots;
  const bool chained;
};

class TwoBitBlockVnni : public VnniBlock {
public:
  explicit TwoBitBlockVnni(int64_t lanes, bool chained = false)
      : VnniBlock(lanes, /*slots=*/4, chained) {}

protected:
  llvm::SmallVector<mlir::Value> load(KernelBuilder &b, mlir::Value tile) const override;
  mlir::Value unpack(KernelBuilder &b, mlir::ValueRange loaded, int64_t slot) const override;
};

/// A two-bit tile as it lies in memory.
mlir::Value loadTwoBit(KernelBuilder &b, mlir::Value tile, int64_t lanes);
/// The codes of one of its four column slots as bytes, [row][column mod 4].
mlir::Value unpackTwoBit(KernelBuilder &b, mlir::Value fields, int64_t slot);

} // namespace tern

#endif // TERN_CODEGEN_X86_VNNITILE_H
