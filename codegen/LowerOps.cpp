//===- LowerOps.cpp - each op of the dialect as a phase -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/HalideKernels.h"
#include "codegen/Lowering.h"
#include "dialect/Packing.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tern/abi.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <cstddef>

using namespace mlir;
using namespace tern;

static int64_t columnsOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return type.getDimSize(type.getRank() - 1);
}

LogicalResult FunctionLowering::lowerTernary(Operation *op) {
  if (ternary::Product product(op); product)
    return lower(product);
  return llvm::TypeSwitch<Operation *, LogicalResult>(op)
      .Case<ternary::QuantizeRowsOp, ternary::RmsNormOp, ternary::RopeAnglesOp, ternary::RopeOp,
            ternary::AttentionOp, ternary::GatedActivationOp, ternary::EmbeddingOp, ternary::HeadOp,
            arith::AddFOp>([&](auto known) { return lower(known); })
      .Default([](Operation *other) {
        return other->emitOpError("cannot be compiled; expected a module from ternary-prepare");
      });
}

LogicalResult FunctionLowering::lower(ternary::QuantizeRowsOp op) {
  const Place input = places.at(op.getInput());
  if (failed(placeResults(op, input.rows)))
    return failure();
  const Place values = places.at(op.getValues()), scales = places.at(op.getScales()),
              offsets = places.at(op.getOffsets());
  phase({reads(op.getInput(), true), writes(op.getValues(), true), writes(op.getScales(), true),
         writes(op.getOffsets(), true)});
  Value x = pointer(input), v = pointer(values), s = pointer(scales), o = pointer(offsets);
  Value gain = op.getGain() ? pointer(places.at(op.getGain())) : Value();
  eachRow(input.rows, [&](Value m) {
    SmallVector<Value> operands = {row(x, input, m)};
    if (gain) {
      operands.push_back(gain);
      operands.push_back(arith::ConstantOp::create(b, op.getEpsilonAttr()));
    }
    operands.append({b.i64(columnsOf(op.getInput())), b.i64(op.getGroup()), row(v, values, m),
                     row(s, scales, m), row(o, offsets, m)});
    if (op.getScales().getType().getRank() == 2)
      rowKernel(gain ? RowKernel::NormQuantizeGroups : RowKernel::QuantizeGroups, operands);
    else
      rowKernel(gain ? RowKernel::NormQuantizeRow : RowKernel::QuantizeRow, operands);
  });
  return success();
}

/// Fills the tern_matmul_args of a product, but for which row blocks.
void FunctionLowering::storeKernelArgs(ternary::Product op, ternary::PackingAttr packing,
                                       bool residual) {
  RankedTensorType type = op.weightType();
  const Place acts = places.at(op.acts()), out = places.at(op.result());
  int64_t scaleGroups = op.scaleType().getDimSize(1);
  auto at = [&](Value value) { return pointer(places.at(value)); };
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  Value rowScales = none, offsets = none;
  int64_t groups = scaleGroups, rowScalesStride = 0, offsetsStride = 0;
  if (!op.takesFloats()) {
    Value actScales = op->getOperand(1), actOffsets = op->getOperand(2);
    rowScales = at(actScales), offsets = at(actOffsets);
    rowScalesStride = places.at(actScales).stride / 4;
    offsetsStride = places.at(actOffsets).stride / 4;
    groups = columnsOf(actOffsets);
  }
  const std::pair<size_t, Value> fields[] = {
      {offsetof(tern_matmul_args_t, weight), at(op.weight())},
      {offsetof(tern_matmul_args_t, scale), at(op.scale())},
      {offsetof(tern_matmul_args_t, acts), pointer(acts)},
      {offsetof(tern_matmul_args_t, row_scales), rowScales},
      {offsetof(tern_matmul_args_t, offsets), offsets},
      {offsetof(tern_matmul_args_t, residual), residual ? at(op.residual()) : none},
      {offsetof(tern_matmul_args_t, out), pointer(out)},
      {offsetof(tern_matmul_args_t, acts_stride), b.i64(acts.stride)},
      {offsetof(tern_matmul_args_t, offsets_stride), b.i64(offsetsStride)},
      {offsetof(tern_matmul_args_t, out_stride), b.i64(out.stride / 4)},
      {offsetof(tern_matmul_args_t, m), acts.rows},
      {offsetof(tern_matmul_args_t, k_tiles),
       b.i64(llvm::divideCeil(type.getDimSize(1), packing.getK()))},
      {offsetof(tern_matmul_args_t, groups), b.i64(groups)},
      {offsetof(tern_matmul_args_t, row_scales_stride), b.i64(rowScalesStride)},
      {offsetof(tern_matmul_args_t, scale_groups), b.i64(scaleGroups)},
      {offsetof(tern_matmul_args_t, scale_bytes),
       b.i64(op.scaleType().getElementTypeBitWidth() / 8)},
      {offsetof(tern_matmul_args_t, gate), op.gate() ? at(op.gate()) : none},
      {offsetof(tern_matmul_args_t, gate_stride),
       b.i64(op.gate() ? places.at(op.gate()).stride / 4 : 0)}};
  for (auto [offset, value] : fields)
    b.store(value, kernelArgs, static_cast<int64_t>(offset));
}

void FunctionLowering::callKernel(Value rows, StringRef gemv, StringRef gemm) {
  Value one = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rows, b.i64(1));
  auto branch = scf::IfOp::create(b, one, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(&branch.getThenRegion().front());
  LLVM::CallOp::create(b, TypeRange{}, gemv, ValueRange{kernelArgs});
  b.setInsertionPointToStart(&branch.getElseRegion().front());
  LLVM::CallOp::create(b, TypeRange{}, gemm, ValueRange{kernelArgs});
}

/// The first thread fills the rows' padding from `columns` on, which no other thread writes.
void FunctionLowering::padRows(const Place &place, int64_t columns) {
  if (columns % kRowPadding == 0 || place.base == Base::Output)
    return;
  Value first = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, thread64, b.i64(0));
  Value rows = arith::SelectOp::create(b, first, place.rows, b.i64(0));
  Value base = pointer(place);
  b.loop(b.i64(0), rows, 1, [&](Value m) {
    rowKernel(RowKernel::ZeroPadding, {row(base, place, m), b.i64(columns)});
  });
}

LogicalResult FunctionLowering::lower(ternary::Product op) {
  auto gemv = op->getAttrOfType<StringAttr>("ternary.gemv");
  auto gemm = op->getAttrOfType<StringAttr>("ternary.gemm");
  RankedTensorType type = op.weightType();
  auto packing = dyn_cast_or_null<ternary::PackingAttr>(type.getEncoding());
  if (!gemv || !gemm || !packing)
    return op->emitOpError("has no kernels; run ternary-choose-packing and ternary-select-kernels");
  Value rows = places.at(op.acts()).rows;
  if (failed(placeResults(op.getOperation(), rows)))
    return failure();
  const Place out = places.at(op.result());
  SmallVector<Access> accesses = {writes(op.result(), false)};
  for (Value read : op.activations())
    accesses.push_back(reads(read, false));
  if (op.gate())
    accesses.push_back(reads(op.gate(), false));
  // The kernel reads a residual laid out as its output; any other is added in a phase of its own.
  bool fused = op.residual() && places.at(op.residual()).stride == out.stride;
  if (fused)
    accesses.push_back(reads(op.residual(), false));
  phase(accesses);
  storeKernelArgs(op, packing, fused);
  int64_t blocks = llvm::divideCeil(type.getDimSize(0), packing.getRows());
  share(constant(blocks), [&](Value begin, Value end) {
    b.store(begin, kernelArgs, offsetof(tern_matmul_args_t, block_begin));
    b.store(end, kernelArgs, offsetof(tern_matmul_args_t, block_end));
    callKernel(rows, gemv, gemm);
  });
  // The kernel writes whole blocks.
  padRows(out, llvm::alignTo(type.getDimSize(0), packing.getRows()));
  if (op.residual() && !fused) {
    phase({reads(op.residual(), true), writes(op.result(), true)});
    addInPlace(places.at(op.residual()), out, type.getDimSize(0));
  }
  return success();
}

void FunctionLowering::addInPlace(const Place &residual, const Place &out, int64_t columns) {
  Value from = pointer(residual), to = pointer(out);
  eachRow(out.rows, [&](Value m) {
    Value left = row(from, residual, m), right = row(to, out, m);
    b.loop(b.i64(0), b.i64(columns), 1, [&](Value i) {
      Value bytes = b.mul(i, 4);
      Value cell = b.offset(right, bytes);
      Value sum = arith::AddFOp::create(b, b.load(b.getF32Type(), b.offset(left, bytes)),
                                        b.load(b.getF32Type(), cell));
      b.store(sum, cell);
    });
  });
}

LogicalResult FunctionLowering::lower(ternary::RmsNormOp op) {
  const Place input = places.at(op.getInput());
  int64_t heads = op.getHeads(), size = columnsOf(op.getInput()) / heads;
  if (failed(placeResults(op, input.rows)))
    return failure();
  const Place out = places.at(op.getResult());
  phase({reads(op.getInput(), true), writes(op.getResult(), true)});
  Value x = pointer(input), gain = pointer(places.at(op.getGain())), y = pointer(out);
  // The faster kernel reads and writes whole padded rows: a head must end where its padding would.
  bool padded = heads == 1 || size % kRowPadding == 0;
  RowKernel kernel = padded ? RowKernel::RmsNorm : RowKernel::RmsNormHead;
  eachRow(input.rows, [&](Value m) {
    Value epsilon = arith::ConstantOp::create(b, op.getEpsilonAttr());
    Value from = row(x, input, m), to = row(y, out, m);
    b.loop(b.i64(0), b.i64(heads), 1, [&](Value head) {
      Value bytes = b.mul(head, 4 * size);
      rowKernel(kernel, {b.offset(from, bytes), gain, epsilon, b.i64(size), b.offset(to, bytes)});
    });
    if (!padded)
      rowKernel(RowKernel::ZeroPadding, {to, b.i64(heads * size)});
  });
  return success();
}

LogicalResult FunctionLowering::lower(ternary::RopeAnglesOp op) {
  auto frequencies = dyn_cast<DenseFPElementsAttr>(op.getFrequencies());
  if (!frequencies)
    return op.emitOpError("expected dense frequencies");
  Value rows = scalars.lookup(op.getRows()), position = scalars.lookup(op.getPosition());
  if (failed(placeResults(op, rows)))
    return failure();
  const Place out = places.at(op.getResult());
  int64_t half = frequencies.getNumElements();
  // Kernels read whole padded rows.
  SmallVector<float> padded(frequencies.getValues<float>());
  padded.resize(paddedRow(half), 0.0f);
  LLVM::GlobalOp table;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(shared.module.getBody());
    auto type = LLVM::LLVMArrayType::get(b.getF32Type(), padded.size());
    auto values = DenseElementsAttr::get(
        RankedTensorType::get({static_cast<int64_t>(padded.size())}, b.getF32Type()),
        ArrayRef<float>(padded));
    table = LLVM::GlobalOp::create(b, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                   "tern_frequencies_" + std::to_string(shared.nextGlobal++),
                                   values, /*alignment=*/64);
  }
  phase({writes(op.getResult(), true)});
  Value list = LLVM::AddressOfOp::create(b, table), y = pointer(out);
  eachRow(out.rows, [&](Value m) {
    rowKernel(RowKernel::RopeAngles,
              {sequenceOf(m, position).position, list, b.i64(half), row(y, out, m)});
  });
  return success();
}

LogicalResult FunctionLowering::lower(ternary::RopeOp op) {
  const Place input = places.at(op.getInput()), angles = places.at(op.getAngles());
  if (failed(placeResults(op, input.rows)))
    return failure();
  const Place out = places.at(op.getResult());
  phase({reads(op.getInput(), true), reads(op.getAngles(), true), writes(op.getResult(), true)});
  Value x = pointer(input), a = pointer(angles), y = pointer(out);
  int64_t heads = op.getHeads();
  eachRow(input.rows, [&](Value m) {
    rowKernel(RowKernel::Rope, {row(x, input, m), row(a, angles, m), b.i64(heads),
                                b.i64(columnsOf(op.getInput()) / heads), row(y, out, m)});
  });
  return success();
}

LogicalResult FunctionLowering::lower(ternary::GatedActivationOp op) {
  const Place gate = places.at(op.getGate()), up = places.at(op.getUp());
  if (failed(placeResults(op, gate.rows)))
    return failure();
  const Place out = places.at(op.getResult());
  phase({reads(op.getGate(), true), reads(op.getUp(), true), writes(op.getResult(), true)});
  Value g = pointer(gate), u = pointer(up), y = pointer(out);
  auto kernel =
      op.getKind() == ternary::GateKind::Relu2 ? RowKernel::GatedRelu2 : RowKernel::GatedSilu;
  eachRow(gate.rows, [&](Value m) {
    rowKernel(kernel,
              {row(g, gate, m), row(u, up, m), b.i64(columnsOf(op.getGate())), row(y, out, m)});
  });
  return success();
}

LogicalResult FunctionLowering::lower(arith::AddFOp op) {
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!type || type.getRank() != 2 || !type.getElementType().isF32())
    return op.emitOpError("expected f32 matrices, got ") << op.getType();
  const Place left = places.at(op.getLhs()), right = places.at(op.getRhs());
  if (failed(placeResults(op, left.rows)))
    return failure();
  const Place out = places.at(op.getResult());
  phase({reads(op.getLhs(), true), reads(op.getRhs(), true), writes(op.getResult(), true)});
  Value l = pointer(left), r = pointer(right), y = pointer(out);
  eachRow(left.rows, [&](Value m) {
    rowKernel(RowKernel::Add, {row(l, left, m), row(r, right, m), b.i64(columnsOf(op.getResult())),
                               row(y, out, m)});
  });
  return success();
}

RowKernel FunctionLowering::ofElement(RowKernel first, Value table) {
  Type element = cast<RankedTensorType>(table.getType()).getElementType();
  int kind = element.isF32() ? 0 : element.isF16() ? 1 : 2;
  return static_cast<RowKernel>(static_cast<int>(first) + kind);
}

LogicalResult FunctionLowering::lower(ternary::EmbeddingOp op) {
  const Place ids = places.at(op.getIds()), table = places.at(op.getTable());
  if (failed(placeResults(op, ids.rows)))
    return failure();
  const Place out = places.at(op.getResult());
  phase({reads(op.getIds(), true), writes(op.getResult(), true)});
  Value i = pointer(ids), t = pointer(table), y = pointer(out);
  eachRow(ids.rows, [&](Value m) {
    Value id = arith::ExtUIOp::create(b, b.getI64Type(), b.load(b.getI32Type(), row(i, ids, m)));
    rowKernel(ofElement(RowKernel::TableRowF32, op.getTable()),
              {row(t, table, id), b.i64(columnsOf(op.getResult())), row(y, out, m)});
  });
  return success();
}

void FunctionLowering::fullHead(ternary::HeadOp op) {
  const Place input = places.at(op.getInput()), table = places.at(op.getTable());
  const Place out = places.at(op.getResult());
  Value x = pointer(input), t = pointer(table), y = pointer(out);
  int64_t vocabulary = columnsOf(op.getResult()), hidden = columnsOf(op.getInput());
  int64_t stride = paddedRow(hidden);
  // A few rows of the table at a time, for all tokens: they stay in the cache.
  constexpr int64_t kBlock = 64;
  auto block = [&](Value index) {
    Value first = b.mul(index, kBlock);
    Value below = arith::SubIOp::create(b, b.i64(vocabulary), first);
    Value count = arith::MinSIOp::create(b, below, b.i64(kBlock));
    Value rows = row(t, table, first);
    auto place = [&](Value m) { return b.offset(row(y, out, m), b.mul(first, 4)); };
    Value left = arith::RemUIOp::create(b, input.rows, b.i64(kHeadTokens));
    Value tiled = arith::SubIOp::create(b, input.rows, left);
    b.loop(b.i64(0), tiled, kHeadTokens, [&](Value m) {
      rowKernel(ofElement(RowKernel::HeadRowsF32, op.getTable()),
                {row(x, input, m), b.i64(input.stride / 4), rows, count, b.i64(stride),
                 b.i64(hidden), place(m), b.i64(out.stride / 4)});
    });
    b.loop(tiled, input.rows, 1, [&](Value m) {
      rowKernel(ofElement(RowKernel::HeadF32, op.getTable()),
                {row(x, input, m), rows, count, b.i64(stride), b.i64(hidden), place(m)});
    });
  };
  share(constant(llvm::divideCeil(vocabulary, kBlock)),
        [&](Value begin, Value end) { b.loop(begin, end, 1, block); });
  padRows(out, vocabulary);
}
