//===- FloatTile.cpp - float tiles for AVX2 and AVX-512 -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/FloatTile.h"

using namespace mlir;

namespace tern {

namespace {

constexpr float kTrits[4] = {-1.0f, 0.0f, 1.0f, 0.0f}; // by code; code 3 does not occur

/// The trits by code over and over, each of them `each` times.
Value table(KernelBuilder &b, int64_t lanes, int64_t each) {
  SmallVector<float> values;
  for (int64_t lane = 0; lane < lanes; ++lane)
    values.push_back(kTrits[lane / each % 4]);
  return b.constant(values);
}

class X86Float : public FloatTile {
public:
  using FloatTile::FloatTile;

  Value accumulate(KernelBuilder &b, Value trit, Value x, Value sum) const override {
    return b.fusedMultiplyAdd(trit, x, sum);
  }
};

/// vpermps looks up 16 floats by 4 bits: two columns share one shift, and two tables tell which of
/// both codes counts.
class Avx512Float : public X86Float {
public:
  explicit Avx512Float(int64_t slices) : X86Float(/*lanes=*/16, /*parts=*/1, slices) {}

  SmallVector<Value> decode(KernelBuilder &b, Value words, int64_t j) const override {
    Value low = table(b, 16, /*each=*/1), high = table(b, 16, /*each=*/4);
    SmallVector<Value> trits;
    for (int64_t pair = 0; pair < 2; ++pair) {
      Value codes = b.shiftRight(words, 8 * j + 4 * pair);
      for (Value entries : {low, high})
        trits.push_back(b.intrinsic("llvm.x86.avx512.permvar.sf.512", floats(b), {entries, codes}));
    }
    return trits;
  }
};

/// vpermilps looks up 4 floats by the lowest 2 bits.
class Avx2Float : public X86Float {
public:
  Avx2Float(int64_t parts, int64_t slices) : X86Float(/*lanes=*/8, parts, slices) {}

  SmallVector<Value> decode(KernelBuilder &b, Value words, int64_t j) const override {
    Value entries = table(b, 8, /*each=*/1);
    SmallVector<Value> trits;
    for (int64_t slot = 0; slot < 4; ++slot)
      trits.push_back(b.intrinsic("llvm.x86.avx.vpermilvar.ps.256", floats(b),
                                  {entries, b.shiftRight(words, 8 * j + 2 * slot)}));
    return trits;
  }
};

} // namespace

/// Eight token rows and two partial sums at a time take 16 registers. Twice as many token rows
/// would be unpacked for less often, but fall out of the first-level cache where rows are a power
/// of two.
std::unique_ptr<DotTile> makeFloatTile_two_bit_avx512(int64_t mr) {
  return std::make_unique<Avx512Float>(/*slices=*/mr == 1 ? 1 : 2);
}

/// One token row takes whole tiles and all partial sums, 8 registers; several take half a tile and
/// one partial sum at a time.
std::unique_ptr<DotTile> makeFloatTile_two_bit_avx2(int64_t mr) {
  if (mr == 1)
    return std::make_unique<Avx2Float>(/*parts=*/2, /*slices=*/1);
  return std::make_unique<Avx2Float>(/*parts=*/1, /*slices=*/4);
}

} // namespace tern
