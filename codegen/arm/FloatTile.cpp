//===- FloatTile.cpp - float tiles for NEON -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/FloatTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern {

namespace {

/// The first byte of the float -1, 0 and 1, by code, and the second. The others are 0.
constexpr char kFirstBytes[] = "\xbf\x00\x3f", kSecondBytes[] = "\x80\x00\x80";

/// Two table lookups turn the codes of a column slot into bytes of floats, one more brings them
/// into place: where an index leaves the table, it is 0. Conversions are slow on some of these
/// CPUs.
class NeonFloat : public FloatTile {
public:
  /// All partial sums of a quarter or half of a tile.
  explicit NeonFloat(int64_t parts) : FloatTile(/*lanes=*/4, parts, /*slices=*/1) {
    if (parts != 1)
      return;
    unpacked.tileBytes = 256;
    unroll = 2;
  }

  SmallVector<Value> decode(KernelBuilder &b, Value words, int64_t j) const override {
    VectorType bytes = b.vec(16, 8);
    SmallVector<char> places(16, char(-1));
    for (int64_t lane = 0; lane < lanes; ++lane) {
      places[4 * lane + 3] = static_cast<char>(4 * lane + j);
      places[4 * lane + 2] = static_cast<char>(16 + 4 * lane + j);
    }
    SmallVector<Value> trits;
    for (int64_t slot = 0; slot < 4; ++slot) {
      Value codes = b.shiftRight(b.bitcast(bytes, words), 2 * slot);
      if (slot != 3)
        codes = b.bitAnd(codes, b.splat(bytes, 3));
      auto lookUp = [&](ArrayRef<char> entries) {
        return b.intrinsic("llvm.aarch64.neon.tbl1.v16i8", bytes, {table(b, entries), codes});
      };
      Value placed = b.intrinsic(
          "llvm.aarch64.neon.tbl2.v16i8", bytes,
          {lookUp(ArrayRef(kFirstBytes, 3)), lookUp(ArrayRef(kSecondBytes, 3)), table(b, places)});
      trits.push_back(b.bitcast(floats(b), placed));
    }
    return trits;
  }

  /// [column] of four floats, one a packing row.
  void writeUnpacked(KernelBuilder &b, Value tile, Value out) const override {
    Value words = b.load(b.vec(lanes, 32), tile, 16);
    for (int64_t j = 0; j < 4; ++j)
      for (auto [slot, trits] : llvm::enumerate(decode(b, words, j)))
        LLVM::StoreOp::create(b, trits, b.offset(out, (4 * slot + j) * 16), 16);
  }

  SmallVector<Value> stepUnpacked(KernelBuilder &b, ValueRange state, Value tile, ValueRange acts,
                                  int64_t count) const override {
    SmallVector<Value> next(state);
    for (int64_t column = 0; column < 16 * count; ++column) {
      Value trits = b.load(floats(b), b.offset(tile, 16 * column), 16);
      for (auto [token, row] : llvm::enumerate(acts)) {
        Value &sum = next[column % 4 * acts.size() + token];
        sum = accumulate(b, trits, activation(b, row, column), sum);
      }
    }
    return next;
  }

  Value accumulate(KernelBuilder &b, Value trit, Value x, Value sum) const override {
    return b.fusedMultiplyAdd(trit, x, sum);
  }

  /// Four at a time: one of them is an operand by element, which costs nothing.
  Value activation(KernelBuilder &b, Value row, int64_t column) const override {
    Value four = b.load(floats(b), b.offset(row, 4 * (column & ~int64_t(3))), /*alignment=*/4);
    const int64_t lane = column & 3;
    return vector::ShuffleOp::create(b, four, four, ArrayRef<int64_t>{lane, lane, lane, lane});
  }

private:
  static Value table(KernelBuilder &b, ArrayRef<char> bytes) {
    VectorType type = b.vec(16, 8);
    SmallVector<int8_t> entries(bytes.begin(), bytes.end());
    entries.resize(16);
    return arith::ConstantOp::create(b, type, DenseElementsAttr::get(type, ArrayRef(entries)));
  }
};

} // namespace

/// One token row takes half a tile at a time: with all of it, sums and tables would not fit 32
/// registers, and arithmetic takes far longer than memory.
std::unique_ptr<DotTile> makeFloatTile_two_bit_neon(int64_t mr) {
  return std::make_unique<NeonFloat>(/*parts=*/mr == 1 ? 2 : 1);
}

} // namespace tern
