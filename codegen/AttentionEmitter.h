//===- AttentionEmitter.h - parts of the attention functions ----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to AttentionKernel.cpp and AttentionBlock.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_ATTENTIONEMITTER_H
#define TERN_CODEGEN_ATTENTIONEMITTER_H

#include "codegen/AttentionKernel.h"

namespace tern {

/// Floats of a vector. LLVM cuts it to the level's registers, so one form serves all levels.
constexpr int64_t kVector = 16;

/// Emits one function's body. Query j of an item is query head j % queries of row j / queries.
class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &b, const AttentionShape &shape, const Target &target);

  using Values = llvm::SmallVector<mlir::Value>;

  // AttentionKernel.cpp
  void store(mlir::ValueRange arguments);
  void attend(mlir::ValueRange arguments);
  void attendBlock(mlir::ValueRange arguments);
  void join(mlir::ValueRange arguments);

private:
  /// What a function keeps on its stack, for up to shape.rows * shape.queries queries.
  struct Buffers {
    mlir::Value query;   ///< [query][row]
    mlir::Value weights; ///< [query][256]: scores, then weights
    mlir::Value mix;     ///< [query][row] of one block
    mlir::Value numbers; ///< [query]{largest, total} of one block
    /// [query]: what one integer is worth where queries and weights are integers of 16 bits, which
    /// lie in the first half of their rows.
    mlir::Value queryScales, weightScales;
  };
  /// Where an item's cached head lies, and which rows look at it.
  struct Item {
    mlir::Value head, blockStride; ///< in the cache's first block; to the next one
    mlir::Value firstQuery;        ///< query head
    mlir::Value position, rows;    ///< of the first row; number
  };
  /// One block of a cached head.
  struct CachedBlock {
    mlir::Value keys, keyScales, values, valueScales;
    mlir::Value first; ///< position
  };

  // AttentionBlock.cpp: the softmax of one block of positions.
  void block(const Item &item, const Buffers &buffers, mlir::Value first);
  void scores(const CachedBlock &cached, const Buffers &buffers, mlir::Value count,
              mlir::Value queries);
  void softmax(const Item &item, const CachedBlock &cached, const Buffers &buffers,
               mlir::Value most, mlir::Value query);
  void mixValues(const CachedBlock &cached, const Buffers &buffers, mlir::Value count,
                 mlir::Value queries);
  /// A small matrix, [query] of rows `stride` bytes apart, and the scales of integers.
  struct Factors {
    mlir::Value rows, scales;
    int64_t stride;
  };
  Factors from(const Factors &factors, mlir::Value query);
  void tile(const Factors &factors, mlir::Value matrix, int64_t step, mlir::Value depth,
            mlir::Value out, int64_t outStride, int64_t rows, int64_t vectors, int64_t streamed);
  void eachTile(mlir::Value queries, llvm::function_ref<void(mlir::Value, int64_t)> body);

  Buffers allocate();
  Item place(mlir::Value cache, mlir::Value blockStride, mlir::Value item, mlir::Value position,
             mlir::Value rows);
  CachedBlock blockOf(const Item &item, mlir::Value first);
  void gather(const Item &item, const Buffers &buffers, mlir::Value query, mlir::Value stride);
  void gatherFloats(const Item &item, const Buffers &buffers, mlir::Value query,
                    mlir::Value stride);
  /// Joins a block's results with those so far, {largest, total} and mix.
  void joinBlock(mlir::Value mix, mlir::Value numbers, mlir::Value soFar, mlir::Value soFarNumbers);
  void start(mlir::Value soFar, mlir::Value soFarNumbers);
  void finish(mlir::Value soFar, mlir::Value soFarNumbers, mlir::Value out);
  void storeElement(mlir::Value value, mlir::Value to);
  mlir::Value integersOf(mlir::Value largest, float limit);
  void toIntegers(mlir::Value row, mlir::Value count, float limit, mlir::Value scale);
  mlir::Value roundTo(mlir::Value x, float limit);
  mlir::Value rowScale(mlir::Value row);

  mlir::Value cells(int64_t floats);
  mlir::Value index(mlir::Value pointer, mlir::Value at, int64_t bytes);
  mlir::Value loadFloats(mlir::Value pointer);
  mlir::Value loadFloat(mlir::Value pointer);
  void put(mlir::Value value, mlir::Value pointer);
  mlir::Value element(mlir::Value pointer); ///< a vector of the cache: floats, or pairs of i16
  mlir::Value factor(mlir::Value pointer);  ///< what meets `element`, in all lanes
  mlir::Value zeroSum();
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value c, mlir::Value sum);
  mlir::Value addPairs(mlir::Value a, mlir::Value c, mlir::Value sum);
  mlir::Value multiplyPairsX86(mlir::Value a, mlir::Value c);
  mlir::Value times(mlir::Value a, mlir::Value c);
  mlir::Value plus(mlir::Value a, mlir::Value c);
  mlir::Value minus(mlir::Value a, mlir::Value c);
  mlir::Value larger(mlir::Value a, mlir::Value c);  ///< a > c ? a : c
  mlir::Value smaller(mlir::Value a, mlir::Value c); ///< a < c ? a : c
  mlir::Value number(mlir::Type type, float value);  ///< a scalar or all lanes
  mlir::Value exponential(mlir::Value x);
  mlir::Value weightOf(mlir::Value x);
  mlir::Value magnitude(mlir::Value x);
  mlir::Value bits(mlir::Value x); ///< the i32 of each float
  mlir::Value floatOf(mlir::Value integer);
  mlir::Value divideUp(mlir::Value a, int64_t c);
  void loop(mlir::Value begin, mlir::Value end, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  Values loop(mlir::Value begin, mlir::Value end, int64_t step, mlir::ValueRange init,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);
  mlir::Value lanesFrom(mlir::Value vector, int64_t width, bool upper);
  /// Folds 16 lanes to one, lane i with lane i + width for width 8, 4, 2, 1.
  mlir::Value fold(mlir::Value vector,
                   llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> both);

  KernelBuilder &b;
  const AttentionShape &shape;
  const CacheLayout &cache;
  mlir::FloatType f32;
  mlir::VectorType floats;
  bool hasFma; ///< fused multiply-add and half floats
  const Target &target;
  int64_t tileRows;     ///< queries whose sums registers hold at once
  int64_t tileVectors;  ///< vectors of each
  bool streams = false; ///< a cached head is read once, from memory
};

} // namespace tern

#endif // TERN_CODEGEN_ATTENTIONEMITTER_H
