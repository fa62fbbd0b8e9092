//===- ByteDot.cpp - byte products for the sparse kernels, AVX2 and VNNI --===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/SparseKernel.h"

using namespace mlir;

namespace tern {

namespace {

class ByteDotVnni : public ByteDot {
public:
  ByteDotVnni() : ByteDot(/*bytes=*/64) {
    quarters = 4;
    compresses = true;
  }
  Value dot(KernelBuilder &b, Value sum, Value codes, Value acts) const override {
    return b.intrinsic("llvm.x86.avx512.vpdpbusd.512", b.vec(16, 32), {sum, codes, acts});
  }
};

class ByteDotAvx2 : public ByteDot {
public:
  ByteDotAvx2() : ByteDot(/*bytes=*/32) {}
  Value dot(KernelBuilder &b, Value sum, Value codes, Value acts) const override {
    VectorType pairs = b.vec(16, 16);
    Value products = b.intrinsic("llvm.x86.avx2.pmadd.ub.sw", pairs, {codes, acts});
    return b.add(
        sum, b.intrinsic("llvm.x86.avx2.pmadd.wd", b.vec(8, 32), {products, b.splat(pairs, 1)}));
  }
};

} // namespace

std::unique_ptr<ByteDot> makeByteDot_avx512vnni() { return std::make_unique<ByteDotVnni>(); }
std::unique_ptr<ByteDot> makeByteDot_avx2() { return std::make_unique<ByteDotAvx2>(); }

} // namespace tern
