//===- AttentionKernel.cpp - attention over a cache, as functions ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/AttentionKernel.h"

#include "codegen/AttentionEmitter.h"
#include "dialect/Semantics.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tern/abi.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Triple.h"

#include <cmath>

using namespace mlir;

namespace tern {

constexpr int64_t kBlock = semantics::kAttentionBlock;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

CacheLayout::CacheLayout(ternary::KVCacheType type)
    : heads(type.getHeads()), headSize(type.getHeadSize()),
      row(static_cast<int64_t>(llvm::alignTo(static_cast<uint64_t>(headSize), kVector))),
      element(type.getElementType()), elementBytes(element.getIntOrFloatBitWidth() / 8),
      hasScales(element.isInteger(8)), lane(hasScales ? 2 : 1) {}

/// Buffers for this many floats lie on the stack.
constexpr int64_t kStackFloats = 16384;
constexpr int64_t kMostQueries = 16;

AttentionShape::AttentionShape(ternary::KVCacheType type, int64_t heads)
    : cache(type), heads(heads) {
  const int64_t shared = heads / cache.heads;
  const int64_t room = std::max<int64_t>(kStackFloats / (3 * cache.row + kBlock), 1);
  const int64_t most = std::min(kMostQueries, room);
  queries = std::min(shared, most);
  while (shared % queries)
    --queries;
  groups = shared / queries;
  rows = std::max<int64_t>(most / queries, 1);
}

int64_t AttentionShape::partialBytesPerPosition() const {
  return llvm::divideCeil(heads * partialFloats() * static_cast<int64_t>(sizeof(float)),
                          CacheLayout::kBlock);
}

std::string AttentionShape::name() const {
  std::string kind = cache.hasScales ? "i8" : cache.elementBytes == 2 ? "f16" : "f32";
  return "tern_attention_" + std::to_string(heads) + "x" + std::to_string(cache.heads) + "x" +
         std::to_string(cache.headSize) + "x" + kind;
}

//===----------------------------------------------------------------------===//
// Words
//===----------------------------------------------------------------------===//

AttentionEmitter::AttentionEmitter(KernelBuilder &b, const AttentionShape &shape,
                                   const Target &target)
    : b(b), shape(shape), cache(shape.cache), f32(b.getF32Type()),
      floats(VectorType::get({kVector}, f32)),
      hasFma(target.cpuFeatures & (TERN_CPU_X86_AVX2 | TERN_CPU_ARM_NEON)), target(target) {
  const bool wide = target.cpuFeatures & TERN_CPU_X86_AVX512;
  tileRows = hasFma ? 4 : 1;
  tileVectors = wide ? 4 : 1;
}

Value AttentionEmitter::cells(int64_t count) {
  return LLVM::AllocaOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), f32, b.i64(count),
                                64);
}
Value AttentionEmitter::index(Value pointer, Value at, int64_t bytes) {
  return b.offset(pointer, b.mul(at, b.i64(bytes)));
}
Value AttentionEmitter::loadFloats(Value pointer) { return b.load(floats, pointer, 4); }
Value AttentionEmitter::loadFloat(Value pointer) { return b.load(f32, pointer, 4); }
void AttentionEmitter::put(Value value, Value pointer) {
  LLVM::StoreOp::create(b, value, pointer, 4);
}

Value AttentionEmitter::element(Value pointer) {
  if (cache.element.isF32())
    return loadFloats(pointer);
  if (cache.element.isF16())
    return b.loadHalves(floats, pointer, !hasFma);
  return arith::ExtSIOp::create(b, b.vec(2 * kVector, 16),
                                b.load(b.vec(2 * kVector, 8), pointer, 1));
}

Value AttentionEmitter::factor(Value pointer) {
  if (!cache.hasScales)
    return b.broadcast(floats, loadFloat(pointer));
  Value pair = b.load(b.getI32Type(), pointer, 4);
  return b.bitcast(b.vec(2 * kVector, 16), b.broadcast(b.vec(kVector, 32), pair));
}

Value AttentionEmitter::zeroSum() {
  return cache.hasScales ? b.splat(b.vec(kVector, 32), 0) : number(floats, 0.0f);
}

/// Lane i of the sum with elements 2 i and 2 i + 1 of `a` times those of `c`.
Value AttentionEmitter::addPairs(Value a, Value c, Value sum) {
  if (target.cpuFeatures & TERN_CPU_X86_AVX512VNNI)
    return b.intrinsic("llvm.x86.avx512.vpdpwssd.512", sum.getType(), {sum, a, c});
  if (llvm::Triple(target.triple).isX86())
    return b.add(sum, multiplyPairsX86(a, c));
  auto every = [&](Value vector, int64_t first) -> Value {
    SmallVector<int64_t> places;
    for (int64_t i = 0; i < kVector; ++i)
      places.push_back(2 * i + first);
    Value half = vector::ShuffleOp::create(b, vector, vector, places);
    return arith::ExtSIOp::create(b, sum.getType(), half);
  };
  Value evens = b.mul(every(a, 0), every(c, 0)), odds = b.mul(every(a, 1), every(c, 1));
  return b.add(sum, b.add(evens, odds));
}

/// By the widest pmaddwd of the level, which LLVM does not find by itself.
Value AttentionEmitter::multiplyPairsX86(Value a, Value c) {
  const bool avx512 = target.cpuFeatures & TERN_CPU_X86_AVX512;
  const bool avx2 = target.cpuFeatures & TERN_CPU_X86_AVX2;
  StringRef name = avx512 ? "llvm.x86.avx512.pmaddw.d.512"
                   : avx2 ? "llvm.x86.avx2.pmadd.wd"
                          : "llvm.x86.sse2.pmadd.wd";
  const int64_t lanes = avx512 ? 16 : avx2 ? 8 : 4;
  Value products = b.splat(b.vec(kVector, 32), 0);
  for (int64_t first = 0; first < kVector; first += lanes) {
    auto part = [&](Value pairs) -> Value {
      return vector::ExtractStridedSliceOp::create(b, pairs, {2 * first}, {2 * lanes}, {1});
    };
    Value sums = b.intrinsic(name, b.vec(lanes, 32), {part(a), part(c)});
    products = vector::InsertStridedSliceOp::create(b, sums, products, {first}, {1});
  }
  return products;
}

Value AttentionEmitter::multiplyAdd(Value a, Value c, Value sum) {
  if (cache.hasScales)
    return addPairs(a, c, sum);
  return hasFma ? b.fusedMultiplyAdd(a, c, sum) : b.plainMultiplyAdd(a, c, sum);
}
Value AttentionEmitter::times(Value a, Value c) { return arith::MulFOp::create(b, a, c); }
Value AttentionEmitter::plus(Value a, Value c) { return arith::AddFOp::create(b, a, c); }
Value AttentionEmitter::minus(Value a, Value c) { return arith::SubFOp::create(b, a, c); }
Value AttentionEmitter::larger(Value a, Value c) {
  Value yes = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, a, c);
  return arith::SelectOp::create(b, yes, a, c);
}
Value AttentionEmitter::smaller(Value a, Value c) {
  Value yes = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, a, c);
  return arith::SelectOp::create(b, yes, a, c);
}

static Type likeShape(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? VectorType::get(vector.getShape(), element) : element;
}

static Value constantLike(KernelBuilder &b, Type type, TypedAttr value) {
  auto vector = dyn_cast<VectorType>(type);
  if (!vector)
    return arith::ConstantOp::create(b, value);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(vector, Attribute(value)));
}

Value AttentionEmitter::number(Type type, float value) {
  return constantLike(b, type, b.getF32FloatAttr(value));
}
Value AttentionEmitter::bits(Value x) {
  return LLVM::BitcastOp::create(b, likeShape(x.getType(), b.getI32Type()), x);
}
Value AttentionEmitter::floatOf(Value integer) {
  return LLVM::BitcastOp::create(b, likeShape(integer.getType(), f32), integer);
}
Value AttentionEmitter::magnitude(Value x) {
  Value integer = bits(x);
  Value mask = constantLike(b, integer.getType(), b.getI32IntegerAttr(0x7fffffff));
  return floatOf(b.bitAnd(integer, mask));
}
Value AttentionEmitter::divideUp(Value a, int64_t c) {
  return arith::DivUIOp::create(b, b.add(a, b.i64(c - 1)), b.i64(c));
}

/// The formula of semantics::exp. Adding 1.5 * 2^23 rounds to a whole number.
Value AttentionEmitter::exponential(Value x) {
  auto c = [&](float value) { return number(x.getType(), value); };
  x = smaller(larger(x, c(-87.3f)), c(88.3f));
  Value n = minus(plus(times(x, c(1.44269504088896341f)), c(12582912.0f)), c(12582912.0f));
  Value r = minus(minus(x, times(n, c(0.693359375f))), times(n, c(-2.12194440e-4f)));
  Value poly = c(1.9875691500e-4f);
  for (float next :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    poly = plus(times(poly, r), c(next));
  Value p = plus(c(1.0f), plus(r, times(times(r, r), poly)));
  Type integers = likeShape(x.getType(), b.getI32Type());
  Value whole = arith::FPToSIOp::create(b, integers, n);
  Value power = arith::ShLIOp::create(b, whole, constantLike(b, integers, b.getI32IntegerAttr(23)));
  return floatOf(b.add(bits(p), power));
}

/// The formula of semantics::attentionWeight.
Value AttentionEmitter::weightOf(Value x) {
  Value counts =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, number(x.getType(), -64.0f));
  return arith::SelectOp::create(b, counts, exponential(x), number(x.getType(), 0.0f));
}

void AttentionEmitter::loop(Value begin, Value end, int64_t step, function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(b, begin, end, b.i64(step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

AttentionEmitter::Values AttentionEmitter::loop(Value begin, Value end, int64_t step,
                                                ValueRange init,
                                                function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(b, begin, end, b.i64(step), init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Values next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(b, next);
  return Values(loop.getResults());
}

Value AttentionEmitter::fold(Value vector, function_ref<Value(Value, Value)> both) {
  for (int64_t width = kVector / 2; width > 0; width /= 2)
    vector = both(lanesFrom(vector, width, false), lanesFrom(vector, width, true));
  return LLVM::ExtractElementOp::create(b, vector, b.i64(0));
}

Value AttentionEmitter::lanesFrom(Value vector, int64_t width, bool upper) {
  const auto begin = static_cast<int32_t>(upper ? width : 0), end = static_cast<int32_t>(width);
  SmallVector<int32_t> lanes = llvm::to_vector(llvm::seq<int32_t>(begin, begin + end));
  return LLVM::ShuffleVectorOp::create(b, vector, vector, lanes);
}

//===----------------------------------------------------------------------===//
// Storing
//===----------------------------------------------------------------------===//

/// Of semantics::toIntegers: magnitudes below do not count.
constexpr float kLeast = 1e-5f;

/// What semantics::cachedI8 multiplies with.
Value AttentionEmitter::rowScale(Value row) {
  Values floor(1, number(f32, kLeast));
  Value top = loop(b.i64(0), b.i64(cache.headSize), 1, floor, [&](Value d, ValueRange sofar) {
    return Values{larger(magnitude(loadFloat(index(row, d, 4))), sofar[0])};
  })[0];
  return integersOf(top, 127.0f);
}

/// What turns floats into integers of up to `limit`.
Value AttentionEmitter::integersOf(Value largest, float limit) {
  Value inverse = arith::DivFOp::create(b, number(f32, 1.0f), largest);
  return times(inverse, number(f32, limit));
}

/// semantics::toIntegers in place, for `count` floats, a multiple of 16.
void AttentionEmitter::toIntegers(Value row, Value count, float limit, Value scale) {
  Values floor(1, number(floats, kLeast));
  Value tops = loop(b.i64(0), count, kVector, floor, [&](Value at, ValueRange sofar) {
    return Values{larger(magnitude(loadFloats(index(row, at, 4))), sofar[0])};
  })[0];
  Value top = fold(tops, [&](Value x, Value y) { return larger(x, y); });
  Value factor = integersOf(top, limit);
  put(arith::DivFOp::create(b, number(f32, 1.0f), factor), scale);
  Value all = b.broadcast(floats, factor);
  loop(b.i64(0), count, kVector, [&](Value at) {
    Value rounded = roundTo(times(loadFloats(index(row, at, 4)), all), limit);
    Value integers = arith::FPToSIOp::create(b, b.vec(kVector, 16), rounded);
    LLVM::StoreOp::create(b, integers, index(row, at, 2), 2);
  });
}

/// The whole number next to `x`, of up to `limit`. Adding 1.5 * 2^23 rounds.
Value AttentionEmitter::roundTo(Value x, float limit) {
  Value clamped = smaller(larger(x, number(x.getType(), -limit)), number(x.getType(), limit));
  Value magic = number(x.getType(), 12582912.0f);
  return minus(plus(clamped, magic), magic);
}

/// Rounded as semantics::cachedF16 and toF16 do: results below 2^-14 are multiples of 2^-24, which
/// is the last place of 0.5.
static Value halfBits(KernelBuilder &b, Value bits) {
  Type i32 = b.getI32Type();
  auto c = [&](int32_t value) -> Value {
    return arith::ConstantOp::create(b, b.getI32IntegerAttr(value));
  };
  Value sign = b.bitAnd(arith::ShRUIOp::create(b, bits, c(16)), c(0x8000));
  Value magnitude = arith::MinUIOp::create(b, b.bitAnd(bits, c(0x7fffffff)), c(0x477fe000));
  Value last = b.bitAnd(arith::ShRUIOp::create(b, magnitude, c(13)), c(1));
  Value rounded = b.add(b.add(magnitude, c(0xfff)), last);
  Value normal = arith::ShRUIOp::create(b, b.sub(rounded, c((127 - 15) << 23)), c(13));
  Value half = arith::ConstantOp::create(b, b.getF32FloatAttr(0.5f));
  Value moved =
      arith::AddFOp::create(b, LLVM::BitcastOp::create(b, b.getF32Type(), magnitude), half);
  Value small = b.sub(LLVM::BitcastOp::create(b, i32, moved), c(0x3f000000));
  Value isSmall = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, magnitude, c(0x38800000));
  Value value = arith::SelectOp::create(b, isSmall, small, normal);
  return arith::TruncIOp::create(b, b.getI16Type(), b.bitOr(sign, value));
}

void AttentionEmitter::storeElement(Value value, Value to) {
  if (cache.element.isF32())
    return put(value, to);
  if (cache.element.isF16()) {
    LLVM::StoreOp::create(b, halfBits(b, bits(value)), to, 2);
    return;
  }
  Value byte = arith::FPToSIOp::create(b, b.getI8Type(), roundTo(value, 127.0f));
  LLVM::StoreOp::create(b, byte, to, 1);
}

void AttentionEmitter::store(ValueRange arguments) {
  Value key = arguments[0], value = arguments[1], position = arguments[5];
  Value firstItem = b.mul(arguments[4], b.i64(shape.groups));
  Item item = place(arguments[2], arguments[3], firstItem, position, b.i64(1));
  Value inBlock = arith::RemUIOp::create(b, position, b.i64(kBlock));
  CachedBlock cached = blockOf(item, b.sub(position, inBlock));
  Value tileIndex = arith::DivUIOp::create(b, inBlock, b.i64(CacheLayout::kTile));
  Value within = arith::RemUIOp::create(b, inBlock, b.i64(CacheLayout::kTile));
  Value keyTo = index(index(cached.keys, tileIndex, CacheLayout::kTile * cache.rowBytes()), within,
                      cache.laneBytes());
  Value pair = arith::DivUIOp::create(b, inBlock, b.i64(cache.lane));
  Value inPair = arith::RemUIOp::create(b, inBlock, b.i64(cache.lane));
  Value valueTo =
      index(index(cached.values, pair, cache.lane * cache.rowBytes()), inPair, cache.elementBytes);
  auto keyAt = [&](Value d) {
    Value inLane = arith::RemUIOp::create(b, d, b.i64(cache.lane));
    Value line = arith::DivUIOp::create(b, d, b.i64(cache.lane));
    return b.offset(index(keyTo, line, CacheLayout::kTile * cache.laneBytes()),
                    b.mul(inLane, b.i64(cache.elementBytes)));
  };
  auto valueAt = [&](Value d) { return index(valueTo, d, cache.laneBytes()); };
  auto rowTo = [&](Value row, function_ref<Value(Value)> at, Value scales) {
    Value factor;
    if (cache.hasScales) {
      factor = rowScale(row);
      put(arith::DivFOp::create(b, number(f32, 1.0f), factor), index(scales, inBlock, 4));
    }
    loop(b.i64(0), b.i64(cache.headSize), 1, [&](Value d) {
      Value x = loadFloat(index(row, d, 4));
      storeElement(factor ? times(x, factor) : x, at(d));
    });
  };
  rowTo(key, keyAt, cached.keyScales);
  rowTo(value, valueAt, cached.valueScales);
}

//===----------------------------------------------------------------------===//
// Attending
//===----------------------------------------------------------------------===//

AttentionEmitter::Buffers AttentionEmitter::allocate() {
  const int64_t queries = shape.rows * shape.queries;
  return {cells(queries * cache.row), cells(queries * kBlock), cells(queries * cache.row),
          cells(queries * 2),         cells(queries),          cells(queries)};
}

AttentionEmitter::Item AttentionEmitter::place(Value base, Value blockStride, Value item,
                                               Value position, Value rows) {
  Value head = arith::DivUIOp::create(b, item, b.i64(shape.groups));
  return {index(base, head, cache.blockBytes() / cache.heads), blockStride,
          b.mul(item, b.i64(shape.queries)), position, rows};
}

/// The block that begins at position `first`.
AttentionEmitter::CachedBlock AttentionEmitter::blockOf(const Item &item, Value first) {
  Value number = arith::DivUIOp::create(b, first, b.i64(kBlock));
  Value keys = b.offset(item.head, b.mul(number, item.blockStride));
  Value keyScales = b.offset(keys, kBlock * cache.rowBytes());
  Value values = b.offset(keyScales, kBlock * cache.scaleBytes());
  return {keys, keyScales, values, b.offset(values, kBlock * cache.rowBytes()), first};
}

/// The item's queries, side by side, as floats or integers.
void AttentionEmitter::gather(const Item &item, const Buffers &buffers, Value query, Value stride) {
  gatherFloats(item, buffers, query, stride);
  if (!cache.hasScales)
    return;
  const float limit = semantics::attentionLimit(cache.headSize);
  loop(b.i64(0), b.mul(item.rows, b.i64(shape.queries)), 1, [&](Value j) {
    toIntegers(index(buffers.query, j, cache.row * 4), b.i64(cache.row), limit,
               index(buffers.queryScales, j, 4));
  });
}

/// Columns behind a head's last are zero.
void AttentionEmitter::gatherFloats(const Item &item, const Buffers &buffers, Value query,
                                    Value stride) {
  const int64_t columns = shape.queries * cache.headSize;
  Value from = index(query, item.firstQuery, cache.headSize * 4);
  loop(b.i64(0), item.rows, 1, [&](Value row) {
    Value line = b.offset(from, b.mul(row, stride));
    Value to = index(buffers.query, row, shape.queries * cache.row * 4);
    if (cache.headSize % kVector == 0) {
      loop(b.i64(0), b.i64(columns), kVector,
           [&](Value i) { put(loadFloats(index(line, i, 4)), index(to, i, 4)); });
      return;
    }
    loop(b.i64(0), b.i64(shape.queries), 1, [&](Value head) {
      Value start = index(line, head, cache.headSize * 4), end = index(to, head, cache.row * 4);
      loop(b.i64(0), b.i64(cache.headSize), 1,
           [&](Value d) { put(loadFloat(index(start, d, 4)), index(end, d, 4)); });
      loop(b.i64(cache.headSize), b.i64(cache.row), 1,
           [&](Value d) { put(number(f32, 0.0f), index(end, d, 4)); });
    });
  });
}

void AttentionEmitter::start(Value soFar, Value soFarNumbers) {
  for (int64_t column = 0; column < cache.row; column += kVector)
    put(number(floats, 0.0f), b.offset(soFar, column * 4));
  put(number(f32, -INFINITY), soFarNumbers);
  put(number(f32, 0.0f), b.offset(soFarNumbers, 4));
}

void AttentionEmitter::joinBlock(Value mix, Value numbers, Value soFar, Value soFarNumbers) {
  Value top = loadFloat(numbers), topBefore = loadFloat(soFarNumbers);
  Value both = larger(top, topBefore);
  Value before = weightOf(minus(topBefore, both)), now = weightOf(minus(top, both));
  put(both, soFarNumbers);
  Value total = b.offset(soFarNumbers, 4);
  put(plus(times(loadFloat(total), before), times(loadFloat(b.offset(numbers, 4)), now)), total);
  Value allBefore = b.broadcast(floats, before), allNow = b.broadcast(floats, now);
  loop(b.i64(0), b.i64(cache.row), kVector, [&](Value column) {
    Value cell = index(soFar, column, 4);
    put(plus(times(loadFloats(cell), allBefore), times(loadFloats(index(mix, column, 4)), allNow)),
        cell);
  });
}

void AttentionEmitter::finish(Value soFar, Value soFarNumbers, Value out) {
  Value inverse = arith::DivFOp::create(b, number(f32, 1.0f), loadFloat(b.offset(soFarNumbers, 4)));
  // What follows the head's last column is another's.
  if (cache.headSize % kVector == 0) {
    Value all = b.broadcast(floats, inverse);
    loop(b.i64(0), b.i64(cache.headSize), kVector,
         [&](Value d) { put(times(loadFloats(index(soFar, d, 4)), all), index(out, d, 4)); });
    return;
  }
  loop(b.i64(0), b.i64(cache.headSize), 1,
       [&](Value d) { put(times(loadFloat(index(soFar, d, 4)), inverse), index(out, d, 4)); });
}

void AttentionEmitter::attend(ValueRange arguments) {
  Value query = arguments[0], queryStride = arguments[1], position = arguments[5];
  Value rows = arguments[6], out = arguments[7], outStride = arguments[8];
  const int64_t most = shape.rows * shape.queries;
  Buffers buffers = allocate();
  Value soFar = cells(most * cache.row), soFarNumbers = cells(most * 2);
  Item item = place(arguments[2], arguments[3], arguments[4], position, rows);
  gather(item, buffers, query, queryStride);
  Value queries = b.mul(rows, b.i64(shape.queries));
  auto mixOf = [&](Value base, Value j) { return index(base, j, cache.row * 4); };
  loop(b.i64(0), queries, 1, [&](Value j) { start(mixOf(soFar, j), index(soFarNumbers, j, 8)); });
  loop(b.i64(0), b.add(position, rows), kBlock, [&](Value first) {
    block(item, buffers, first);
    // The first rows may end before the block begins.
    Value hidden = arith::MaxSIOp::create(b, b.sub(first, position), b.i64(0));
    loop(b.mul(hidden, b.i64(shape.queries)), queries, 1, [&](Value j) {
      joinBlock(mixOf(buffers.mix, j), index(buffers.numbers, j, 8), mixOf(soFar, j),
                index(soFarNumbers, j, 8));
    });
  });
  loop(b.i64(0), queries, 1, [&](Value j) {
    Value row = arith::DivUIOp::create(b, j, b.i64(shape.queries));
    Value head = b.add(item.firstQuery, arith::RemUIOp::create(b, j, b.i64(shape.queries)));
    Value to = index(b.offset(out, b.mul(row, outStride)), head, cache.headSize * 4);
    finish(mixOf(soFar, j), index(soFarNumbers, j, 8), to);
  });
}

void AttentionEmitter::attendBlock(ValueRange arguments) {
  Value query = arguments[0], blockIndex = arguments[5], partials = arguments[6];
  streams = true;
  Buffers buffers = allocate();
  Item item = place(arguments[1], arguments[2], arguments[3], arguments[4], b.i64(1));
  gather(item, buffers, query, b.i64(0));
  block(item, buffers, b.mul(blockIndex, b.i64(kBlock)));
  Value at = b.add(b.mul(blockIndex, b.i64(shape.heads)), item.firstQuery);
  loop(b.i64(0), b.i64(shape.queries), 1, [&](Value j) {
    Value to = index(partials, b.add(at, j), shape.partialFloats() * 4);
    Value mix = index(buffers.mix, j, cache.row * 4), numbers = index(buffers.numbers, j, 8);
    loop(b.i64(0), b.i64(cache.row), kVector,
         [&](Value d) { put(loadFloats(index(mix, d, 4)), index(to, d, 4)); });
    for (int64_t i = 0; i < 2; ++i)
      put(loadFloat(b.offset(numbers, 4 * i)), b.offset(to, 4 * (cache.row + i)));
  });
}

void AttentionEmitter::join(ValueRange arguments) {
  Value partials = arguments[0], blocks = arguments[1], out = arguments[3];
  Value soFar = cells(cache.row), soFarNumbers = cells(2);
  Value firstQuery = b.mul(arguments[2], b.i64(shape.queries));
  loop(b.i64(0), b.i64(shape.queries), 1, [&](Value j) {
    Value head = b.add(firstQuery, j);
    start(soFar, soFarNumbers);
    loop(b.i64(0), blocks, 1, [&](Value i) {
      Value from =
          index(partials, b.add(b.mul(i, b.i64(shape.heads)), head), shape.partialFloats() * 4);
      joinBlock(from, b.offset(from, 4 * cache.row), soFar, soFarNumbers);
    });
    finish(soFar, soFarNumbers, index(out, head, cache.headSize * 4));
  });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

AttentionFunctions attentionFunctions(ModuleOp module, const AttentionShape &shape,
                                      const Target &target) {
  KernelBuilder b(module.getLoc(), module.getContext());
  auto function = [&](StringRef suffix, StringRef operands,
                      void (AttentionEmitter::*body)(ValueRange)) {
    std::string symbol = shape.name() + suffix.str();
    if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(symbol))
      return known;
    SmallVector<Type> types;
    for (char letter : operands)
      types.push_back(letter == 'p' ? Type(LLVM::LLVMPointerType::get(b.getContext()))
                                    : Type(b.getI64Type()));
    b.setInsertionPointToEnd(module.getBody());
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()), types);
    auto made = LLVM::LLVMFuncOp::create(b, symbol, type, LLVM::Linkage::Internal);
    made.setNoUnwind(true);
    made.setNoInline(true);
    b.setInsertionPointToStart(made.addEntryBlock(b));
    // Its streams are short: a block of a head's cache.
    b.ahead = {b.i64(2048), b.i64(16384)};
    (AttentionEmitter(b, shape, target).*body)(made.getArguments());
    LLVM::ReturnOp::create(b, ValueRange{});
    return made;
  };
  return {function("_store", "pppiii", &AttentionEmitter::store),
          function("_rows", "pipiiiipi", &AttentionEmitter::attend),
          function("_block", "ppiiiip", &AttentionEmitter::attendBlock),
          function("_join", "piip", &AttentionEmitter::join)};
}

} // namespace tern
