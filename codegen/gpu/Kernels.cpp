//===- Kernels.cpp - the kernels of GPU targets ---------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/Kernels.h"

#include "codegen/gpu/KernelParts.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern::gpu {

const std::vector<KernelInfo> &allKernels() {
  static const std::vector<KernelInfo> kernels = [] {
    std::vector<KernelInfo> all;
    for (auto *list : {productKernels, rowKernels, elementKernels, attentionKernels, tableKernels})
      for (KernelInfo &kernel : list())
        all.push_back(std::move(kernel));
    return all;
  }();
  return kernels;
}

const KernelInfo *findKernel(llvm::StringRef name) {
  for (const KernelInfo &kernel : allKernels())
    if (kernel.name == name)
      return &kernel;
  return nullptr;
}

/// sum += codes[j] * acts[j] over four bytes: codes unsigned, acts signed.
static void buildDot4(GpuBuilder &b) {
  Type i32 = b.getI32Type();
  Nums in =
      b.function("dot4", "sum + codes . acts over four bytes; codes are 0 .. 255, acts signed",
                 {i32, i32, i32}, i32);
  Num sum = in[2];
  for (int64_t j = 0; j < 4; ++j) {
    Num code = (j ? in[0] >> 8 * j : in[0]) & 255;
    Num act = b.shiftRightSigned(j < 3 ? in[1] << (24 - 8 * j) : in[1], 24);
    sum = sum + code * act;
  }
  b.finish(sum);
}

/// A word of the packing against 16 activations.
static void buildDot16(GpuBuilder &b) {
  Type i32 = b.getI32Type();
  Nums in = b.function("dot16",
                       "sum + 16 two-bit codes (trit + 1) . 16 activations; code of activation "
                       "4 s + j in bits 2 s of byte j",
                       {i32, b.quadType(), i32}, i32);
  Num sum = in[2];
  for (int64_t s = 0; s < 4; ++s)
    sum = b.call("dot4", {(s ? in[0] >> 2 * s : in[0]) & 0x03030303, b.element(in[1], s), sum});
  b.finish(sum);
}

/// tern::semantics::exp, step by step.
static void buildExp(GpuBuilder &b) {
  Type f32 = b.getF32Type();
  Num x = b.function("exp_row", "exp as the dialect defines it, for every target the same bits",
                     {f32}, f32)[0];
  x = b.name("x", b.larger(x, b.f32(-87.3f)));
  x = b.name("clamped", b.smaller(x, b.f32(88.3f)));
  Num n = b.name("n", b.rint(x * b.f32(1.44269504088896341f)));
  Num r = b.name("r", (x - n * b.f32(0.693359375f)) - n * b.f32(-2.12194440e-4f));
  Num poly = b.f32(1.9875691500e-4f);
  for (float coefficient :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    poly = b.name("poly", poly * r + b.f32(coefficient));
  Num p = b.f32(1.0f) + (r + (r * r) * poly);
  b.finish(b.bits(b.bits(p) + (b.toInt(n) << 23)));
}

static void buildAttentionWeight(GpuBuilder &b) {
  Type f32 = b.getF32Type();
  Num x = b.function("attention_weight", "exp(x), 0 from x = -64 down", {f32}, f32)[0];
  b.finish(b.select(x > b.f32(-64.0f), b.call("exp_row", {x}), b.f32(0)));
}

void buildFunctions(GpuBuilder &b) {
  buildDot4(b);
  buildDot16(b);
  buildExp(b);
  buildAttentionWeight(b);
}

Num rowRuleSum(GpuBuilder &b, Num count, llvm::function_ref<Num(Num)> x) {
  Nums sum = b.loop("i", b.lane(), count, kSimdWidth, {b.f32(0)},
                    [&](Num i, ArrayRef<Num> state) { return Nums{state[0] + x(i)}; });
  return b.simdSum(sum[0]);
}

Num simdMax(GpuBuilder &b, Num value) {
  for (int lanes = 16; lanes >= 1; lanes /= 2)
    value = b.larger(b.shuffleXor(value, lanes), value);
  return value;
}

Num groupMax(GpuBuilder &b, Num value, int64_t first, int64_t simdgroups) {
  value = simdMax(b, value);
  b.when(b.lane() == 0, [&] { b.storeShared(value, b.simdgroup() + first); });
  b.barrier();
  Num largest = b.loadShared(b.i32(first));
  for (int64_t i = 1; i < simdgroups; ++i)
    largest = b.larger(b.loadShared(b.i32(first + i)), largest);
  b.barrier();
  return largest;
}

/// Functions nobody calls go.
static void dropUnused(mlir::gpu::GPUModuleOp module) {
  for (bool changed = true; changed;) {
    changed = false;
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (SymbolTable::symbolKnownUseEmpty(function, module)) {
        function.erase();
        changed = true;
      }
  }
}

OwningOpRef<ModuleOp> buildKernels(MLIRContext &context, ArrayRef<std::string> names) {
  context
      .loadDialect<mlir::gpu::GPUDialect, arith::ArithDialect, func::FuncDialect, math::MathDialect,
                   memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  OwningOpRef<ModuleOp> module(ModuleOp::create(UnknownLoc::get(&context)));
  OpBuilder top = OpBuilder::atBlockEnd(module->getBody());
  auto kernels = mlir::gpu::GPUModuleOp::create(top, module->getLoc(), "tern");
  GpuBuilder b(kernels);
  buildFunctions(b);
  for (const KernelInfo &kernel : allKernels())
    if (names.empty() || llvm::is_contained(names, kernel.name))
      b.kernel(kernel);
  dropUnused(kernels);
  return module;
}

} // namespace tern::gpu
