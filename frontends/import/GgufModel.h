//===- GgufModel.h - GGUF metadata as a Config ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_GGUFMODEL_H
#define TERN_FRONTENDS_IMPORT_GGUFMODEL_H

#include "frontends/import/Config.h"

namespace tern::import {

class GgufFile;

/// "int8_per_token" or "float", in files that Tern writes: no key of GGUF's own says it.
constexpr llvm::StringLiteral kActivationsKey = "tern.activations";

/// What the metadata say of the model, checked as readConfig checks config.json. What the metadata
/// leave open, the vocabulary and the precision of activations, follows from the tensors.
llvm::Expected<Config> readGgufConfig(const GgufFile &file);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_GGUFMODEL_H
