//===- FloatTile.cpp - tiles on float activations -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/FloatTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace tern;

using Values = SmallVector<Value>;

/// Partial sums of a group.
static constexpr int64_t kSums = 4;
/// Of a tile: bytes and columns.
static constexpr int64_t kTileBytes = 64, kColumns = 16;

Value FloatTile::activation(KernelBuilder &b, Value row, int64_t column) const {
  Value x = b.load(b.getF32Type(), b.offset(row, 4 * column), /*alignment=*/4);
  return b.broadcast(floats(b), x);
}

VectorType FloatTile::floats(KernelBuilder &b) const {
  return VectorType::get({lanes}, b.getF32Type());
}

Values FloatTile::start(KernelBuilder &b, int64_t tokens, ValueRange) const {
  return Values(kSums / slices * tokens * parts, b.splatFloat(floats(b), 0.0f));
}

Values FloatTile::step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                       int64_t count, int64_t slice) const {
  Values next(state);
  for (int64_t i = 0; i < count; ++i)
    next = stepTile(b, next, b.offset(tile, i * kTileBytes), acts, i * kColumns, slice);
  return next;
}

Values FloatTile::stepTile(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                           int64_t column, int64_t slice) const {
  const int64_t sums = kSums / slices, tokens = static_cast<int64_t>(acts.size());
  Values words, next(state);
  for (int64_t part = 0; part < parts; ++part)
    words.push_back(b.load(b.vec(lanes, 32), b.offset(tile, part * lanes * 4),
                           static_cast<unsigned>(lanes * 4)));
  for (int64_t i = 0; i < sums; ++i) {
    const int64_t j = slice * sums + i;
    SmallVector<Values> trits =
        llvm::map_to_vector(words, [&](Value word) { return decode(b, word, j); });
    for (int64_t slot = 0; slot < 4; ++slot)
      for (int64_t token = 0; token < tokens; ++token) {
        Value spread = activation(b, acts[token], column + 4 * slot + j);
        for (int64_t part = 0; part < parts; ++part) {
          Value &sum = next[(i * tokens + token) * parts + part];
          sum = accumulate(b, trits[part][slot], spread, sum);
        }
      }
  }
  return next;
}

Values FloatTile::finish(KernelBuilder &b, ValueRange states) const {
  const int64_t count = static_cast<int64_t>(states.size()) / kSums;
  Values totals;
  for (int64_t i = 0; i < count; ++i) {
    Value even = arith::AddFOp::create(b, states[i], states[2 * count + i]);
    Value odd = arith::AddFOp::create(b, states[count + i], states[3 * count + i]);
    totals.push_back(arith::AddFOp::create(b, even, odd));
  }
  return totals;
}
