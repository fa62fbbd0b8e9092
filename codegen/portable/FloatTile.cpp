//===- FloatTile.cpp - float tiles in plain operations --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/FloatTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace tern {

namespace {

/// Codes 0 .. 2 become floats, less one; products and sums are operations of their own.
class PortableFloat : public FloatTile {
public:
  explicit PortableFloat(int64_t slices) : FloatTile(/*lanes=*/4, /*parts=*/1, slices) {
    plain = true;
  }

  SmallVector<Value> decode(KernelBuilder &b, Value words, int64_t j) const override {
    VectorType integers = b.vec(lanes, 32);
    SmallVector<Value> trits;
    for (int64_t slot = 0; slot < 4; ++slot) {
      Value code = b.bitAnd(b.shiftRight(words, 8 * j + 2 * slot), b.splat(integers, 3));
      Value value = arith::SIToFPOp::create(b, floats(b), code);
      trits.push_back(arith::SubFOp::create(b, value, b.splatFloat(floats(b), 1.0f)));
    }
    return trits;
  }

  Value accumulate(KernelBuilder &b, Value trit, Value x, Value sum) const override {
    return arith::AddFOp::create(b, sum, arith::MulFOp::create(b, trit, x));
  }
};

} // namespace

std::unique_ptr<DotTile> makeFloatTile_two_bit_portable(int64_t mr) {
  return std::make_unique<PortableFloat>(/*slices=*/mr == 1 ? 1 : 2);
}

} // namespace tern
