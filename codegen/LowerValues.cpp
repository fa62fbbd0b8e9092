//===- LowerValues.cpp - where values lie, and phases ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/AttentionKernel.h"
#include "codegen/HalideKernels.h"
#include "codegen/Lowering.h"
#include "dialect/Packing.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Storage.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

int64_t tern::cacheBytesPerPosition(ternary::KVCacheType cache) {
  return CacheLayout(cache).bytesPerPosition();
}

static int64_t elementBytes(Type type) { return (type.getIntOrFloatBitWidth() + 7) / 8; }

int64_t tern::rowStride(RankedTensorType type, bool dense) {
  Type element = type.getElementType();
  if (!element.isIntOrFloat())
    return 0;
  if (type.getRank() < 2)
    return elementBytes(element);
  int64_t columns = type.getDimSize(type.getRank() - 1);
  if (dense || element.isInteger(32))
    return columns * elementBytes(element);
  if (element.isInteger(8))
    return paddedActs(columns);
  return paddedRow(columns) * elementBytes(element);
}

//===----------------------------------------------------------------------===//
// CodeBuilder
//===----------------------------------------------------------------------===//

Value CodeBuilder::i64(int64_t value) {
  return arith::ConstantOp::create(*this, getI64IntegerAttr(value));
}
Value CodeBuilder::add(Value a, Value c) { return createOrFold<arith::AddIOp>(a, c); }
Value CodeBuilder::add(Value a, int64_t c) { return c ? add(a, i64(c)) : a; }
Value CodeBuilder::mul(Value a, Value c) { return createOrFold<arith::MulIOp>(a, c); }
Value CodeBuilder::mul(Value a, int64_t c) { return c == 1 ? a : mul(a, i64(c)); }
Value CodeBuilder::offset(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(*this, ptr(), getI8Type(), pointer, ArrayRef<LLVM::GEPArg>{bytes});
}
Value CodeBuilder::offset(Value pointer, int64_t bytes) {
  return bytes ? offset(pointer, i64(bytes)) : pointer;
}
Value CodeBuilder::load(Type type, Value pointer, int64_t bytes) {
  return LLVM::LoadOp::create(*this, type, offset(pointer, bytes));
}
void CodeBuilder::store(Value value, Value pointer, int64_t bytes) {
  LLVM::StoreOp::create(*this, value, offset(pointer, bytes));
}

void CodeBuilder::loop(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, begin, end, i64(step));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value FunctionLowering::constant(int64_t value) {
  Value &known = constants[value];
  if (!known) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(firstOp);
    known = b.i64(value);
  }
  return known;
}

Value FunctionLowering::pointer(const Place &place) {
  Value offset = place.dynamicOffset ? b.add(place.dynamicOffset, place.offset) : Value();
  auto from = [&](Value base) {
    return offset ? b.offset(base, offset) : b.offset(base, place.offset);
  };
  switch (place.base) {
  case Base::Arena:
    return from(arena);
  case Base::Weights:
    return from(weights);
  case Base::Input:
    return b.load(b.ptr(), from(b.load(b.ptr(), frame, offsetof(tern_frame_t, inputs))));
  case Base::Output:
    return b.load(b.ptr(), from(b.load(b.ptr(), frame, offsetof(tern_frame_t, outputs))));
  case Base::Cache:
    return from(kv);
  }
  llvm_unreachable("all bases are handled");
}

Value FunctionLowering::row(Value base, const Place &place, Value index) {
  return b.offset(base, b.mul(index, place.stride));
}

Access FunctionLowering::reads(Value value, bool byRow) {
  const Place &place = places.at(value);
  return {place.region, false, byRow && place.wholeRows ? place.rows : Value()};
}

Access FunctionLowering::writes(Value value, bool byRow) {
  Access access = reads(value, byRow);
  access.write = true;
  return access;
}

/// A block function's table row: places of arguments, then of results.
Value FunctionLowering::resultOffset(int64_t result) {
  int64_t arguments =
      llvm::count_if(shared.argumentBases[source],
                     [](const std::optional<Base> &base) { return base.has_value(); });
  return b.load(b.getI64Type(), tableRow, 8 * (arguments + result));
}

/// Whether `result` lives where the function's result goes; `place` gets base, offset and region.
bool FunctionLowering::placeReturned(OpResult result, Place &place) {
  auto found = returned.find(result);
  if (found == returned.end())
    return false;
  auto type = cast<RankedTensorType>(result.getType());
  int64_t index = found->second;
  if (!isEntry) {
    place.dynamicOffset = resultOffset(index);
    place.region = {Region::Space::Result, index, 0, 0, shared.nextRoot++};
    return true;
  }
  if (!livesInCaller(result))
    return false;
  place.base = Base::Output;
  place.offset = 8 * index;
  place.stride = rowStride(type, true);
  place.region = {Region::Space::Output, index, 0, 0, shared.nextRoot++};
  return true;
}

LogicalResult FunctionLowering::placeResults(Operation *op, Value rows) {
  auto offsets = op->getAttrOfType<DenseI64ArrayAttr>("ternary.arena");
  for (OpResult result : op->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    Place place;
    place.rows = type.isDynamicDim(0) ? rows : constant(type.getDimSize(0));
    place.stride = rowStride(type);
    int64_t offset = offsets && result.getResultNumber() < static_cast<size_t>(offsets.size())
                         ? offsets[result.getResultNumber()]
                         : -1;
    bool elsewhere = (isEntry || offset < 0) && placeReturned(result, place);
    if (!elsewhere && offset < 0)
      return op->emitOpError("expected an arena offset for result #")
             << result.getResultNumber() << "; run ternary-plan-memory";
    if (!elsewhere) {
      int64_t most = type.isDynamicDim(0) ? shared.maxRows : type.getDimSize(0);
      place.dynamicOffset = isEntry ? Value() : localBase;
      place.offset = offset;
      place.region = {Region::Space::Locals, 0, offset, offset + most * place.stride,
                      shared.nextRoot++};
    }
    places[result] = place;
  }
  return success();
}

LogicalResult FunctionLowering::lowerSlice(tensor::ExtractSliceOp op) {
  auto type = op.getType();
  auto source = op.getSourceType();
  Type element = type.getElementType();
  if (type.getRank() != source.getRank() || type.getRank() > 2 || !element.isIntOrFloat() ||
      llvm::any_of(op.getMixedStrides(), [](OpFoldResult s) { return !isConstantIntValue(s, 1); }))
    return op.emitOpError("expected a slice of whole elements, stride 1, of a matrix");
  auto value = [&](OpFoldResult item) {
    std::optional<int64_t> known = getConstantIntValue(item);
    return known ? constant(*known) : scalars.lookup(cast<Value>(item));
  };
  Place place = places.at(op.getSource());
  SmallVector<OpFoldResult> offsets = op.getMixedOffsets(), sizes = op.getMixedSizes();
  if (!isConstantIntValue(offsets[0], 0)) {
    if (std::optional<int64_t> rows = getConstantIntValue(offsets[0]))
      place.offset += *rows * place.stride;
    else {
      Value bytes = b.mul(value(offsets[0]), place.stride);
      place.dynamicOffset = place.dynamicOffset ? b.add(place.dynamicOffset, bytes) : bytes;
    }
    place.wholeRows = false;
  }
  if (type.getRank() == 2) {
    std::optional<int64_t> column = getConstantIntValue(offsets[1]);
    if (!column)
      return op.emitOpError("expected a constant first column");
    place.offset += *column * elementBytes(element);
  }
  place.rows = value(sizes[0]);
  places[op.getResult()] = place;
  return success();
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

void FunctionLowering::phase(ArrayRef<Access> accesses) {
  if (tracker.needsBarrier(accesses)) {
    probe(TERN_PROBE_WAIT);
    barrier();
  }
  probeOp();
  tracker.add(accesses);
}

void FunctionLowering::barrier() {
  Value function = b.load(b.ptr(), frame, offsetof(tern_frame_t, barrier));
  Value context = b.load(b.ptr(), frame, offsetof(tern_frame_t, barrier_context));
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                          {b.ptr(), b.getI32Type()});
  LLVM::CallOp::create(b, type, ValueRange{function, context, thread});
  tracker.barrier();
}

Value FunctionLowering::stack(int64_t bytes) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(firstOp);
  return LLVM::AllocaOp::create(b, b.ptr(), b.getI8Type(), b.i64(bytes), 64);
}

std::pair<Value, Value> FunctionLowering::split(Value count) {
  auto bound = [&](Value t) -> Value {
    Value scaled = b.add(b.mul(count, t), b.add(threads, -1));
    return arith::DivUIOp::create(b, scaled, threads);
  };
  return {bound(thread64), bound(b.add(thread64, 1))};
}

Value FunctionLowering::drawTicket() {
  Value counter = b.load(b.ptr(), frame, offsetof(tern_frame_t, ticket));
  return LLVM::AtomicRMWOp::create(b, LLVM::AtomicBinOp::add, counter, b.i64(1),
                                   LLVM::AtomicOrdering::monotonic);
}

void FunctionLowering::share(Value count, function_ref<void(Value, Value)> body) {
  if (!tracker.takeTicket()) {
    auto [begin, end] = split(count);
    body(begin, end);
    return;
  }
  // A thread alone needs no pieces. Otherwise a quarter of the items evens out what the threads
  // lose to other work on their cores; four pieces a thread keep what it waits for short. They are
  // of one size, or one thread would always wait for another, and of whole groups of row blocks.
  constexpr int64_t kShare = 4, kPieces = 4, kGroup = 4;
  Value alone = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, threads, b.i64(1));
  Value pieces = b.mul(threads, kPieces);
  Value size = arith::DivUIOp::create(b, count, b.mul(pieces, kShare));
  Value groups = arith::AndIOp::create(b, size, b.i64(-kGroup));
  Value grouped = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, groups, b.i64(0));
  size = arith::MaxUIOp::create(b, arith::SelectOp::create(b, grouped, groups, size), b.i64(1));
  Value quarter = arith::DivUIOp::create(b, count, b.i64(kShare));
  Value loose = arith::MinUIOp::create(b, b.mul(size, pieces), quarter);
  loose = arith::SelectOp::create(b, alone, b.i64(0), loose);
  Value dealt = arith::SubIOp::create(b, count, loose);
  auto [begin, end] = split(dealt);
  auto least = [&](Value value) -> Value { return arith::MinSIOp::create(b, value, count); };
  SmallVector<Type> types(2, b.getI64Type());
  auto loop = scf::WhileOp::create(b, types, ValueRange{begin, end});
  OpBuilder::InsertionGuard guard(b);
  SmallVector<Location> locations(2, b.getLoc());
  Block *before = b.createBlock(&loop.getBefore(), {}, types, locations);
  Value more = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, before->getArgument(0), count);
  scf::ConditionOp::create(b, more, before->getArguments());
  Block *after = b.createBlock(&loop.getAfter(), {}, types, locations);
  body(after->getArgument(0), after->getArgument(1));
  Value next = b.add(dealt, b.mul(drawTicket(), size));
  scf::YieldOp::create(b, ValueRange{least(next), least(b.add(next, size))});
}

void FunctionLowering::eachRow(Value rows, function_ref<void(Value)> body) {
  auto [begin, end] = split(rows);
  b.loop(begin, end, 1, body);
}

void FunctionLowering::copyFloats(Value from, Value to, int64_t count) {
  b.loop(b.i64(0), b.i64(count), 1, [&](Value i) {
    Value bytes = b.mul(i, 4);
    b.store(b.load(b.getF32Type(), b.offset(from, bytes)), b.offset(to, bytes));
  });
}

void FunctionLowering::rowKernel(RowKernel kernel, ValueRange operands) {
  emitRowKernel(b, b.getLoc(), shared.module, kernel, operands);
}
