//===- FloatTile.cpp - float tiles for NEON -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/FloatTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

#include <bit>

using namespace mlir;

namespace tern {

namespace {

/// A code is masked where it is in its byte and becomes the last bits of a large float, at which
/// place they count as 1 and 2; less that float and 1, it is the trit. Conversions are slow on some
/// of these CPUs.
class NeonFloat : public FloatTile {
public:
  NeonFloat(int64_t parts, int64_t slices) : FloatTile(/*lanes=*/4, parts, slices) {}

  SmallVector<Value> decode(KernelBuilder &b, Value words, int64_t j) const override {
    VectorType integers = b.vec(lanes, 32);
    Value bytes = b.shiftRight(words, 8 * j);
    SmallVector<Value> trits;
    for (int64_t slot = 0; slot < 4; ++slot) {
      const int64_t bit = 2 * slot;
      const auto large = static_cast<float>(1 << (23 - bit));
      Value code = b.bitAnd(bytes, b.splat(integers, int64_t(3) << bit));
      Value placed =
          arith::OrIOp::create(b, code, b.splat(integers, std::bit_cast<int32_t>(large)));
      trits.push_back(arith::SubFOp::create(b, b.bitcast(floats(b), placed),
                                            b.splatFloat(floats(b), large + 1.0f)));
    }
    return trits;
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
};

} // namespace

/// One token row takes whole tiles and all partial sums; several take a quarter of a tile and two
/// partial sums at a time.
std::unique_ptr<DotTile> makeFloatTile_two_bit_neon(int64_t mr) {
  if (mr == 1)
    return std::make_unique<NeonFloat>(/*parts=*/4, /*slices=*/1);
  return std::make_unique<NeonFloat>(/*parts=*/1, /*slices=*/2);
}

} // namespace tern
