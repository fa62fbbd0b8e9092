//===- DotTile.cpp - tiles in plain integer operations --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs on every CPU LLVM has code for, and is the twin that the other rows are compared with.
// Works on 16-bit lanes, two to a packing row: the widest multiplication that even the oldest
// vector units have.
//
//===----------------------------------------------------------------------===//

#include "codegen/MatmulKernel.h"

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;

/// The even and the odd bytes of 32-bit lanes, widened to 16 bits.
struct BytePair {
  Value even, odd;
};

BytePair widenUnsigned(KernelBuilder &b, Value halves) {
  auto type = cast<VectorType>(halves.getType());
  return {b.bitAnd(halves, b.splat(type, 0xff)), b.shiftRight(halves, 8)};
}

BytePair widenSigned(KernelBuilder &b, Value halves) {
  return {b.shiftRightArithmetic(b.shiftLeft(halves, 8), 8), b.shiftRightArithmetic(halves, 8)};
}

/// What the packings share. The state is one vector of 16-bit sums a token.
class PortableTile : public DotTile {
public:
  /// Each column slot adds two products to a 16-bit lane. Of a code 0 .. 2 and an activation -128
  /// .. 127 they are at least -512 and at most 508: 64 slots stay within -32768 .. 32512.
  explicit PortableTile(int64_t slots, int64_t slotsAtOnce = 64) : DotTile(kLanes), slots(slots) {
    maxTiles = slotsAtOnce / slots;
    plain = true;
  }

  Values start(KernelBuilder &b, int64_t tokens, ValueRange) const override {
    return Values(tokens, b.splat(b.vec(2 * kLanes, 16), 0));
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType halves = b.vec(2 * kLanes, 16);
    SmallVector<BytePair> codes = unpack(b, tile, halves);
    Values next(state);
    for (int64_t slot = 0; slot < slots; ++slot)
      for (auto [sum, row] : llvm::zip_equal(next, acts)) {
        BytePair x = widenSigned(b, b.broadcastActs(halves, b.offset(row, 4 * slot)));
        sum = b.add(sum, b.mul(codes[slot].even, x.even));
        sum = b.add(sum, b.mul(codes[slot].odd, x.odd));
      }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Values result;
    for (Value sum : state) {
      Value lanes32 = b.bitcast(b.vec(kLanes, 32), sum);
      result.push_back(b.add(b.shiftRightArithmetic(b.shiftLeft(lanes32, 16), 16),
                             b.shiftRightArithmetic(lanes32, 16)));
    }
    return result;
  }

protected:
  /// Codes of each column slot, from what `tile` has of this pass's rows, in vectors of `type`.
  virtual SmallVector<BytePair> unpack(KernelBuilder &b, Value tile, VectorType type) const = 0;

private:
  static constexpr int64_t kLanes = 4;
  const int64_t slots;
};

class PortableTwoBit : public PortableTile {
public:
  PortableTwoBit() : PortableTile(/*slots=*/4) {}

  SmallVector<BytePair> unpack(KernelBuilder &b, Value tile, VectorType type) const override {
    Value halves = b.load(type, tile, 4), mask = b.splat(type, 3);
    SmallVector<BytePair> codes;
    for (int64_t slot = 0; slot < 4; ++slot)
      codes.push_back({b.bitAnd(b.shiftRight(halves, 2 * slot), mask),
                       b.bitAnd(b.shiftRight(halves, 8 + 2 * slot), mask)});
    return codes;
  }
};

class PortableBase3 : public PortableTile {
public:
  PortableBase3() : PortableTile(/*slots=*/5) {}

  SmallVector<BytePair> unpack(KernelBuilder &b, Value tile, VectorType type) const override {
    BytePair bytes = widenUnsigned(b, b.load(type, tile, 4));
    Values even = digits(b, bytes.even), odd = digits(b, bytes.odd);
    SmallVector<BytePair> codes;
    for (auto [left, right] : llvm::zip_equal(even, odd))
      codes.push_back({left, right});
    return codes;
  }

private:
  /// The five digits of bytes in 16-bit lanes (#ternary.packing says how they lie).
  static Values digits(KernelBuilder &b, Value byte) {
    auto type = cast<VectorType>(byte.getType());
    auto number = [&](int64_t value) { return b.splat(type, value); };
    auto isAtLeast = [&](Value value, int64_t bound) { // of values below 8: 1 or 0
      return b.shiftRight(b.add(value, number(8 - bound)), 3);
    };
    auto mask = [&](Value one) { return b.sub(number(0), one); };
    auto without = [&](Value value, Value bits) { return b.sub(value, b.bitAnd(value, bits)); };
    auto thrice = [&](Value value) { return b.add(value, b.add(value, value)); };

    Value low = b.bitAnd(byte, number(7)), middle = b.bitAnd(b.shiftRight(byte, 3), number(7));
    Value top = b.shiftRight(byte, 6);
    // From 192 on a pair is 0: the second where `middle` is below 3, the first from 3, both from 6.
    Value zeros = mask(b.shiftRight(b.add(top, number(1)), 2));
    Value fromThree = isAtLeast(middle, 3), fromSix = isAtLeast(middle, 6);
    Value noFirst = b.bitAnd(zeros, mask(fromThree)), neither = b.bitAnd(zeros, mask(fromSix));
    Value lowPair = b.add(low, number(1)), middlePair = b.add(middle, number(1));
    Value pairs[2] = {
        without(lowPair, noFirst),
        b.bitOr(without(middlePair, zeros), without(b.bitAnd(lowPair, noFirst), neither))};
    Value rest = b.sub(middle, thrice(b.add(fromThree, fromSix)));
    Value last = b.bitOr(without(top, zeros), b.bitAnd(b.add(rest, b.bitAnd(low, neither)), zeros));
    Values result;
    for (Value pair : pairs) { // pair / 3 of 0 .. 8
      Value third =
          b.add(b.shiftRight(b.add(pair, number(5)), 3), b.shiftRight(b.add(pair, number(2)), 3));
      result.push_back(b.sub(pair, thrice(third)));
      result.push_back(third);
    }
    result.push_back(last);
    return result;
  }
};

/// Two products of a code 0 .. 63 and an activation -63 .. 63 are at most 7938, those of the four
/// slots of a tile 31752.
class PortableSixBit : public PortableTile {
public:
  PortableSixBit() : PortableTile(/*slots=*/4, /*slotsAtOnce=*/4) {}

  SmallVector<BytePair> unpack(KernelBuilder &b, Value tile, VectorType type) const override {
    SmallVector<BytePair> codes;
    Value even = b.splat(type, 0), odd = even, mask = b.splat(type, 63);
    for (int64_t plane = 0; plane < 3; ++plane) {
      BytePair bytes = widenUnsigned(b, b.load(type, b.offset(tile, 64 * plane), 4));
      codes.push_back({b.bitAnd(bytes.even, mask), b.bitAnd(bytes.odd, mask)});
      even = b.bitOr(even, b.shiftLeft(b.shiftRight(bytes.even, 6), 2 * plane));
      odd = b.bitOr(odd, b.shiftLeft(b.shiftRight(bytes.odd, 6), 2 * plane));
    }
    codes.push_back({even, odd});
    return codes;
  }
};

} // namespace

std::unique_ptr<DotTile> makeDotTile_six_bit_portable(int64_t) {
  return std::make_unique<PortableSixBit>();
}

std::unique_ptr<DotTile> makeDotTile_two_bit_portable(int64_t) {
  return std::make_unique<PortableTwoBit>();
}

std::unique_ptr<DotTile> makeDotTile_base3_portable(int64_t) {
  return std::make_unique<PortableBase3>();
}

} // namespace tern
