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

#include <cmath>

using namespace mlir;

namespace tern {

constexpr int64_t kBlock = semantics::kAttentionBlock;
static_assert(kBlock == CacheLayout::kBlock);

/// out[i] = sum over k < depth, ascending, of a[i][k] * matrix[k], for `rows` rows of `a` and
/// `vectors` vectors of each row of the matrix, which lie `step` bytes apart.
void AttentionEmitter::tile(Value a, int64_t aStride, Value matrix, int64_t step, Value depth,
                            Value out, int64_t outStride, int64_t rows, int64_t vectors) {
  Values sums(rows * vectors, number(floats, 0.0f));
  Values done = loop(b.i64(0), depth, 1, sums, [&](Value k, ValueRange sofar) {
    Value line = index(matrix, k, step), column = index(a, k, 4);
    Values next, terms;
    for (int64_t v = 0; v < vectors; ++v)
      terms.push_back(element(b.offset(line, v * kVector * cache.elementBytes)));
    for (int64_t i = 0; i < rows; ++i) {
      Value factor = b.broadcast(floats, loadFloat(b.offset(column, i * aStride)));
      for (int64_t v = 0; v < vectors; ++v)
        next.push_back(multiplyAdd(factor, terms[v], sofar[i * vectors + v]));
    }
    return next;
  });
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < vectors; ++v)
      put(done[i * vectors + v], b.offset(out, i * outStride + v * kVector * 4));
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
  loop(b.i64(0), divideUp(count, width), 1, [&](Value part) {
    Value tileIndex = arith::DivUIOp::create(b, part, b.i64(perTile));
    Value within = arith::RemUIOp::create(b, part, b.i64(perTile));
    Value from = index(index(cached.keys, tileIndex, CacheLayout::kTile * cache.rowBytes()), within,
                       width * cache.elementBytes);
    Value to = index(buffers.weights, part, width * 4);
    eachTile(queries, [&](Value query, int64_t rows) {
      tile(index(buffers.query, query, cache.row * 4), cache.row * 4, from,
           CacheLayout::kTile * cache.elementBytes, b.i64(cache.headSize),
           index(to, query, kBlock * 4), kBlock * 4, rows, tileVectors);
    });
  });
}

void AttentionEmitter::mixValues(const CachedBlock &cached, const Buffers &buffers, Value count,
                                 Value queries) {
  for (int64_t column = 0; column < cache.row; column += tileVectors * kVector) {
    const int64_t vectors = std::min(tileVectors, (cache.row - column) / kVector);
    eachTile(queries, [&](Value query, int64_t rows) {
      tile(index(buffers.weights, query, kBlock * 4), kBlock * 4,
           b.offset(cached.values, column * cache.elementBytes), cache.rowBytes(), count,
           b.offset(index(buffers.mix, query, cache.row * 4), column * 4), cache.row * 4, rows,
           vectors);
    });
  }
}

/// Scores to weights, zero from the query's own length up to the block's `most` positions, padded
/// to 32. What lies in the cache behind the last position may be anything.
void AttentionEmitter::softmax(const Item &item, const CachedBlock &cached,
                               const Buffers &buffers, Value most, Value query) {
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
