//===- ModelCase.h - a module, its arguments, its true results --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_CODEGEN_MODELCASE_H
#define TERN_TESTS_CODEGEN_MODELCASE_H

#include "codegen/Compiler.h"
#include "mlir/IR/OwningOpRef.h"
#include "tests/support/RunForward.h"

#include <string>
#include <vector>

namespace tern::test {

/// Dense arguments of one call, in the order of the function's arguments.
struct CallArguments {
  int64_t rows = 1;
  std::vector<std::vector<float>> floats; ///< one of these two is empty for each tensor argument
  std::vector<std::vector<int32_t>> ids;
  std::vector<int64_t> indices;
};
using CallResults = std::vector<std::vector<float>>;

/// A module at the import stage, and calls of its entry that go on from one to the next.
class ModelCase {
public:
  explicit ModelCase(const std::string &text);
  mlir::ModuleOp module() { return *parsed; }
  /// A fresh copy, for a compiler to change.
  mlir::OwningOpRef<mlir::ModuleOp> copy();

  /// Seeded arguments; `position` and `wanted` for the indices.
  CallArguments arguments(uint64_t seed, int64_t rows, int64_t position, int64_t wanted);
  /// What the interpreter says of the calls, one after the other.
  std::vector<CallResults> interpret(const std::vector<CallArguments> &calls);
  /// What compiled code says of them.
  std::vector<CallResults> run(const tern_descriptor_t *descriptor, const uint8_t *payload,
                               uint32_t variant, uint32_t threads,
                               const std::vector<CallArguments> &calls,
                               Schedule schedule = Schedule::Together);
  int64_t capacity = 64; ///< positions of the caches of compiled code

private:
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> parsed;
};

/// Bit patterns of all results, and the first place where two runs differ.
std::string difference(const std::vector<CallResults> &expected,
                       const std::vector<CallResults> &found);

} // namespace tern::test

#endif // TERN_TESTS_CODEGEN_MODELCASE_H
