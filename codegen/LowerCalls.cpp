//===- LowerCalls.cpp - runs of calls as loops over a table ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Lowering.h"
#include "codegen/Probes.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "tern/abi.h"

using namespace mlir;
using namespace tern;

namespace {
/// A row count of a callee's result in the caller's terms: a constant, an index argument, or the
/// rows of a tensor argument.
struct RowCount {
  enum class Kind { Constant, Index, RowsOf } kind;
  int64_t number; ///< the constant, or which argument
};

/// What is known of values of callees: chains of calls to one function are followed once.
using RowCounts = llvm::DenseMap<Value, std::optional<RowCount>>;
} // namespace

static std::optional<RowCount> traceRows(Value value, RowCounts &known);
static std::optional<RowCount> traceIndex(Value value, RowCounts &known);

/// The rows of what a call returns, in its caller's terms.
static std::optional<RowCount> traceCall(func::CallOp call, unsigned result, RowCounts &known) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
  auto ret = cast<func::ReturnOp>(callee.getBody().front().getTerminator());
  Value returned = ret.getOperand(result);
  auto found = known.find(returned);
  auto inner = found == known.end() ? traceRows(returned, known) : found->second;
  known[returned] = inner;
  if (!inner || inner->kind == RowCount::Kind::Constant)
    return inner;
  Value operand = call.getOperand(inner->number);
  return inner->kind == RowCount::Kind::Index ? traceIndex(operand, known)
                                              : traceRows(operand, known);
}

/// Where the number of rows of `value` comes from. Ops of the dialect keep their first operand's.
static std::optional<RowCount> traceRows(Value value, RowCounts &known) {
  for (;;) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || type.getRank() == 0)
      return std::nullopt;
    if (!type.isDynamicDim(0))
      return RowCount{RowCount::Kind::Constant, type.getDimSize(0)};
    if (auto argument = dyn_cast<BlockArgument>(value))
      return RowCount{RowCount::Kind::RowsOf, argument.getArgNumber()};
    Operation *op = value.getDefiningOp();
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      OpFoldResult size = slice.getMixedSizes()[0];
      if (std::optional<int64_t> number = getConstantIntValue(size))
        return RowCount{RowCount::Kind::Constant, *number};
      return traceIndex(cast<Value>(size), known);
    }
    if (auto angles = dyn_cast<ternary::RopeAnglesOp>(op))
      return traceIndex(angles.getRows(), known);
    if (auto call = dyn_cast<func::CallOp>(op))
      return traceCall(call, cast<OpResult>(value).getResultNumber(), known);
    if (op->getNumOperands() == 0)
      return std::nullopt;
    value = op->getOperand(0);
  }
}

static std::optional<RowCount> traceIndex(Value value, RowCounts &known) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return RowCount{RowCount::Kind::Index, argument.getArgNumber()};
  if (std::optional<int64_t> known = getConstantIntValue(value))
    return RowCount{RowCount::Kind::Constant, *known};
  if (auto dim = value.getDefiningOp<tensor::DimOp>())
    if (dim.getConstantIndex() == 0)
      return traceRows(dim.getSource(), known);
  return std::nullopt;
}

/// Fills the scalars of `call` and the places of the operands that have one; the callee's first
/// call decides what its arguments' offsets count from.
LogicalResult FunctionLowering::callArguments(func::CallOp op, CallRun &call,
                                              SmallVectorImpl<Place> &tensors) {
  auto &bases = shared.argumentBases[call.callee];
  bool first = bases.empty();
  for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
    auto found = places.find(operand);
    std::optional<Base> base;
    if (found == places.end()) {
      call.scalars.push_back(scalars.lookup(operand));
    } else {
      const Place &place = found->second;
      base = place.base;
      tensors.push_back(place);
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      if (type && place.stride != rowStride(type))
        return op.emitOpError("argument ")
               << i << " is a slice of columns; only whole rows can be passed to a function";
      if (place.base == Base::Arena || place.base == Base::Input)
        call.scalars.push_back(place.rows);
    }
    if (first)
      bases.push_back(base);
    else if (bases[i] != base)
      return op.emitOpError("argument ")
             << i << " of @" << call.callee.getSymName()
             << " is a weight in some calls and a computed value in others";
  }
  return success();
}

LogicalResult FunctionLowering::callResults(func::CallOp op, func::FuncOp callee,
                                            SmallVectorImpl<Place> &tensors) {
  if (failed(placeResults(op, Value())))
    return failure();
  auto ret = cast<func::ReturnOp>(callee.getBody().front().getTerminator());
  RowCounts known;
  for (auto [result, value] : llvm::zip_equal(op.getResults(), ret.getOperands())) {
    std::optional<RowCount> count = traceRows(value, known);
    if (!count)
      return op.emitOpError("cannot tell how many rows @") << callee.getSymName() << " returns";
    Value rows;
    if (count->kind == RowCount::Kind::Constant)
      rows = constant(count->number);
    else if (count->kind == RowCount::Kind::Index)
      rows = scalars.lookup(op.getOperand(count->number));
    else
      rows = places.at(op.getOperand(count->number)).rows;
    places[result].rows = rows;
    tensors.push_back(places[result]);
  }
  return success();
}

LogicalResult FunctionLowering::lowerCall(func::CallOp op) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
  assert(callee && !callee.isExternal() && "the call order has checked callees");
  CallRun call;
  call.callee = callee;
  SmallVector<Place> arguments;
  if (failed(callArguments(op, call, arguments)) || failed(callResults(op, callee, arguments)))
    return failure();

  bool isConstant = llvm::all_of(arguments, [](const Place &p) { return !p.dynamicOffset; });
  bool continues = run_ && isConstant && run_->dynamicRow.empty() && run_->callee == callee &&
                   run_->scalars == call.scalars;
  if (!continues) {
    flushCalls();
    run_ = std::move(call);
    run_->firstProbe = probeNumber(op).value_or(0);
  }
  if (isConstant) {
    run_->table.push_back(llvm::map_to_vector(arguments, [](const Place &p) { return p.offset; }));
    return success();
  }
  for (const Place &place : arguments)
    run_->dynamicRow.push_back(place.dynamicOffset ? b.add(place.dynamicOffset, place.offset)
                                                   : b.i64(place.offset));
  flushCalls();
  return success();
}

void FunctionLowering::emitCallBody(Value rowPointer, Value index) {
  if (run_->firstProbe)
    probe(b.add(index, run_->firstProbe), b.i64(0));
  // A callee's locals lie after its caller's.
  auto bytes = source->getAttrOfType<IntegerAttr>("ternary.arena_bytes");
  SmallVector<Value> operands = {frame, thread, rowPointer,
                                 b.add(localBase, bytes ? bytes.getInt() : 0)};
  operands.append(run_->scalars.begin(), run_->scalars.end());
  auto type = blockFunctionType(run_->callee, shared.argumentBases[run_->callee]);
  LLVM::CallOp::create(b, type, blockSymbol(run_->callee), operands);
  if (run_->firstProbe)
    probe(b.i64(TERN_PROBE_RETURN), b.i64(0));
}

void FunctionLowering::emitTableLoop() {
  SmallVector<int64_t> flat = {static_cast<int64_t>(run_->table.size())};
  for (const SmallVector<int64_t> &row : run_->table)
    flat.append(row);
  int64_t rowBytes = 8 * static_cast<int64_t>(run_->table.front().size());
  LLVM::GlobalOp table;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(shared.module.getBody());
    auto type = LLVM::LLVMArrayType::get(b.getI64Type(), flat.size());
    table = LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                   "tern_calls_" + std::to_string(shared.nextGlobal++),
                                   b.getI64TensorAttr(flat));
    // LLVM may not look at the numbers: the same code for any number of calls.
    table.setExternallyInitialized(true);
  }
  Value base = LLVM::AddressOfOp::create(b, table);
  Value calls = b.load(b.getI64Type(), base), rows = b.offset(base, 8);
  b.loop(b.i64(0), calls, 1, [&](Value i) { emitCallBody(b.offset(rows, b.mul(i, rowBytes)), i); });
}

void FunctionLowering::flushCalls() {
  if (!run_)
    return;
  if (!run_->dynamicRow.empty()) {
    Value buffer = LLVM::AllocaOp::create(
        b, b.ptr(), b.getI64Type(), constant(static_cast<int64_t>(run_->dynamicRow.size())), 8);
    for (auto [i, offset] : llvm::enumerate(run_->dynamicRow))
      b.store(offset, buffer, 8 * static_cast<int64_t>(i));
    emitCallBody(buffer, b.i64(0));
  } else {
    emitTableLoop();
  }
  tracker.addUnknown();
  run_.reset();
}
