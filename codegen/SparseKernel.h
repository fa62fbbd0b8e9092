//===- SparseKernel.h - kernels that skip rows or columns -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_SPARSEKERNEL_H
#define TERN_CODEGEN_SPARSEKERNEL_H

#include "codegen/MatmulKernel.h"

namespace tern {

/// Products of bytes, four to a 32-bit lane: what an instruction set adds to the sparse kernels.
class ByteDot {
public:
  explicit ByteDot(int64_t bytes) : bytes(bytes) {}
  virtual ~ByteDot() = default;

  const int64_t bytes; ///< of a vector
  /// Sums of one column's rows that the registers hold: all four lane quarters, or two.
  int64_t quarters = 2;
  /// Whether CPUs without half floats run it.
  bool plain = false;
  /// Whether there is an instruction that moves chosen lanes to the front.
  bool compresses = false;

  /// `sum` plus the products of unsigned `codes`, at most 128, with signed `acts`: two of them fit
  /// 16 bits.
  virtual mlir::Value dot(KernelBuilder &b, mlir::Value sum, mlir::Value codes,
                          mlir::Value acts) const = 0;
};

std::unique_ptr<ByteDot> makeByteDot_portable();
std::unique_ptr<ByteDot> makeByteDot_avx2();
std::unique_ptr<ByteDot> makeByteDot_avx512vnni();

/// The fields of a tern_matmul_args_t, and loops and loads in the words of the sparse kernels.
class SparseEmitter {
public:
  SparseEmitter(KernelBuilder &b, const KernelRow &row, mlir::Value args);
  virtual ~SparseEmitter() = default;
  virtual void emit() = 0;

protected:
  using Values = llvm::SmallVector<mlir::Value>;
  using Body = llvm::function_ref<void(mlir::Value)>;
  using CarryBody = llvm::function_ref<Values(mlir::Value, mlir::ValueRange)>;

  mlir::Value field(mlir::Type type, size_t byteOffset);
  /// base + index * bytes
  mlir::Value element(mlir::Value base, mlir::Value index, int64_t bytes);
  mlir::Value stack(mlir::Value bytes);
  void store(mlir::Value value, mlir::Value pointer, unsigned alignment);
  void forLoop(mlir::Value begin, mlir::Value end, mlir::Value step, Body body);
  void forLoop(mlir::Value begin, mlir::Value end, int64_t step, Body body);
  Values forLoop(mlir::Value begin, mlir::Value end, int64_t step, mlir::ValueRange initial,
                 CarryBody body);
  void onlyIf(mlir::Value condition, llvm::function_ref<void()> body);
  Values choose(mlir::Value condition, mlir::TypeRange types, llvm::function_ref<Values()> yes,
                llvm::function_ref<Values()> no);
  mlir::Value isNotNull(mlir::Value pointer);
  mlir::Value positive(mlir::Value floats);
  mlir::Value zero(mlir::Type type);
  /// Halves of two vectors interleaved in each 16 bytes, in units of `unit` bytes: the low halves,
  /// or the high ones.
  mlir::Value interleave(mlir::Value a, mlir::Value b, int64_t unit, bool high);
  /// `floats` scales from number `index` on.
  mlir::Value loadScales(mlir::VectorType floats, mlir::Value index);
  /// Float results from number `column` of row `token` on, of sums of activation * code.
  mlir::Value finish(mlir::VectorType floats, mlir::Value token, mlir::Value column,
                     mlir::Value sums);

  KernelBuilder &b;
  const KernelRow &row;
  std::unique_ptr<ByteDot> dot;
  const int64_t bytes, lanes; ///< of a vector; lanes of 32 bits
  mlir::VectorType byteVector, sumVector;
  mlir::Value args, weight, scale, acts, rowScales, offsets, residual, gate, out;
  mlir::Value actsStride, offsetsStride, outStride, gateStride, m, blockBegin, blockEnd, kTiles;
  mlir::Value halfScales;
};

/// GEMV on two_bit_rows, that on two_bit_columns, and the GEMM on either.
std::unique_ptr<SparseEmitter> rowsEmitter(KernelBuilder &b, const KernelRow &row,
                                           mlir::Value args);
std::unique_ptr<SparseEmitter> columnsEmitter(KernelBuilder &b, const KernelRow &row,
                                              mlir::Value args);
std::unique_ptr<SparseEmitter> panelEmitter(KernelBuilder &b, const KernelRow &row,
                                            mlir::Value args);

/// The body of a TERN_SPARSE_KERNEL.
void emitSparseKernel(KernelBuilder &b, const KernelRow &row, mlir::Value args);

} // namespace tern

#endif // TERN_CODEGEN_SPARSEKERNEL_H
