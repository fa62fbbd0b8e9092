//===- Base3Tile.cpp - tiles of 5 trits a byte for AVX2 and AVX-512 -------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A byte has two 3-bit fields and two bits on top (#ternary.packing). Each field, with a fourth
// bit for bytes from 192 on, indexes tables of 16 bytes in a register: two tables whose entries
// meet in an `and` give four digits, two whose entries are added give the fifth. With VBMI both
// fields index tables of 64 bytes at once, one for bytes below 192 and others above.
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/VnniTile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

#include <array>

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;
using Table = std::array<uint8_t, 16>;

/// What the lower and the middle field of a byte contribute; from entry 8 on for bytes >= 192.
struct Tables {
  Table lowPairs{}, middlePairs{}; ///< four digits of 2 bits, where both have their bits
  Table lowLast{}, middleLast{};   ///< the sum has the fifth digit in bits 6 and 7, and-ed with
                                   ///< those of the byte
};

/// A pair of digits, d + 3 d', as two 2-bit fields.
constexpr uint8_t fieldsOf(int pair) { return static_cast<uint8_t>(pair % 3 | pair / 3 << 2); }

constexpr Tables makeTables() {
  Tables t;
  for (int field = 0; field < 8; ++field) {
    const uint8_t pair = fieldsOf(field + 1);
    t.lowPairs[field] = 0xf0 | pair;
    t.middlePairs[field] = static_cast<uint8_t>(pair << 4 | 0x0f);
    t.middleLast[field] = 0xc0; // the byte's own bits
    // Above 192 the lower field is either pair, the middle one says which, and the other is 0.
    t.lowPairs[8 + field] = static_cast<uint8_t>(pair << 4 | pair);
  }
  for (int last = 0; last < 3; ++last) {
    t.middlePairs[8 + last] = 0x0f;
    t.middlePairs[11 + last] = 0xf0;
    t.middleLast[8 + last] = t.middleLast[11 + last] = static_cast<uint8_t>(last << 6);
  }
  // Where both pairs are 0, the lower field 1 carries into the fifth digit: 240, 241 and 249.
  t.middleLast[14] = 0x20;
  t.middleLast[15] = 0x60;
  t.lowLast[8 + 1] = 0x3f;
  return t;
}

constexpr Tables kTables = makeTables();

/// By the lower six bits of a byte.
using WideTable = std::array<uint8_t, 64>;

/// Four digits of bytes below 192, whose fifth is their own bits 6 and 7; four digits, and the
/// fifth in its bits, of the others.
struct WideTables {
  WideTable pairs{}, largePairs{}, largeLast{};
};

constexpr WideTables makeWideTables() {
  WideTables wide;
  for (int index = 0; index < 64; ++index) {
    const int low = index & 7, middle = index >> 3;
    wide.pairs[index] = kTables.lowPairs[low] & kTables.middlePairs[middle];
    wide.largePairs[index] = kTables.lowPairs[8 + low] & kTables.middlePairs[8 + middle];
    wide.largeLast[index] =
        static_cast<uint8_t>(kTables.lowLast[8 + low] + kTables.middleLast[8 + middle]) & 0xc0;
  }
  return wide;
}

constexpr WideTables kWideTables = makeWideTables();

/// Digits of a byte, of four columns each in 32 bits.
constexpr int64_t kSlots = 5;

/// The digits of a vector of bytes.
struct Digits {
  Value pairs; ///< d[0] .. d[3] in fields of 2 bits
  Value last;  ///< 64 d[4]
};

/// `table` in each 16 bytes of a vector.
Value repeated(KernelBuilder &b, VectorType bytes, const Table &table) {
  SmallVector<uint8_t> all;
  for (int64_t i = 0; i < bytes.getNumElements(); ++i)
    all.push_back(table[i % table.size()]);
  return arith::ConstantOp::create(b, bytes, DenseElementsAttr::get(bytes, ArrayRef(all)));
}

Value lookUp(KernelBuilder &b, const Table &table, Value index) {
  auto bytes = cast<VectorType>(index.getType());
  StringRef shuffle =
      bytes.getNumElements() == 64 ? "llvm.x86.avx512.pshuf.b.512" : "llvm.x86.avx2.pshuf.b";
  return b.intrinsic(shuffle, bytes, {repeated(b, bytes, table), index});
}

/// Each byte shifted; what comes from its neighbour is in the highest bits.
Value shiftedBytes(KernelBuilder &b, Value bytes, int64_t bits) {
  auto type = cast<VectorType>(bytes.getType());
  VectorType words = b.vec(type.getNumElements() / 2, 16);
  return b.bitcast(type, b.shiftRight(b.bitcast(words, bytes), bits));
}

/// Of 32 or 64 bytes, by tables of 16.
Digits decodeShuffled(KernelBuilder &b, Value codes) {
  auto type = cast<VectorType>(codes.getType());
  Value seven = b.splat(type, 7), eight = b.splat(type, 8);
  Value middle = shiftedBytes(b, codes, 3);
  Value large = b.bitAnd(b.bitAnd(middle, shiftedBytes(b, codes, 4)), eight);
  Value lowIndex = b.bitOr(large, b.bitAnd(codes, seven));
  Value middleIndex = b.bitOr(large, b.bitAnd(middle, seven));
  Value pairs =
      b.bitAnd(lookUp(b, kTables.lowPairs, lowIndex), lookUp(b, kTables.middlePairs, middleIndex));
  Value last =
      b.add(lookUp(b, kTables.lowLast, lowIndex), lookUp(b, kTables.middleLast, middleIndex));
  return {pairs, b.bitAnd(b.bitAnd(last, codes), b.splat(type, static_cast<int8_t>(0xc0)))};
}

Value lookUp(KernelBuilder &b, const WideTable &table, Value index) {
  auto bytes = cast<VectorType>(index.getType());
  Value entries =
      arith::ConstantOp::create(b, bytes, DenseElementsAttr::get(bytes, ArrayRef<uint8_t>(table)));
  return b.intrinsic("llvm.x86.avx512.permvar.qi.512", bytes, {entries, index});
}

/// Of 64 bytes, by tables of 64, which see the lower six bits of an index: VBMI.
Digits decodePermuted(KernelBuilder &b, Value codes) {
  const Value top = b.splat(cast<VectorType>(codes.getType()), static_cast<int8_t>(0xc0));
  Value large = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, codes, top);
  auto choose = [&](Value yes, Value no) -> Value {
    return arith::SelectOp::create(b, large, yes, no);
  };
  Value pairs =
      choose(lookUp(b, kWideTables.largePairs, codes), lookUp(b, kWideTables.pairs, codes));
  return {pairs, b.bitAnd(choose(lookUp(b, kWideTables.largeLast, codes), codes), top)};
}

using Decoder = Digits (*)(KernelBuilder &, Value codes);

/// Digit `slot` of each byte, 0 .. 2.
Value digit(KernelBuilder &b, const Digits &digits, int64_t slot) {
  if (slot == 4)
    return shiftedBytes(b, digits.last, 6);
  Value fields = shiftedBytes(b, digits.pairs, 2 * slot);
  return b.bitAnd(fields, b.splat(cast<VectorType>(fields.getType()), 3));
}

/// GEMV: digits stay in their bits; five accumulators hold 1, 4, 16, 64 and 64 times their sums.
/// Exact: at most 128 * 128 * 4 * 6606 tiles, the limit of ternary.matmul, is below 2^31.
class Base3StreamVnni : public DotTile {
public:
  explicit Base3StreamVnni(Decoder decode) : DotTile(/*lanes=*/16), decode(decode) {}

  Values start(KernelBuilder &b, int64_t, ValueRange initial) const override {
    Values state(kSlots, b.splat(b.vec(16, 32), 0));
    llvm::copy(initial, state.begin());
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType bytes = b.vec(64, 8);
    Digits digits = decode(b, b.load(bytes, tile, 64));
    Values next(state);
    for (int64_t slot = 0; slot < kSlots; ++slot) {
      Value codes =
          slot == 4 ? digits.last
                    : b.bitAnd(digits.pairs, b.splat(bytes, static_cast<int8_t>(3 << (2 * slot))));
      next[slot] =
          vpdpbusd(b, next[slot], codes, b.broadcastActs(bytes, b.offset(acts[0], 4 * slot)));
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Value total = b.add(state[0], b.shiftRightArithmetic(state[4], 6));
    for (int64_t slot = 1; slot < 4; ++slot)
      total = b.add(total, b.shiftRightArithmetic(state[slot], 2 * slot));
    return {total};
  }

private:
  Decoder decode;
};

class Base3BlockVnni : public VnniBlock {
public:
  explicit Base3BlockVnni(Decoder decode)
      : VnniBlock(/*lanes=*/16, kSlots, /*chained=*/true), decode(decode) {
    unpackPanels(/*columns=*/8192);
  }

protected:
  Values load(KernelBuilder &b, Value tile) const override {
    Digits digits = decode(b, b.load(b.vec(64, 8), tile, 64));
    return {digits.pairs, digits.last};
  }

  Value unpack(KernelBuilder &b, ValueRange loaded, int64_t slot) const override {
    return digit(b, {loaded[0], loaded[1]}, slot);
  }

private:
  Decoder decode;
};

/// As two_bit's: each slot adds two products to a 16-bit sum, -512 .. 508, and 60 of them, 12
/// tiles, stay within -32768 .. 32512.
class Base3Avx2 : public DotTile {
public:
  explicit Base3Avx2(int64_t parts) : DotTile(/*lanes=*/8, parts) {
    maxTiles = 12;
    unpacked.tileBytes = parts == 1 ? kSlots * 32 : 0;
  }

  /// 16-bit sums, two a row, [token][part].
  Values start(KernelBuilder &b, int64_t tokens, ValueRange) const override {
    return Values(tokens * parts, b.splat(b.vec(16, 16), 0));
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    SmallVector<Digits> digits;
    for (int64_t part = 0; part < parts; ++part)
      digits.push_back(decodeShuffled(b, b.load(b.vec(32, 8), b.offset(tile, 32 * part), 32)));
    Values next(state);
    for (int64_t slot = 0; slot < kSlots; ++slot)
      addSlot(b, next, slot,
              llvm::map_to_vector(digits, [&](const Digits &part) { return digit(b, part, slot); }),
              acts);
    return next;
  }

  /// An unpacked tile is [slot] of digits as bytes, [row][column mod 4].
  Values stepUnpacked(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                      int64_t) const override {
    Values next(state);
    for (int64_t slot = 0; slot < kSlots; ++slot)
      addSlot(b, next, slot, b.load(b.vec(32, 8), b.offset(tile, 32 * slot), 32), acts);
    return next;
  }

  void writeUnpacked(KernelBuilder &b, Value tile, Value out) const override {
    Digits digits = decodeShuffled(b, b.load(b.vec(32, 8), tile, 32));
    for (int64_t slot = 0; slot < kSlots; ++slot)
      LLVM::StoreOp::create(b, digit(b, digits, slot), b.offset(out, 32 * slot), 32);
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Value ones = b.splat(b.vec(16, 16), 1);
    return llvm::map_to_vector(state, [&](Value sum) {
      return b.intrinsic("llvm.x86.avx2.pmadd.wd", b.vec(8, 32), {sum, ones});
    });
  }

private:
  /// Adds the products of a slot's codes, of one part each.
  void addSlot(KernelBuilder &b, MutableArrayRef<Value> state, int64_t slot, ValueRange codes,
               ValueRange acts) const {
    for (auto [token, row] : llvm::enumerate(acts)) {
      Value x = b.broadcastActs(b.vec(32, 8), b.offset(row, 4 * slot));
      for (auto [part, code] : llvm::enumerate(codes)) {
        Value &sum = state[token * parts + part];
        sum = b.add(sum, b.intrinsic("llvm.x86.avx2.pmadd.ub.sw", sum.getType(), {code, x}));
      }
    }
  }
};

std::unique_ptr<DotTile> makeVnniTile(int64_t mr, Decoder decode) {
  if (mr == 1)
    return std::make_unique<Base3StreamVnni>(decode);
  return std::make_unique<Base3BlockVnni>(decode);
}

} // namespace

std::unique_ptr<DotTile> makeDotTile_base3_avx512vbmi(int64_t mr) {
  return makeVnniTile(mr, decodePermuted);
}

std::unique_ptr<DotTile> makeDotTile_base3_avx512vnni(int64_t mr) {
  return makeVnniTile(mr, decodeShuffled);
}

std::unique_ptr<DotTile> makeDotTile_base3_avx2(int64_t mr) {
  return std::make_unique<Base3Avx2>(/*parts=*/mr == 1 ? 2 : 1);
}

} // namespace tern
