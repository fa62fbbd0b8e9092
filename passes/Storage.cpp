//===- Storage.cpp - which values live in the arena -----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Storage.h"

#include "dialect/Packing.h"
#include "passes/PackWeights.h"
#include "passes/Passes.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tern;

bool tern::isEntry(func::FuncOp function) { return function->hasAttr("ternary.entry"); }

bool tern::needsStorage(OpResult result) {
  return isa<TensorType>(result.getType()) &&
         !isa<ternary::LoadOp, tensor::ExtractSliceOp>(result.getOwner());
}

bool tern::livesInCaller(OpResult result) {
  Operation *op = result.getOwner();
  auto function = op->getParentOfType<func::FuncOp>();
  if (!function ||
      llvm::none_of(result.getUsers(), [](Operation *user) { return isa<func::ReturnOp>(user); }))
    return false;
  if (!isEntry(function))
    return true;
  auto type = dyn_cast<RankedTensorType>(result.getType());
  bool dense = isa<ternary::HeadOp>(op) ||
               (type && type.getRank() == 2 && type.getDimSize(1) % kRowPadding == 0);
  return dense && !isa<func::CallOp>(op) && result.hasOneUse();
}

bool tern::needsStorage(BlockArgument entryArgument) {
  auto type = dyn_cast<RankedTensorType>(entryArgument.getType());
  return type && !(type.getRank() == 1 && type.getElementType().isInteger(32));
}

/// Bytes of one row; of one element for vectors.
static std::optional<int64_t> rowBytes(RankedTensorType type) {
  Type element = type.getElementType();
  if (type.getRank() == 1 && (element.isF32() || element.isInteger(32)))
    return 4;
  if (type.getRank() != 2 || type.isDynamicDim(1) || type.getDimSize(1) > (int64_t(1) << 40))
    return std::nullopt;
  if (element.isF32())
    return paddedRow(type.getDimSize(1)) * 4;
  if (element.isInteger(8))
    return paddedActs(type.getDimSize(1));
  if (element.isInteger(32))
    return type.getDimSize(1) * 4;
  return std::nullopt;
}

std::optional<int64_t> tern::storageBytes(Type type, int64_t maxRows) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || tensor.getEncoding() || tensor.getRank() < 1)
    return std::nullopt;
  std::optional<int64_t> row = rowBytes(tensor);
  int64_t rows = tensor.isDynamicDim(0) ? maxRows : tensor.getDimSize(0), bytes = 0;
  if (!row || llvm::MulOverflow(*row, rows, bytes) || bytes > (int64_t(1) << 48))
    return std::nullopt;
  return roundUp(bytes, kStorageAlignment);
}
