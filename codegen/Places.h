//===- Places.h - where tensors lie, and code to get there ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_PLACES_H
#define TERN_CODEGEN_PLACES_H

#include "codegen/Phases.h"
#include "dialect/TernaryDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace tern {

/// Bytes of one cache for each position: keys and values.
int64_t cacheBytesPerPosition(ternary::KVCacheType cache);
/// Bytes from one row of a tensor to the next in the arena or the weights section
/// (dialect/Packing.h has the paddings); dense in a caller's buffers.
int64_t rowStride(mlir::RankedTensorType type, bool dense = false);

/// What a place's offset counts from.
enum class Base {
  Arena,   ///< frame->arena
  Weights, ///< frame->weights
  Input,   ///< the pointer at frame->inputs + offset
  Output,  ///< the pointer at frame->outputs + offset
  Cache    ///< frame->kv: in its first block of positions (CacheLayout)
};

/// Where a tensor or a cache lies.
struct Place {
  Base base = Base::Arena;
  mlir::Value dynamicOffset; ///< i64 bytes, or null
  int64_t offset = 0;        ///< bytes, added to it
  mlir::Value rows;          ///< i64; null for caches
  int64_t stride = 0;        ///< bytes from row to row
  bool wholeRows = true;     ///< row i of the place is row i of its root
  Region region;
};

/// An integer and pointer vocabulary; everything is i64 or !llvm.ptr.
class CodeBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  mlir::Type ptr() { return mlir::LLVM::LLVMPointerType::get(getContext()); }
  mlir::Value i64(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b);
  mlir::Value offset(mlir::Value pointer, mlir::Value bytes);
  mlir::Value offset(mlir::Value pointer, int64_t bytes);
  mlir::Value load(mlir::Type type, mlir::Value pointer, int64_t bytes = 0);
  void store(mlir::Value value, mlir::Value pointer, int64_t bytes = 0);
  /// `body(i)` for i = begin .. end - 1, in steps.
  void loop(mlir::Value begin, mlir::Value end, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
};

} // namespace tern

#endif // TERN_CODEGEN_PLACES_H
