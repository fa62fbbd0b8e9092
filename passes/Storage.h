//===- Storage.h - which values live in the arena ---------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_PASSES_STORAGE_H
#define TERN_PASSES_STORAGE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>

namespace tern {

/// The function that the runtime calls.
bool isEntry(mlir::func::FuncOp function);

/// Whether a result is made somewhere, rather than found in the weights or in another buffer
/// (ternary.load, tensor.extract_slice) or held in a register (indices).
bool needsStorage(mlir::OpResult result);

/// Whether a result is returned and made where its function's result goes: for a call, in the
/// storage that the caller has for it; for the entry, in the runtime's buffer, whose rows are
/// dense, if its rows need no padding or (ternary.head) none is written.
bool livesInCaller(mlir::OpResult result);

/// Whether the caller's tensor is copied into the arena; ids, caches and indices are used in place.
bool needsStorage(mlir::BlockArgument entryArgument);

/// Bytes of a tensor in the arena with padded rows, `maxRows` for a dynamic first dimension, a
/// multiple of kStorageAlignment; none for types that have no place there.
std::optional<int64_t> storageBytes(mlir::Type type, int64_t maxRows);

} // namespace tern

#endif // TERN_PASSES_STORAGE_H
