//===- PackWeights.cpp - every weight's place in the weight section -------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/PackWeights.h"

#include "dialect/HeadScreen.h"
#include "passes/Passes.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

namespace tern {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Passes.h.inc"
} // namespace tern

Packing tern::packingOf(PackingAttr attribute) {
  return {static_cast<Packing::Kind>(attribute.getKind()), attribute.getRows(), attribute.getK()};
}

std::optional<int64_t> tern::packedWeightBytes(RankedTensorType type) {
  constexpr int64_t kMost = int64_t(1) << 62;
  if (!type.hasStaticShape() || type.getRank() < 1 || type.getRank() > 2)
    return std::nullopt;
  int64_t rows = type.getRank() == 2 ? type.getDimSize(0) : 1;
  int64_t columns = type.getShape().back();
  // Every layout below is at most this, so none of their products overflows.
  int64_t most = 0;
  if (rows > kMost / 1024 || columns > kMost / 1024 ||
      llvm::MulOverflow(rows + 1024, (columns + 1024) * 4, most) || most > kMost)
    return std::nullopt;

  if (auto encoding = dyn_cast_if_present<PackingAttr>(type.getEncoding()))
    return packingOf(encoding).packedBytes(rows, columns);
  if (auto encoding = dyn_cast_if_present<ScalesAttr>(type.getEncoding()))
    return roundUp(rows, encoding.getRows()) * columns * (type.getElementTypeBitWidth() / 8);
  if (auto encoding = dyn_cast_if_present<ScreenAttr>(type.getEncoding()))
    return HeadScreen{encoding.getBits()}.packedBytes(rows, columns);
  if (!isa<Float32Type, Float16Type, BFloat16Type>(type.getElementType()) || type.getEncoding())
    return std::nullopt;
  return rows * paddedRow(columns) * (type.getElementTypeBitWidth() / 8);
}

/// Writes the section to `path` by way of a temporary file.
static llvm::Error writeSection(ModuleOp module, StringRef folder, StringRef path) {
  llvm::Expected<WeightFiles> files = WeightFiles::open(module, folder);
  if (!files)
    return files.takeError();
  return llvm::writeToOutput(path, [&](raw_ostream &out) -> llvm::Error {
    uint64_t written = 0;
    auto advance = [&](uint64_t to) {
      for (; written < to; written += std::min<uint64_t>(to - written, 4096))
        out.write_zeros(std::min<uint64_t>(to - written, 4096));
    };
    llvm::Error failed =
        writeWeights(module, *files, [&](uint64_t offset, ArrayRef<uint8_t> bytes) {
          advance(offset);
          out.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
          written += bytes.size();
          return llvm::Error::success();
        });
    if (failed)
      return failed;
    advance(module->getAttrOfType<IntegerAttr>("ternary.weights_bytes").getInt());
    return llvm::Error::success();
  });
}

namespace {

struct PackWeights : tern::impl::PackWeightsBase<PackWeights> {
  using PackWeightsBase::PackWeightsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    eraseUnusedWeights(module);
    if (failed(layOut(module)))
      return signalPassFailure();
    if (output.empty())
      return;
    if (llvm::Error error = writeSection(module, folder, output)) {
      module.emitError(llvm::toString(std::move(error)));
      return signalPassFailure();
    }
  }

private:
  static void eraseUnusedWeights(ModuleOp module) {
    llvm::DenseSet<StringAttr> loaded;
    module.walk([&](LoadOp load) { loaded.insert(load.getWeightAttr().getAttr()); });
    for (auto weight : llvm::make_early_inc_range(module.getOps<WeightOp>()))
      if (!loaded.contains(weight.getSymNameAttr()))
        weight.erase();
  }

  static LogicalResult layOut(ModuleOp module) {
    Builder builder(module.getContext());
    int64_t end = 0;
    for (auto weight : module.getOps<WeightOp>()) {
      weight.removeSectionAttr();
      auto type = cast<RankedTensorType>(weight.getType());
      // ternary-verify-packed tells which op still wants them.
      if (isa<TritType>(type.getElementType()) && !type.getEncoding())
        continue;
      std::optional<int64_t> bytes = packedWeightBytes(type);
      if (!bytes)
        return weight.emitOpError("expected trits, or a vector or matrix of f32, f16 or bf16, of "
                                  "less than 2^62 bytes, got ")
               << type;
      int64_t offset = roundUp(end, kStorageAlignment);
      if (*bytes > (int64_t(1) << 62) - offset)
        return weight.emitOpError("expected less than 2^62 bytes of weights in all");
      weight.setSection(ArrayRef<int64_t>{offset, *bytes});
      end = offset + *bytes;
    }
    module->setAttr("ternary.weights_bytes",
                    builder.getI64IntegerAttr(roundUp(end, kStorageAlignment)));
    return success();
  }
};

} // namespace
