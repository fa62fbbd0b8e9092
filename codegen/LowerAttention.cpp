//===- LowerAttention.cpp - attention as two phases -----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Several rows: first all of them go into the cache, then threads take items of a few rows and a
// cached head. One row: threads take blocks of positions of a cached head, whoever has the last
// block stores the row there; then the blocks' results join.
//
//===----------------------------------------------------------------------===//

#include "codegen/AttentionKernel.h"
#include "codegen/Lowering.h"
#include "dialect/Semantics.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

/// The two phases of one op, each with a branch for calls of one row.
struct FunctionLowering::Attention {
  FunctionLowering &in;
  CodeBuilder &b;
  AttentionShape shape;
  AttentionFunctions functions;
  Place query, key, value, out;
  Place cachePlace;
  Value cache, blockStride, position, blocks, partials;
  Value severalSequences; ///< whether rows have sequences of their own
  /// Whether calls of one row are split along the context: where every item has a cached head of
  /// its own, which it may store to.
  bool splits;

  Attention(FunctionLowering &in, ternary::AttentionOp op);
  void call(LLVM::LLVMFuncOp function, ValueRange operands) {
    LLVM::CallOp::create(b, function, operands);
  }
  void branch(function_ref<void()> oneRow, function_ref<void()> rows);
  void store(Value m, Value head, const Sequence &sequence);
  void storeRows();
  void attendBlocks();
  void attendRows();
  void joinBlocks();
};

FunctionLowering::Attention::Attention(FunctionLowering &in, ternary::AttentionOp op)
    : in(in), b(in.b), shape(op.getCache().getType(), static_cast<int64_t>(op.getHeads())),
      functions(attentionFunctions(in.shared.module, shape, in.shared.target)),
      query(in.places.at(op.getQuery())), key(in.places.at(op.getKey())),
      value(in.places.at(op.getValue())), out(in.places.at(op.getResult())),
      splits(shape.groups == 1) {
  cachePlace = in.places.at(op.getCache());
  cache = in.pointer(cachePlace);
  blockStride = b.i64(in.shared.cacheBlockBytes);
  position = in.scalars.lookup(op.getPosition());
  Value last = arith::DivUIOp::create(b, position, b.i64(semantics::kAttentionBlock));
  blocks = b.add(last, 1);
  partials = b.load(b.ptr(), in.frame, offsetof(tern_frame_t, scratch));
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  severalSequences = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, in.batch, none);
}

void FunctionLowering::Attention::branch(function_ref<void()> oneRow, function_ref<void()> rows) {
  if (!splits)
    return rows();
  Value one = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, query.rows, b.i64(1));
  Value several = severalSequences;
  Value no = arith::ConstantOp::create(b, b.getBoolAttr(false));
  Value split = arith::SelectOp::create(b, several, no, one);
  auto choice = scf::IfOp::create(b, split, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&choice.getElseRegion().front());
  rows();
  b.setInsertionPointToStart(&choice.getThenRegion().front());
  oneRow();
}

void FunctionLowering::Attention::store(Value m, Value head, const Sequence &sequence) {
  Value column = b.mul(head, 4 * shape.cache.headSize);
  call(functions.store,
       {b.offset(in.row(in.pointer(key), key, m), column),
        b.offset(in.row(in.pointer(value), value, m), column),
        in.cachePointer(cachePlace, sequence), blockStride, head, sequence.position});
}

void FunctionLowering::Attention::storeRows() {
  auto [begin, end] = in.split(b.mul(key.rows, shape.cache.heads));
  b.loop(begin, end, 1, [&](Value item) {
    Value m = arith::DivUIOp::create(b, item, b.i64(shape.cache.heads));
    store(m, arith::RemUIOp::create(b, item, b.i64(shape.cache.heads)), in.sequenceOf(m, position));
  });
}

void FunctionLowering::Attention::attendBlocks() {
  Value q = in.pointer(query);
  auto attend = [&](Value index) {
    // Blocks first, then heads: what a thread reads lies together.
    Value item = arith::RemUIOp::create(b, index, b.i64(shape.items()));
    Value block = arith::DivUIOp::create(b, index, b.i64(shape.items()));
    Value last = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, b.add(block, 1), blocks);
    auto storing = scf::IfOp::create(b, last, /*withElseRegion=*/false);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(&storing.getThenRegion().front());
      store(b.i64(0), item, {position, in.kv});
    }
    call(functions.attendBlock, {q, cache, blockStride, item, position, block, partials});
  };
  in.share(b.mul(blocks, shape.items()),
           [&](Value begin, Value end) { b.loop(begin, end, 1, attend); });
}

void FunctionLowering::Attention::attendRows() {
  Value q = in.pointer(query), y = in.pointer(out);
  // Rows of one sequence share its keys and values.
  Value together = arith::SelectOp::create(b, severalSequences, b.i64(1), b.i64(shape.rows));
  Value tiles = arith::DivUIOp::create(b, b.add(query.rows, b.add(together, -1)), together);
  // Items are heads first, then rows: threads share keys.
  auto attend = [&](Value index) {
    Value item = arith::DivUIOp::create(b, index, tiles);
    Value first = b.mul(arith::RemUIOp::create(b, index, tiles), together);
    Value left = arith::SubIOp::create(b, query.rows, first);
    Value rows = arith::MinSIOp::create(b, left, together);
    Sequence sequence = in.sequenceOf(first, position);
    call(functions.attend,
         {in.row(q, query, first), b.i64(query.stride), in.cachePointer(cachePlace, sequence),
          blockStride, item, sequence.position, rows, in.row(y, out, first), b.i64(out.stride)});
  };
  in.share(b.mul(tiles, shape.items()),
           [&](Value begin, Value end) { b.loop(begin, end, 1, attend); });
}

void FunctionLowering::Attention::joinBlocks() {
  Value y = in.pointer(out);
  auto [begin, end] = in.split(b.i64(shape.items()));
  b.loop(begin, end, 1, [&](Value item) { call(functions.join, {partials, blocks, item, y}); });
}

LogicalResult FunctionLowering::lower(ternary::AttentionOp op) {
  const int64_t size = op.getCache().getType().getHeadSize();
  if (size > kMostHeadSize)
    return op.emitOpError("expected heads of at most ")
           << kMostHeadSize << " columns, got " << size;
  if (failed(placeResults(op, places.at(op.getQuery()).rows)))
    return failure();
  Region scratch;
  scratch.space = Region::Space::Scratch;
  phase({reads(op.getQuery(), false),
         reads(op.getKey(), false),
         reads(op.getValue(), false),
         writes(op.getCache(), false),
         {scratch, /*write=*/true, Value()}});
  {
    Attention attention(*this, op);
    attention.branch([&] { attention.attendBlocks(); }, [&] { attention.storeRows(); });
  }
  phase({reads(op.getQuery(), false),
         reads(op.getCache(), false),
         writes(op.getResult(), false),
         {scratch, /*write=*/false, Value()}});
  Attention attention(*this, op);
  attention.branch([&] { attention.joinBlocks(); }, [&] { attention.attendRows(); });
  padRows(attention.out, attention.shape.heads * attention.shape.cache.headSize);
  return success();
}
