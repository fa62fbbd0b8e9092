//===- Convert.h - models to GGUF files and Hugging Face folders -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_CONVERT_H
#define TERN_FRONTENDS_CONVERT_CONVERT_H

#include "frontends/import/Import.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace tern::convert {

enum class Target { TQ1_0, TQ2_0, I2S, HuggingFace };
/// "tq1_0", ..., "hf".
llvm::StringRef nameOf(Target target);

struct Options {
  Target target = Target::I2S;
  /// Scales that the target cannot hold are rounded; else they are an error.
  bool roundScales = false;
};

/// Writes `model`, which was imported from `in`, to `out`: a GGUF file, or a new folder. Trits and
/// scales stay what they are, bit for bit, or it is an error that names the tensor and the way out.
/// Nothing is left behind where it fails. Returns what else the output does not hold, a line each.
llvm::Expected<std::vector<std::string>> convertModel(import::ImportedModel &model,
                                                      llvm::StringRef in, llvm::StringRef out,
                                                      const Options &options);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_CONVERT_H
