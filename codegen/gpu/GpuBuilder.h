//===- GpuBuilder.h - the words GPU kernels are written in ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_GPU_GPUBUILDER_H
#define TERN_CODEGEN_GPU_GPUBUILDER_H

#include "codegen/gpu/Kernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tern::gpu {

class GpuBuilder;

/// A value of a kernel with arithmetic. Integers are i32 and signed, but >> fills with zeros. Float
/// operations are rounded one by one.
struct Num {
  mlir::Value value;
  GpuBuilder *b = nullptr;

  bool isFloat() const { return value.getType().isF32(); }
};

using Nums = llvm::SmallVector<Num>;

/// Builds the kernels of one gpu.module: upstream dialects only (gpu, scf, arith, math, memref,
/// vector). Threadgroups have one dimension; a simdgroup is 32 consecutive threads.
class GpuBuilder : public mlir::ImplicitLocOpBuilder {
public:
  explicit GpuBuilder(mlir::gpu::GPUModuleOp module);

  /// Starts kernel `info`; its buffers and scalars are found by name until the next one starts.
  void kernel(const KernelInfo &info);
  /// Starts a function of scalars that kernels call; `finish` ends it.
  Nums function(llvm::StringRef name, llvm::StringRef comment, mlir::TypeRange arguments,
                mlir::Type result);
  void finish(Num result);
  Num call(llvm::StringRef function, llvm::ArrayRef<Num> arguments);

  Num scalar(llvm::StringRef name);
  Num load(llvm::StringRef buffer, Num index);
  void store(Num value, llvm::StringRef buffer, Num index);
  /// Threadgroup memory of the kernel, declared in its KernelInfo.
  Num loadShared(Num index);
  void storeShared(Num value, Num index);

  Num thread();    ///< in its threadgroup
  Num lane();      ///< in its simdgroup
  Num simdgroup(); ///< in its threadgroup
  Num group(int dimension = 0);
  /// Threads of the threadgroup meet; what they wrote before, to threadgroup memory and to
  /// buffers, they all see after.
  void barrier();
  Num shuffleXor(Num value, int lanes);
  /// Sum over a simdgroup by the tree of the dialect's row rule: 16, 8, 4, 2, 1. All lanes get it.
  Num simdSum(Num value, int from = 16, int to = 1);

  Num i32(int64_t value);
  Num f32(float value);
  Num toFloat(Num value);
  Num toInt(Num value);      ///< of a float that is whole
  Num signedByte(Num value); ///< of an i8
  Num lowByte(Num value);    ///< as i8
  Num bits(Num value);       ///< a float's bits as i32, or the float of bits
  Num shiftRightSigned(Num value, int64_t bits);
  Num half(Num bits16);                 ///< f32 of the low 16 bits, binary16
  Num brainFloat(Num bits16);           ///< f32 of the low 16 bits, bfloat16
  Num element(Num quad, int64_t index); ///< of a vector of four
  Num zeroQuad();
  Num select(Num condition, Num yes, Num no);
  Num sqrt(Num value);
  Num rint(Num value);
  Num abs(Num value);
  Num negate(Num value);
  Num fusedMultiplyAdd(Num a, Num b, Num c); ///< a * b + c, rounded once
  /// The larger, `b` where they do not compare: a > b ? a : b.
  Num larger(Num a, Num b);
  Num smaller(Num a, Num b);

  /// `body(i, state)` for i = begin, begin + step .. while below end; gives the last state.
  Nums loop(llvm::StringRef index, Num begin, Num end, int64_t step, llvm::ArrayRef<Num> init,
            llvm::function_ref<Nums(Num, llvm::ArrayRef<Num>)> body);
  void loop(llvm::StringRef index, Num begin, Num end, int64_t step,
            llvm::function_ref<void(Num)> body);
  void when(Num condition, llvm::function_ref<void()> body);
  Num choose(Num condition, llvm::function_ref<Num()> yes, llvm::function_ref<Num()> no);

  /// The name that the printed text uses.
  Num name(llvm::StringRef name, Num value);
  /// A comment above what is built next.
  void comment(llvm::StringRef text);

  Num wrap(mlir::Value value) { return {value, this}; }
  mlir::VectorType quadType();

private:
  mlir::Value index(Num value);
  mlir::Value buffer(llvm::StringRef name);
  void note(mlir::Operation *op);
  template <typename Op, typename... Args> mlir::Value make(Args &&...args);

  mlir::gpu::GPUModuleOp module;
  mlir::gpu::GPUFuncOp current;
  const KernelInfo *info = nullptr;
  std::string pendingComment;
  friend Num operator+(Num, Num);
};

Num operator+(Num a, Num b);
Num operator-(Num a, Num b);
Num operator*(Num a, Num b);
Num operator/(Num a, Num b);
Num operator%(Num a, Num b);
Num operator&(Num a, Num b); ///< of conditions too
Num operator|(Num a, Num b);
Num operator<<(Num a, int64_t bits);
Num operator>>(Num a, int64_t bits);
Num operator<(Num a, Num b);
Num operator>(Num a, Num b);
Num operator==(Num a, Num b);
Num operator+(Num a, int64_t b);
Num operator-(Num a, int64_t b);
Num operator*(Num a, int64_t b);
Num operator/(Num a, int64_t b);
Num operator%(Num a, int64_t b);
Num operator&(Num a, int64_t b);
Num operator<(Num a, int64_t b);
Num operator==(Num a, int64_t b);

} // namespace tern::gpu

#endif // TERN_CODEGEN_GPU_GPUBUILDER_H
