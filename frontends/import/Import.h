//===- Import.h - checkpoint to module --------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_IMPORT_H
#define TERN_FRONTENDS_IMPORT_IMPORT_H

#include "dialect/TernaryDialect.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern::import {

/// What a checkpoint becomes: IR that names its weights, and the two byte blobs that travel with it.
struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string folder;        ///< where `ternary.files` are
  std::string tokenizerBlob; ///< tern/tokenizer_blob.h; empty when the model has none
  std::string card;          ///< JSON: family, sizes, tokens, sampling defaults, licence
};

/// Imports the checkpoint at `path` (a Hugging Face folder, or a file in it). Validates everything before it builds IR; weights
/// stay in their files. Errors name file, place, expected and found.
llvm::Expected<ImportedModel> importModel(mlir::MLIRContext &context, llvm::StringRef path);

/// A model of random weights in a known shape ("bitnet-2b4t", "bitnet-0.7b", ...), no file needed and no tokenizer.
llvm::Expected<ImportedModel> syntheticModel(mlir::MLIRContext &context, llvm::StringRef shape);
/// The names syntheticModel knows.
llvm::ArrayRef<llvm::StringRef> syntheticShapes();

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_IMPORT_H
