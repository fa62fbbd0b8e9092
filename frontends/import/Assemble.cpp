//===- Assemble.cpp - from a checked config to the imported model ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Assemble.h"

#include "dialect/HeadScreen.h"
#include "frontends/import/BlockBuilder.h"
#include "frontends/import/Card.h"
#include "frontends/import/Decoder.h"
#include "frontends/import/families/Family.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::import {

void setFree(const ImportOptions &options, Config &config) {
  config.cache = options.cache;
  config.head = options.head;
  static_assert(static_cast<int>(ActivationMode::Int8Per128) ==
                static_cast<int>(ternary::Activations::Int8Per128));
  if (options.activations)
    config.activations = static_cast<ActivationMode>(*options.activations);
}

Error checkActivations(const ModelSpec &spec) {
  int64_t group = ternary::activationGroup(spec.activations);
  if (!group)
    return Error::success();
  for (const LayerSpec &layer : spec.layers)
    for (const LayerSlot &slot : layerSlots(layer)) {
      if (!slot.linear)
        continue;
      int64_t columns = slot.linear->weight.type.getDimSize(1), scales = 1;
      if (slot.linear->scale && slot.linear->scale->type.getRank() == 2)
        scales = slot.linear->scale->type.getDimSize(1);
      if (columns / scales % group)
        return createStringError(inconvertibleErrorCode(),
                                 "activations with a scale for each " + Twine(group) +
                                     " columns: expected a divisor of the " +
                                     Twine(columns / scales) + " columns that share a scale of " +
                                     slot.name);
    }
  return Error::success();
}

Error checkHead(const ModelSpec &spec) {
  const int64_t columns = spec.storedHead().type.getDimSize(1);
  if (!isInteger(spec.headElement) || columns <= HeadScreen::kMaxColumns)
    return Error::success();
  return createStringError(inconvertibleErrorCode(),
                           Twine("a head of ") + describe(spec.headElement) +
                               ": expected a table of at most " + Twine(HeadScreen::kMaxColumns) +
                               " columns, found " + Twine(columns));
}

static Error applyOptions(const ImportOptions &options, Config &config) {
  setFree(options, config);
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
  if (Error error = checkActivations(decoded->spec))
    return error;
  if (Error error = checkHead(decoded->spec))
    return error;
  ImportedModel model;
  model.module = buildModel(context, decoded->spec);
  if (failed(mlir::verify(*model.module)))
    return createStringError(inconvertibleErrorCode(), "the imported module does not verify");
  model.card = makeCard(
      {input.config, stated, input.generation, decoded->spec, decoded->summary, input.licence});
  return model;
}

} // namespace tern::import
