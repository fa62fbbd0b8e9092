//===- Kernels.h - the kernels of GPU targets -------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_GPU_KERNELS_H
#define TERN_CODEGEN_GPU_KERNELS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tern::gpu {

class GpuBuilder;

constexpr int64_t kSimdWidth = 32;
/// Rows of the packing's blocks that GPU kernels read.
constexpr int64_t kBlockRows = 16;
/// Token rows that one threadgroup of a product of several rows takes.
constexpr int64_t kTokens = 8;

enum class Element { I8, I32, F32, F16, BF16, Quad /**< four i32, 16-byte aligned */ };

/// What a kernel is called with and what it needs. The order of buffers and scalars is the order of
/// arguments.
struct KernelInfo {
  struct Buffer {
    std::string name;
    Element element;
    bool written = false;
  };
  struct Scalar {
    std::string name;
    bool isFloat = false;
  };

  std::string name, comment;
  std::vector<Buffer> buffers;
  std::vector<Scalar> scalars;
  int64_t threads = kSimdWidth; ///< of a threadgroup
  Element sharedElement = Element::I32;
  int64_t sharedCount = 0; ///< elements of threadgroup memory
  /// Items of the grid's two dimensions that a threadgroup takes; what an item is, `comment` says.
  int64_t itemsX = 1, itemsY = 1;
  void (*build)(GpuBuilder &b, const KernelInfo &info) = nullptr;

  int64_t sharedBytes() const { return sharedCount * (sharedElement == Element::Quad ? 16 : 4); }
};

/// Every kernel, in a fixed order.
const std::vector<KernelInfo> &allKernels();
/// Null for a name that is none.
const KernelInfo *findKernel(llvm::StringRef name);

/// A module with one gpu.module `tern` that holds the kernels `names`, all if it is empty, and the
/// functions they call.
mlir::OwningOpRef<mlir::ModuleOp> buildKernels(mlir::MLIRContext &context,
                                               llvm::ArrayRef<std::string> names = {});

} // namespace tern::gpu

#endif // TERN_CODEGEN_GPU_KERNELS_H
