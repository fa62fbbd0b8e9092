//===- Activity.h - how much of a ReLU-squared model counts -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_ACTIVITY_H
#define TERN_FRONTENDS_CLI_ACTIVITY_H

#include "frontends/cli/Support.h"

#include "dialect/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tern::cli {

/// "28,11", per cent, as shares; an error names what is wrong.
llvm::Expected<import::SyntheticActivity> parseActivity(llvm::StringRef text);

/// Of one layer, over all tokens.
struct LayerActivity {
  double openGates = 0;  ///< share of gates above 0
  double downInputs = 0; ///< share of quantized inputs of `down` that are not 0
};
/// Runs the checkpoint `path` in the interpreter on `ids`. One entry a layer with a ReLU-squared
/// gate; an error where there is none, or where `path` is a compiled library.
llvm::Expected<std::vector<LayerActivity>>
measureActivity(llvm::StringRef path, const CheckpointFlags &flags, llvm::ArrayRef<int32_t> ids);
void printActivity(llvm::ArrayRef<LayerActivity> layers, size_t tokens);

/// The arguments of a language model's entry: token ids, position 0 and `wanted` indices, empty
/// caches.
llvm::Expected<std::vector<RuntimeValue>> makeArguments(mlir::func::FuncOp entry,
                                                        llvm::ArrayRef<int32_t> ids);
mlir::func::FuncOp findEntryFunction(mlir::ModuleOp module);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_ACTIVITY_H
