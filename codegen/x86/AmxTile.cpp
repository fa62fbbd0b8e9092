//===- AmxTile.cpp - tiles of tdpbsud, for AMX ----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/x86/VnniTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tern {

namespace {

using Values = SmallVector<Value>;

constexpr int64_t kTileRows = 16, kTileRowBytes = 64, kTileBytes = kTileRows * kTileRowBytes;

/// Tile registers by their use. All are 16 rows of 64 bytes.
constexpr int64_t kSums = 0, kCodes = 4, kActs = 6; ///< the first of each

/// GEMM: tdpbsud multiplies 16 token rows of 64 activations with 64 columns of 16 weight rows. The
/// codes of a column slot are as the instruction wants a row of its right operand; so four packed
/// tiles, unpacked into memory one after the other, make up that operand, for all token rows.
///
/// What is left over, of columns and of token rows, takes vpdpbusd: the state holds its sums, and
/// the tile registers, of which the builder's values know nothing, the others.
class TwoBitAmx : public TwoBitBlockVnni {
public:
  TwoBitAmx() : TwoBitBlockVnni(/*lanes=*/16) { unroll = 4; }

  void enter(KernelBuilder &b) override;
  void leave(KernelBuilder &b) override { emit(b, "llvm.x86.tilerelease", {}); }
  Values start(KernelBuilder &b, int64_t tokens, ValueRange initial) const override;
  Values step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts, int64_t count,
              int64_t slice) const override;
  Values finish(KernelBuilder &b, ValueRange state) const override;

private:
  /// Registers of sums for that many token rows; none for fewer than fill one.
  static int64_t registersOf(int64_t tokens) { return tokens / kTileRows; }
  static Value number(KernelBuilder &b, int64_t tileRegister) {
    return arith::ConstantOp::create(b, b.getI8IntegerAttr(static_cast<int8_t>(tileRegister)));
  }
  static void emit(KernelBuilder &b, StringRef name, ValueRange operands) {
    LLVM::CallIntrinsicOp::create(b, b.getStringAttr(name), operands);
  }

  Value codes, sums; ///< memory of this call: a register's bytes, and those of all sums
};

void TwoBitAmx::enter(KernelBuilder &b) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto allocate = [&](int64_t bytes) -> Value {
    return LLVM::AllocaOp::create(b, pointer, b.getI8Type(), b.i64(bytes), /*alignment=*/64);
  };
  codes = allocate(kTileBytes);
  sums = allocate(2 * kTileBytes);
  // Palette 1; of registers 0 .. 7 the bytes of a row, as 16 bits each from byte 16, and the rows
  // from byte 48.
  int8_t layout[64] = {1};
  for (int64_t i = 0; i < 8; ++i) {
    layout[16 + 2 * i] = kTileRowBytes;
    layout[48 + i] = kTileRows;
  }
  Value configuration = allocate(64);
  auto attribute = DenseElementsAttr::get(b.vec(64, 8), ArrayRef<int8_t>(layout));
  LLVM::StoreOp::create(b, arith::ConstantOp::create(b, b.vec(64, 8), attribute), configuration,
                        /*alignment=*/64);
  emit(b, "llvm.x86.ldtilecfg", configuration);
}

Values TwoBitAmx::start(KernelBuilder &b, int64_t tokens, ValueRange initial) const {
  for (int64_t i = 0; i < registersOf(tokens); ++i)
    emit(b, "llvm.x86.tilezero", number(b, kSums + i));
  return TwoBitBlockVnni::start(b, tokens, initial);
}

Values TwoBitAmx::step(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                       int64_t count, int64_t slice) const {
  const int64_t registers = registersOf(static_cast<int64_t>(acts.size()));
  if (count == 1 || registers == 0) {
    Values next(state);
    for (int64_t i = 0; i < count; ++i) {
      Values columns = llvm::map_to_vector(acts, [&](Value row) { return b.offset(row, 16 * i); });
      next = TwoBitBlockVnni::step(b, next, b.offset(tile, 64 * i), columns, 1, slice);
    }
    return next;
  }
  for (int64_t i = 0; i < count; ++i) {
    Value fields = loadTwoBit(b, b.offset(tile, 64 * i), lanes);
    for (int64_t slot = 0; slot < 4; ++slot)
      LLVM::StoreOp::create(b, unpackTwoBit(b, fields, slot),
                            b.offset(codes, (4 * i + slot) * kTileRowBytes), /*alignment=*/64);
  }
  emit(b, "llvm.x86.tileloadd64", {number(b, kCodes), codes, b.i64(kTileRowBytes)});
  Value stride = b.sub(LLVM::PtrToIntOp::create(b, b.getI64Type(), acts[1]),
                       LLVM::PtrToIntOp::create(b, b.getI64Type(), acts[0]));
  for (int64_t i = 0; i < registers; ++i) {
    emit(b, "llvm.x86.tileloadd64", {number(b, kActs + i), acts[i * kTileRows], stride});
    emit(b, "llvm.x86.tdpbsud", {number(b, kSums + i), number(b, kActs + i), number(b, kCodes)});
  }
  return Values(state);
}

Values TwoBitAmx::finish(KernelBuilder &b, ValueRange state) const {
  Values totals(state);
  const int64_t registers = registersOf(static_cast<int64_t>(state.size()));
  for (int64_t i = 0; i < registers; ++i)
    emit(b, "llvm.x86.tilestored64",
         {number(b, kSums + i), b.offset(sums, i * kTileBytes), b.i64(kTileRowBytes)});
  for (int64_t token = 0; token < registers * kTileRows; ++token)
    totals[token] =
        b.add(totals[token], b.load(b.vec(lanes, 32), b.offset(sums, token * kTileRowBytes), 64));
  return totals;
}

} // namespace

/// 32 token rows: twice as many products as loads of tile registers.
std::unique_ptr<DotTile> makeDotTile_two_bit_amxint8(int64_t) {
  return std::make_unique<TwoBitAmx>();
}

} // namespace tern
