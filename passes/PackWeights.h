//===- PackWeights.h - layout and bytes of the weight section ---*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_PASSES_PACKWEIGHTS_H
#define TERN_PASSES_PACKWEIGHTS_H

#include "dialect/Packing.h"
#include "dialect/TernaryDialect.h"
#include "dialect/WeightReader.h"

#include <optional>

namespace tern {

/// Alignment of weights in the section and of buffers in the arena, in bytes.
constexpr int64_t kStorageAlignment = 64;

Packing packingOf(ternary::PackingAttr attribute);

/// Bytes of a weight of `type` in the packed section; none for trits without a packing, for ranks
/// other than 1 and 2, and for sizes beyond 2^62.
std::optional<int64_t> packedWeightBytes(mlir::RankedTensorType type);

/// Takes consecutive pieces of the section, at ascending offsets. What lies between two pieces is
/// zeros, for the taker to fill in.
using WeightSink = llvm::function_ref<llvm::Error(uint64_t offset, llvm::ArrayRef<uint8_t> bytes)>;
using WeightProgress = llvm::function_ref<void(uint64_t bytesDone, uint64_t bytesTotal)>;

/// Streams the packed weights of a module that ternary-pack-weights has laid out. Memory: a few row
/// blocks, whatever the size of a weight. The bytes do not depend on `threads`.
llvm::Error writeWeights(mlir::ModuleOp module, const WeightFiles &files, WeightSink sink,
                         WeightProgress progress = nullptr, unsigned threads = 2);

} // namespace tern

#endif // TERN_PASSES_PACKWEIGHTS_H
