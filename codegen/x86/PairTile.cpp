//===- PairTile.cpp - tiles of pmaddubsw, for SSE4.1, AVX2 and AVX-512 ----===//
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

/// The names of one width of vectors.
struct PairInstructions {
  const char *multiplyBytes; ///< pmaddubsw: sums of two products of an unsigned and a signed byte
  const char *addPairs;      ///< pmaddwd: sums of two products of 16 bits, as 32
};
constexpr PairInstructions kSse = {"llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd"};
constexpr PairInstructions kAvx2 = {"llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"};
constexpr PairInstructions kAvx512 = {"llvm.x86.avx512.pmaddubs.w.512",
                                      "llvm.x86.avx512.pmaddw.d.512"};

/// pmaddubsw gives sums of two products of a code (0 .. 2) and an activation (-128 .. 127), -512
/// .. 508: it cannot saturate, and 64 of them, 16 tiles, stay within -32768 .. 32512.
class TwoBitPairs : public DotTile {
public:
  TwoBitPairs(const PairInstructions &instructions, int64_t lanes, int64_t parts)
      : DotTile(lanes, parts), instructions(instructions) {
    maxTiles = 16;
  }

  /// 16-bit sums, two a row, [token][part].
  Values start(KernelBuilder &b, int64_t tokens, ValueRange) const override {
    return Values(tokens * parts, b.splat(words(b), 0));
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType bytes = b.vec(4 * lanes, 8);
    Value mask = b.splat(bytes, 3);
    Values fields, next(state);
    for (int64_t part = 0; part < parts; ++part)
      fields.push_back(
          b.load(words(b), b.offset(tile, 4 * lanes * part), static_cast<unsigned>(4 * lanes)));
    for (int64_t slot = 0; slot < 4; ++slot) {
      Values codes = llvm::map_to_vector(fields, [&](Value field) -> Value {
        return b.bitAnd(b.bitcast(bytes, b.shiftRight(field, 2 * slot)), mask);
      });
      for (auto [token, row] : llvm::enumerate(acts)) {
        Value x = activations(b, row, slot);
        for (int64_t part = 0; part < parts; ++part) {
          Value &sum = next[token * parts + part];
          sum = b.add(sum, b.intrinsic(instructions.multiplyBytes, words(b), {codes[part], x}));
        }
      }
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Value ones = b.splat(words(b), 1);
    return llvm::map_to_vector(state, [&](Value sum) {
      return b.intrinsic(instructions.addPairs, b.vec(lanes, 32), {sum, ones});
    });
  }

protected:
  /// The four activations of a column slot in every 32-bit lane.
  virtual Value activations(KernelBuilder &b, Value row, int64_t slot) const {
    return b.broadcastActs(b.vec(4 * lanes, 8), b.offset(row, 4 * slot));
  }

private:
  VectorType words(KernelBuilder &b) const { return b.vec(2 * lanes, 16); }

  const PairInstructions &instructions;
};

/// No instruction of SSE4.1 loads into all lanes: a tile's 16 activations are loaded once.
class TwoBitSse41 : public TwoBitPairs {
public:
  explicit TwoBitSse41(int64_t parts) : TwoBitPairs(kSse, /*lanes=*/4, parts) { plain = true; }

  Value activations(KernelBuilder &b, Value row, int64_t slot) const override {
    Value all = b.load(b.vec(4, 32), row, /*alignment=*/1);
    Value spread =
        vector::ShuffleOp::create(b, all, all, ArrayRef<int64_t>{slot, slot, slot, slot});
    return b.bitcast(b.vec(16, 8), spread);
  }
};

} // namespace

/// One token row takes whole tiles, so that it reads one ascending stream; several take as much of
/// a tile as leaves its codes and all sums in registers: 16 with SSE4.1 and AVX2, 32 with AVX-512.
std::unique_ptr<DotTile> makeDotTile_two_bit_sse41(int64_t mr) {
  return std::make_unique<TwoBitSse41>(/*parts=*/mr == 1 ? 4 : 2);
}

std::unique_ptr<DotTile> makeDotTile_two_bit_avx2(int64_t mr) {
  return std::make_unique<TwoBitPairs>(kAvx2, /*lanes=*/8, /*parts=*/mr == 1 ? 2 : 1);
}

std::unique_ptr<DotTile> makeDotTile_two_bit_avx512(int64_t) {
  return std::make_unique<TwoBitPairs>(kAvx512, /*lanes=*/16, /*parts=*/1);
}

} // namespace tern
