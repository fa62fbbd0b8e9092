//===- Payload.h - weights, tokenizer and card as one block -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_PAYLOAD_H
#define TERN_CODEGEN_PAYLOAD_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <array>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace tern {

/// Takes bytes at ascending offsets; what lies between two pieces is zeros.
using ByteSink = llvm::function_ref<llvm::Error(uint64_t offset, llvm::ArrayRef<uint8_t>)>;

/// What goes into a payload (abi.h has its layout). Blobs are borrowed.
struct PayloadInfo {
  std::array<uint8_t, 16> layoutId{};
  llvm::StringRef tokenizer; ///< no section when empty
  llvm::StringRef card;      ///< no section when empty
  /// Kinds of abi.h and gpu_plan.h with their bytes.
  std::vector<std::pair<uint32_t, llvm::StringRef>> more;
  uint64_t weightsBytes = 0;
  uint64_t screenedBytes = 0; ///< of them, at the end: a table that is read a few rows at a time
  /// Streams the weights.
  std::function<llvm::Error(ByteSink)> writeWeights;

  uint64_t weightsOffset() const; ///< 4096-aligned, the last section
  uint64_t totalBytes() const { return weightsOffset() + weightsBytes; }
};

/// Identifies what the code knows about the weights: XXH3-128 of the name, type and section of each
/// weight of a packed module, in order, and of the tokenizer. Other values of the same weights
/// keep it, so that a sidecar can be replaced alone.
std::array<uint8_t, 16> layoutId(mlir::ModuleOp module, llvm::StringRef tokenizer);

/// A place of totalBytes() zeros to write to, in any order; `offset` counts from its first byte.
using PayloadWriter = llvm::function_ref<llvm::Error(uint64_t offset, llvm::ArrayRef<uint8_t>)>;

/// Writes a whole payload: the weights streamed and hashed on the way, the header last, so that an
/// interrupted payload has no magic.
llvm::Error writePayload(const PayloadInfo &info, PayloadWriter write);

} // namespace tern

#endif // TERN_CODEGEN_PAYLOAD_H
