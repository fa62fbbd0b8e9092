//===- Import.h - checkpoint to module --------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_IMPORT_H
#define TERN_FRONTENDS_IMPORT_IMPORT_H

#include "dialect/TernaryDialect.h"
#include "frontends/import/CacheElement.h"
#include "frontends/import/HeadElement.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace tern::import {

/// What a checkpoint becomes: IR that names its weights, and the two byte blobs that travel with
/// it.
struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string folder;                ///< where `ternary.files` are
  std::string tokenizerBlob;         ///< tern/tokenizer_blob.h; empty when the model has none
  std::string card;                  ///< JSON: family, sizes, tokens, sampling defaults, licence
  std::vector<std::string> warnings; ///< what is odd but harmless
};

/// Shares of open gates (up to a half) and of inputs of `down` that are not zero, both for random
/// tokens; the second is reached about, and at most where quantization leaves that many.
struct SyntheticActivity {
  double gates = 0.5, inputs = 1;
};

/// What a checkpoint does not say, or what is to be done otherwise than it says.
struct ImportOptions {
  std::optional<ternary::Activations> activations; ///< of linear layers
  std::optional<ternary::GateKind> gate;
  /// How tensors of GGUF's type I2_S lie: I2S, I2SL64 or I2SL4Row. No file tells.
  ternary::Encoding i2sLayout = ternary::Encoding::I2S;
  CacheElement cache = CacheElement::F32;
  HeadElement head = HeadElement::Stored;
  /// Of synthetic models with ReLU-squared gates and a norm behind them.
  std::optional<SyntheticActivity> activity;
};

/// Imports the checkpoint at `path`: a Hugging Face folder or a file in it, or a GGUF file.
/// Validates everything before it builds IR; weights stay in their files. Errors name file, place,
/// expected and found.
llvm::Expected<ImportedModel> importModel(mlir::MLIRContext &context, llvm::StringRef path,
                                          const ImportOptions &options = {});

/// A model of random weights in a known shape ("bitnet-2b4t", "bitnet-0.7b", ...), no file needed
/// and no tokenizer. Of the options, activations, cache, head and activity count.
llvm::Expected<ImportedModel> syntheticModel(mlir::MLIRContext &context, llvm::StringRef shape,
                                             const ImportOptions &options = {});
/// The names syntheticModel knows.
llvm::ArrayRef<llvm::StringRef> syntheticShapes();

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_IMPORT_H
