//===- Explain.h - what a checkpoint is, before any work --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_EXPLAIN_H
#define TERN_FRONTENDS_CLI_EXPLAIN_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

namespace tern::cli {

/// Says what a GGUF file or a Hugging Face folder holds: architecture, tokenizer, chat template,
/// and how each class of tensors is encoded. Shows what it can of files that the importer refuses,
/// whose errors are the importer's to report. False where that is all: a vocabulary without a
/// model.
bool explainCheckpoint(llvm::StringRef path, llvm::raw_ostream &out);

/// Says from a model card what will run in which precision.
void explainPrecision(llvm::StringRef card, llvm::raw_ostream &out);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_EXPLAIN_H
