//===- MatmulKernel.cpp - the shape all ternary kernels share -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/MatmulKernel.h"
#include "codegen/SparseKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tern/abi.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/bit.h"

#include <cstddef>

using namespace mlir;

namespace tern {

//===----------------------------------------------------------------------===//
// KernelBuilder
//===----------------------------------------------------------------------===//

VectorType KernelBuilder::vec(int64_t lanes, int64_t bits) {
  return VectorType::get({lanes}, getIntegerType(bits));
}

Value KernelBuilder::i64(int64_t value) {
  return arith::ConstantOp::create(*this, getI64IntegerAttr(value));
}

Value KernelBuilder::splat(VectorType type, int64_t value) {
  Attribute element = getIntegerAttr(type.getElementType(), value);
  return arith::ConstantOp::create(*this, type, DenseElementsAttr::get(type, element));
}

Value KernelBuilder::splatFloat(VectorType type, float value) {
  return arith::ConstantOp::create(*this, type, DenseElementsAttr::get(type, value));
}

Value KernelBuilder::constant(ArrayRef<float> lanes) {
  auto type = VectorType::get({static_cast<int64_t>(lanes.size())}, getF32Type());
  return arith::ConstantOp::create(*this, type, DenseElementsAttr::get(type, lanes));
}

Value KernelBuilder::broadcast(VectorType type, Value scalar) {
  return vector::BroadcastOp::create(*this, type, scalar);
}

Value KernelBuilder::bitcast(VectorType type, Value value) {
  return value.getType() == type ? value : Value(LLVM::BitcastOp::create(*this, type, value));
}

Value KernelBuilder::offset(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(*this, pointer.getType(), getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

Value KernelBuilder::offset(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return LLVM::GEPOp::create(*this, pointer.getType(), getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
}

Value KernelBuilder::load(Type type, Value pointer, unsigned alignment) {
  return LLVM::LoadOp::create(*this, type, pointer, alignment);
}

Value KernelBuilder::broadcastActs(VectorType type, Value pointer) {
  const int64_t lanes = type.getNumElements() * type.getElementTypeBitWidth() / 32;
  return bitcast(type, broadcast(vec(lanes, 32), load(getI32Type(), pointer, 1)));
}

void KernelBuilder::prefetch(Value pointer, int level) {
  LLVM::Prefetch::create(*this, pointer, /*rw=*/0, /*hint=*/static_cast<uint32_t>(4 - level),
                         /*cache=*/1);
}

void KernelBuilder::prefetchStream(Value pointer, int64_t bytes) {
  constexpr int64_t lineBytes = 64;
  for (int64_t line = 0; line < bytes; line += lineBytes) {
    prefetch(offset(offset(pointer, ahead.far), line), 2);
    prefetch(offset(offset(pointer, ahead.near), line), 1);
  }
}

Value KernelBuilder::opaque(Value pointer) {
  return LLVM::InlineAsmOp::create(*this, pointer.getType(), pointer, /*asm_string=*/"",
                                   /*constraints=*/"=r,0", /*has_side_effects=*/false,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   /*asm_dialect=*/{}, /*operand_attrs=*/{})
      .getResult(0);
}

Value KernelBuilder::fusedMultiplyAdd(Value a, Value b, Value c) {
  return LLVM::FMAOp::create(*this, a, b, c);
}

/// The product is exact in binary64. Their sum there is rounded to odd (towards the neighbour whose
/// last bit is set, unless it is exact), which loses nothing that the rounding to binary32 needs.
Value KernelBuilder::plainMultiplyAdd(Value a, Value b, Value c) {
  auto narrow = cast<VectorType>(a.getType());
  auto wide = VectorType::get(narrow.getShape(), getF64Type());
  VectorType bits = vec(narrow.getNumElements(), 64);
  auto extend = [&](Value value) -> Value { return arith::ExtFOp::create(*this, wide, value); };
  auto plus = [&](Value x, Value y) -> Value { return arith::AddFOp::create(*this, x, y); };
  auto minus = [&](Value x, Value y) -> Value { return arith::SubFOp::create(*this, x, y); };
  Value product = arith::MulFOp::create(*this, extend(a), extend(b)), addend = extend(c);
  Value sum = plus(product, addend), back = minus(sum, product);
  Value error = plus(minus(product, minus(sum, back)), minus(addend, back));
  Value sumBits = bitcast(bits, sum);
  // One unit towards the exact sum: away from zero if the error has the sum's sign.
  Value signs = arith::XOrIOp::create(*this, sumBits, bitcast(bits, error));
  Value unit = bitOr(shiftRightArithmetic(signs, 63), splat(bits, 1));
  Value zero = arith::ConstantOp::create(*this, wide, DenseElementsAttr::get(wide, 0.0));
  Value inexact = arith::CmpFOp::create(*this, arith::CmpFPredicate::ONE, error, zero);
  Value even = arith::CmpIOp::create(*this, arith::CmpIPredicate::eq,
                                     bitAnd(sumBits, splat(bits, 1)), splat(bits, 0));
  Value moves = arith::AndIOp::create(*this, inexact, even);
  Value odd = arith::SelectOp::create(*this, moves, add(sumBits, unit), sumBits);
  return arith::TruncFOp::create(*this, narrow, bitcast(wide, odd));
}

/// As the bits of a float the exponent is 112 too small.
Value KernelBuilder::loadHalves(VectorType type, Value pointer, bool plain) {
  const int64_t lanes = type.getNumElements();
  if (!plain)
    return arith::ExtFOp::create(
        *this, type, load(VectorType::get({lanes}, getF16Type()), pointer, /*alignment=*/2));
  VectorType bits = vec(lanes, 32);
  Value half = arith::ExtUIOp::create(*this, bits, load(vec(lanes, 16), pointer, 2));
  Value small = bitcast(type, shiftLeft(bitAnd(half, splat(bits, 0x7fff)), 13));
  Value magnitude = arith::MulFOp::create(*this, small, splatFloat(type, 0x1p112f));
  Value sign = shiftLeft(bitAnd(half, splat(bits, 0x8000)), 16);
  return bitcast(type, bitOr(bitcast(bits, magnitude), sign));
}

Value KernelBuilder::intrinsic(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(*this, result, getStringAttr(name), operands).getResult(0);
}

Value KernelBuilder::add(Value a, Value b) { return arith::AddIOp::create(*this, a, b); }
Value KernelBuilder::sub(Value a, Value b) { return arith::SubIOp::create(*this, a, b); }
Value KernelBuilder::mul(Value a, Value b) { return arith::MulIOp::create(*this, a, b); }
Value KernelBuilder::min(Value a, Value b) { return arith::MinSIOp::create(*this, a, b); }
Value KernelBuilder::bitAnd(Value a, Value b) { return arith::AndIOp::create(*this, a, b); }
Value KernelBuilder::bitOr(Value a, Value b) { return arith::OrIOp::create(*this, a, b); }

Value KernelBuilder::shiftLeft(Value a, int64_t bits) {
  return arith::ShLIOp::create(*this, a, splat(cast<VectorType>(a.getType()), bits));
}

Value KernelBuilder::shiftRight(Value a, int64_t bits) {
  if (bits == 0)
    return a;
  return arith::ShRUIOp::create(*this, a, splat(cast<VectorType>(a.getType()), bits));
}

Value KernelBuilder::shiftRightArithmetic(Value a, int64_t bits) {
  return arith::ShRSIOp::create(*this, a, splat(cast<VectorType>(a.getType()), bits));
}

//===----------------------------------------------------------------------===//
// The loops around a tile, and the epilogue
//===----------------------------------------------------------------------===//

namespace {

/// Token rows reached from one pointer: 0 .. 3 strides away, which x86 adds for free. One pointer a
/// row would not fit the registers.
constexpr int64_t kBaseRows = 4;

/// Row blocks whose weights a GEMM keeps in the second-level cache while all tokens pass by.
constexpr int64_t kPanelBlocks = 16;

/// Emits one kernel. GEMV: row blocks in order, weights one ascending stream. GEMM: panels of row
/// blocks; in each, groups of token rows, which stay in the first-level cache; in each, the
/// panel's row blocks. Tiles that can be unpacked beforehand: the same panels, of which all tiles
/// of a pass are unpacked first. Then for each scale group: the tiles.
class MatmulEmitter {
public:
  MatmulEmitter(KernelBuilder &b, const KernelRow &row, const DotTile &tile, Value args)
      : b(b), row(row), tile(tile), args(args),
        floats(VectorType::get({tile.lanes}, b.getF32Type())), sums(b.vec(tile.lanes, 32)),
        tileActBytes(row.packing.k * (tile.takesFloats ? 4 : 1)) {}

  void emit();

private:
  /// Where a body of token rows works.
  struct Place {
    Value block, lane; ///< row block, and the pass's first row in it
    Value token;       ///< first of `tokens`
    int64_t tokens;
    Value unpacked = {};  ///< the pass's tiles, if they are read unpacked
    int64_t blocks = 1;   ///< row blocks from `block` on
    bool unpacks = false; ///< whether it reads packed tiles and writes `unpacked`
  };
  using Values = SmallVector<Value>;

  void readArgs();
  void emitPanels(Value first, int64_t widest);
  Value emitUnpacked();
  void emitUnpackedPanel(Value begin, Value end, Value lane);
  void emitTokens(Value first, int64_t widest,
                  function_ref<void(Value token, int64_t tokens)> body);
  void emitPasses(Value begin, Value end, function_ref<void(Value block, Value lane)> body);
  void emitPasses(function_ref<void(Value lane)> body);
  void emitBody(const Place &place);
  Values emitGroups(const Place &place);
  Values emitGroup(const Place &place, ValueRange acts, Value scalesAt, Value group,
                   ValueRange totals);
  Values emitGroupScales(const Place &place, Value first);
  Values loadTokens(const Place &place, Value base, Value stride, Value group, VectorType type);
  Values emitGroupSums(const Place &place, ValueRange acts, Value group);
  Values emitTiles(Value weight, ValueRange acts, Value begin, Value end, const Place &place,
                   ValueRange state, int64_t slice = 0);
  void emitEpilogue(const Place &place, ValueRange totals);

  /// The widest group of token rows left over by groups of `widest`, a power of two.
  static int64_t tailTokens(int64_t widest) {
    return static_cast<int64_t>(llvm::bit_floor(static_cast<uint64_t>(widest - 1)));
  }
  /// Vectors of sums that each token row has.
  int64_t partsOf(const Place &place) const { return place.blocks * tile.parts; }
  /// Whether activations have a scale a group, and not one a token.
  bool groupsActs() const { return row.acts == Acts::Int8Groups; }
  Value field(Type type, size_t byteOffset) {
    return b.load(type, b.offset(args, static_cast<int64_t>(byteOffset)), 8);
  }
  /// base + index * bytes
  Value element(Value base, Value index, int64_t bytes) {
    return b.offset(base, b.mul(index, b.i64(bytes)));
  }
  /// first, first + stride, ...: a chain of additions, which takes fewer registers than as many
  /// multiples.
  Values rowsOf(Value first, Value stride, int64_t count) {
    Values rows{first};
    while (static_cast<int64_t>(rows.size()) < count)
      rows.push_back(b.offset(rows.back(), stride));
    return rows;
  }
  void forLoop(Value begin, Value end, Value step, function_ref<void(Value)> body);
  void forLoop(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
    forLoop(begin, end, b.i64(step), body);
  }
  Values forLoop(Value begin, Value end, int64_t step, ValueRange initial,
                 function_ref<Values(Value, ValueRange)> body);

  KernelBuilder &b;
  const KernelRow &row;
  const DotTile &tile;
  Value args;
  VectorType floats, sums;
  const int64_t tileActBytes; ///< of one token row's activations in a tile
  Value weight, scale, acts, rowScales, offsets, residual, out;
  Value actsStride, offsetsStride, rowScalesStride, outStride, m, blockBegin, blockEnd, kTiles;
  Value groups, scaleGroups, scaleBytes, halfScales, groupTiles, scaleRatio, totalsStart;
  Value blockScaleBytes; ///< of a row block's scales
  Value room;            ///< for unpacked tiles
};

void MatmulEmitter::forLoop(Value begin, Value end, Value step, function_ref<void(Value)> body) {
  scf::ForOp::create(b, begin, end, step, ValueRange{},
                     [&](OpBuilder &nested, Location, Value index, ValueRange) {
                       OpBuilder::InsertionGuard guard(b);
                       b.restoreInsertionPoint(nested.saveInsertionPoint());
                       body(index);
                       scf::YieldOp::create(b);
                     });
}

MatmulEmitter::Values MatmulEmitter::forLoop(Value begin, Value end, int64_t step,
                                             ValueRange initial,
                                             function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, begin, end, b.i64(step), initial,
                                 [&](OpBuilder &nested, Location, Value index, ValueRange state) {
                                   OpBuilder::InsertionGuard guard(b);
                                   b.restoreInsertionPoint(nested.saveInsertionPoint());
                                   scf::YieldOp::create(b, body(index, state));
                                 });
  return Values(loop.getResults());
}

void MatmulEmitter::readArgs() {
  Type pointer = args.getType(), integer = b.getI64Type();
  weight = field(pointer, offsetof(tern_matmul_args_t, weight));
  scale = field(pointer, offsetof(tern_matmul_args_t, scale));
  acts = field(pointer, offsetof(tern_matmul_args_t, acts));
  rowScales = field(pointer, offsetof(tern_matmul_args_t, row_scales));
  offsets = field(pointer, offsetof(tern_matmul_args_t, offsets));
  residual = field(pointer, offsetof(tern_matmul_args_t, residual));
  out = field(pointer, offsetof(tern_matmul_args_t, out));
  actsStride = field(integer, offsetof(tern_matmul_args_t, acts_stride));
  offsetsStride = field(integer, offsetof(tern_matmul_args_t, offsets_stride));
  outStride = field(integer, offsetof(tern_matmul_args_t, out_stride));
  m = field(integer, offsetof(tern_matmul_args_t, m));
  blockBegin = field(integer, offsetof(tern_matmul_args_t, block_begin));
  blockEnd = field(integer, offsetof(tern_matmul_args_t, block_end));
  kTiles = field(integer, offsetof(tern_matmul_args_t, k_tiles));
  groups = field(integer, offsetof(tern_matmul_args_t, groups));
  rowScalesStride = field(integer, offsetof(tern_matmul_args_t, row_scales_stride));
  scaleGroups = field(integer, offsetof(tern_matmul_args_t, scale_groups));
  scaleBytes = field(integer, offsetof(tern_matmul_args_t, scale_bytes));
  b.ahead = {field(integer, offsetof(tern_matmul_args_t, near_ahead)),
             field(integer, offsetof(tern_matmul_args_t, far_ahead))};
}

void MatmulEmitter::emit() {
  readArgs();
  groupTiles = arith::DivSIOp::create(b, kTiles, groups);
  halfScales = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, scaleBytes, b.i64(2));
  if (groupsActs())
    scaleRatio = arith::DivSIOp::create(b, groups, scaleGroups);
  Value minusZero = arith::ConstantOp::create(b, b.getF32FloatAttr(-0.0f));
  Value start = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0f));
  // One product alone must keep its sign of zero, and -0 + x is x; several are summed from +0.
  if (!groupsActs())
    start = arith::SelectOp::create(
        b, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, groups, b.i64(1)), minusZero, start);
  totalsStart = b.broadcast(floats, start);
  if (row.isGemv())
    return emitPasses(blockBegin, blockEnd, [&](Value block, Value lane) {
      forLoop(b.i64(0), m, 1, [&](Value token) { emitBody({block, lane, token, 1}); });
    });
  // Scales of groups on both sides cost more where so many sums leave them no registers.
  const bool all = tile.unpacked.blocks == 1;
  if (tile.unpacked.tileBytes == 0 || (groupsActs() && !all))
    return emitPanels(blockBegin, row.mr);
  emitPanels(emitUnpacked(), all ? tailTokens(row.mr) : row.mr);
}

/// Row blocks from `first` on.
void MatmulEmitter::emitPanels(Value first, int64_t widest) {
  forLoop(first, blockEnd, kPanelBlocks, [&](Value begin) {
    Value end = b.min(b.add(begin, b.i64(kPanelBlocks)), blockEnd);
    emitTokens(b.i64(0), widest, [&](Value token, int64_t tokens) {
      emitPasses(begin, end,
                 [&](Value block, Value lane) { emitBody({block, lane, token, tokens}); });
    });
  });
}

/// Row blocks from blockBegin on, as many as can be unpacked beforehand, none for few token rows or
/// long ones. Returns the first one left.
Value MatmulEmitter::emitUnpacked() {
  const int64_t blocks = tile.unpacked.blocks;
  room = LLVM::AllocaOp::create(b, weight.getType(), b.getI8Type(), b.i64(tile.unpacked.room),
                                /*alignment=*/64);
  Value fit = arith::DivUIOp::create(b, b.i64(tile.unpacked.room / tile.unpacked.tileBytes),
                                     arith::MaxSIOp::create(b, kTiles, b.i64(1)));
  Value step = b.bitAnd(b.min(fit, b.i64(tile.unpacked.panelBlocks)), b.i64(-blocks));
  Value fits = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, step, b.i64(0));
  Value many = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, m, b.i64(row.mr));
  Value whole = b.bitAnd(b.sub(blockEnd, blockBegin), b.i64(-blocks));
  Value end = b.add(blockBegin, arith::SelectOp::create(b, arith::AndIOp::create(b, fits, many),
                                                        whole, b.i64(0)));
  forLoop(blockBegin, end, arith::MaxSIOp::create(b, step, b.i64(1)), [&](Value first) {
    Value last = b.min(b.add(first, step), end);
    emitPasses([&](Value lane) { emitUnpackedPanel(first, last, lane); });
  });
  return end;
}

/// The first token rows unpack as they go: what that writes to the caches costs no time beside
/// their products. A single token row left over takes packed tiles where row blocks do.
void MatmulEmitter::emitUnpackedPanel(Value begin, Value end, Value lane) {
  const int64_t blocks = tile.unpacked.blocks;
  const int64_t widest = tile.unpacked.tokens ? tile.unpacked.tokens : row.mr;
  auto emitBodies = [&](Value token, int64_t tokens, bool unpacks) {
    forLoop(begin, end, blocks, [&](Value block) {
      if (tokens == 1 && blocks == 1)
        return emitBody({block, lane, token, tokens});
      Value tiles = element(room, b.mul(b.sub(block, begin), kTiles), tile.unpacked.tileBytes);
      emitBody({block, lane, token, tokens, tiles, blocks, unpacks});
    });
  };
  emitBodies(b.i64(0), widest, /*unpacks=*/true);
  emitTokens(b.i64(widest), widest,
             [&](Value token, int64_t tokens) { emitBodies(token, tokens, /*unpacks=*/false); });
}

/// Every pass over the rows of every row block.
void MatmulEmitter::emitPasses(Value begin, Value end,
                               function_ref<void(Value block, Value lane)> body) {
  forLoop(begin, end, 1, [&](Value block) { emitPasses([&](Value lane) { body(block, lane); }); });
}

void MatmulEmitter::emitPasses(function_ref<void(Value lane)> body) {
  const int64_t passRows = tile.lanes * tile.parts;
  if (passRows == row.packing.rows)
    return body(b.i64(0));
  forLoop(b.i64(0), b.i64(row.packing.rows), passRows, body);
}

/// All token rows from `first` on: as many as possible in groups of `widest`, then in powers of two
/// down to ownBodies, then what is left at once.
void MatmulEmitter::emitTokens(Value first, int64_t widest,
                               function_ref<void(Value token, int64_t tokens)> body) {
  Value rest = arith::RemUIOp::create(b, b.sub(m, first), b.i64(widest)), whole = b.sub(m, rest);
  forLoop(first, whole, widest, [&](Value token) { body(token, widest); });
  auto takeIf = [&](Value bits, int64_t expected, Value skipped, int64_t tokens) {
    Value present = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, bits, b.i64(expected));
    auto tail = scf::IfOp::create(b, present, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(tail.thenYield());
    body(b.add(whole, skipped), tokens);
  };
  for (int64_t tokens = tailTokens(widest); tokens >= tile.ownBodies; tokens /= 2)
    takeIf(b.bitAnd(rest, b.i64(tokens)), tokens, b.bitAnd(rest, b.i64(-2 * tokens)), tokens);
  Value left = b.bitAnd(rest, b.i64(tile.ownBodies - 1));
  for (int64_t tokens = 1; tokens < std::min(tile.ownBodies, widest); ++tokens)
    takeIf(left, tokens, b.bitAnd(rest, b.i64(-tile.ownBodies)), tokens);
}

void MatmulEmitter::emitBody(const Place &place) { emitEpilogue(place, emitGroups(place)); }

MatmulEmitter::Values MatmulEmitter::emitGroups(const Place &place) {
  Values tokenActs =
      rowsOf(b.offset(acts, b.mul(place.token, actsStride)), b.mul(actsStride, b.i64(kBaseRows)),
             llvm::divideCeil(place.tokens, kBaseRows));
  // [row block][scale groups][rows]
  Value groupBytes = b.mul(scaleBytes, b.i64(row.packing.rows));
  blockScaleBytes = b.mul(scaleGroups, groupBytes);
  Value blockScales = b.offset(scale, b.mul(place.block, blockScaleBytes));
  Value laneScales = b.offset(blockScales, b.mul(place.lane, scaleBytes));
  Values initial(place.tokens * partsOf(place), totalsStart);
  return forLoop(b.i64(0), scaleGroups, 1, initial, [&](Value scaleGroup, ValueRange totals) {
    Value scales = b.offset(laneScales, b.mul(scaleGroup, groupBytes));
    if (!groupsActs())
      return emitGroup(place, tokenActs, scales, scaleGroup, totals);
    Value first = b.mul(scaleGroup, scaleRatio);
    return forLoop(first, b.add(first, scaleRatio), 1, totals, [&](Value group, ValueRange sofar) {
      return emitGroup(place, tokenActs, scales, group, sofar);
    });
  });
}

MatmulEmitter::Values MatmulEmitter::emitGroupScales(const Place &place, Value first) {
  SmallVector<Type> types(partsOf(place), floats);
  auto choice = scf::IfOp::create(b, types, halfScales, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  for (bool halves : {true, false}) {
    b.setInsertionPointToStart(halves ? choice.thenBlock() : choice.elseBlock());
    Values scales;
    for (int64_t i = 0; i < partsOf(place); ++i) {
      Value block = b.offset(first, b.mul(blockScaleBytes, b.i64(i / tile.parts)));
      Value at = b.offset(block, i % tile.parts * tile.lanes * (halves ? 2 : 4));
      scales.push_back(halves ? b.loadHalves(floats, at, tile.plain) : b.load(floats, at, 4));
    }
    scf::YieldOp::create(b, scales);
  }
  return Values(choice.getResults());
}

/// The totals with one more group: its sums times what they are worth.
MatmulEmitter::Values MatmulEmitter::emitGroup(const Place &place, ValueRange acts, Value scalesAt,
                                               Value group, ValueRange totals) {
  // Scales are loaded when the sums are done: before, they would take a register from them.
  Values products = emitGroupSums(place, acts, group), tokenScales;
  Values scales = emitGroupScales(place, scalesAt);
  const int64_t parts = partsOf(place);
  if (groupsActs())
    tokenScales = loadTokens(place, rowScales, rowScalesStride, group, floats);
  for (int64_t i = 0; i < place.tokens * parts; ++i) {
    Value &value = products[i];
    if (!tile.takesFloats)
      value = arith::SIToFPOp::create(b, floats, value);
    if (groupsActs())
      value = arith::MulFOp::create(b, value, tokenScales[i / parts]);
    value = tile.plain ? b.plainMultiplyAdd(value, scales[i % parts], totals[i])
                       : b.fusedMultiplyAdd(value, scales[i % parts], totals[i]);
  }
  return products;
}

/// Element `group` of each token's row of 4-byte elements at `base`, in all lanes of a vector.
MatmulEmitter::Values MatmulEmitter::loadTokens(const Place &place, Value base, Value stride,
                                                Value group, VectorType type) {
  Value first = element(base, b.add(b.mul(place.token, stride), group), 4);
  Values rows = rowsOf(first, b.mul(stride, b.i64(4)), place.tokens);
  return llvm::map_to_vector(rows, [&](Value pointer) {
    return b.broadcast(type, b.load(type.getElementType(), pointer, 4));
  });
}

/// Sums over one group, of activation * trit. Codes are trit + 1: the offsets that sums of int8
/// products start from take the activations out that this adds.
MatmulEmitter::Values MatmulEmitter::emitGroupSums(const Place &place, ValueRange acts,
                                                   Value group) {
  const int64_t tileBytes = row.packing.tileBytes();
  Value firstTile = b.mul(group, groupTiles);
  Value blockWeight = element(weight, b.add(b.mul(place.block, kTiles), firstTile), tileBytes);
  Value laneWeight = element(blockWeight, place.lane, 4);
  Values groupActs =
      llvm::map_to_vector(acts, [&](Value row0) { return element(row0, firstTile, tileActBytes); });
  Place tiles = place;
  if (place.unpacked)
    tiles.unpacked = element(place.unpacked, firstTile, place.blocks * tile.unpacked.tileBytes);
  Values initial;
  if (!tile.takesFloats)
    for (Value offset : loadTokens(place, offsets, offsetsStride, group, sums))
      initial.append(partsOf(place), offset);
  if (tile.maxTiles == 0) {
    const size_t count = static_cast<size_t>(place.tokens * partsOf(place));
    Values states;
    for (int64_t slice = 0; slice < tile.slices; ++slice)
      llvm::append_range(states,
                         emitTiles(laneWeight, groupActs, b.i64(0), groupTiles, tiles,
                                   tile.start(b, place.tokens * place.blocks, initial), slice));
    Values chains = tile.finish(b, states);
    for (size_t i = count; i < chains.size(); ++i)
      chains[i % count] = b.add(chains[i % count], chains[i]);
    chains.truncate(count);
    return chains;
  }

  return forLoop(b.i64(0), groupTiles, tile.maxTiles, initial, [&](Value begin, ValueRange wide) {
    Value end = b.min(b.add(begin, b.i64(tile.maxTiles)), groupTiles);
    Values state = tile.start(b, place.tokens, {});
    Values run = tile.finish(b, emitTiles(laneWeight, groupActs, begin, end, tiles, state));
    for (auto [sum, earlier] : llvm::zip_equal(run, wide))
      sum = b.add(earlier, sum);
    return run;
  });
}

/// Tiles begin .. end - 1 from the tile at `weight` and the activations at `acts`, one pointer for
/// each kBaseRows token rows. These pointers step along with the tiles.
MatmulEmitter::Values MatmulEmitter::emitTiles(Value weight, ValueRange acts, Value begin,
                                               Value end, const Place &place, ValueRange state,
                                               int64_t slice) {
  const bool streams = !place.unpacked && tile.lanes * tile.parts == row.packing.rows;
  const int64_t tileBytes = row.packing.tileBytes();
  const int64_t bases = acts.size();
  auto take = [&](int64_t count) {
    return [&, count](Value index, ValueRange carried) {
      Values tokenActs, next;
      for (Value base : carried.take_front(bases)) {
        const int64_t left = place.tokens - static_cast<int64_t>(tokenActs.size());
        for (int64_t i = 0; i < std::min(kBaseRows, left); ++i)
          tokenActs.push_back(b.offset(base, b.mul(actsStride, b.i64(i))));
        Value stepped = b.offset(base, count * tileActBytes);
        next.push_back(bases > 1 || place.unpacked ? b.opaque(stepped) : stepped);
      }
      Value first = element(weight, index, tileBytes);
      if (streams)
        b.prefetchStream(first, count * tileBytes);
      ValueRange sofar = carried.drop_front(bases);
      if (!place.unpacked) {
        llvm::append_range(next, tile.step(b, sofar, first, tokenActs, count, slice));
        return next;
      }
      Value unpacked = element(place.unpacked, index, place.blocks * tile.unpacked.tileBytes);
      llvm::append_range(
          next, place.unpacks ? tile.stepUnpacking(b, sofar, first, b.mul(kTiles, b.i64(tileBytes)),
                                                   unpacked, tokenActs)
                              : tile.stepUnpacked(b, sofar, unpacked, tokenActs, count));
      return next;
    };
  };
  Values carried;
  for (Value base : acts)
    carried.push_back(element(base, begin, tileActBytes));
  llvm::append_range(carried, state);
  if (tile.unroll > 1 && !place.unpacks) {
    Value whole = b.bitAnd(b.sub(end, begin), b.i64(-tile.unroll));
    Value middle = b.add(begin, whole);
    carried = forLoop(begin, middle, tile.unroll, carried, take(tile.unroll));
    begin = middle;
  }
  carried = forLoop(begin, end, 1, carried, take(1));
  return Values(ArrayRef<Value>(carried).drop_front(bases));
}

void MatmulEmitter::emitEpilogue(const Place &place, ValueRange totals) {
  Value column = b.add(b.mul(place.block, b.i64(row.packing.rows)), place.lane);
  Value first = b.mul(b.add(b.mul(place.token, outStride), column), b.i64(4));
  Value stride = b.mul(outStride, b.i64(4));
  Values values(totals), outs = rowsOf(b.offset(out, first), stride, place.tokens);
  const int64_t parts = partsOf(place);
  const bool perToken = !tile.takesFloats && !groupsActs();
  for (int64_t i = 0; perToken && i < place.tokens; ++i) {
    Value rowScale = b.broadcast(
        floats, b.load(b.getF32Type(), b.offset(element(rowScales, place.token, 4), 4 * i), 4));
    for (int64_t part = 0; part < parts; ++part) {
      Value &value = values[i * parts + part];
      value = arith::MulFOp::create(b, value, rowScale);
    }
  }
  Value null = LLVM::ZeroOp::create(b, residual.getType());
  Value hasResidual = LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ne, residual, null);
  auto choice = scf::IfOp::create(b, ValueRange(values).getTypes(), hasResidual, /*withElse=*/true);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(b, values);
    b.setInsertionPointToStart(choice.thenBlock());
    Values befores = rowsOf(b.offset(residual, first), stride, place.tokens);
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      Value before = b.load(floats, b.offset(befores[i / parts], i % parts * tile.lanes * 4), 4);
      values[i] = arith::AddFOp::create(b, before, values[i]);
    }
    scf::YieldOp::create(b, values);
  }
  for (auto [i, value] : llvm::enumerate(choice.getResults()))
    LLVM::StoreOp::create(b, value, b.offset(outs[i / parts], i % parts * tile.lanes * 4), 4);
}

} // namespace

LLVM::LLVMFuncOp emitKernel(ModuleOp module, const KernelRow &row, StringRef symbol) {
  if (auto emitted = module.lookupSymbol<LLVM::LLVMFuncOp>(symbol))
    return emitted; // as another row's panel kernel
  MLIRContext *context = module.getContext();
  if (row.panelKernel)
    emitKernel(module, *findKernel(row.panelKernel), row.panelKernel);
  KernelBuilder b(module.getLoc(), context);
  b.setInsertionPointToEnd(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(context);
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), {pointer});
  auto function = LLVM::LLVMFuncOp::create(b, symbol, type);
  for (StringRef attribute : {"llvm.noalias", "llvm.nonnull", "llvm.readonly"})
    function.setArgAttr(0, attribute, b.getUnitAttr());
  b.setInsertionPointToStart(function.addEntryBlock(b));
  if (row.makeDot) {
    emitSparseKernel(b, row, function.getArgument(0));
  } else {
    std::unique_ptr<DotTile> tile = row.makeTile(row.mr);
    tile->enter(b);
    MatmulEmitter(b, row, *tile, function.getArgument(0)).emit();
    tile->leave(b);
  }
  LLVM::ReturnOp::create(b, ValueRange{});
  return function;
}

} // namespace tern
