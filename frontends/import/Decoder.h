//===- Decoder.h - tensors of a checkpoint as a model -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_DECODER_H
#define TERN_FRONTENDS_IMPORT_DECODER_H

#include "frontends/import/Weights.h"

namespace tern::import {

struct DecodedModel {
  ModelSpec spec;
  WeightSummary summary;
};

/// The sizes, gate and frequencies that `config` states; no weights.
ModelSpec emptySpec(const Config &config);

/// Finds the tensors of every layer by the names of config.family. Errors name what is missing,
/// what does not fit `config`, and what is left over.
llvm::Expected<DecodedModel> decodeModel(mlir::MLIRContext &context, const Checkpoint &checkpoint,
                                         const Config &config, ternary::Encoding i2sLayout);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_DECODER_H
