//===- SparseColumns.cpp - one token row, without the zeros in it ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/SparseKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern {

namespace {

constexpr int64_t kColumnBytes = kColumnBlockRows / 4;
/// Columns of the list whose weights are asked for ahead of their use: early into the second-level
/// cache, and shortly before into the first.
constexpr int64_t kColumnsAhead = 128, kColumnsNear = 24;
/// Columns taken at once: four products make a lane's sum.
constexpr int64_t kTaken = 4;

/// The columns whose activation is not zero are listed once for all row blocks. A block's column is
/// one cache line; four of them are interleaved to words of four codes of a row. The 2-bit
/// fields are masked where they are: sums of field s are 4^s times too large, by codes of at most
/// 128, and 16384 columns stay within 2^28.
class ColumnsEmitter : public SparseEmitter {
public:
  using SparseEmitter::SparseEmitter;
  void emit() override;

private:
  Value listColumns(Value token);
  Value appendEach(Value from, Value columns);
  Value appendCompressed(Value from, Value columns);
  void padList(Value count);
  void emitBlock(Value block, Value count);
  void emitPass(Value first, int64_t byte, int64_t quarter, Value count);
  Values loadWords(Value first, int64_t byte, int64_t quarter, Value index);
  void finishBlock(Value token, Value block);

  /// An entry is column * 256 + the activation's byte.
  Value list, sums;
};

void ColumnsEmitter::emit() {
  Value columns = b.mul(kTiles, b.i64(16));
  list = stack(b.mul(b.add(columns, b.i64(kColumnsAhead + 2 * 16)), b.i64(4)));
  sums = stack(b.i64(kColumnBlockRows * 4));
  forLoop(b.i64(0), m, 1, [&](Value token) {
    Value count = listColumns(token);
    forLoop(blockBegin, blockEnd, 1, [&](Value block) {
      emitBlock(block, count);
      finishBlock(token, block);
    });
  });
}

Value ColumnsEmitter::listColumns(Value token) {
  Value from = b.offset(acts, b.mul(token, actsStride)), columns = b.mul(kTiles, b.i64(16));
  Value count = dot->compresses ? appendCompressed(from, columns) : appendEach(from, columns);
  padList(count);
  return count;
}

Value ColumnsEmitter::appendEach(Value from, Value columns) {
  Type i32 = b.getI32Type(), i64 = b.getI64Type();
  return forLoop(b.i64(0), columns, 1, b.i64(0),
                 [&](Value column, ValueRange count) {
                   Value value = b.load(b.getI8Type(), b.offset(from, column), 1);
                   Value high = arith::ShLIOp::create(b, column, b.i64(8));
                   Value entry = b.bitOr(high, arith::ExtUIOp::create(b, i64, value));
                   store(arith::TruncIOp::create(b, i32, entry), element(list, count[0], 4), 4);
                   Value counts = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, value,
                                                        zero(b.getI8Type()));
                   return Values{b.add(count[0], arith::ExtUIOp::create(b, i64, counts))};
                 })
      .front();
}

/// Sixteen columns at a time; the lanes behind the chosen ones are overwritten by the next.
Value ColumnsEmitter::appendCompressed(Value from, Value columns) {
  VectorType words = b.vec(16, 32), bytes16 = b.vec(16, 8);
  SmallVector<int32_t> numbers(16);
  for (int32_t i = 0; i < 16; ++i)
    numbers[i] = i * 256;
  Value steps = arith::ConstantOp::create(
      b, words, DenseElementsAttr::get(words, ArrayRef<int32_t>(numbers)));
  return forLoop(b.i64(0), columns, 16, b.i64(0),
                 [&](Value column, ValueRange count) {
                   Value values = b.load(bytes16, b.offset(from, column), 1);
                   Value high = arith::ShLIOp::create(b, column, b.i64(8));
                   Value first = arith::TruncIOp::create(b, b.getI32Type(), high);
                   Value entries = b.bitOr(b.add(b.broadcast(words, first), steps),
                                           arith::ExtUIOp::create(b, words, values));
                   Value mask =
                       arith::CmpIOp::create(b, arith::CmpIPredicate::ne, values, zero(bytes16));
                   Value chosen = b.intrinsic("llvm.experimental.vector.compress", words,
                                              {entries, mask, zero(words)});
                   store(chosen, element(list, count[0], 4), 4);
                   Value bits = LLVM::BitcastOp::create(b, b.getIntegerType(16), mask);
                   Value wide = arith::ExtUIOp::create(b, b.getI64Type(), bits);
                   return Values{b.add(count[0], LLVM::CtPopOp::create(b, b.getI64Type(), wide))};
                 })
      .front();
}

/// Entries beyond the list repeat its last column, with an activation of 0.
void ColumnsEmitter::padList(Value count) {
  VectorType words = b.vec(kTaken, 32);
  Value none = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, count, b.i64(0));
  Value before = arith::SelectOp::create(b, none, count, b.sub(count, b.i64(1)));
  onlyIf(none, [&] { store(zero(b.getI32Type()), list, 4); });
  Value last = b.load(b.getI32Type(), element(list, before, 4), 4);
  Value padding = b.broadcast(words, last);
  padding = b.bitAnd(padding, b.splat(words, ~int64_t(255)));
  for (int64_t i = 0; i < kColumnsAhead + kTaken; i += kTaken)
    store(padding, b.offset(element(list, count, 4), 4 * i), 4);
}

void ColumnsEmitter::emitBlock(Value block, Value count) {
  Value first = b.offset(weight, b.mul(b.mul(block, kTiles), b.i64(row.packing.tileBytes())));
  for (int64_t byte = 0; byte < kColumnBytes; byte += bytes)
    for (int64_t quarter = 0; quarter < 4; quarter += dot->quarters)
      emitPass(first, byte, quarter, count);
}

/// The words of codes of `quarters` lane quarters: bytes 4 q .. 4 q + 3 of each 16.
ColumnsEmitter::Values ColumnsEmitter::loadWords(Value first, int64_t byte, int64_t quarter,
                                                 Value index) {
  auto columnOf = [&](int64_t entry) {
    Value at = b.load(b.getI32Type(), b.offset(element(list, index, 4), 4 * entry), 4);
    Value wide = arith::ExtUIOp::create(b, b.getI64Type(), at);
    Value column = arith::ShRUIOp::create(b, wide, b.i64(8));
    return b.offset(element(first, column, kColumnBytes), byte);
  };
  Values columns;
  for (int64_t i = 0; i < kTaken; ++i) {
    if (byte == 0 && quarter == 0) {
      b.prefetch(columnOf(kColumnsAhead + i), 2);
      b.prefetch(columnOf(kColumnsNear + i), 1);
    }
    columns.push_back(b.load(byteVector, columnOf(i), /*alignment=*/16));
  }
  Values words;
  for (int64_t q = quarter; q < quarter + dot->quarters; q += 2) {
    Value left = interleave(columns[0], columns[1], 1, q / 2);
    Value right = interleave(columns[2], columns[3], 1, q / 2);
    for (bool high : {false, true})
      words.push_back(b.bitcast(byteVector, interleave(left, right, 2, high)));
  }
  return words;
}

/// The sums of the block's rows in bytes `byte` on of its columns, by quarters.
void ColumnsEmitter::emitPass(Value first, int64_t byte, int64_t quarter, Value count) {
  Values state(4 * dot->quarters, zero(sumVector));
  state = forLoop(b.i64(0), count, kTaken, state, [&](Value index, ValueRange carried) {
    Values words = loadWords(first, byte, quarter, index), next;
    Value entries = b.load(b.vec(kTaken, 32), element(list, index, 4), 4);
    Value values = arith::TruncIOp::create(b, b.vec(kTaken, 8), entries);
    Value word = LLVM::BitcastOp::create(b, b.getI32Type(), values);
    Value x = b.bitcast(byteVector, b.broadcast(sumVector, word));
    for (int64_t i = 0; i < static_cast<int64_t>(carried.size()); ++i) {
      Value mask = b.splat(byteVector, static_cast<int8_t>(3 << (2 * (i / dot->quarters))));
      Value field = b.bitAnd(words[i % dot->quarters], mask);
      next.push_back(dot->dot(b, carried[i], field, x));
    }
    return next;
  });
  for (auto [i, sum] : llvm::enumerate(state)) {
    const int64_t slot = i / dot->quarters, q = quarter + i % dot->quarters;
    Value exact = slot ? b.shiftRightArithmetic(sum, 2 * slot) : sum;
    for (int64_t part = 0; part < lanes / 4; ++part) {
      Value four = vector::ExtractStridedSliceOp::create(
          b, exact, ArrayRef<int64_t>{4 * part}, ArrayRef<int64_t>{4}, ArrayRef<int64_t>{1});
      const int64_t rowOfBlock = (byte / 16 + part) * 64 + slot * 16 + q * 4;
      store(four, b.offset(sums, 4 * rowOfBlock), 16);
    }
  }
}

void ColumnsEmitter::finishBlock(Value token, Value block) {
  auto floats = VectorType::get({lanes}, b.getF32Type());
  forLoop(b.i64(0), b.i64(kColumnBlockRows), lanes, [&](Value at) {
    Value column = b.add(b.mul(block, b.i64(kColumnBlockRows)), at);
    Value value = finish(floats, token, column, b.load(sumVector, element(sums, at, 4), 16));
    store(value, element(out, b.add(b.mul(token, outStride), column), 4), 4);
  });
}

} // namespace

std::unique_ptr<SparseEmitter> columnsEmitter(KernelBuilder &b, const KernelRow &row, Value args) {
  return std::make_unique<ColumnsEmitter>(b, row, args);
}

} // namespace tern
