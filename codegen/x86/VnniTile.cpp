//===- VnniTile.cpp - the GEMM tiles of vpdpbusd --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/VnniTile.h"

using namespace mlir;

namespace tern {

using Values = SmallVector<Value>;

/// One intrinsic means both encodings: the level's features choose.
Value vpdpbusd(KernelBuilder &b, Value sum, Value codes, Value acts) {
  const bool wide = cast<VectorType>(sum.getType()).getNumElements() == 16;
  return b.intrinsic(wide ? "llvm.x86.avx512.vpdpbusd.512" : "llvm.x86.avx512.vpdpbusd.256",
                     sum.getType(), {sum, codes, acts});
}

/// The same sum, before which no load and no store moves.
static Value finished(KernelBuilder &b, Value sum) {
  return LLVM::InlineAsmOp::create(b, sum.getType(), sum, /*asm_string=*/"",
                                   /*constraints=*/"=v,0,~{memory}", /*has_side_effects=*/true,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   /*asm_dialect=*/{}, /*operand_attrs=*/{})
      .getResult(0);
}

/// How many bytes ahead packed tiles are asked for while they are unpacked.
static constexpr int64_t kAhead = 2048;

void VnniBlock::unpackPanels(int64_t columns) {
  constexpr int64_t kBlocks = 4;
  const int64_t tileBytes = slots * slotBytes();
  const int64_t tiles = llvm::divideCeil(columns, 4 * slots);
  unpacked = {tileBytes, /*tokens=*/6, kBlocks, /*panelBlocks=*/16,
              /*room=*/kBlocks * tiles * tileBytes};
}

Values VnniBlock::start(KernelBuilder &b, int64_t tokens, ValueRange initial) const {
  Values state(tokens * chains(tokens), b.splat(b.vec(lanes, 32), 0));
  llvm::copy(initial, state.begin());
  return state;
}

/// Adds a slot's products of `codes`, of one row block each, to one of the chains.
void VnniBlock::addSlot(KernelBuilder &b, MutableArrayRef<Value> state, int64_t slot,
                        ValueRange codes, ValueRange acts) const {
  const size_t sums = acts.size() * codes.size();
  Value *sum = &state[static_cast<size_t>(slot) % (state.size() / sums) * sums];
  for (Value row : acts) {
    Value x = b.broadcastActs(b.vec(slotBytes(), 8), b.offset(row, 4 * slot));
    for (Value code : codes) {
      *sum = vpdpbusd(b, *sum, code, x);
      ++sum;
    }
  }
}

Values VnniBlock::step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t,
                       int64_t) const {
  Values next(state), loaded = load(b, tile);
  for (int64_t slot = 0; slot < slots; ++slot)
    addSlot(b, next, slot, unpack(b, loaded, slot), acts);
  return next;
}

/// An unpacked tile is [slot] of codes as `unpack` gives them.
Values VnniBlock::stepUnpacked(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                               int64_t) const {
  Values next(state);
  for (int64_t slot = 0; slot < slots; ++slot) {
    Values codes;
    for (int64_t block = 0; block < unpacked.blocks; ++block)
      codes.push_back(b.load(b.vec(slotBytes(), 8),
                             b.offset(tile, block * unpacked.tileBytes + slotBytes() * slot),
                             static_cast<unsigned>(slotBytes())));
    addSlot(b, next, slot, codes, acts);
  }
  return next;
}

/// Adds the products of one row block's packed tile to its `sums` and writes its codes to `out`.
void VnniBlock::unpackBlock(KernelBuilder &b, MutableArrayRef<Value> sums, Value tile, Value out,
                            ValueRange acts) const {
  b.prefetch(b.offset(tile, kAhead));
  Values loaded = load(b, tile);
  for (int64_t slot = 0; slot < slots; ++slot) {
    Value codes = unpack(b, loaded, slot);
    LLVM::StoreOp::create(b, codes, b.offset(out, slotBytes() * slot),
                          static_cast<unsigned>(slotBytes()));
    addSlot(b, sums, slot, codes, acts);
  }
  sums.back() = finished(b, sums.back());
}

/// Block by block: the sums leave registers for one tile.
Values VnniBlock::stepUnpacking(KernelBuilder &b, ValueRange state, Value tile, Value blockBytes,
                                Value out, ValueRange acts) const {
  Values next(state);
  for (int64_t block = 0; block < unpacked.blocks; ++block) {
    Values sums;
    for (size_t i = block; i < next.size(); i += unpacked.blocks)
      sums.push_back(next[i]);
    unpackBlock(b, sums, b.offset(tile, b.mul(blockBytes, b.i64(block))),
                b.offset(out, block * unpacked.tileBytes), acts);
    for (auto [token, sum] : llvm::enumerate(sums))
      next[token * unpacked.blocks + block] = sum;
  }
  return next;
}

Values VnniBlock::finish(KernelBuilder &, ValueRange state) const { return Values(state); }

} // namespace tern
