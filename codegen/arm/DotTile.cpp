//===- DotTile.cpp - tiles for NEON, dotprod and i8mm ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A register holds four packing rows, 16 columns each; column slot `s` (columns 4s .. 4s + 3) is
// bits 2s and 2s + 1 of every byte. There are 32 registers.
//
//===----------------------------------------------------------------------===//

#include "codegen/MatmulKernel.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/Sequence.h"

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;

constexpr int64_t kLanes = 4, kSlots = 4;

Value shuffle(KernelBuilder &b, Value left, Value right, ArrayRef<int64_t> lanes) {
  return vector::ShuffleOp::create(b, left, right, lanes);
}

Value loadFields(KernelBuilder &b, Value tile, int64_t part) {
  return b.load(b.vec(16, 8), b.offset(tile, 16 * part), 16);
}

/// Codes 0 .. 2 of each column slot, in the lowest bits.
Values unpack(KernelBuilder &b, Value fields) {
  Value mask = b.splat(b.vec(16, 8), 3);
  Values codes;
  for (int64_t slot = 0; slot < kSlots - 1; ++slot)
    codes.push_back(b.bitAnd(b.shiftRight(fields, 2 * slot), mask));
  codes.push_back(b.shiftRight(fields, 6));
  return codes;
}

/// One token's activations of a tile.
Value loadActs(KernelBuilder &b, Value row) { return b.load(b.vec(kSlots, 32), row, 1); }

/// sum += dot of 4 codes and the 4 activations of one slot, in every lane. The slot's activations
/// are an operand by element, which costs nothing.
Value dot(KernelBuilder &b, Value sum, Value codes, Value acts, int64_t slot) {
  Value spread = b.bitcast(b.vec(16, 8), shuffle(b, acts, acts, {slot, slot, slot, slot}));
  return b.intrinsic("llvm.aarch64.neon.sdot.v4i32.v16i8", b.vec(kLanes, 32), {sum, codes, spread});
}

/// GEMV: fields are masked where they are, and sums that are 4 and 16 times too large are shifted
/// at the end. The highest field would be negative there; shifted down it joins the lowest.
/// Exact: a masked field is at most 32, so 132104 / 4 columns stay within 32 * 128 * 33026 < 2^28.
class TwoBitStreamDot : public DotTile {
public:
  TwoBitStreamDot() : DotTile(kLanes, /*parts=*/4) {}

  /// [scale 1, 4, 16][part]
  Values start(KernelBuilder &b, int64_t, ValueRange initial) const override {
    Values state(3 * parts, b.splat(b.vec(kLanes, 32), 0));
    llvm::copy(initial, state.begin()); // of scale 1
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    Value x = loadActs(b, acts[0]);
    Values next(state);
    for (int64_t part = 0; part < parts; ++part) {
      Value fields = loadFields(b, tile, part);
      for (int64_t slot = 0; slot < kSlots; ++slot) {
        const bool last = slot == kSlots - 1;
        Value codes = last ? b.shiftRight(fields, 6)
                           : b.bitAnd(fields, b.splat(b.vec(16, 8), 3 << (2 * slot)));
        Value &sum = next[(last ? 0 : slot) * parts + part];
        sum = dot(b, sum, codes, x, slot);
      }
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Values totals;
    for (int64_t part = 0; part < parts; ++part) {
      Value fours = b.shiftRightArithmetic(state[parts + part], 2);
      Value sixteens = b.shiftRightArithmetic(state[2 * parts + part], 4);
      totals.push_back(b.add(state[part], b.add(fours, sixteens)));
    }
    return totals;
  }
};

/// The codes 0 .. 63 of each column slot of four packing rows of a six_bit tile, whose first bytes
/// are at `tile`.
Values unpackSixBit(KernelBuilder &b, Value tile) {
  VectorType bytes = b.vec(16, 8);
  constexpr int64_t kPlaneParts = 4; // of 16 bytes
  Values codes;
  Value last;
  for (int64_t plane = 0; plane < 3; ++plane) {
    Value fields = loadFields(b, tile, kPlaneParts * plane);
    codes.push_back(b.bitAnd(fields, b.splat(bytes, 63)));
    Value part = b.shiftLeft(b.shiftRight(fields, 6), 2 * plane);
    last = last ? b.bitOr(last, part) : part;
  }
  codes.push_back(last);
  return codes;
}

/// GEMM: four packing rows are unpacked once for all token rows; one accumulator each.
class TwoBitBlockDot : public DotTile {
public:
  TwoBitBlockDot() : DotTile(kLanes) {}

  Values start(KernelBuilder &b, int64_t tokens, ValueRange initial) const override {
    return initial.empty() ? Values(tokens, b.splat(b.vec(kLanes, 32), 0)) : Values(initial);
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    Values codes = this->codes(b, tile), next(state);
    for (auto [sum, row] : llvm::zip_equal(next, acts)) {
      Value x = loadActs(b, row);
      for (int64_t slot = 0; slot < kSlots; ++slot)
        sum = dot(b, sum, codes[slot], x, slot);
    }
    return next;
  }

  Values finish(KernelBuilder &, ValueRange state) const override { return Values(state); }

protected:
  /// Of each column slot, signed.
  virtual Values codes(KernelBuilder &b, Value tile) const {
    return unpack(b, loadFields(b, tile, 0));
  }
};

class SixBitBlockDot : public TwoBitBlockDot {
  Values codes(KernelBuilder &b, Value tile) const override { return unpackSixBit(b, tile); }
};

/// GEMM by smmla: products of 2 token rows and 2 packing rows, 8 columns deep. Unpacking codes into
/// that order takes more instructions than the products of few token rows, so it is done once for
/// all. One token row alone takes dot products.
class TwoBitMatrix : public DotTile {
public:
  TwoBitMatrix() : DotTile(kLanes, /*parts=*/4) { unpacked.tileBytes = 4 * parts * 16; }

  /// [pair of token rows][part][lower or upper pair of packing rows], or [part] for one token row.
  Values start(KernelBuilder &b, int64_t tokens, ValueRange initial) const override {
    if (initial.empty())
      return Values(tokens * parts, b.splat(b.vec(4, 32), 0));
    if (tokens == 1)
      return Values(initial);
    Values state;
    for (int64_t token = 0; token < tokens; token += 2)
      for (int64_t part = 0; part < parts; ++part) {
        Value first = initial[token * parts + part], second = initial[(token + 1) * parts + part];
        state.push_back(shuffle(b, first, second, {0, 1, 4, 5}));
        state.push_back(shuffle(b, first, second, {2, 3, 6, 7}));
      }
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    Values next(state);
    if (acts.size() == 1) {
      Value x = loadActs(b, acts[0]);
      for (int64_t part = 0; part < parts; ++part)
        for (auto [slot, codes] : llvm::enumerate(unpack(b, loadFields(b, tile, part))))
          next[part] = dot(b, next[part], codes, x, slot);
      return next;
    }
    Values tokens = pairUp(b, acts);
    for (int64_t part = 0; part < parts; ++part)
      addPart(b, next, part, rowPairs(b, loadFields(b, tile, part)), tokens);
    return next;
  }

  /// [part][half][lower or upper pair of packing rows], 16 bytes each.
  void writeUnpacked(KernelBuilder &b, Value tile, Value out) const override {
    for (int64_t part = 0; part < parts; ++part)
      for (auto [i, pair] : llvm::enumerate(rowPairs(b, loadFields(b, tile, part))))
        LLVM::StoreOp::create(b, pair, b.offset(out, (4 * part + i) * 16), 16);
  }

  Values stepUnpacked(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                      int64_t) const override {
    Values next(state), tokens = pairUp(b, acts);
    for (int64_t part = 0; part < parts; ++part) {
      Values pairs;
      for (int64_t i = 0; i < 4; ++i)
        pairs.push_back(loadFields(b, tile, 4 * part + i));
      addPart(b, next, part, pairs, tokens);
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    if (static_cast<int64_t>(state.size()) == parts)
      return Values(state);
    Values totals(state.size());
    const int64_t pairs = static_cast<int64_t>(state.size()) / (2 * parts);
    for (int64_t pair = 0; pair < pairs; ++pair)
      for (int64_t part = 0; part < parts; ++part) {
        Value lower = state[(pair * parts + part) * 2],
              upper = state[(pair * parts + part) * 2 + 1];
        totals[2 * pair * parts + part] = shuffle(b, lower, upper, {0, 1, 4, 5});
        totals[(2 * pair + 1) * parts + part] = shuffle(b, lower, upper, {2, 3, 6, 7});
      }
    return totals;
  }

private:
  /// Codes as smmla takes them, eight columns of two packing rows each: [half of the tile's
  /// columns][lower or upper pair of rows]. Slots 2h and 2h + 1 of a row come to lie side by side.
  static Values rowPairs(KernelBuilder &b, Value fields) {
    VectorType bytes = b.vec(16, 8), words = b.vec(4, 32);
    Value even = b.bitcast(words, fields), odd = b.bitcast(words, b.shiftRight(fields, 2));
    Value lower = b.bitcast(bytes, shuffle(b, even, odd, {0, 4, 1, 5}));
    Value upper = b.bitcast(bytes, shuffle(b, even, odd, {2, 6, 3, 7}));
    Values pairs;
    for (int64_t half = 0; half < 2; ++half)
      for (Value rows : {lower, upper})
        pairs.push_back(b.bitAnd(b.shiftRight(rows, 4 * half), b.splat(bytes, 3)));
    return pairs;
  }

  /// Activations likewise: [pair of token rows][half].
  static Values pairUp(KernelBuilder &b, ValueRange acts) {
    Values tokens;
    for (size_t token = 0; token < acts.size(); token += 2) {
      Value first = loadActs(b, acts[token]), second = loadActs(b, acts[token + 1]);
      for (int64_t half = 0; half < 2; ++half)
        tokens.push_back(
            b.bitcast(b.vec(16, 8), shuffle(b, first, second,
                                            {2 * half, 2 * half + 1, 4 + 2 * half, 5 + 2 * half})));
    }
    return tokens;
  }

  void addPart(KernelBuilder &b, Values &sums, int64_t part, ValueRange pairs,
               ValueRange tokens) const {
    for (size_t i = 0; i < tokens.size(); ++i)
      for (int64_t rows = 0; rows < 2; ++rows) {
        Value &sum = sums[(i / 2 * parts + part) * 2 + rows];
        sum = b.intrinsic("llvm.aarch64.neon.smmla.v4i32.v16i8", b.vec(4, 32),
                          {sum, tokens[i], pairs[i % 2 * 2 + rows]});
      }
  }
};

/// Widening multiplications of 8 bits to 16. A 16-bit lane holds products of one packing row and
/// one column of each slot: a code (0 .. 2) times an activation (-128 .. 127) is -256 .. 254, and
/// 128 of them, 32 tiles, stay within -32768 .. 32512.
class TwoBitNeon : public DotTile {
public:
  explicit TwoBitNeon(int64_t parts, int64_t tiles = 32) : DotTile(kLanes, parts) {
    maxTiles = tiles;
  }

  /// 16-bit sums, four a row, [token][part][lower or upper pair of rows].
  Values start(KernelBuilder &b, int64_t tokens, ValueRange) const override {
    return Values(tokens * parts * 2, b.splat(b.vec(8, 16), 0));
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    SmallVector<Values> codes;
    for (int64_t part = 0; part < parts; ++part)
      codes.push_back(this->codes(b, tile, part));
    Values next(state);
    for (int64_t slot = 0; slot < kSlots; ++slot)
      for (auto [token, row] : llvm::enumerate(acts)) {
        Value x = b.broadcastActs(b.vec(16, 8), b.offset(row, 4 * slot));
        for (int64_t part = 0; part < parts; ++part)
          for (int64_t pair = 0; pair < 2; ++pair) {
            Value &sum = next[(token * parts + part) * 2 + pair];
            sum = b.add(sum, product(b, codes[part][slot], x, pair));
          }
      }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    VectorType words = b.vec(4, 32);
    Values totals;
    for (size_t i = 0; i < state.size(); i += 2) {
      Value lower = b.intrinsic("llvm.aarch64.neon.saddlp.v4i32.v8i16", words, state[i]);
      Value upper = b.intrinsic("llvm.aarch64.neon.saddlp.v4i32.v8i16", words, state[i + 1]);
      totals.push_back(b.intrinsic("llvm.aarch64.neon.addp.v4i32", words, {lower, upper}));
    }
    return totals;
  }

protected:
  virtual Values codes(KernelBuilder &b, Value tile, int64_t part) const {
    return unpack(b, loadFields(b, tile, part));
  }

private:
  static Value product(KernelBuilder &b, Value codes, Value x, int64_t pair) {
    SmallVector<int64_t> half = llvm::to_vector(llvm::seq<int64_t>(8 * pair, 8 * pair + 8));
    return b.intrinsic("llvm.aarch64.neon.smull.v8i16", b.vec(8, 16),
                       {shuffle(b, codes, codes, half), shuffle(b, x, x, half)});
  }
};

/// A code 0 .. 63 times an activation -63 .. 63 is at most 3969, and eight of them, two tiles,
/// 31752.
class SixBitNeon : public TwoBitNeon {
public:
  SixBitNeon() : TwoBitNeon(/*parts=*/1, /*tiles=*/2) {}

protected:
  Values codes(KernelBuilder &b, Value tile, int64_t) const override {
    return unpackSixBit(b, tile);
  }
};

} // namespace

std::unique_ptr<DotTile> makeDotTile_two_bit_i8mm(int64_t) {
  return std::make_unique<TwoBitMatrix>();
}

std::unique_ptr<DotTile> makeDotTile_two_bit_dotprod(int64_t mr) {
  if (mr == 1)
    return std::make_unique<TwoBitStreamDot>();
  return std::make_unique<TwoBitBlockDot>();
}

/// One token row takes whole tiles, so that it reads one ascending stream; several token rows take
/// half a tile at a time, so that the unpacked codes and all sums fit 32 registers.
std::unique_ptr<DotTile> makeDotTile_two_bit_neon(int64_t mr) {
  return std::make_unique<TwoBitNeon>(/*parts=*/mr == 1 ? 4 : 2);
}

std::unique_ptr<DotTile> makeDotTile_six_bit_dotprod(int64_t) {
  return std::make_unique<SixBitBlockDot>();
}

std::unique_ptr<DotTile> makeDotTile_six_bit_neon(int64_t) {
  return std::make_unique<SixBitNeon>();
}

} // namespace tern
