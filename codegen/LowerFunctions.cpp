//===- LowerFunctions.cpp - prologues, arguments, results -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Descriptor.h"
#include "codegen/HalideKernels.h"
#include "codegen/Lowering.h"
#include "codegen/Probes.h"
#include "dialect/Packing.h"
#include "tern/abi.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

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
  current = source;
  b.setInsertionPoint(source);
  Type voidType = LLVM::LLVMVoidType::get(b.getContext());
  if (isEntry) {
    auto type = LLVM::LLVMFunctionType::get(voidType, {b.ptr(), b.getI32Type()});
    target = LLVM::LLVMFuncOp::create(b, forwardSymbol(shared.target.name), type);
    target.setVisibility_(LLVM::Visibility::Hidden);
  } else {
    target = LLVM::LLVMFuncOp::create(b, blockSymbol(source),
                                      blockFunctionType(source, shared.argumentBases[source]));
    target.setLinkage(LLVM::Linkage::Internal);
    // One copy, however many runs of calls there are.
    target.setNoInline(true);
  }
  target.setNoUnwind(true);
  b.setInsertionPointToStart(target.addEntryBlock(b));
  frame = target.getArgument(0);
  thread = target.getArgument(1);
  firstOp =
      LLVM::AllocaOp::create(b, b.ptr(), b.getI8Type(), b.i64(sizeof(tern_matmul_args_t)), 64);
  kernelArgs = firstOp->getResult(0);
  firstOp = kernelArgs.getDefiningOp()->getOperand(0).getDefiningOp();
  Type i64 = b.getI64Type();
  thread64 = arith::ExtUIOp::create(b, i64, thread);
  threads = arith::ExtUIOp::create(
      b, i64, b.load(b.getI32Type(), frame, offsetof(tern_frame_t, thread_count)));
  auto tellKernels = [&](size_t field, size_t argument) {
    b.store(b.load(i64, frame, static_cast<int64_t>(field)), kernelArgs,
            static_cast<int64_t>(argument));
  };
  tellKernels(offsetof(tern_frame_t, near_ahead), offsetof(tern_matmul_args_t, near_ahead));
  tellKernels(offsetof(tern_frame_t, far_ahead), offsetof(tern_matmul_args_t, far_ahead));
  arena = b.load(b.ptr(), frame, offsetof(tern_frame_t, arena));
  weights = b.load(b.ptr(), frame, offsetof(tern_frame_t, weights));
  kv = b.load(b.ptr(), frame, offsetof(tern_frame_t, kv));
  batch = b.load(b.ptr(), frame, offsetof(tern_frame_t, batch));
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
  probe(TERN_PROBE_CALL);
  localBase = constant(0);
  int64_t inputs = 0, indices = 0, cacheBytes = 0;
  for (auto [i, argument] : llvm::enumerate(source.getArguments())) {
    if (argument.getType().isIndex()) {
      Value list = b.load(b.ptr(), frame, offsetof(tern_frame_t, indices));
      scalars[argument] = b.load(b.getI64Type(), list, 8 * indices++);
    } else if (auto cache = dyn_cast<ternary::KVCacheType>(argument.getType())) {
      Place place;
      place.base = Base::Cache;
      place.offset = cacheBytes;
      place.region = {Region::Space::Cache, 0, 0, 0, shared.nextRoot++};
      cacheBytes += cacheBytesPerPosition(cache) * TERN_KV_BLOCK;
      places[argument] = place;
    } else if (failed(entryTensor(argument, offsets[i], inputs++, rows))) {
      return failure();
    }
  }
  return success();
}

LogicalResult FunctionLowering::entryTensor(BlockArgument argument, int64_t offset, int64_t input,
                                            Value rows) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  bool isIds = type && type.getRank() == 1 && type.getElementType().isInteger(32);
  bool isMatrix = type && type.getRank() == 2 && type.getElementType().isF32();
  if (!isIds && !isMatrix)
    return source.emitError("expected f32 matrices, i32 vectors, caches and indices, got argument ")
           << argument.getArgNumber() << " of type " << argument.getType();
  if (isMatrix && offset < 0)
    return source.emitError("argument ")
           << argument.getArgNumber() << " of type " << type << " has no arena offset";
  Place place;
  place.rows = type.isDynamicDim(0) ? rows : constant(type.getDimSize(0));
  place.stride = rowStride(type);
  if (isIds) {
    place.base = Base::Input;
    place.offset = 8 * input;
    place.region = {Region::Space::Argument, argument.getArgNumber(), 0, 0, shared.nextRoot++};
  } else {
    int64_t most = type.isDynamicDim(0) ? shared.maxRows : type.getDimSize(0);
    place.offset = offset;
    place.region = {Region::Space::Locals, 0, offset, offset + most * place.stride,
                    shared.nextRoot++};
    copyIn(input, place, type);
  }
  places[argument] = place;
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
    // Two cache arguments may be one cache: all are one region.
    if (place.base == Base::Cache)
      place.region = {Region::Space::Cache, 0, 0, 0, shared.nextRoot++};
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
// Ops that are no phase of the dialect
//===----------------------------------------------------------------------===//

LogicalResult FunctionLowering::lowerOp(Operation *op) {
  b.setLoc(op->getLoc());
  // Names do not end a run of calls.
  if (onlyNamesValues(op))
    return lowerView(op);
  if (auto call = dyn_cast<func::CallOp>(op))
    return lowerCall(call);
  flushCalls();
  current = op;
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
    if (!index || *index < 0 || *index >= type.getRank() || (*index && type.isDynamicDim(*index)))
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
    auto space = isEntry ? Region::Space::Output : Region::Space::Result;
    const Region &region = places.at(value).region;
    if (region.space != space || region.id != static_cast<int64_t>(i))
      copyOut(value, static_cast<int64_t>(i), space);
  }
  if (isEntry)
    probe(TERN_PROBE_RETURN);
  LLVM::ReturnOp::create(b, ValueRange{});
  return success();
}

void FunctionLowering::copyOut(Value value, int64_t result, Region::Space space) {
  auto type = cast<RankedTensorType>(value.getType());
  const Place from = places.at(value);
  Place to;
  to.stride = rowStride(type, /*dense=*/isEntry);
  to.region = {space, result, 0, 0, shared.nextRoot++};
  if (isEntry) {
    to.base = Base::Output;
    to.offset = 8 * result;
  } else {
    to.dynamicOffset = resultOffset(result);
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
