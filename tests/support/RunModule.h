//===- RunModule.h - parse, transform and interpret a module ----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_RUNMODULE_H
#define TERN_TESTS_SUPPORT_RUNMODULE_H

#include "dialect/Interpreter.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace tern::test {

/// A context with the dialects of the pipeline loaded.
std::unique_ptr<mlir::MLIRContext> makeContext();

mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context, const std::string &text);

/// Runs a text pipeline such as "ternary-prepare{max-rows=8}"; false if it fails.
bool runPipeline(mlir::ModuleOp module, const std::string &pipeline);

/// Interprets the entry function on seeded arguments of `rows` rows, twice (the second call goes on
/// where the first one left the caches), and returns all results in order. Indices are the position
/// and then the number of wanted rows. Weights must be `random`. Prints the error if there is one.
std::vector<float> runEntry(mlir::ModuleOp module, uint64_t seed, int64_t rows);

/// The module's text.
std::string print(mlir::Operation *op);

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_RUNMODULE_H
