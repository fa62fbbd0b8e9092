//===- SixBitTile.cpp - tiles of integers of six bits, for x86 ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/MatmulKernel.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;

constexpr int64_t kPlaneBytes = 64;

/// The codes 0 .. 63 of the four column slots, [row][column mod 4], of `lanes` rows.
Values unpackSixBit(KernelBuilder &b, Value tile, int64_t lanes) {
  VectorType words = b.vec(2 * lanes, 16), bytes = b.vec(4 * lanes, 8);
  Value low = b.splat(bytes, 63), last;
  Values codes;
  for (int64_t plane = 0; plane < 3; ++plane) {
    Value fields =
        b.load(words, b.offset(tile, kPlaneBytes * plane), static_cast<unsigned>(4 * lanes));
    codes.push_back(b.bitAnd(b.bitcast(bytes, fields), low));
    Value placed = b.bitcast(bytes, b.shiftRight(fields, 6 - 2 * plane));
    Value part = b.bitAnd(placed, b.splat(bytes, 3 << 2 * plane));
    last = last ? b.bitOr(last, part) : part;
  }
  codes.push_back(last);
  return codes;
}

/// Sums of vpdpbusd, which takes five cycles and of which two start in one: few token rows have
/// several sums each, so that ten are under way.
class SixBitVnni : public DotTile {
public:
  explicit SixBitVnni(int64_t lanes) : DotTile(lanes) {}

  /// [chain][token]
  Values start(KernelBuilder &b, int64_t tokens, ValueRange initial) const override {
    const int64_t chains = tokens > 8 ? 1 : tokens > 4 ? 2 : 4;
    Values state(tokens * chains, b.splat(b.vec(lanes, 32), 0));
    llvm::copy(initial, state.begin());
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType bytes = b.vec(4 * lanes, 8);
    const size_t chains = state.size() / acts.size();
    Values next(state);
    for (auto [slot, codes] : llvm::enumerate(unpackSixBit(b, tile, lanes)))
      for (auto [token, row] : llvm::enumerate(acts)) {
        Value x = b.broadcastActs(bytes, b.offset(row, static_cast<int64_t>(4 * slot)));
        Value &sum = next[slot % chains * acts.size() + token];
        sum = b.intrinsic(lanes == 16 ? "llvm.x86.avx512.vpdpbusd.512"
                                      : "llvm.x86.avx512.vpdpbusd.256",
                          sum.getType(), {sum, codes, x});
      }
    return next;
  }

  Values finish(KernelBuilder &, ValueRange state) const override { return Values(state); }
};

/// Two products of a code 0 .. 63 and an activation -63 .. 63, which pmaddubsw adds, are at most
/// 7938, and those of a tile's four slots 31752: they become 32-bit sums together.
class SixBitPairs : public DotTile {
public:
  SixBitPairs(StringRef multiplyBytes, StringRef addPairs, int64_t lanes)
      : DotTile(lanes), multiplyBytes(multiplyBytes), addPairs(addPairs) {}

  Values start(KernelBuilder &b, int64_t tokens, ValueRange initial) const override {
    return initial.empty() ? Values(tokens, b.splat(b.vec(lanes, 32), 0)) : Values(initial);
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType words = b.vec(2 * lanes, 16);
    Values codes = unpackSixBit(b, tile, lanes), next(state);
    for (auto [sum, row] : llvm::zip_equal(next, acts)) {
      Value pairs;
      for (int64_t slot = 0; slot < 4; ++slot) {
        Value products =
            b.intrinsic(multiplyBytes, words, {codes[slot], activations(b, row, slot)});
        pairs = pairs ? b.add(pairs, products) : products;
      }
      sum = b.add(sum, b.intrinsic(addPairs, b.vec(lanes, 32), {pairs, b.splat(words, 1)}));
    }
    return next;
  }

  Values finish(KernelBuilder &, ValueRange state) const override { return Values(state); }

protected:
  /// The four activations of a column slot in every 32-bit lane.
  virtual Value activations(KernelBuilder &b, Value row, int64_t slot) const {
    return b.broadcastActs(b.vec(4 * lanes, 8), b.offset(row, 4 * slot));
  }

private:
  const StringRef multiplyBytes, addPairs;
};

/// No instruction of SSE4.1 loads into all lanes: a tile's 16 activations are loaded once.
class SixBitSse41 : public SixBitPairs {
public:
  SixBitSse41()
      : SixBitPairs("llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd", /*lanes=*/4) {
    plain = true;
  }

  Value activations(KernelBuilder &b, Value row, int64_t slot) const override {
    Value all = b.load(b.vec(4, 32), row, /*alignment=*/1);
    return b.bitcast(b.vec(16, 8), vector::ShuffleOp::create(
                                       b, all, all, ArrayRef<int64_t>{slot, slot, slot, slot}));
  }
};

} // namespace

std::unique_ptr<DotTile> makeDotTile_six_bit_avx512vnni(int64_t) {
  return std::make_unique<SixBitVnni>(/*lanes=*/16);
}

std::unique_ptr<DotTile> makeDotTile_six_bit_avxvnni(int64_t) {
  return std::make_unique<SixBitVnni>(/*lanes=*/8);
}

std::unique_ptr<DotTile> makeDotTile_six_bit_avx512(int64_t) {
  return std::make_unique<SixBitPairs>("llvm.x86.avx512.pmaddubs.w.512",
                                       "llvm.x86.avx512.pmaddw.d.512", /*lanes=*/16);
}

std::unique_ptr<DotTile> makeDotTile_six_bit_avx2(int64_t) {
  return std::make_unique<SixBitPairs>("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd",
                                       /*lanes=*/8);
}

std::unique_ptr<DotTile> makeDotTile_six_bit_sse41(int64_t) {
  return std::make_unique<SixBitSse41>();
}

} // namespace tern
