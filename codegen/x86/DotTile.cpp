//===- DotTile.cpp - tiles of vpdpbusd, for AVX-VNNI and AVX-512 VNNI -----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/VnniTile.h"

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;

/// GEMV: the four 2-bit fields of a byte are masked where they are, so four accumulators hold 1, 4,
/// 16 and 64 times their sums and are shifted once at the end. Exact: a field is at most 192, so
/// 132104 / 4 columns (the limit of ternary.matmul) stay within 192 * 128 * 33026 < 2^30.
class TwoBitStreamVnni : public DotTile {
public:
  /// Eight chains hide the latency of vpdpbusd: two tiles of one part, or a tile of two.
  TwoBitStreamVnni(int64_t lanes, int64_t parts) : DotTile(lanes, parts) { unroll = 2 / parts; }

  /// [tile of the unrolled][slot][part].
  Values start(KernelBuilder &b, int64_t, ValueRange initial) const override {
    Values state(unroll * 4 * parts, b.splat(b.vec(lanes, 32), 0));
    llvm::copy(initial, state.begin()); // of slot 0, whose sums are as large as they are
    return state;
  }

  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t count,
              int64_t) const override {
    VectorType bytes = b.vec(4 * lanes, 8);
    Values next(state);
    for (int64_t i = 0; i < count; ++i) {
      Values fields;
      for (int64_t part = 0; part < parts; ++part)
        fields.push_back(b.load(bytes, b.offset(tile, 64 * i + 4 * lanes * part),
                                static_cast<unsigned>(4 * lanes)));
      for (int64_t slot = 0; slot < 4; ++slot) {
        Value x = b.broadcastActs(bytes, b.offset(acts[0], 16 * i + 4 * slot));
        Value mask = b.splat(bytes, static_cast<int8_t>(3 << (2 * slot)));
        for (int64_t part = 0; part < parts; ++part) {
          Value &sum = next[(4 * i + slot) * parts + part];
          sum = vpdpbusd(b, sum, b.bitAnd(fields[part], mask), x);
        }
      }
    }
    return next;
  }

  Values finish(KernelBuilder &b, ValueRange state) const override {
    Values totals;
    for (int64_t part = 0; part < parts; ++part) {
      Value total;
      for (int64_t slot = 0; slot < 4; ++slot) {
        Value sum = state[slot * parts + part];
        for (int64_t i = 1; i < unroll; ++i)
          sum = b.add(sum, state[(4 * i + slot) * parts + part]);
        if (slot)
          sum = b.shiftRightArithmetic(sum, 2 * slot);
        total = total ? b.add(total, sum) : sum;
      }
      totals.push_back(total);
    }
    return totals;
  }
};

std::unique_ptr<DotTile> makeStream(int64_t lanes) {
  return std::make_unique<TwoBitStreamVnni>(lanes, /*parts=*/16 / lanes);
}

} // namespace

Value loadTwoBit(KernelBuilder &b, Value tile, int64_t lanes) {
  return b.load(b.vec(2 * lanes, 16), tile, static_cast<unsigned>(4 * lanes));
}

Value unpackTwoBit(KernelBuilder &b, Value fields, int64_t slot) {
  VectorType bytes = b.vec(2 * cast<VectorType>(fields.getType()).getNumElements(), 8);
  return b.bitAnd(b.bitcast(bytes, b.shiftRight(fields, 2 * slot)), b.splat(bytes, 3));
}

Values TwoBitBlockVnni::load(KernelBuilder &b, Value tile) const {
  return {loadTwoBit(b, tile, lanes)};
}

Value TwoBitBlockVnni::unpack(KernelBuilder &b, ValueRange loaded, int64_t slot) const {
  return unpackTwoBit(b, loaded[0], slot);
}

std::unique_ptr<DotTile> makeDotTile_two_bit_avx512vnni(int64_t mr) {
  if (mr == 1)
    return makeStream(16);
  auto tile = std::make_unique<TwoBitBlockVnni>(/*lanes=*/16, /*chained=*/true);
  tile->unpackPanels(/*columns=*/8192);
  return tile;
}

/// Half a tile at a time: twelve sums hide the latency of vpdpbusd and fill the 16 registers.
std::unique_ptr<DotTile> makeDotTile_two_bit_avxvnni(int64_t mr) {
  if (mr == 1)
    return makeStream(8);
  return std::make_unique<TwoBitBlockVnni>(/*lanes=*/8);
}

} // namespace tern
