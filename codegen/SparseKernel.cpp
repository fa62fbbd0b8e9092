//===- SparseKernel.cpp - what the sparse kernels share -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/SparseKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;

namespace tern {

SparseEmitter::SparseEmitter(KernelBuilder &b, const KernelRow &row, Value args)
    : b(b), row(row), dot(row.makeDot()), bytes(dot->bytes), lanes(bytes / 4),
      byteVector(b.vec(bytes, 8)), sumVector(b.vec(lanes, 32)), args(args) {
  Type pointer = args.getType(), integer = b.getI64Type();
  weight = field(pointer, offsetof(tern_matmul_args_t, weight));
  scale = field(pointer, offsetof(tern_matmul_args_t, scale));
  acts = field(pointer, offsetof(tern_matmul_args_t, acts));
  rowScales = field(pointer, offsetof(tern_matmul_args_t, row_scales));
  offsets = field(pointer, offsetof(tern_matmul_args_t, offsets));
  residual = field(pointer, offsetof(tern_matmul_args_t, residual));
  gate = field(pointer, offsetof(tern_matmul_args_t, gate));
  out = field(pointer, offsetof(tern_matmul_args_t, out));
  actsStride = field(integer, offsetof(tern_matmul_args_t, acts_stride));
  offsetsStride = field(integer, offsetof(tern_matmul_args_t, offsets_stride));
  outStride = field(integer, offsetof(tern_matmul_args_t, out_stride));
  gateStride = field(integer, offsetof(tern_matmul_args_t, gate_stride));
  m = field(integer, offsetof(tern_matmul_args_t, m));
  blockBegin = field(integer, offsetof(tern_matmul_args_t, block_begin));
  blockEnd = field(integer, offsetof(tern_matmul_args_t, block_end));
  kTiles = field(integer, offsetof(tern_matmul_args_t, k_tiles));
  Value scaleBytes = field(integer, offsetof(tern_matmul_args_t, scale_bytes));
  halfScales = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, scaleBytes, b.i64(2));
}

Value SparseEmitter::field(Type type, size_t byteOffset) {
  return b.load(type, b.offset(args, static_cast<int64_t>(byteOffset)), 8);
}

Value SparseEmitter::element(Value base, Value index, int64_t size) {
  return b.offset(base, b.mul(index, b.i64(size)));
}

Value SparseEmitter::stack(Value size) {
  return LLVM::AllocaOp::create(b, args.getType(), b.getI8Type(), size, 64);
}

void SparseEmitter::store(Value value, Value pointer, unsigned alignment) {
  LLVM::StoreOp::create(b, value, pointer, alignment);
}

void SparseEmitter::forLoop(Value begin, Value end, Value step, Body body) {
  scf::ForOp::create(b, begin, end, step, ValueRange{},
                     [&](OpBuilder &nested, Location, Value index, ValueRange) {
                       OpBuilder::InsertionGuard guard(b);
                       b.restoreInsertionPoint(nested.saveInsertionPoint());
                       body(index);
                       scf::YieldOp::create(b);
                     });
}

void SparseEmitter::forLoop(Value begin, Value end, int64_t step, Body body) {
  forLoop(begin, end, b.i64(step), body);
}

SparseEmitter::Values SparseEmitter::forLoop(Value begin, Value end, int64_t step,
                                             ValueRange initial, CarryBody body) {
  auto loop = scf::ForOp::create(b, begin, end, b.i64(step), initial,
                                 [&](OpBuilder &nested, Location, Value index, ValueRange state) {
                                   OpBuilder::InsertionGuard guard(b);
                                   b.restoreInsertionPoint(nested.saveInsertionPoint());
                                   scf::YieldOp::create(b, body(index, state));
                                 });
  return Values(loop.getResults());
}

void SparseEmitter::onlyIf(Value condition, function_ref<void()> body) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  body();
}

SparseEmitter::Values SparseEmitter::choose(Value condition, TypeRange types,
                                            function_ref<Values()> yes, function_ref<Values()> no) {
  auto branch = scf::IfOp::create(b, types, condition, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, yes());
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, no());
  return Values(branch.getResults());
}

Value SparseEmitter::isNotNull(Value pointer) {
  return LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, pointer,
                              LLVM::ZeroOp::create(b, pointer.getType()));
}

Value SparseEmitter::positive(Value floats) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, floats, zero(floats.getType()));
}

Value SparseEmitter::zero(Type type) {
  return arith::ConstantOp::create(b, cast<TypedAttr>(b.getZeroAttr(type)));
}

Value SparseEmitter::interleave(Value left, Value right, int64_t unit, bool high) {
  auto type = b.vec(cast<VectorType>(left.getType()).getNumElements() *
                        cast<VectorType>(left.getType()).getElementTypeBitWidth() / (8 * unit),
                    8 * unit);
  const int64_t count = type.getNumElements(), part = 16 / unit;
  SmallVector<int64_t> order;
  for (int64_t first = 0; first < count; first += part)
    for (int64_t i = 0; i < part / 2; ++i) {
      const int64_t at = first + i + (high ? part / 2 : 0);
      order.append({at, at + count});
    }
  return vector::ShuffleOp::create(b, b.bitcast(type, left), b.bitcast(type, right), order);
}

Value SparseEmitter::loadScales(VectorType floats, Value index) {
  return choose(
             halfScales, floats,
             [&] { return Values{b.loadHalves(floats, element(scale, index, 2), dot->plain)}; },
             [&] { return Values{b.load(floats, element(scale, index, 4), 4)}; })
      .front();
}

Value SparseEmitter::finish(VectorType floats, Value token, Value column, Value sums) {
  auto integers = b.vec(floats.getNumElements(), 32);
  Value offset =
      b.load(b.getI32Type(), element(offsets, b.mul(token, offsetsStride), 4), /*alignment=*/4);
  Value total = b.add(sums, b.broadcast(integers, offset));
  Value value = arith::SIToFPOp::create(b, floats, total);
  value = arith::MulFOp::create(b, value, loadScales(floats, column));
  Value rowScale = b.load(b.getF32Type(), element(rowScales, token, 4), 4);
  value = arith::MulFOp::create(b, value, b.broadcast(floats, rowScale));
  return choose(
             isNotNull(residual), floats,
             [&] {
               Value at = element(residual, b.add(b.mul(token, outStride), column), 4);
               return Values{arith::AddFOp::create(b, b.load(floats, at, 4), value)};
             },
             [&] { return Values{value}; })
      .front();
}

void emitSparseKernel(KernelBuilder &b, const KernelRow &row, Value args) {
  auto *make = !row.isGemv()                                   ? panelEmitter
               : row.packing.kind == Packing::Kind::TwoBitRows ? rowsEmitter
                                                               : columnsEmitter;
  make(b, row, args)->emit();
}

} // namespace tern
