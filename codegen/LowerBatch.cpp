//===- LowerBatch.cpp - rows of several sequences -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The dialect speaks of one sequence: row m of a call is at the entry's position + m. In a batch
// each row is a call of its own on a sequence of its own, of which all share the weights that are
// read. Only what depends on the position or reaches a cache can tell; it asks here.
//
//===----------------------------------------------------------------------===//

#include "codegen/Lowering.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

FunctionLowering::Sequence FunctionLowering::sequenceOf(Value m, Value position) {
  Type i64 = b.getI64Type();
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  Value several = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, batch, none);
  auto choice = scf::IfOp::create(b, TypeRange{i64, b.ptr()}, several, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  Value row = b.offset(batch, b.mul(m, sizeof(tern_batch_row_t)));
  scf::YieldOp::create(b, ValueRange{b.load(i64, row, offsetof(tern_batch_row_t, position)),
                                     b.load(b.ptr(), row, offsetof(tern_batch_row_t, kv))});
  b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(b, ValueRange{b.add(position, m), kv});
  return {choice.getResult(0), choice.getResult(1)};
}

Value FunctionLowering::cachePointer(const Place &cache, const Sequence &sequence) {
  if (!cache.dynamicOffset)
    return b.offset(sequence.kv, cache.offset);
  return b.offset(sequence.kv, b.add(cache.dynamicOffset, cache.offset));
}
