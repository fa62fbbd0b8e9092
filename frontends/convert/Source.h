//===- Source.h - what is converted -----------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_SOURCE_H
#define TERN_FRONTENDS_CONVERT_SOURCE_H

#include "dialect/WeightReader.h"
#include "frontends/import/Config.h"
#include "frontends/import/Import.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/JSON.h"

namespace tern::convert {

/// What a module and its card say about a decoder, and its weights.
struct Source {
  mlir::ModuleOp module;
  WeightFiles files;
  llvm::StringMap<ternary::WeightOp> weights;
  std::vector<std::string> order; ///< names, as the module has them
  /// Family, sizes, gate, epsilon, activations, rotary base and scaling.
  import::Config config;
  /// The frequencies of the module.
  std::vector<float> frequencies;

  /// Turns masters into trits first.
  static llvm::Expected<Source> open(import::ImportedModel &model, const llvm::json::Object &card);

  bool floatActivations() const { return config.activations == import::ActivationMode::Float; }
  bool isTrits(llvm::StringRef name) const;
  mlir::Type element(llvm::StringRef name) const;
  /// [rows, columns], or [elements].
  llvm::ArrayRef<int64_t> shape(llvm::StringRef name) const;
  llvm::Expected<WeightReader> reader(llvm::StringRef name) const;
};

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_SOURCE_H
