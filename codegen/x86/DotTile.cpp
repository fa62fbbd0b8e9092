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

/// Adds four products of an unsigned and a signed byte to each 32-bit lane. One intrinsic means
/// both encodings: the level's features choose.
Value vpdpbusd(KernelBuilder &b, Value sum, Value codes, Value acts) {
  const bool wide = cast<VectorType>(sum.getType()).getNumElements() == 16;
  return b.intrinsic(wide ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256",
                     sum.getType(), {sum, codes, acts});
}

/// The same sum, before which no load and no store moves.
Value finished(KernelBuilder &b, Value sum) {
  return LLVM::InlineAsmOp::create(b, sum.getType(), sum, /*asm_string=*/"",
                                   /*constraints=*/"=v,0,~{memory}", /*has_side_effects=*/true,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   /*asm_dialect=*/{}, /*operand_attrs=*/{})
      .getResult(0);
}

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

Values TwoBitBlockVnni::start(KernelBuilder &b, int64_t tokens, ValueRange initial) const {
  Values state(tokens * chains(tokens), b.splat(b.vec(lanes, 32), 0));
  llvm::copy(initial, state.begin());
  return state;
}

/// Adds a column slot's products of `codes`, of one row block each, to one of the chains.
void TwoBitBlockVnni::addSlot(KernelBuilder &b, MutableArrayRef<Value> state, int64_t slot,
                              ValueRange codes, ValueRange acts) const {
  const size_t sums = acts.size() * codes.size();
  Value *sum = &state[static_cast<size_t>(slot) % (state.size() / sums) * sums];
  for (Value row : acts) {
    Value x = b.broadcastActs(b.vec(4 * lanes, 8), b.offset(row, 4 * slot));
    for (Value code : codes) {
      *sum = vpdpbusd(b, *sum, code, x);
      ++sum;
    }
  }
}

Values TwoBitBlockVnni::step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                             int64_t, int64_t) const {
  Values next(state);
  Value fields = loadTwoBit(b, tile, lanes);
  for (int64_t slot = 0; slot < 4; ++slot)
    addSlot(b, next, slot, unpackTwoBit(b, fields, slot), acts);
  return next;
}

/// An unpacked tile is [slot] of codes as `unpackTwoBit` gives them.
Values TwoBitBlockVnni::stepUnpacked(KernelBuilder &b, ValueRange state, Value tile,
                                     ValueRange acts, int64_t) const {
  VectorType bytes = b.vec(4 * lanes, 8);
  Values next(state);
  for (int64_t slot = 0; slot < 4; ++slot) {
    Values codes;
    for (int64_t block = 0; block < unpacked.blocks; ++block)
      codes.push_back(b.load(bytes, b.offset(tile, block * unpacked.tileBytes + 4 * lanes * slot),
                             static_cast<unsigned>(4 * lanes)));
    addSlot(b, next, slot, codes, acts);
  }
  return next;
}

/// Slot by slot: the sums leave registers for the codes of one, and none to keep packed tiles in.
Values TwoBitBlockVnni::stepUnpacking(KernelBuilder &b, ValueRange state, Value tile,
                                      Value blockBytes, Value out, ValueRange acts) const {
  Values next(state);
  for (int64_t slot = 0; slot < 4; ++slot) {
    Values codes;
    for (int64_t block = 0; block < unpacked.blocks; ++block) {
      Value packed = b.offset(tile, b.mul(blockBytes, b.i64(block)));
      codes.push_back(unpackTwoBit(b, loadTwoBit(b, packed, lanes), slot));
      LLVM::StoreOp::create(b, codes.back(),
                            b.offset(out, block * unpacked.tileBytes + 4 * lanes * slot),
                            static_cast<unsigned>(4 * lanes));
    }
    addSlot(b, next, slot, codes, acts);
    next.back() = finished(b, next.back());
  }
  return next;
}

Values TwoBitBlockVnni::finish(KernelBuilder &, ValueRange state) const { return Values(state); }

std::unique_ptr<DotTile> makeDotTile_two_bit_avx512vnni(int64_t mr) {
  if (mr == 1)
    return makeStream(16);
  auto tile = std::make_unique<TwoBitBlockVnni>(/*lanes=*/16, /*chained=*/true);
  tile->unpacked = {/*tileBytes=*/256, /*tokens=*/6, /*blocks=*/4, /*panelBlocks=*/16,
                    /*room=*/512 << 10};
  return tile;
}

/// Half a tile at a time: twelve sums hide the latency of vpdpbusd and fill the 16 registers.
std::unique_ptr<DotTile> makeDotTile_two_bit_avxvnni(int64_t mr) {
  if (mr == 1)
    return makeStream(8);
  return std::make_unique<TwoBitBlockVnni>(/*lanes=*/8);
}

} // namespace tern
