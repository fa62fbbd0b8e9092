//===- Assemble.h - from a checked config to the imported model -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_ASSEMBLE_H
#define TERN_FRONTENDS_IMPORT_ASSEMBLE_H

#include "frontends/import/Config.h"
#include "frontends/import/Import.h"
#include "frontends/import/ModelBuilder.h"
#include "frontends/import/Safetensors.h"

namespace tern::import {

struct AssembleInput {
  const Checkpoint &checkpoint;
  Config config;
  const Generation &generation;
  llvm::StringRef licence;
};

/// Applies `options`, finds the weights, builds the module and its card. Folder, tokenizer and
/// template are the caller's.
llvm::Expected<ImportedModel> assemble(mlir::MLIRContext &context, AssembleInput input,
                                       const ImportOptions &options);

/// What `options` say and no file needs to agree with: activations, the cache and the head's
/// elements.
void setFree(const ImportOptions &options, Config &config);
/// Whether the scales of the weights allow activations with a scale a group.
llvm::Error checkActivations(const ModelSpec &spec);
/// Whether the head's table may have the elements that were asked for.
llvm::Error checkHead(const ModelSpec &spec);

/// Imports a GGUF file.
llvm::Expected<ImportedModel> importGguf(mlir::MLIRContext &context, llvm::StringRef path,
                                         const ImportOptions &options);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_ASSEMBLE_H
