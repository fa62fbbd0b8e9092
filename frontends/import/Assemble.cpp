//===- Assemble.cpp - from a checked config to the imported model ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Assemble.h"

#include "frontends/import/Card.h"
#include "frontends/import/Decoder.h"
#include "frontends/import/families/Family.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::import {

static Error applyOptions(const ImportOptions &options, Config &config) {
  if (options.activations)
    config.activations = *options.activations == ternary::Activations::Float ? ActivationMode::Float
                                                                             : ActivationMode::Int8;
  if (!options.gate)
    return Error::success();
  config.gate =
      *options.gate == ternary::GateKind::Relu2 ? GateFunction::Relu2 : GateFunction::Silu;
  if (is_contained(config.family->gates, config.gate))
    return Error::success();
  return createStringError(inconvertibleErrorCode(), "models of the family " + config.family->name +
                                                         " have no such gate function");
}

Expected<ImportedModel> assemble(mlir::MLIRContext &context, AssembleInput input,
                                 const ImportOptions &options) {
  ActivationMode stated = input.config.activations;
  if (Error error = applyOptions(options, input.config))
    return error;
  Expected<DecodedModel> decoded =
      decodeModel(context, input.checkpoint, input.config, options.i2sLayout);
  if (!decoded)
    return decoded.takeError();
  ImportedModel model;
  model.module = buildModel(context, decoded->spec);
  if (failed(mlir::verify(*model.module)))
    return createStringError(inconvertibleErrorCode(), "the imported module does not verify");
  model.card = makeCard(
      {input.config, stated, input.generation, decoded->spec, decoded->summary, input.licence});
  return model;
}

} // namespace tern::import
