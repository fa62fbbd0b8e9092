//===- MatmulKernel.h - the shape all ternary kernels share -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_MATMULKERNEL_H
#define TERN_CODEGEN_MATMULKERNEL_H

#include "codegen/KernelTable.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tern {

/// A builder with the few words that kernels are made of. Pointers are !llvm.ptr, offsets are
/// bytes in i64, all targets are little-endian.
class KernelBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  mlir::VectorType vec(int64_t lanes, int64_t bits);
  mlir::Value i64(int64_t value);
  /// All lanes of an integer vector the same constant.
  mlir::Value splat(mlir::VectorType type, int64_t value);
  mlir::Value splatFloat(mlir::VectorType type, float value);
  mlir::Value constant(llvm::ArrayRef<float> lanes);
  mlir::Value broadcast(mlir::VectorType type, mlir::Value scalar);
  mlir::Value bitcast(mlir::VectorType type, mlir::Value value);
  mlir::Value offset(mlir::Value pointer, mlir::Value bytes);
  mlir::Value offset(mlir::Value pointer, int64_t bytes);
  mlir::Value load(mlir::Type type, mlir::Value pointer, unsigned alignment);
  /// Four activations in every 32-bit lane.
  mlir::Value broadcastActs(mlir::VectorType type, mlir::Value pointer);
  /// Asks for the cache line at `pointer`, into the cache of `level` (1 or 2) and those below.
  void prefetch(mlir::Value pointer, int level = 1);
  /// Asks for what comes behind these bytes of an ascending stream that is read once, at the
  /// distances `ahead`: into the first-level cache, and before that into the second, which waits
  /// for more lines at once. Beyond the stream's end nothing is read.
  void prefetchStream(mlir::Value pointer, int64_t bytes);
  struct {
    mlir::Value near, far;
  } ahead; ///< bytes, i64; where a stream is read
  /// The same pointer, of which LLVM knows nothing: it leaves the addressing as it is written.
  mlir::Value opaque(mlir::Value pointer);
  /// a * b + c, rounded once: an instruction of the CPU.
  mlir::Value fusedMultiplyAdd(mlir::Value a, mlir::Value b, mlir::Value c);
  /// The same bits from operations that every CPU has.
  mlir::Value plainMultiplyAdd(mlir::Value a, mlir::Value b, mlir::Value c);
  /// Half floats at `pointer` as floats: by an instruction of the CPU, or for finite ones (`plain`)
  /// from operations that every CPU has.
  mlir::Value loadHalves(mlir::VectorType type, mlir::Value pointer, bool plain);
  mlir::Value intrinsic(llvm::StringRef name, mlir::Type result, mlir::ValueRange operands);

  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value min(mlir::Value a, mlir::Value b);
  mlir::Value bitAnd(mlir::Value a, mlir::Value b);
  mlir::Value bitOr(mlir::Value a, mlir::Value b);
  mlir::Value shiftLeft(mlir::Value a, int64_t bits);
  mlir::Value shiftRight(mlir::Value a, int64_t bits); ///< logical
  mlir::Value shiftRightArithmetic(mlir::Value a, int64_t bits);
};

/// What a packing and an instruction set add to the shared shape: how a tile of weights meets a
/// few token rows. A pass works on `parts` vectors of `lanes` packing rows; a row block takes
/// rows / (lanes * parts) passes.
class DotTile {
public:
  explicit DotTile(int64_t lanes, int64_t parts = 1) : lanes(lanes), parts(parts) {}
  virtual ~DotTile() = default;

  const int64_t lanes, parts;
  /// Tiles whose sums the state can hold before `finish`; 0: any number.
  int64_t maxTiles = 0;
  /// Tiles that `step` takes at once when there are enough.
  int64_t unroll = 1;
  /// Whether activations, and so the sums, are float; else int8 and int32.
  bool takesFloats = false;
  /// Whether CPUs without fused multiply-add or without half floats run the tile.
  bool plain = false;
  /// Below this many token rows (a power of two, at most half of the kernel's) each number of them
  /// has a body of its own; else what is left over is taken in powers of two.
  int64_t ownBodies = 1;
  /// Turns in which a group's tiles are walked, each with a state of its own.
  int64_t slices = 1;
  /// How tiles are read that were unpacked beforehand, once for many token rows.
  struct {
    int64_t tileBytes = 0;    ///< of a tile; 0: there is no such form
    int64_t tokens = 0;       ///< token rows that they meet at once; 0: the kernel's
    int64_t blocks = 1;       ///< row blocks that these meet at once; several only in one pass
    int64_t panelBlocks = 1;  ///< row blocks unpacked at a time, at most
    int64_t room = 256 << 10; ///< bytes on the stack; rows that do not fit stay packed
  } unpacked;

  /// Code for the kernel's first and last moment: whatever it needs beyond the state.
  virtual void enter(KernelBuilder &) {}
  virtual void leave(KernelBuilder &) {}
  /// The state for `tokens` token rows, which holds the sums `initial`, [token][part]; no sums are
  /// zeros. Tiles with a `maxTiles` or on floats always start from zeros.
  virtual llvm::SmallVector<mlir::Value> start(KernelBuilder &b, int64_t tokens,
                                               mlir::ValueRange initial) const = 0;
  /// Adds what `slice` takes of `count` (1 or `unroll`) tiles. `tile`: this pass's first byte of
  /// the first tile; `acts`: each token's activation at the first tile's first column.
  virtual llvm::SmallVector<mlir::Value> step(KernelBuilder &b, mlir::ValueRange state,
                                              mlir::Value tile, mlir::ValueRange acts,
                                              int64_t count, int64_t slice) const = 0;
  /// `step` on `count` unpacked tiles, [tile][row block], and two token rows or more. With several
  /// row blocks the state is that of so many times the token rows, [token][row block].
  virtual llvm::SmallVector<mlir::Value> stepUnpacked(KernelBuilder &, mlir::ValueRange /*state*/,
                                                      mlir::Value /*tile*/,
                                                      mlir::ValueRange /*acts*/,
                                                      int64_t /*count*/) const {
    return {};
  }
  /// Writes the tile's `unpacked.tileBytes` to `out`, aligned to 64.
  virtual void writeUnpacked(KernelBuilder &, mlir::Value /*tile*/, mlir::Value /*out*/) const {}
  /// `stepUnpacked` on one packed tile of each row block, `blockBytes` apart, which it also writes
  /// to `out`.
  virtual llvm::SmallVector<mlir::Value> stepUnpacking(KernelBuilder &b, mlir::ValueRange state,
                                                       mlir::Value tile, mlir::Value /*blockBytes*/,
                                                       mlir::Value out,
                                                       mlir::ValueRange acts) const {
    writeUnpacked(b, tile, out);
    return stepUnpacked(b, state, out, acts, 1);
  }
  /// Sums as vectors of `lanes`, [token][part], from the states of all slices: of activation *
  /// code in i32, or of activation * trit in f32. Integer sums may come in several parts, [chain]
  /// [token][part], which the caller adds.
  virtual llvm::SmallVector<mlir::Value> finish(KernelBuilder &b, mlir::ValueRange state) const = 0;
};

#define TERN_FLOAT_KERNEL(PACKING, MR, NR, KB, ISA)                                                \
  std::unique_ptr<DotTile> makeFloatTile_##PACKING##_##ISA(int64_t mr);
#define TERN_KERNEL(PACKING, MR, NR, KB, ISA)                                                      \
  std::unique_ptr<DotTile> makeDotTile_##PACKING##_##ISA(int64_t mr);
#define TERN_GROUP_KERNEL(PACKING, MR, NR, KB, ISA)
#define TERN_SPARSE_KERNEL(PACKING, MR, NR, KB, ISA)
#include "codegen/KernelTable.inc"

} // namespace tern

#endif // TERN_CODEGEN_MATMULKERNEL_H
