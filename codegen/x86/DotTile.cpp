//===- DotTile.cpp - tiles for AVX2 and AVX-512 VNNI ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/MatmulKernel.h"

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;

Value vpdpbusd(KernelBuilder &b, Value sum, Value codes, Value acts) {
  return b.intrinsic("llvm.x86.avx512.vpdpbusd.512", b.vec(16, 32), {sum, codes, acts});
}

/// GEMV: the four 2-bit fields of a byte are masked where they are, so four accumulators hold 1, 4,
/// 16 and 64 times their sums and are shifted once at the end. Exact: a field is at most 192, so
/// 132104 / 4 columns (the limit of ternary.matmul) stay within 192 * 128 * 33026 < 2^30.
class TwoBitStreamVnni : public DotTile {
public:
  TwoBitStreamVnni() : DotTile(/*lanes=*/16) { unroll = 2; }

  /// [unroll][slot]: twice four chains hide the latency of vpdpbusd.
  Values start(KernelBuilder &b, int64_t, ValueRange initial) const override {
    Values state(unroll * 4, b.splat(b.vec(16, 32), 0));
    llvm::copy(initial, state.begin()); // of slot 0, whose sums are as large as they are
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t count,
              int64_t) const override {
    VectorType bytes = b.vec(64, 8);
    Values next(state);
    for (int64_t i = 0; i < count; ++i) {
      Value fields = b.load(bytes, b.offset(tile, 64 * i), 64);
      for (int64_t slot = 0; slot < 4; ++slot) {
        Value codes = b.bitAnd(fields, b.splat(bytes, static_cast<int8_t>(3 << (2 * slot))));
        Value x = b.broadcastActs(bytes, b.offset(acts[0], 16 * i + 4 * slot));
        Value &sum = next[4 * i + slot];
        sum = vpdpbusd(b, sum, codes, x);
      }
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Value total;
    for (int64_t slot = 0; slot < 4; ++slot) {
      Value sum = b.add(state[slot], state[4 + slot]);
      if (slot)
        sum = b.shiftRightArithmetic(sum, 2 * slot);
      total = total ? b.add(total, sum) : sum;
    }
    return {total};
  }
};

/// GEMM: a tile is unpacked once for all its token rows. Two vpdpbusd start in a cycle and one
/// takes five: fewer than ten sums would wait for each other, so few token rows have several each.
class TwoBitBlockVnni : public DotTile {
public:
  TwoBitBlockVnni() : DotTile(/*lanes=*/16) { ownBodies = 8; }

  /// [chain][token]
  Values start(KernelBuilder &b, int64_t tokens, ValueRange initial) const override {
    Values state(tokens * chains(tokens), b.splat(b.vec(16, 32), 0));
    llvm::copy(initial, state.begin());
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType bytes = b.vec(64, 8), words = b.vec(32, 16);
    const int64_t tokens = static_cast<int64_t>(acts.size());
    Value mask = b.splat(bytes, 3);
    Value fields = b.load(words, tile, 64);
    Values next(state);
    for (int64_t slot = 0; slot < 4; ++slot) {
      Value codes = b.bitAnd(b.bitcast(bytes, b.shiftRight(fields, 2 * slot)), mask);
      int64_t chain = slot % (static_cast<int64_t>(state.size()) / tokens);
      for (auto [token, row] : llvm::enumerate(acts)) {
        Value &sum = next[chain * tokens + static_cast<int64_t>(token)];
        sum = vpdpbusd(b, sum, codes, b.broadcastActs(bytes, b.offset(row, 4 * slot)));
      }
    }
    return next;
  }

  Values finish(KernelBuilder &, ValueRange state) const override { return Values(state); }

private:
  static int64_t chains(int64_t tokens) { return tokens > 8 ? 1 : tokens > 4 ? 2 : 4; }
};

/// vpmaddubsw gives sums of two products of a code (0 .. 2) and an activation (-128 .. 127), -512
/// .. 508: it cannot saturate, and 64 of them, 16 tiles, stay within -32768 .. 32512.
class TwoBitAvx2 : public DotTile {
public:
  explicit TwoBitAvx2(int64_t parts) : DotTile(/*lanes=*/8, parts) { maxTiles = 16; }

  /// 16-bit sums, two a row, [token][part].
  Values start(KernelBuilder &b, int64_t tokens, ValueRange) const override {
    return Values(tokens * parts, b.splat(b.vec(16, 16), 0));
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
              int64_t) const override {
    VectorType bytes = b.vec(32, 8), words = b.vec(16, 16);
    Value mask = b.splat(bytes, 3);
    Values fields, next(state);
    for (int64_t part = 0; part < parts; ++part)
      fields.push_back(b.load(words, b.offset(tile, 32 * part), 32));
    for (int64_t slot = 0; slot < 4; ++slot) {
      Values codes = llvm::map_to_vector(fields, [&](Value field) -> Value {
        return b.bitAnd(b.bitcast(bytes, b.shiftRight(field, 2 * slot)), mask);
      });
      for (auto [token, row] : llvm::enumerate(acts)) {
        Value x = b.broadcastActs(bytes, b.offset(row, 4 * slot));
        for (int64_t part = 0; part < parts; ++part) {
          Value &sum = next[token * parts + part];
          sum = b.add(sum, b.intrinsic("llvm.x86.avx2.pmadd.ub.sw", words, {codes[part], x}));
        }
      }
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Value ones = b.splat(b.vec(16, 16), 1);
    return llvm::map_to_vector(state, [&](Value sum) {
      return b.intrinsic("llvm.x86.avx2.pmadd.wd", b.vec(8, 32), {sum, ones});
    });
  }
};

} // namespace

std::unique_ptr<DotTile> makeDotTile_two_bit_avx512vnni(int64_t mr) {
  if (mr == 1)
    return std::make_unique<TwoBitStreamVnni>();
  return std::make_unique<TwoBitBlockVnni>();
}

/// One token row takes whole tiles, so that it reads one ascending stream; several token rows take
/// half a tile at a time, so that the unpacked codes and all sums fit 16 registers.
std::unique_ptr<DotTile> makeDotTile_two_bit_avx2(int64_t mr) {
  return std::make_unique<TwoBitAvx2>(/*parts=*/mr == 1 ? 2 : 1);
}

} // namespace tern
