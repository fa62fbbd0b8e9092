//===- LowerHead.cpp - logits, and the largest one in two stages ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A call that wants only the largest logit of one row (frame->best) first multiplies the row with
// the screen of the table, which gives bounds of every logit, then computes those logits whose
// upper bound reaches the largest lower bound. docs/two-stage-head.md has the proof; the constants
// here are its.
//
//===----------------------------------------------------------------------===//

#include "codegen/HalideKernels.h"
#include "codegen/Lowering.h"
#include "dialect/HeadScreen.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tern/abi.h"

#include <cmath>
#include <cstddef>

using namespace mlir;
using namespace tern;

/// The row is `step * (kRadix * high + low)` with both at most kDigit, so that products with digits
/// 0 .. 3 are at most those of codes 0 .. 2 with int8, for which all kernels are made.
static constexpr float kRadix = 170, kDigit = 85, kLargest = kRadix * kDigit + 50;
/// Adding and subtracting it rounds a float below 2^22 to an integer, ties to even.
static constexpr float kRounder = 12582912.0f;

/// What the two stages of one head know.
struct FunctionLowering::HeadSearch {
  ternary::HeadOp op;
  HeadScreen screen;
  int64_t columns = 0, vocabulary = 0, actsStride = 0;
  Value x, table, screenAt, upper, slots; ///< slots: tern_best_t of each thread
  Value acts;                             ///< int8 [2][actsStride]: high and low
  Value scales, offsets;                  ///< float[2], int32[2] of these rows
  Value products;                         ///< float [2][digits][16] of one block
  Value lows;                             ///< float[16]: largest lower bounds so far
  /// The row's norm, what multiplies a table row's norm, and the sum of what `acts` stand for.
  Value norm, slack, sum;

  Value slot(CodeBuilder &b, Value thread) const {
    return b.offset(slots, b.mul(thread, sizeof(tern_best_t)));
  }
};

namespace {

/// Float arithmetic, on scalars and vectors alike.
struct Floats {
  CodeBuilder &b;
  Type type;

  Value number(float value) {
    if (auto vector = dyn_cast<VectorType>(type))
      return arith::ConstantOp::create(b, vector, DenseElementsAttr::get(vector, value));
    return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
  }
  Value spread(Value scalar) { return vector::BroadcastOp::create(b, type, scalar); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(b, x, y); }
  Value above(Value x, Value y) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y);
  }
  /// `y` where they do not compare.
  Value larger(Value x, Value y) { return arith::SelectOp::create(b, above(x, y), x, y); }
  Value smaller(Value x, Value y) { return arith::SelectOp::create(b, above(y, x), x, y); }
  Value abs(Value x) { return larger(x, sub(number(0), x)); }
  Value rounded(Value x) { return sub(add(x, number(kRounder)), number(kRounder)); }
};

} // namespace

LogicalResult FunctionLowering::lower(ternary::HeadOp op) {
  const Place input = places.at(op.getInput());
  if (failed(placeResults(op, input.rows)))
    return failure();
  phase({reads(op.getInput(), false), writes(op.getResult(), false)});
  if (!op.getScreen() || places.at(op.getResult()).base != Base::Output) {
    fullHead(op);
    return success();
  }
  if (!op->hasAttr("ternary.gemm"))
    return op.emitOpError("has no kernel for its screen; run ternary-select-kernels");
  Value best = b.load(b.ptr(), frame, offsetof(tern_frame_t, best));
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  Value wanted = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, best, none);
  auto choice = scf::IfOp::create(b, wanted, /*withElseRegion=*/true);
  const PhaseTracker before = tracker;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  HeadSearch search = prepareSearch(op);
  splitRow(search);
  screenBlocks(search);
  barrier();
  computeRest(search, lowestBound(search));
  tracker = before;
  b.setInsertionPointToStart(choice.elseBlock());
  fullHead(op);
  return success();
}

FunctionLowering::HeadSearch FunctionLowering::prepareSearch(ternary::HeadOp op) {
  auto table = cast<RankedTensorType>(op.getTable().getType());
  auto encoding =
      cast<ternary::ScreenAttr>(cast<RankedTensorType>(op.getScreen().getType()).getEncoding());
  HeadSearch search;
  search.op = op;
  search.screen = HeadScreen{encoding.getDigits()};
  search.columns = table.getDimSize(1);
  search.vocabulary = table.getDimSize(0);
  search.actsStride = paddedActs(search.columns);
  search.x = pointer(places.at(op.getInput()));
  search.table = pointer(places.at(op.getTable()));
  search.screenAt = pointer(places.at(op.getScreen()));
  search.upper = pointer(places.at(op.getResult()));
  search.slots = b.load(b.ptr(), frame, offsetof(tern_frame_t, best));
  search.acts = stack(2 * search.actsStride);
  search.scales = stack(64);
  search.offsets = stack(64);
  search.products = stack(2 * search.screen.digits * HeadScreen::kRows * 4);
  search.lows = stack(64);
  return search;
}

/// Every thread for itself: it costs less than meeting would.
void FunctionLowering::splitRow(HeadSearch &search) {
  Floats f{b, b.getF32Type()};
  auto each = [&](ArrayRef<Value> start, auto body) {
    auto loop = scf::ForOp::create(b, b.i64(0), b.i64(search.columns), b.i64(1), start);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar();
    SmallVector<Value> next =
        body(i, b.load(b.getF32Type(), b.offset(search.x, b.mul(i, 4))), loop.getRegionIterArgs());
    scf::YieldOp::create(b, next);
    return SmallVector<Value>(loop.getResults());
  };
  SmallVector<Value> sizes =
      each({f.number(1e-30f), f.number(0)}, [&](Value, Value x, ValueRange state) {
        return SmallVector<Value>{f.larger(f.abs(x), state[0]), f.add(state[1], f.mul(x, x))};
      });
  Value step = f.div(sizes[0], f.number(kLargest)), unit = f.div(f.number(1), step);
  b.loop(b.i64(0), b.i64(2 * search.actsStride), 1, [&](Value i) {
    b.store(arith::ConstantOp::create(b, b.getI8IntegerAttr(0)), b.offset(search.acts, i));
  });
  Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  SmallVector<Value> sums = each({zero, zero}, [&](Value i, Value x, ValueRange state) {
    Value most = f.number(kLargest);
    Value place = f.smaller(f.larger(f.mul(x, unit), f.sub(f.number(0), most)), most);
    Value whole = f.rounded(place);
    Value high = f.rounded(f.mul(whole, f.number(1 / kRadix)));
    Value low = f.sub(whole, f.mul(high, f.number(kRadix)));
    SmallVector<Value> next;
    for (auto [row, value] : llvm::enumerate(ArrayRef<Value>{high, low})) {
      Value number = arith::FPToSIOp::create(b, b.getI32Type(), value);
      b.store(arith::TruncIOp::create(b, b.getI8Type(), number),
              b.offset(search.acts, b.add(i, static_cast<int64_t>(row) * search.actsStride)));
      next.push_back(arith::AddIOp::create(b, state[row], number));
    }
    return next;
  });
  // A kernel adds codes, whose middle is 2, times acts: minus twice the sum takes the middle out.
  Value stepHigh = f.mul(step, f.number(kRadix)),
        twice = arith::ConstantOp::create(b, b.getI32IntegerAttr(-2));
  for (auto [row, scale] : llvm::enumerate(ArrayRef<Value>{stepHigh, step})) {
    b.store(scale, search.scales, 4 * static_cast<int64_t>(row));
    b.store(arith::MulIOp::create(b, sums[row], twice), search.offsets,
            4 * static_cast<int64_t>(row));
  }
  auto toFloat = [&](Value sum) -> Value {
    return arith::SIToFPOp::create(b, b.getF32Type(), sum);
  };
  search.sum = f.add(f.mul(toFloat(sums[0]), stepHigh), f.mul(toFloat(sums[1]), step));
  // The sum of squares lost at most columns * 2^-24 of itself; 1.01 covers that and the root.
  Value root = LLVM::SqrtOp::create(b, f.add(sizes[1], f.number(1e-36f)));
  search.norm = f.mul(root, f.number(1.01f));
  const auto columns = static_cast<float>(search.columns);
  Value rounding =
      f.mul(search.norm, f.number((columns / 32 + 16) * 0x1p-23f + std::sqrt(columns) * 0x1p-22f));
  search.slack = f.add(rounding, f.mul(step, f.number(0.51f * 1.01f * std::sqrt(columns))));
}

void FunctionLowering::screenBlocks(const HeadSearch &search) {
  auto floats = VectorType::get({HeadScreen::kRows}, b.getF32Type());
  b.store(Floats{b, floats}.number(-INFINITY), search.lows);
  const int64_t digits = search.screen.digits;
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  const std::pair<size_t, Value> fields[] = {
      {offsetof(tern_matmul_args_t, acts), search.acts},
      {offsetof(tern_matmul_args_t, row_scales), search.scales},
      {offsetof(tern_matmul_args_t, offsets), search.offsets},
      {offsetof(tern_matmul_args_t, residual), none},
      {offsetof(tern_matmul_args_t, out), search.products},
      {offsetof(tern_matmul_args_t, acts_stride), b.i64(search.actsStride)},
      {offsetof(tern_matmul_args_t, offsets_stride), b.i64(1)},
      {offsetof(tern_matmul_args_t, out_stride), b.i64(digits * HeadScreen::kRows)},
      {offsetof(tern_matmul_args_t, m), b.i64(2)},
      {offsetof(tern_matmul_args_t, block_begin), b.i64(0)},
      {offsetof(tern_matmul_args_t, block_end), b.i64(digits)},
      {offsetof(tern_matmul_args_t, k_tiles), b.i64(search.screen.tiles(search.columns))},
      {offsetof(tern_matmul_args_t, groups), b.i64(1)},
      {offsetof(tern_matmul_args_t, row_scales_stride), b.i64(1)},
      {offsetof(tern_matmul_args_t, scale_groups), b.i64(1)},
      {offsetof(tern_matmul_args_t, scale_bytes), b.i64(4)}};
  for (auto [offset, value] : fields)
    b.store(value, kernelArgs, static_cast<int64_t>(offset));
  const int64_t blocks = llvm::divideCeil(search.vocabulary, HeadScreen::kRows);
  share(constant(blocks), [&](Value begin, Value end) {
    b.loop(begin, end, 1, [&](Value block) { screenBlock(search, block); });
  });
  Value low =
      vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, b.load(floats, search.lows));
  b.store(low, search.slot(b, thread64), offsetof(tern_best_t, low));
}

void FunctionLowering::screenBlock(const HeadSearch &search, Value block) {
  const int64_t digits = search.screen.digits, rowBytes = 4 * HeadScreen::kRows;
  Floats f{b, VectorType::get({HeadScreen::kRows}, b.getF32Type())};
  Value at = b.offset(search.screenAt, b.mul(block, search.screen.blockBytes(search.columns)));
  Value scales = b.offset(at, search.screen.scalesOffset(search.columns));
  b.store(at, kernelArgs, offsetof(tern_matmul_args_t, weight));
  b.store(scales, kernelArgs, offsetof(tern_matmul_args_t, scale));
  LLVM::CallOp::create(b, TypeRange{},
                       search.op->getAttrOfType<StringAttr>("ternary.gemm").strref(),
                       ValueRange{kernelArgs});
  // Codes stand for c - L / 2; the products have the digits minus 2 each, 2 L / 3 less in all.
  const auto levels = static_cast<float>(search.screen.levels());
  Value middle = f.mul(b.load(f.type, scales), f.spread(search.sum));
  middle = f.mul(middle, f.number(2 * levels / 3 - levels / 2));
  Value about = middle, sizes = f.abs(middle);
  for (int64_t i = 0; i < 2 * digits; ++i) {
    Value product = b.load(f.type, search.products, i * rowBytes);
    about = f.add(about, product);
    sizes = f.add(sizes, f.abs(product));
  }
  Value error = b.load(f.type, at, search.screen.errorsOffset(search.columns));
  Value norm = b.load(f.type, at, search.screen.normsOffset(search.columns));
  Value reach = f.add(f.mul(error, f.spread(search.norm)), f.mul(norm, f.spread(search.slack)));
  reach = f.add(reach, f.add(f.mul(sizes, f.number(0x1p-19f)), f.number(1e-30f)));
  Value lower = f.sub(about, reach), upper = f.add(about, reach);
  b.store(f.larger(lower, b.load(f.type, search.lows)), search.lows);
  Value first = b.mul(block, HeadScreen::kRows);
  Value out = b.offset(search.upper, b.mul(first, 4));
  if (search.vocabulary % HeadScreen::kRows == 0) {
    LLVM::StoreOp::create(b, upper, out, 4);
    return;
  }
  b.store(upper, search.products);
  Value left = arith::SubIOp::create(b, b.i64(search.vocabulary), first);
  Value count = arith::MinSIOp::create(b, left, b.i64(HeadScreen::kRows));
  b.loop(b.i64(0), count, 1, [&](Value i) {
    Value bytes = b.mul(i, 4);
    b.store(b.load(b.getF32Type(), b.offset(search.products, bytes)), b.offset(out, bytes));
  });
}

Value FunctionLowering::lowestBound(const HeadSearch &search) {
  Floats f{b, b.getF32Type()};
  auto loop = scf::ForOp::create(b, b.i64(0), threads, b.i64(1), ValueRange{f.number(-INFINITY)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value low =
      b.load(b.getF32Type(), search.slot(b, loop.getInductionVar()), offsetof(tern_best_t, low));
  scf::YieldOp::create(b, ValueRange{f.larger(low, loop.getRegionIterArgs()[0])});
  return loop.getResult(0);
}

/// Rows ascend and only a larger logit replaces the best: of equal ones the first stays.
void FunctionLowering::computeRest(const HeadSearch &search, Value bound) {
  Floats f{b, b.getF32Type()};
  Value slot = search.slot(b, thread64);
  ternary::HeadOp op = search.op;
  const Place &table = places.at(op.getTable());
  Value logitAt = search.products;
  auto [begin, end] = split(constant(search.vocabulary));
  b.loop(begin, end, 1, [&](Value v) {
    Value upper = b.load(b.getF32Type(), b.offset(search.upper, b.mul(v, 4)));
    // What does not compare was not bounded.
    Value possible = arith::CmpFOp::create(b, arith::CmpFPredicate::UGE, upper, bound);
    auto compute = scf::IfOp::create(b, possible, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(compute.thenBlock());
    rowKernel(ofElement(RowKernel::HeadF32, op.getTable()),
              {search.x, row(search.table, table, v), b.i64(1), b.i64(paddedRow(search.columns)),
               b.i64(search.columns), logitAt});
    Value count = b.load(b.getI32Type(), slot, offsetof(tern_best_t, computed));
    Value one = arith::ConstantOp::create(b, b.getI32IntegerAttr(1));
    b.store(arith::AddIOp::create(b, count, one), slot, offsetof(tern_best_t, computed));
    Value logit = b.load(b.getF32Type(), logitAt);
    Value best = b.load(b.getF32Type(), slot, offsetof(tern_best_t, logit));
    auto better = scf::IfOp::create(b, f.above(logit, best), /*withElseRegion=*/false);
    b.setInsertionPointToStart(better.thenBlock());
    b.store(logit, slot, offsetof(tern_best_t, logit));
    b.store(arith::TruncIOp::create(b, b.getI32Type(), v), slot, offsetof(tern_best_t, id));
  });
}
