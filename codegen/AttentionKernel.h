//===- AttentionKernel.h - attention over a cache, as functions -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_ATTENTIONKERNEL_H
#define TERN_CODEGEN_ATTENTIONKERNEL_H

#include "codegen/MatmulKernel.h"
#include "codegen/Target.h"
#include "dialect/TernaryDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "tern/abi.h"

namespace tern {

/// The buffers of one query of this head size fit a small stack.
constexpr int64_t kMostHeadSize = 4096;

/// How a block of 256 positions of one layer's cache lies: [head]{keys, scales, values, scales},
/// scales for i8 only. Keys are tiles of 64 positions, [4][row][64], so that a vector holds one
/// column of 16 positions; values are [256][row], scales [256]. `row` is the head size padded to
/// 16. Of i8 a lane has a pair, whose products are added at once: keys are [4][row / 2][64][2],
/// values [128][row][2]. All layers of a block come before the next block: memory is touched as
/// positions come, and a layer's heads are one stream.
struct CacheLayout {
  explicit CacheLayout(ternary::KVCacheType type);

  static constexpr int64_t kTile = 64, kBlock = TERN_KV_BLOCK; ///< positions
  int64_t heads, headSize, row;
  mlir::Type element;
  int64_t elementBytes;
  bool hasScales; ///< i8: a float for each row of one head
  int64_t lane;   ///< elements of a lane: 2 for i8

  int64_t rowBytes() const { return row * elementBytes; }
  int64_t laneBytes() const { return lane * elementBytes; }
  int64_t scaleBytes() const { return hasScales ? static_cast<int64_t>(sizeof(float)) : 0; }
  /// Keys and values, with their scales.
  int64_t bytesPerPosition() const { return 2 * heads * (rowBytes() + scaleBytes()); }
  int64_t blockBytes() const { return kBlock * bytesPerPosition(); }
};

/// One shape of attention: the functions of it are emitted once a module. An item is a cached head
/// (or a share of its query heads: `groups` a cached head) and up to `rows` consecutive rows of one
/// sequence, whose `queries` query heads each read the cache together.
struct AttentionShape {
  AttentionShape(ternary::KVCacheType type, int64_t heads);

  CacheLayout cache;
  int64_t heads;   ///< of queries
  int64_t queries; ///< query heads of an item, one row
  int64_t groups;  ///< items a cached head, one row
  int64_t rows;    ///< most rows of an item

  int64_t items() const { return cache.heads * groups; } ///< of one row
  /// One query head's result of one block of positions: mix[row], largest, total.
  int64_t partialFloats() const { return cache.row + 16; }
  /// Of all partial results of one row, for each position of whole blocks.
  int64_t partialBytesPerPosition() const;
  std::string name() const;
};

/// The functions of a shape, emitted into the module on first use. Operands of each: `p` a pointer,
/// `i` an i64. Strides are bytes, blockStride from one block of a cache, which `cache` is the first
/// of, to the next. Keys and values of the cache must be finite.
struct AttentionFunctions {
  /// p key, p value, p cache, i blockStride, i head, i position: one row of one cached head.
  mlir::LLVM::LLVMFuncOp store;
  /// p query, i queryStride, p cache, i blockStride, i item, i position, i rows, p out,
  /// i outStride: `rows` rows from `position` on. `query` and `out` point at column 0 of the first
  /// row.
  mlir::LLVM::LLVMFuncOp attend;
  /// p query, p cache, i blockStride, i item, i position, i block, p partials: one block of one
  /// row, to [block][query head] of the partial results.
  mlir::LLVM::LLVMFuncOp attendBlock;
  /// p partials, i blocks, i item, p out: one row's result from its partial results.
  mlir::LLVM::LLVMFuncOp join;
};
AttentionFunctions attentionFunctions(mlir::ModuleOp module, const AttentionShape &shape,
                                      const Target &target);

} // namespace tern

#endif // TERN_CODEGEN_ATTENTIONKERNEL_H
