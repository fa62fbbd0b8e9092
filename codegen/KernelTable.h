//===- KernelTable.h - which ternary kernels there are ----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_KERNELTABLE_H
#define TERN_CODEGEN_KERNELTABLE_H

#include "codegen/Acts.h"
#include "codegen/Target.h"
#include "dialect/Packing.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <memory>
#include <string>

namespace tern {

class ByteDot;
class DotTile;

/// A row of KernelTable.inc: a `tern_matmul_fn` (abi.h) that can be emitted into a module.
struct KernelRow {
  const char *name;     ///< "matmul_two_bit_1x16x16_avx512vnni"
  uint64_t cpuFeatures; ///< TERN_CPU_* it needs
  Packing packing;
  Acts acts;
  int64_t mr;                                       ///< token rows of the widest tile; 1: GEMV
  std::unique_ptr<DotTile> (*makeTile)(int64_t mr); ///< null: a sparse kernel
  std::unique_ptr<ByteDot> (*makeDot)() = nullptr;  ///< of sparse kernels
  const char *panelKernel = nullptr; ///< row that a sparse GEMM unpacks for; NULL for a GEMV

  bool isGemv() const { return mr == 1; }
};

/// All rows; for each packing, best first.
llvm::ArrayRef<KernelRow> allKernels();
/// NULL for a name that is not in the table.
const KernelRow *findKernel(llvm::StringRef name);

/// The best row for packing and activations that the target can run, or NULL. `why` gets one
/// sentence: the rows refused and the reason, empty when the first was taken.
const KernelRow *selectKernel(const Target &target, const Packing &packing, Acts acts, bool gemv,
                              std::string *why = nullptr);

/// Adds the kernel to the module as a function called `symbol`. Its body is of the dialects
/// scf, arith, vector and llvm; the context must have them loaded (loadKernelDialects).
mlir::LLVM::LLVMFuncOp emitKernel(mlir::ModuleOp module, const KernelRow &row,
                                  llvm::StringRef symbol);
void loadKernelDialects(mlir::MLIRContext &context);
/// Lowers emitted kernels to the LLVM dialect alone.
llvm::LogicalResult lowerKernelsToLLVM(mlir::ModuleOp module);

} // namespace tern

#endif // TERN_CODEGEN_KERNELTABLE_H
