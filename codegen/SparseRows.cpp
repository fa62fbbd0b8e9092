//===- SparseRows.cpp - one token row times rows of open gates ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/SparseKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern {

namespace {

/// Rows listed at a time: the list stays on the stack and in the first-level cache.
constexpr int64_t kListedRows = 4096;
/// Rows of the list whose weights are asked for ahead of their use: early into the second-level
/// cache, and shortly before into the first.
constexpr int64_t kRowsAhead = 12, kRowsNear = 2;
/// A row's lines are asked for from its end, each this many before the last, round and round: by
/// ascending ones the hardware takes a row for the beginning of a long stream, and fetches lines
/// of rows that are skipped.
constexpr int64_t kLineStep = 3;

/// The rows whose gates are open are listed; each is one ascending stream, and the list tells which
/// streams to ask for next. A vector of weights is that of so many tiles' words: the activations
/// are laid out to match once, as four vectors, one for each 2-bit field. Sums of field s are 4^s
/// times too large, by codes of at most 128: 16384 columns stay within 2^28.
class RowsEmitter : public SparseEmitter {
public:
  using SparseEmitter::SparseEmitter;
  void emit() override;

private:
  void layOutActs(Value token);
  Value listRows(Value token, Value first, Value end);
  Value outAt(Value token, Value column) {
    return element(out, b.add(b.mul(token, outStride), column), 4);
  }
  Value gateAt(Value token, Value column) {
    return b.load(b.getF32Type(), element(gate, b.add(b.mul(token, gateStride), column), 4), 4);
  }
  Value rowAt(Value index) {
    Value listed = b.load(b.getI32Type(), element(list, index, 4), 4);
    return arith::ExtUIOp::create(b, b.getI64Type(), listed);
  }
  Value emitSum(Value weights, Value near, Value ahead);
  Values addVector(ValueRange state, Value codes, Value tile);
  void emitRow(Value token, Value index, Value count);

  Value list, planes, wholeTiles, round, hasGate;
};

void RowsEmitter::emit() {
  wholeTiles = b.bitAnd(kTiles, b.i64(-lanes));
  Value rest = arith::RemUIOp::create(b, wholeTiles, b.i64(kLineStep * lanes));
  Value divides = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rest, b.i64(0));
  // One more where every round would meet the same lines.
  round = b.add(wholeTiles, arith::SelectOp::create(b, divides, b.i64(lanes), b.i64(0)));
  hasGate = isNotNull(gate);
  list = stack(b.i64(kListedRows * 4));
  planes = stack(b.mul(b.add(wholeTiles, b.i64(lanes)), b.i64(16)));
  Value first = b.mul(blockBegin, b.i64(row.packing.rows));
  Value end = b.mul(blockEnd, b.i64(row.packing.rows));
  forLoop(b.i64(0), m, 1, [&](Value token) {
    layOutActs(token);
    forLoop(first, end, kListedRows, [&](Value from) {
      Value count = listRows(token, from, b.min(b.add(from, b.i64(kListedRows)), end));
      forLoop(b.i64(0), count, 1, [&](Value index) { emitRow(token, index, count); });
    });
  });
}

/// [vector of tiles][field][tile of the vector]: four activations each; zeros beyond the last tile.
void RowsEmitter::layOutActs(Value token) {
  for (int64_t slot = 0; slot < 4; ++slot)
    store(zero(byteVector), b.offset(element(planes, wholeTiles, 16), slot * bytes), 64);
  Value from = b.offset(acts, b.mul(token, actsStride));
  forLoop(b.i64(0), kTiles, 1, [&](Value tile) {
    Value vector = b.bitAnd(tile, b.i64(-lanes)), lane = b.bitAnd(tile, b.i64(lanes - 1));
    Value to = element(element(planes, vector, 16), lane, 4);
    for (int64_t slot = 0; slot < 4; ++slot)
      store(b.load(b.getI32Type(), b.offset(element(from, tile, 16), 4 * slot), 1),
            b.offset(to, slot * bytes), 4);
  });
}

/// Lists the rows that count and returns how many; the others are 0.
Value RowsEmitter::listRows(Value token, Value first, Value end) {
  auto each = [&](bool gated) {
    return forLoop(first, end, 1, b.i64(0), [&](Value column, ValueRange count) {
      Value narrow = arith::TruncIOp::create(b, b.getI32Type(), column);
      store(narrow, element(list, count[0], 4), 4);
      if (!gated)
        return Values{b.add(count[0], b.i64(1))};
      store(zero(b.getF32Type()), outAt(token, column), 4);
      Value open = arith::ExtUIOp::create(b, b.getI64Type(), positive(gateAt(token, column)));
      return Values{b.add(count[0], open)};
    });
  };
  return choose(
             hasGate, b.getI64Type(), [&] { return each(true); }, [&] { return each(false); })
      .front();
}

RowsEmitter::Values RowsEmitter::addVector(ValueRange state, Value codes, Value tile) {
  Values next;
  for (int64_t slot = 0; slot < 4; ++slot) {
    Value field = b.bitAnd(codes, b.splat(byteVector, static_cast<int8_t>(3 << (2 * slot))));
    Value x = b.load(byteVector, b.offset(element(planes, tile, 16), slot * bytes), 64);
    next.push_back(dot->dot(b, state[slot], field, x));
  }
  return next;
}

/// The sum of activation * code over the row at `weights`, while those at `near` and `ahead` are
/// asked for.
Value RowsEmitter::emitSum(Value weights, Value near, Value ahead) {
  Values state(4, zero(sumVector));
  state.push_back(b.sub(wholeTiles, b.i64(kLineStep * lanes)));
  state = forLoop(b.i64(0), wholeTiles, lanes, state, [&](Value tile, ValueRange carried) {
    Value asked = carried.back();
    b.prefetch(element(ahead, asked, 4), 2);
    b.prefetch(element(near, asked, 4), 1);
    Values next =
        addVector(carried.drop_back(), b.load(byteVector, element(weights, tile, 4), 4), tile);
    asked = b.sub(asked, b.i64(kLineStep * lanes));
    Value ended = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, asked, b.i64(0));
    next.push_back(arith::SelectOp::create(b, ended, b.add(asked, round), asked));
    return next;
  });
  state.pop_back();
  Value left = b.sub(kTiles, wholeTiles);
  Value some = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, left, b.i64(0));
  state = choose(
      some, ValueRange(state).getTypes(),
      [&] {
        // Beyond the row there may be nothing.
        SmallVector<int32_t> numbers(lanes);
        for (int64_t i = 0; i < lanes; ++i)
          numbers[i] = static_cast<int32_t>(i);
        Value steps = arith::ConstantOp::create(
            b, sumVector, DenseElementsAttr::get(sumVector, ArrayRef<int32_t>(numbers)));
        Value count = arith::TruncIOp::create(b, b.getI32Type(), left);
        Value mask = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, steps,
                                           b.broadcast(sumVector, count));
        Value last = LLVM::MaskedLoadOp::create(b, sumVector, element(weights, wholeTiles, 4), mask,
                                                zero(sumVector), /*alignment=*/4);
        return addVector(state, b.bitcast(byteVector, last), wholeTiles);
      },
      [&] { return state; });
  Value total = state[0];
  for (int64_t slot = 1; slot < 4; ++slot)
    total = b.add(total, b.shiftRightArithmetic(state[slot], 2 * slot));
  return vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
}

void RowsEmitter::emitRow(Value token, Value index, Value count) {
  Value rowBytes = b.mul(kTiles, b.i64(4));
  Value column = rowAt(index);
  auto weightsOf = [&](Value row) { return b.offset(weight, b.mul(row, rowBytes)); };
  auto later = [&](int64_t rows) {
    return weightsOf(rowAt(b.min(b.add(index, b.i64(rows)), b.sub(count, b.i64(1)))));
  };
  Value sum = emitSum(weightsOf(column), later(kRowsNear), later(kRowsAhead));
  auto floats = VectorType::get({1}, b.getF32Type());
  Value value = finish(floats, token, column, b.broadcast(b.vec(1, 32), sum));
  value = vector::ExtractOp::create(b, value, ArrayRef<int64_t>{0});
  value = choose(
              hasGate, b.getF32Type(),
              [&] {
                Value g = gateAt(token, column);
                Value squared = arith::MulFOp::create(b, g, g);
                return Values{arith::MulFOp::create(b, squared, value)};
              },
              [&] { return Values{value}; })
              .front();
  store(value, outAt(token, column), 4);
}

} // namespace

std::unique_ptr<SparseEmitter> rowsEmitter(KernelBuilder &b, const KernelRow &row, Value args) {
  return std::make_unique<RowsEmitter>(b, row, args);
}

} // namespace tern
