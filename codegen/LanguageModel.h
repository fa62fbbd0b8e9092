//===- LanguageModel.h - what the runtime relies on -------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_LANGUAGEMODEL_H
#define TERN_CODEGEN_LANGUAGEMODEL_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tern/abi.h"
#include "llvm/Support/Error.h"

namespace tern {

/// The numbers of `ternary.model` that the runtime allocates by, within its own bounds.
llvm::Error readModelNumbers(mlir::DictionaryAttr model, tern_descriptor_t &numbers);

/// A language model is called with ids, position and wanted, and gives logits of `vocabulary`
/// columns for the last `wanted` rows. The runtime checks these three; that nothing they index lies
/// outside its buffers is checked here, once for all calls: rows that meet are equally many, slices
/// lie inside what they look into, caches are used at `position`.
llvm::Error checkLanguageModel(mlir::func::FuncOp entry, const tern_descriptor_t &numbers);

} // namespace tern

#endif // TERN_CODEGEN_LANGUAGEMODEL_H
