//===- LowerFunctions.cpp - prologues, values, phases, results ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Descriptor.h"
#include "codegen/HalideKernels.h"
#include "codegen/Lowering.h"
#include "dialect/Packing.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/TypeSwitch.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

int64_t tern::cacheRowFloats(ternary::KVCacheType cache) {
  return roundUp(cache.getHeadSize(), 16);
}

int64_t tern::cacheBytesPerPosition(ternary::KVCacheType cache) {
  return 2 * cache.getHeads() * cacheRowFloats(cache) * static_cast<int64_t>(sizeof(float));
}

static int64_t elementBytes(Type type) {
  return (type.getIntOrFloatBitWidth() + 7) / 8;
}

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

void CodeBuilder::loop(Value begin, Value end, int64_t step, function_ref<void(Value)> body,
                       bool rolled) {
  auto loop = scf::ForOp::create(*this, begin, end, i64(step));
  if (rolled) {
    auto unroll = LLVM::LoopUnrollAttr::get(getContext(), getBoolAttr(true), {}, {}, {}, {}, {}, {});
    auto annotation = LLVM::LoopAnnotationAttr::get(getContext(), {}, {}, {}, unroll, {}, {}, {}, {},
                                                    {}, {}, {}, {}, {}, {}, {});
    loop->setAttr("loop_annotation", annotation);
  }
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

FunctionLowering::FunctionLowering(ModuleLowering &shared, func::FuncOp source)
    : shared(shared), source(source), isEntry(source->hasAttr("ternary.entry")),
      b(source.getLoc(), source.getContext()), tracker(isEntry) {}

std::string tern::blockSymbol(func::FuncOp function) {
  return ("tern_block_" + function.getSymName()).str();
}

LLVM::LLVMFunctionType tern::blockFunctionType(func::FuncOp function,
                                               ArrayRef<std::optional<Base>> bases) {
  MLIRContext *context = function.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = IntegerType::get(context, 64);
  SmallVector<Type> types = {pointer, IntegerType::get(context, 32), pointer, i64};
  for (auto [type, base] : llvm::zip_equal(function.getArgumentTypes(), bases))
    if (!base || *base == Base::Arena || *base == Base::Input)
      types.push_back(i64);
  return LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types);
}

LogicalResult FunctionLowering::run() {
  if (!llvm::hasSingleElement(source.getBody()))
    return source.emitError("expected a function of one block, got ")
           << source.getBody().getBlocks().size();
  if (failed(prologue()))
    return failure();
  for (Operation &op : source.getBody().front())
    if (failed(lowerOp(&op)))
      return failure();
  return success();
}

LogicalResult FunctionLowering::prologue() {
  b.setInsertionPoint(source);
  Type voidType = LLVM::LLVMVoidType::get(b.getContext());
  if (isEntry) {
    auto type = LLVM::LLVMFunctionType::get(voidType, {b.ptr(), b.getI32Type()});
    target = LLVM::LLVMFuncOp::create(b, forwardSymbol(shared.target.name), type);
    target.setVisibility_(LLVM::Visibility::Hidden);
  } else {
    target = LLVM::LLVMFuncOp::create(
        b, blockSymbol(source), blockFunctionType(source, shared.argumentBases[source]));
    target.setLinkage(LLVM::Linkage::Internal);
    // One copy, however many runs of calls there are.
    target.setNoInline(true);
  }
  target.setNoUnwind(true);
  b.setInsertionPointToStart(target.addEntryBlock(b));
  frame = target.getArgument(0);
  thread = target.getArgument(1);
  firstOp = LLVM::AllocaOp::create(b, b.ptr(), b.getI8Type(), b.i64(sizeof(tern_matmul_args_t)), 64);
  kernelArgs = firstOp->getResult(0);
  firstOp = kernelArgs.getDefiningOp()->getOperand(0).getDefiningOp();
  Type i64 = b.getI64Type();
  thread64 = arith::ExtUIOp::create(b, i64, thread);
  threads = arith::ExtUIOp::create(
      b, i64, b.load(b.getI32Type(), frame, offsetof(tern_frame_t, thread_count)));
  arena = b.load(b.ptr(), frame, offsetof(tern_frame_t, arena));
  weights = b.load(b.ptr(), frame, offsetof(tern_frame_t, weights));
  kv = b.load(b.ptr(), frame, offsetof(tern_frame_t, kv));
  capacity = b.load(i64, frame, offsetof(tern_frame_t, kv_capacity));
  // Returned values that live in the caller's buffer, or leave through frame->outputs.
  auto ret = cast<func::ReturnOp>(source.getBody().front().getTerminator());
  for (auto [i, value] : llvm::enumerate(ret.getOperands()))
    returned.try_emplace(value, i);
  return isEntry ? entryArguments() : blockArguments();
}

LogicalResult FunctionLowering::entryArguments() {
  auto offsets = source->getAttrOfType<DenseI64ArrayAttr>("ternary.argument_arena");
  if (!offsets || offsets.size() != static_cast<int64_t>(source.getNumArguments()))
    return source.emitError("expected ternary.argument_arena with ")
           << source.getNumArguments() << " offsets; run ternary-plan-memory";
  Value rows = b.load(b.getI64Type(), frame, offsetof(tern_frame_t, rows));
  localBase = constant(0);
  int64_t inputs = 0, indices = 0, cacheBytes = 0;
  SmallVector<std::tuple<int64_t, Place, RankedTensorType>> copies;
  for (auto [i, argument] : llvm::enumerate(source.getArguments())) {
    if (argument.getType().isIndex()) {
      Value list = b.load(b.ptr(), frame, offsetof(tern_frame_t, indices));
      scalars[argument] = b.load(b.getI64Type(), list, 8 * indices++);
      continue;
    }
    Place place;
    if (auto cache = dyn_cast<ternary::KVCacheType>(argument.getType())) {
      place.base = Base::Cache;
      place.offset = cacheBytes;
      place.region = {Region::Space::Cache, static_cast<int64_t>(i), 0, 0, shared.nextRoot++};
      cacheBytes += cacheBytesPerPosition(cache);
      places[argument] = place;
      continue;
    }
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type || type.getRank() == 0)
      return source.emitError("expected tensors, caches or indices, got argument ")
             << i << " of type " << argument.getType();
    place.rows = type.isDynamicDim(0) ? rows : constant(type.getDimSize(0));
    place.stride = rowStride(type);
    if (offsets[i] < 0) {
      if (type.getRank() != 1 || !type.getElementType().isInteger(32))
        return source.emitError("argument ") << i << " of type " << type << " has no arena offset";
      place.base = Base::Input;
      place.offset = 8 * inputs;
      place.region = {Region::Space::Argument, static_cast<int64_t>(i), 0, 0, shared.nextRoot++};
    } else {
      if (type.getRank() != 2 || !type.getElementType().isF32())
        return source.emitError("expected f32 matrices as inputs, got argument ")
               << i << " of type " << type;
      place.offset = offsets[i];
      int64_t most = type.isDynamicDim(0) ? shared.maxRows : type.getDimSize(0);
      place.region = {Region::Space::Locals, 0, offsets[i], offsets[i] + most * place.stride,
                      shared.nextRoot++};
      copies.emplace_back(inputs, place, type);
    }
    ++inputs;
    places[argument] = place;
  }
  for (auto &[input, place, type] : copies)
    copyIn(input, place, type);
  return success();
}

void FunctionLowering::copyIn(int64_t input, Place place, RankedTensorType type) {
  phase({{place.region, /*write=*/true, place.rows}});
  int64_t columns = type.getDimSize(1);
  Value list = b.load(b.ptr(), frame, offsetof(tern_frame_t, inputs));
  Value from = b.load(b.ptr(), list, 8 * input), to = pointer(place);
  eachRow(place.rows, [&](Value m) {
    Value out = row(to, place, m);
    copyFloats(b.offset(from, b.mul(m, 4 * columns)), out, columns);
    if (columns % kRowPadding)
      rowKernel(RowKernel::ZeroPadding, {out, b.i64(columns)});
  });
}

LogicalResult FunctionLowering::blockArguments() {
  tableRow = target.getArgument(2);
  localBase = target.getArgument(3);
  unsigned next = 4;
  int64_t entry = 0;
  ArrayRef<std::optional<Base>> bases = shared.argumentBases[source];
  for (auto [i, argument] : llvm::enumerate(source.getArguments())) {
    if (!bases[i]) {
      scalars[argument] = target.getArgument(next++);
      continue;
    }
    Place place;
    place.base = *bases[i];
    place.dynamicOffset = b.load(b.getI64Type(), tableRow, 8 * entry++);
    place.region = {Region::Space::Argument, static_cast<int64_t>(i), 0, 0, shared.nextRoot++};
    if (place.base == Base::Cache)
      place.region.space = Region::Space::Cache;
    if (auto type = dyn_cast<RankedTensorType>(argument.getType())) {
      place.stride = rowStride(type);
      if (place.base == Base::Weights)
        place.rows = constant(type.getDimSize(0));
      else
        place.rows = target.getArgument(next++);
    }
    places[argument] = place;
  }
  return success();
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
    return b.offset(kv, b.mul(offset ? offset : b.i64(place.offset), capacity));
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

/// Whether `result` lives where the function's result goes; `place` gets base, offset and region.
bool FunctionLowering::placeReturned(OpResult result, Place &place) {
  auto found = returned.find(result);
  if (found == returned.end())
    return false;
  auto type = cast<RankedTensorType>(result.getType());
  int64_t index = found->second;
  if (!isEntry) {
    int64_t entry = llvm::count_if(shared.argumentBases[source],
                                   [](const std::optional<Base> &base) { return base.has_value(); });
    place.dynamicOffset = b.load(b.getI64Type(), tableRow, 8 * (entry + index));
    place.region = {Region::Space::Result, index, 0, 0, shared.nextRoot++};
    return true;
  }
  // Straight into the caller's dense buffer where rows need no padding, or none is written.
  bool dense = isa<ternary::HeadOp>(result.getOwner()) || rowStride(type) == rowStride(type, true);
  if (!dense || isa<func::CallOp>(result.getOwner()) || !result.hasOneUse())
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
    Value function = b.load(b.ptr(), frame, offsetof(tern_frame_t, barrier));
    Value context = b.load(b.ptr(), frame, offsetof(tern_frame_t, barrier_context));
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                            {b.ptr(), b.getI32Type()});
    LLVM::CallOp::create(b, type, ValueRange{function, context, thread});
    tracker.barrier();
  }
  tracker.add(accesses);
}

std::pair<Value, Value> FunctionLowering::split(Value count) {
  auto bound = [&](Value t) -> Value {
    Value scaled = b.add(b.mul(count, t), b.add(threads, -1));
    return arith::DivUIOp::create(b, scaled, threads);
  };
  return {bound(thread64), bound(b.add(thread64, 1))};
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

//===----------------------------------------------------------------------===//
// Ops that are no phase of the dialect
//===----------------------------------------------------------------------===//

LogicalResult FunctionLowering::lowerOp(Operation *op) {
  b.setLoc(op->getLoc());
  // These only name values: they do not end a run of calls.
  if (isa<ternary::LoadOp, tensor::DimOp, tensor::ExtractSliceOp, arith::ConstantOp, arith::AddIOp,
          arith::SubIOp, arith::MulIOp>(op))
    return lowerView(op);
  if (auto call = dyn_cast<func::CallOp>(op))
    return lowerCall(call);
  flushCalls();
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return lowerReturn(ret);
  return lowerTernary(op);
}

LogicalResult FunctionLowering::lowerView(Operation *op) {
  if (auto load = dyn_cast<ternary::LoadOp>(op)) {
    auto found = shared.sections.find(load.getWeight());
    if (found == shared.sections.end())
      return load.emitOpError("weight @") << load.getWeight() << " has no section";
    Place place;
    place.base = Base::Weights;
    place.offset = found->second;
    place.rows = constant(load.getType().getDimSize(0));
    place.stride = rowStride(cast<RankedTensorType>(load.getType()));
    place.region = {Region::Space::Argument, -1, 0, 0, shared.nextRoot++};
    places[load.getResult()] = place;
    return success();
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return lowerSlice(slice);
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    auto type = cast<RankedTensorType>(dim.getSource().getType());
    if (!index || *index < 0 || *index >= type.getRank() ||
        (*index && type.isDynamicDim(*index)))
      return dim.emitOpError("expected the constant number of a dimension");
    scalars[dim] = *index ? constant(type.getDimSize(*index)) : places.at(dim.getSource()).rows;
    return success();
  }
  if (!op->getResult(0).getType().isIndex())
    return op->emitOpError("is not supported on values of type ") << op->getResult(0).getType();
  if (auto number = dyn_cast<arith::ConstantOp>(op)) {
    scalars[number] = constant(cast<IntegerAttr>(number.getValue()).getInt());
    return success();
  }
  Value left = scalars.lookup(op->getOperand(0)), right = scalars.lookup(op->getOperand(1));
  scalars[op->getResult(0)] =
      llvm::TypeSwitch<Operation *, Value>(op)
          .Case([&](arith::AddIOp) { return b.createOrFold<arith::AddIOp>(left, right); })
          .Case([&](arith::SubIOp) { return b.createOrFold<arith::SubIOp>(left, right); })
          .Case([&](arith::MulIOp) { return b.createOrFold<arith::MulIOp>(left, right); });
  return success();
}

LogicalResult FunctionLowering::lowerReturn(func::ReturnOp op) {
  for (auto [i, value] : llvm::enumerate(op.getOperands())) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || type.getRank() != 2 || !type.getElementType().isF32())
      return op.emitOpError("expected f32 matrices as results, got ") << value.getType();
    const Place from = places.at(value);
    auto space = isEntry ? Region::Space::Output : Region::Space::Result;
    if (from.region.space == space && from.region.id == static_cast<int64_t>(i))
      continue;
    Place to;
    to.stride = rowStride(type, isEntry);
    to.region = {space, static_cast<int64_t>(i), 0, 0, shared.nextRoot++};
    if (isEntry) {
      to.base = Base::Output;
      to.offset = 8 * static_cast<int64_t>(i);
    } else {
      int64_t entry = llvm::count_if(shared.argumentBases[source], [](const auto &base) {
        return base.has_value();
      });
      to.dynamicOffset = b.load(b.getI64Type(), tableRow, 8 * (entry + static_cast<int64_t>(i)));
    }
    phase({reads(value, true), {to.region, true, Value()}});
    int64_t columns = type.getDimSize(1);
    Value in = pointer(from), out = pointer(to);
    eachRow(from.rows, [&](Value m) {
      Value end = row(out, to, m);
      copyFloats(row(in, from, m), end, columns);
      if (!isEntry && columns % kRowPadding)
        rowKernel(RowKernel::ZeroPadding, {end, b.i64(columns)});
    });
  }
  LLVM::ReturnOp::create(b, ValueRange{});
  return success();
}
