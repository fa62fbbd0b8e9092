//===- AttentionBlock.cpp - the softmax of one block of positions ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scores and the mix of values are products of a small matrix, whose elements are broadcast, and
// one from the cache, whose rows are vectors: sums stay in registers from first to last.
//
//===----------------------------------------------------------------------===//

#include "codegen/AttentionEmitter.h"
#include "dialect/Semantics.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace mlir;

namespace tern {

constexpr int64_t kBlock = semantics::kAttentionBlock;
static_assert(kBlock == CacheLayout::kBlock);

/// Those from `query` on.
AttentionEmitter::Factors AttentionEmitter::from(const Factors &factors, Value query) {
  return {index(factors.rows, query, factors.stride), index(factors.scales, query, 4),
          factors.stride};
}

/// out[i] = sum over k < depth, ascending, of factors[i][k] * matrix[k], for `rows` rows of factors
/// and `vectors` vectors of each line of the matrix, which lie `step` bytes apart. Of i8 a line and
/// a factor have pairs. `streamed` bytes of each line are asked for ahead of time.
void AttentionEmitter::tile(const Factors &factors, Value matrix, int64_t step, Value depth,
                            Value out, int64_t outStride, int64_t rows, int64_t vectors,
                            int64_t streamed) {
  const int64_t vectorBytes = kVector * cache.laneBytes();
  Values sums(rows * vectors, zeroSum());
  Values done = loop(b.i64(0), depth, 1, sums, [&](Value k, ValueRange sofar) {
    Value line = index(matrix, k, step), column = index(factors.rows, k, 4);
    Values next, terms;
    b.prefetchStream(line, streamed);
    for (int64_t v = 0; v < vectors; ++v)
      terms.push_back(element(b.offset(line, v * vectorBytes)));
    for (int64_t i = 0; i < rows; ++i) {
      Value each = factor(b.offset(column, i * factors.stride));
      for (int64_t v = 0; v < vectors; ++v)
        next.push_back(multiplyAdd(each, terms[v], sofar[i * vectors + v]));
    }
    return next;
  });
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < vectors; ++v) {
      Value sum = done[i * vectors + v];
      if (cache.hasScales) {
        Value scale = b.broadcast(floats, loadFloat(b.offset(factors.scales, 4 * i)));
        sum = times(arith::SIToFPOp::create(b, floats, sum), scale);
      }
      put(sum, b.offset(out, i * outStride + v * kVector * 4));
    }
}

/// `body(first query, queries)`: as many at once as registers hold, then one by one.
void AttentionEmitter::eachTile(Value queries, function_ref<void(Value, int64_t)> body) {
  Value whole = b.mul(arith::DivUIOp::create(b, queries, b.i64(tileRows)), b.i64(tileRows));
  loop(b.i64(0), whole, tileRows, [&](Value query) { body(query, tileRows); });
  if (tileRows > 1)
    loop(whole, queries, 1, [&](Value query) { body(query, 1); });
}

void AttentionEmitter::scores(const CachedBlock &cached, const Buffers &buffers, Value count,
                              Value queries) {
  const int64_t width = tileVectors * kVector, perTile = CacheLayout::kTile / width;
  const Factors queryFactors = {buffers.query, buffers.queryScales, cache.row * 4};
  loop(b.i64(0), divideUp(count, width), 1, [&](Value part) {
    Value tileIndex = arith::DivUIOp::create(b, part, b.i64(perTile));
    Value within = arith::RemUIOp::create(b, part, b.i64(perTile));
    Value lines = index(index(cached.keys, tileIndex, CacheLayout::kTile * cache.rowBytes()),
                        within, width * cache.laneBytes());
    Value to = index(buffers.weights, part, width * 4);
    eachTile(queries, [&](Value query, int64_t rows) {
      tile(from(queryFactors, query), lines, CacheLayout::kTile * cache.laneBytes(),
           b.i64(llvm::divideCeil(cache.headSize, cache.lane)), index(to, query, kBlock * 4),
           kBlock * 4, rows, tileVectors, streams && perTile == 1 ? width * cache.laneBytes() : 0);
    });
  });
}

void AttentionEmitter::mixValues(const CachedBlock &cached, const Buffers &buffers, Value count,
                                 Value queries) {
  const Factors weights = {buffers.weights, buffers.weightScales, kBlock * 4};
  for (int64_t column = 0; column < cache.row; column += tileVectors * kVector) {
    const int64_t vectors = std::min(tileVectors, (cache.row - column) / kVector);
    eachTile(queries, [&](Value query, int64_t rows) {
      tile(from(weights, query), b.offset(cached.values, column * cache.laneBytes()),
           cache.lane * cache.rowBytes(), divideUp(count, cache.lane),
           b.offset(index(buffers.mix, query, cache.row * 4), column * 4), cache.row * 4, rows,
           vectors, streams && column == 0 ? cache.lane * cache.rowBytes() : 0);
    });
  }
}

/// Scores to weights, zero from the query's own length up to the block's `most` positions, padded
/// to 32, as integers for i8. What lies in the cache behind the last position may be anything.
void AttentionEmitter::softmax(const Item &item, const CachedBlock &cached, const Buffers &buffers,
                               Value most, Value query) {
  Value row = arith::DivUIOp::create(b, query, b.i64(shape.queries));
  Value length = b.add(b.add(item.position, row), b.i64(1));
  Value count = arith::MaxSIOp::create(b, b.sub(length, cached.first), b.i64(0));
  VectorType integers = b.vec(kVector, 32);
  Value limit = b.broadcast(
      integers, arith::TruncIOp::create(b, b.getI32Type(), b.min(count, b.i64(kBlock))));
  SmallVector<int32_t> steps = llvm::to_vector(llvm::seq<int32_t>(0, kVector));
  Value lanes = arith::ConstantOp::create(
      b, integers, DenseElementsAttr::get(integers, ArrayRef<int32_t>(steps)));
  auto valid = [&](Value at) -> Value {
    Value start = arith::TruncIOp::create(b, b.getI32Type(), at);
    Value places = b.add(b.broadcast(integers, start), lanes);
    return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, places, limit);
  };
  auto masked = [&](Value at, Value yes, float otherwise) -> Value {
    return arith::SelectOp::create(b, valid(at), yes, number(floats, otherwise));
  };
  auto scale = [&](Value scales, Value at) { return loadFloats(index(scales, at, 4)); };
  Value weights = index(buffers.weights, query, kBlock * 4);
  Value end = b.mul(divideUp(most, 2 * kVector), b.i64(2 * kVector));
  Value factor = number(floats, 1.0f / std::sqrt(static_cast<float>(cache.headSize)));
  Values start(1, number(floats, -INFINITY));
  Value tops = loop(b.i64(0), end, kVector, start, [&](Value at, ValueRange sofar) -> Values {
    Value cell = index(weights, at, 4), score = loadFloats(cell);
    if (cache.hasScales)
      score = times(score, scale(cached.keyScales, at));
    score = masked(at, times(score, factor), -INFINITY);
    put(score, cell);
    return {larger(score, sofar[0])};
  })[0];
  Value top = fold(tops, [&](Value x, Value y) { return larger(x, y); });

  Value allTop = b.broadcast(floats, top);
  Values zeros(2, number(floats, 0.0f));
  Values sums = loop(b.i64(0), end, 2 * kVector, zeros, [&](Value at, ValueRange sofar) {
    Values next;
    for (int64_t half = 0; half < 2; ++half) {
      Value here = b.add(at, b.i64(half * kVector)), cell = index(weights, here, 4);
      Value weight = masked(here, weightOf(minus(loadFloats(cell), allTop)), 0.0f);
      next.push_back(plus(sofar[half], weight));
      if (cache.hasScales)
        weight = masked(here, times(weight, scale(cached.valueScales, here)), 0.0f);
      put(weight, cell);
    }
    return next;
  });
  Value total = fold(plus(sums[0], sums[1]), [&](Value x, Value y) { return plus(x, y); });
  Value numbers = index(buffers.numbers, query, 8);
  if (cache.hasScales)
    toIntegers(weights, end, semantics::attentionLimit(kBlock),
               index(buffers.weightScales, query, 4));
  put(top, numbers);
  put(total, b.offset(numbers, 4));
}

/// Positions `first` .. first + 255 of the item's cached head, as far as its last row sees them.
void AttentionEmitter::block(const Item &item, const Buffers &buffers, Value first) {
  Value left = b.sub(b.add(item.position, item.rows), first);
  Value count = b.min(left, b.i64(kBlock));
  Value queries = b.mul(item.rows, b.i64(shape.queries));
  CachedBlock cached = blockOf(item, first);
  scores(cached, buffers, count, queries);
  loop(b.i64(0), queries, 1, [&](Value query) { softmax(item, cached, buffers, count, query); });
  mixValues(cached, buffers, count, queries);
}

} // namespace tern
