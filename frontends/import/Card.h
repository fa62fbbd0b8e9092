//===- Card.h - what a model is, as JSON ------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CARD_H
#define TERN_FRONTENDS_IMPORT_CARD_H

#include "frontends/import/Config.h"
#include "frontends/import/Weights.h"

#include <string>

namespace tern::import {

/// The card of `tern inspect`; frontends/import/README.md lists its keys. A function of the
/// checkpoint only.
struct CardParts {
  const Config &config;
  ActivationMode stated; ///< the model's own activations, whatever runs
  const Generation &generation;
  const ModelSpec &spec;
  const WeightSummary &weights;
  llvm::StringRef licence;
};
std::string makeCard(const CardParts &parts);

/// The `license:` line of a Hugging Face README's front matter, or nothing.
std::string readLicence(llvm::StringRef readme);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_CARD_H
