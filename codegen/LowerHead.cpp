//===- LowerHead.cpp - heads with a table in integers ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table may be in integers only: products with them are the logits. Or it has a screen: a call
// that wants only the largest logit of each row (frame->best) first multiplies the rows with the
// screen, which gives bounds of every logit, then computes those logits whose upper bound reaches
// the largest lower bound. docs/two-stage-head.md has the proof; the constants here are its.
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

/// Adding and subtracting it rounds a float below 2^22 to an integer, ties to even.
static constexpr float kRounder = 12582912.0f;
/// Token rows that pass by the table together: as rows of int8, two each, the widest GEMM tile's.
static constexpr int64_t kChunk = 8;
static constexpr int64_t kSplitRows = 2 * kChunk;
/// Of one part of a block's products: [kSplitRows][16].
static constexpr int64_t kProductBytes = kSplitRows * HeadScreen::kRows * 4;

/// A head, the memory its chunks work in, and the chunk of token rows under way.
struct FunctionLowering::HeadChunks {
  ternary::HeadOp op;
  HeadScreen screen;
  Place input, result;
  int64_t columns = 0, vocabulary = 0, actsStride = 0;
  Value screenAt, table;
  Value acts;     ///< int8 [kSplitRows][actsStride]: each token row's high and low
  Value scales;   ///< float [kSplitRows]
  Value offsets;  ///< int32 [parts][kSplitRows]
  Value products; ///< float [parts][kSplitRows][16] of one block
  Value facts;    ///< RowFacts [kChunk]
  Value lows;     ///< float [kChunk][16]: largest lower bounds so far
  Value slots;    ///< tern_best_t of each thread for each row; of a search
  Value first, count;

  bool searches() const { return slots != nullptr; }
};

namespace {
/// What is kept of a token row when it has been split.
struct RowFacts {
  float sum;   ///< of what its integers stand for
  float norm;  ///< times the norm of what a table row's codes leave out bounds the difference
  float slack; ///< likewise, times the norm of a table row
  float padding;
};
} // namespace

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
  if (op.integerTable()) {
    HeadChunks chunks = prepareChunks(op, op.getTable());
    eachChunk(chunks, [&](Value more) {
      screenBlocks(chunks);
      // Threads take turns at the blocks of one chunk; the next starts with fresh turns.
      auto next = scf::IfOp::create(b, more, /*withElseRegion=*/false);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(next.thenBlock());
      barrier();
    });
    padRows(places.at(op.getResult()), chunks.vocabulary);
    return success();
  }
  if (!op.getScreen() || places.at(op.getResult()).base != Base::Output) {
    fullHead(op);
    return success();
  }
  Value best = b.load(b.ptr(), frame, offsetof(tern_frame_t, best));
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  Value wanted = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, best, none);
  auto choice = scf::IfOp::create(b, wanted, /*withElseRegion=*/true);
  const PhaseTracker before = tracker;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  HeadChunks chunks = prepareChunks(op, op.getScreen());
  chunks.table = pointer(places.at(op.getTable()));
  chunks.slots = best;
  eachChunk(chunks, [&](Value) {
    screenBlocks(chunks);
    barrier();
    eachChunkRow(chunks, [&](Value r) { computeRest(chunks, r, lowestBound(chunks, r)); });
  });
  tracker = before;
  b.setInsertionPointToStart(choice.elseBlock());
  fullHead(op);
  return success();
}

FunctionLowering::HeadChunks FunctionLowering::prepareChunks(ternary::HeadOp op, Value integers) {
  auto type = cast<RankedTensorType>(integers.getType());
  HeadChunks chunks;
  chunks.op = op;
  chunks.screen = HeadScreen{cast<ternary::ScreenAttr>(type.getEncoding()).getBits()};
  chunks.input = places.at(op.getInput());
  chunks.result = places.at(op.getResult());
  chunks.columns = type.getDimSize(1);
  chunks.vocabulary = type.getDimSize(0);
  chunks.actsStride = paddedActs(chunks.columns);
  chunks.screenAt = pointer(places.at(integers));
  chunks.acts = stack(kSplitRows * chunks.actsStride);
  chunks.scales = stack(kSplitRows * 4);
  chunks.offsets = stack(chunks.screen.parts() * kSplitRows * 4);
  chunks.products = stack(chunks.screen.parts() * kProductBytes);
  chunks.facts = stack(kChunk * static_cast<int64_t>(sizeof(RowFacts)));
  chunks.lows = stack(kChunk * HeadScreen::kRows * 4);
  return chunks;
}

/// `body(more)` for kChunk rows at a time, which have been split: `more` is true if others follow.
void FunctionLowering::eachChunk(HeadChunks &chunks, function_ref<void(Value)> body) {
  b.loop(b.i64(0), chunks.input.rows, kChunk, [&](Value first) {
    Value left = arith::SubIOp::create(b, chunks.input.rows, first);
    chunks.first = first;
    chunks.count = arith::MinSIOp::create(b, left, b.i64(kChunk));
    eachChunkRow(chunks, [&](Value r) { splitRow(chunks, r); });
    body(arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, left, b.i64(kChunk)));
  });
}

void FunctionLowering::eachChunkRow(const HeadChunks &chunks, function_ref<void(Value)> body) {
  b.loop(b.i64(0), chunks.count, 1, body);
}

Value FunctionLowering::headInput(const HeadChunks &chunks, Value r) {
  return row(pointer(chunks.input), chunks.input, b.add(chunks.first, r));
}

Value FunctionLowering::headResult(const HeadChunks &chunks, Value r) {
  return row(pointer(chunks.result), chunks.result, b.add(chunks.first, r));
}

/// Row `r` of the chunk as SplitRow has it. Every thread for itself: it costs less than meeting
/// would.
void FunctionLowering::splitRow(const HeadChunks &chunks, Value r) {
  Floats f{b, b.getF32Type()};
  Value x = headInput(chunks, r), acts = b.offset(chunks.acts, b.mul(r, 2 * chunks.actsStride));
  auto each = [&](ArrayRef<Value> start, auto body) {
    auto loop = scf::ForOp::create(b, b.i64(0), b.i64(chunks.columns), b.i64(1), start);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar();
    SmallVector<Value> next =
        body(i, b.load(b.getF32Type(), b.offset(x, b.mul(i, 4))), loop.getRegionIterArgs());
    scf::YieldOp::create(b, next);
    return SmallVector<Value>(loop.getResults());
  };
  SmallVector<Value> sizes =
      each({f.number(1e-30f), f.number(0), f.number(0)}, [&](Value, Value x, ValueRange state) {
        return SmallVector<Value>{f.larger(f.abs(x), state[0]), f.add(state[1], f.mul(x, x)),
                                  f.add(state[2], f.mul(x, f.number(0)))};
      });
  const float most = SplitRow::kLargest;
  Value step = f.div(sizes[0], f.number(most)), unit = f.div(f.number(1), step);
  Value zero = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  SmallVector<Value> sums = each({zero, zero}, [&](Value i, Value x, ValueRange state) {
    Value place = f.smaller(f.larger(f.mul(x, unit), f.number(-most)), f.number(most));
    Value whole = f.rounded(place);
    Value high = f.rounded(f.mul(whole, f.number(1 / SplitRow::kRadix)));
    Value low = f.sub(whole, f.mul(high, f.number(SplitRow::kRadix)));
    SmallVector<Value> next;
    for (auto [half, value] : llvm::enumerate(ArrayRef<Value>{high, low})) {
      Value number = arith::FPToSIOp::create(b, b.getI32Type(), value);
      b.store(arith::TruncIOp::create(b, b.getI8Type(), number),
              b.offset(acts, b.add(i, static_cast<int64_t>(half) * chunks.actsStride)));
      next.push_back(arith::AddIOp::create(b, state[half], number));
    }
    return next;
  });
  for (int64_t half = 0; half < 2; ++half)
    b.loop(b.i64(chunks.columns), b.i64(chunks.actsStride), 1, [&](Value i) {
      b.store(arith::ConstantOp::create(b, b.getI8IntegerAttr(0)),
              b.offset(acts, b.add(i, half * chunks.actsStride)));
    });
  Value stepHigh = f.mul(step, f.number(SplitRow::kRadix));
  Value pair = b.mul(r, 2 * 4); // where the row's two are among scales and offsets
  for (auto [half, scale] : llvm::enumerate(ArrayRef<Value>{stepHigh, step})) {
    b.store(scale, b.offset(chunks.scales, b.add(pair, 4 * static_cast<int64_t>(half))));
    for (int64_t part = 0; part < chunks.screen.parts(); ++part) {
      Value middle = arith::ConstantOp::create(
          b, b.getI32IntegerAttr(static_cast<int32_t>(-chunks.screen.middle(part))));
      b.store(arith::MulIOp::create(b, sums[half], middle),
              b.offset(chunks.offsets,
                       b.add(pair, 4 * (part * kSplitRows + static_cast<int64_t>(half)))));
    }
  }
  auto toFloat = [&](Value sum) -> Value {
    return arith::SIToFPOp::create(b, b.getF32Type(), sum);
  };
  Value sum = f.add(f.mul(toFloat(sums[0]), stepHigh), f.mul(toFloat(sums[1]), step));
  Value facts = rowFacts(chunks, r);
  b.store(f.add(sum, sizes[2]), facts, offsetof(RowFacts, sum));
  // The sum of squares lost at most columns * 2^-24 of itself; 1.01 covers that and the root.
  Value norm = f.mul(LLVM::SqrtOp::create(b, f.add(sizes[1], f.number(1e-36f))), f.number(1.01f));
  b.store(norm, facts, offsetof(RowFacts, norm));
  const auto columns = static_cast<float>(chunks.columns);
  Value rounding =
      f.mul(norm, f.number((columns / 32 + 16) * 0x1p-23f + std::sqrt(columns) * 0x1p-22f));
  b.store(f.add(rounding, f.mul(step, f.number(0.51f * 1.01f * std::sqrt(columns)))), facts,
          offsetof(RowFacts, slack));
}

Value FunctionLowering::rowFacts(const HeadChunks &chunks, Value r) {
  return b.offset(chunks.facts, b.mul(r, sizeof(RowFacts)));
}

void FunctionLowering::storeHeadArgs(const HeadChunks &chunks) {
  Value none = LLVM::ZeroOp::create(b, b.ptr());
  const std::pair<size_t, Value> fields[] = {
      {offsetof(tern_matmul_args_t, acts), chunks.acts},
      {offsetof(tern_matmul_args_t, row_scales), chunks.scales},
      {offsetof(tern_matmul_args_t, residual), none},
      {offsetof(tern_matmul_args_t, acts_stride), b.i64(chunks.actsStride)},
      {offsetof(tern_matmul_args_t, offsets_stride), b.i64(1)},
      {offsetof(tern_matmul_args_t, out_stride), b.i64(HeadScreen::kRows)},
      {offsetof(tern_matmul_args_t, m), b.mul(chunks.count, 2)},
      {offsetof(tern_matmul_args_t, block_begin), b.i64(0)},
      {offsetof(tern_matmul_args_t, block_end), b.i64(1)},
      {offsetof(tern_matmul_args_t, k_tiles),
       b.i64(chunks.screen.packing(0).kTiles(chunks.columns))},
      {offsetof(tern_matmul_args_t, groups), b.i64(1)},
      {offsetof(tern_matmul_args_t, row_scales_stride), b.i64(1)},
      {offsetof(tern_matmul_args_t, scale_groups), b.i64(1)},
      {offsetof(tern_matmul_args_t, scale_bytes), b.i64(4)}};
  for (auto [offset, value] : fields)
    b.store(value, kernelArgs, static_cast<int64_t>(offset));
}

/// This thread's blocks: their logits, or in a search their upper bounds, and the thread's largest
/// lower bounds.
void FunctionLowering::screenBlocks(const HeadChunks &chunks) {
  auto floats = VectorType::get({HeadScreen::kRows}, b.getF32Type());
  auto lowsOf = [&](Value r) { return b.offset(chunks.lows, b.mul(r, 4 * HeadScreen::kRows)); };
  if (chunks.searches())
    eachChunkRow(chunks, [&](Value r) { b.store(Floats{b, floats}.number(-INFINITY), lowsOf(r)); });
  storeHeadArgs(chunks);
  const int64_t blocks = llvm::divideCeil(chunks.vocabulary, HeadScreen::kRows);
  share(constant(blocks), [&](Value begin, Value end) {
    b.loop(begin, end, 1, [&](Value block) {
      Value at = b.offset(chunks.screenAt, b.mul(block, chunks.screen.blockBytes(chunks.columns)));
      multiplyBlock(chunks, at);
      eachChunkRow(chunks, [&](Value r) {
        Value values = sumParts(chunks, at, r, lowsOf(r));
        storeBlock(chunks, r, block, values);
      });
    });
  });
  if (chunks.searches())
    eachChunkRow(chunks, [&](Value r) {
      Value low =
          vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, b.load(floats, lowsOf(r)));
      b.store(low, bestSlot(chunks, r, thread64), offsetof(tern_best_t, low));
    });
}

/// The products of all parts of the block at `at`.
void FunctionLowering::multiplyBlock(const HeadChunks &chunks, Value at) {
  const HeadScreen &screen = chunks.screen;
  for (auto [part, kernel] : llvm::enumerate(
           chunks.op->getAttrOfType<ArrayAttr>(kHeadKernels).getAsRange<StringAttr>())) {
    const auto index = static_cast<int64_t>(part);
    const std::pair<size_t, Value> fields[] = {
        {offsetof(tern_matmul_args_t, weight),
         b.offset(at, screen.partOffset(index, chunks.columns))},
        {offsetof(tern_matmul_args_t, scale),
         b.offset(at, screen.scalesOffset(chunks.columns) + index * 4 * HeadScreen::kRows)},
        {offsetof(tern_matmul_args_t, offsets), b.offset(chunks.offsets, index * 4 * kSplitRows)},
        {offsetof(tern_matmul_args_t, out), b.offset(chunks.products, index * kProductBytes)}};
    for (auto [offset, value] : fields)
      b.store(value, kernelArgs, static_cast<int64_t>(offset));
    LLVM::CallOp::create(b, TypeRange{}, kernel.strref(), ValueRange{kernelArgs});
  }
}

/// What a block says of row `r`: 16 logits, or in a search their upper bounds, and the lower ones
/// go into those at `lowsAt`.
Value FunctionLowering::sumParts(const HeadChunks &chunks, Value at, Value r, Value lowsAt) {
  const HeadScreen &screen = chunks.screen;
  const int64_t rowBytes = 4 * HeadScreen::kRows;
  Floats f{b, VectorType::get({HeadScreen::kRows}, b.getF32Type())};
  Value facts = rowFacts(chunks, r);
  auto fact = [&](size_t offset) {
    return f.spread(b.load(b.getF32Type(), facts, static_cast<int64_t>(offset)));
  };
  Value middle =
      f.mul(b.load(f.type, at, screen.scalesOffset(chunks.columns)), fact(offsetof(RowFacts, sum)));
  middle = f.mul(middle, f.number(screen.middleExcess()));
  Value about = middle, sizes = f.abs(middle);
  Value products = b.offset(chunks.products, b.mul(r, 2 * rowBytes));
  for (int64_t part = 0; part < screen.parts(); ++part)
    for (int64_t half = 0; half < 2; ++half) {
      Value product = b.load(f.type, products, part * kProductBytes + half * rowBytes);
      about = f.add(about, product);
      sizes = f.add(sizes, f.abs(product));
    }
  if (!chunks.searches())
    return about;
  Value error = b.load(f.type, at, screen.errorsOffset(chunks.columns));
  Value norm = b.load(f.type, at, screen.normsOffset(chunks.columns));
  Value reach = f.add(f.mul(error, fact(offsetof(RowFacts, norm))),
                      f.mul(norm, fact(offsetof(RowFacts, slack))));
  reach = f.add(reach, f.add(f.mul(sizes, f.number(0x1p-19f)), f.number(1e-30f)));
  b.store(f.larger(f.sub(about, reach), b.load(f.type, lowsAt)), lowsAt);
  return f.add(about, reach);
}

/// 16 values of row `r`, or as many as the vocabulary has left, into the result.
void FunctionLowering::storeBlock(const HeadChunks &chunks, Value r, Value block, Value values) {
  Value first = b.mul(block, HeadScreen::kRows);
  Value out = b.offset(headResult(chunks, r), b.mul(first, 4));
  if (chunks.vocabulary % HeadScreen::kRows == 0) {
    LLVM::StoreOp::create(b, values, out, 4);
    return;
  }
  b.store(values, chunks.products);
  Value left = arith::SubIOp::create(b, b.i64(chunks.vocabulary), first);
  Value count = arith::MinSIOp::create(b, left, b.i64(HeadScreen::kRows));
  b.loop(b.i64(0), count, 1, [&](Value i) {
    Value bytes = b.mul(i, 4);
    b.store(b.load(b.getF32Type(), b.offset(chunks.products, bytes)), b.offset(out, bytes));
  });
}

Value FunctionLowering::bestSlot(const HeadChunks &chunks, Value r, Value thread) {
  Value index = b.add(b.mul(b.add(chunks.first, r), threads), thread);
  return b.offset(chunks.slots, b.mul(index, sizeof(tern_best_t)));
}

Value FunctionLowering::lowestBound(const HeadChunks &chunks, Value r) {
  Floats f{b, b.getF32Type()};
  auto loop = scf::ForOp::create(b, b.i64(0), threads, b.i64(1), ValueRange{f.number(-INFINITY)});
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value low = b.load(b.getF32Type(), bestSlot(chunks, r, loop.getInductionVar()),
                     offsetof(tern_best_t, low));
  scf::YieldOp::create(b, ValueRange{f.larger(low, loop.getRegionIterArgs()[0])});
  return loop.getResult(0);
}

/// Table rows ascend and only a larger logit replaces the best: of equal ones the first stays.
void FunctionLowering::computeRest(const HeadChunks &chunks, Value r, Value bound) {
  Floats f{b, b.getF32Type()};
  Value slot = bestSlot(chunks, r, thread64), x = headInput(chunks, r);
  ternary::HeadOp op = chunks.op;
  const Place &table = places.at(op.getTable());
  Value upperAt = headResult(chunks, r);
  Value logitAt = chunks.products;
  auto [begin, end] = split(constant(chunks.vocabulary));
  b.loop(begin, end, 1, [&](Value v) {
    Value upper = b.load(b.getF32Type(), b.offset(upperAt, b.mul(v, 4)));
    // What does not compare was not bounded.
    Value possible = arith::CmpFOp::create(b, arith::CmpFPredicate::UGE, upper, bound);
    auto compute = scf::IfOp::create(b, possible, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(compute.thenBlock());
    rowKernel(ofElement(RowKernel::HeadF32, op.getTable()),
              {x, row(chunks.table, table, v), b.i64(1), b.i64(paddedRow(chunks.columns)),
               b.i64(chunks.columns), logitAt});
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
