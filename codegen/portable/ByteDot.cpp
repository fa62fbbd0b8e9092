//===- ByteDot.cpp - byte products in plain integer operations ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/SparseKernel.h"

using namespace mlir;

namespace tern {

namespace {

class ByteDotPortable : public ByteDot {
public:
  ByteDotPortable() : ByteDot(/*bytes=*/16) { plain = true; }

  /// In 16-bit lanes, the even and the odd bytes apart.
  Value dot(KernelBuilder &b, Value sum, Value codes, Value acts) const override {
    VectorType halves = b.vec(8, 16), words = b.vec(4, 32);
    Value code = b.bitcast(halves, codes), x = b.bitcast(halves, acts);
    Value even =
        b.mul(b.bitAnd(code, b.splat(halves, 0xff)), b.shiftRightArithmetic(b.shiftLeft(x, 8), 8));
    Value odd = b.mul(b.shiftRight(code, 8), b.shiftRightArithmetic(x, 8));
    Value pairs = b.bitcast(words, b.add(even, odd));
    sum = b.add(sum, b.shiftRightArithmetic(b.shiftLeft(pairs, 16), 16));
    return b.add(sum, b.shiftRightArithmetic(pairs, 16));
  }
};

} // namespace

std::unique_ptr<ByteDot> makeByteDot_portable() { return std::make_unique<ByteDotPortable>(); }

} // namespace tern
