//===- WeightSummary.h - what a module's weights are, in short --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_WEIGHTSUMMARY_H
#define TERN_FRONTENDS_CLI_WEIGHTSUMMARY_H

#include "dialect/WeightReader.h"
#include "llvm/Support/JSON.h"

#include <optional>
#include <string>
#include <vector>

namespace tern::cli {

/// One weight, as `tern inspect` shows it.
struct WeightSummary {
  std::string name, type, source;
  uint64_t bytes = 0;              ///< in its file, or packed
  std::optional<double> zeroShare; ///< of a trit matrix
  std::optional<double> scale;     ///< of a trit matrix with one scale
};

/// The weights of `module` in order, each trit matrix together with its scale. `files` null:
/// without what their bytes say. `sampleRows` bounds the rows looked at (0: all); scales that would
/// need a pass over a whole matrix are then left out too.
llvm::Expected<std::vector<WeightSummary>>
summariseWeights(mlir::ModuleOp module, const WeightFiles *files, int64_t sampleRows,
                 llvm::function_ref<void(double fraction)> progress);

llvm::json::Array toJson(llvm::ArrayRef<WeightSummary> weights);
/// The inverse; entries that are no weights are left out.
std::vector<WeightSummary> fromJson(const llvm::json::Array &weights);
/// A table for people.
void print(llvm::ArrayRef<WeightSummary> weights, llvm::raw_ostream &out);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_WEIGHTSUMMARY_H
