//===- ModelBuilder.h - decoder models as IR --------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_MODELBUILDER_H
#define TERN_FRONTENDS_IMPORT_MODELBUILDER_H

#include "dialect/TernaryDialect.h"
#include "frontends/import/CacheElement.h"
#include "frontends/import/HeadElement.h"
#include "mlir/IR/OwningOpRef.h"

#include <optional>
#include <string>
#include <vector>

namespace tern::import {

/// A weight with the type the IR gives it.
struct WeightSpec {
  mlir::RankedTensorType type;
  ternary::SourceAttr source;
};

/// A ternary linear layer: trits and their scale, or (without a scale) float masters.
struct LinearSpec {
  WeightSpec weight;
  std::optional<WeightSpec> scale;
};

struct LayerSpec {
  WeightSpec attentionNorm;
  LinearSpec query, key, value;
  std::optional<WeightSpec> queryNorm, keyNorm; ///< of each head
  std::optional<WeightSpec> attentionSubNorm;
  LinearSpec output;
  WeightSpec feedForwardNorm;
  LinearSpec gate, up;
  std::optional<WeightSpec> feedForwardSubNorm;
  LinearSpec down;
};

/// A decoder whose every size has been checked: building IR from it cannot fail.
struct ModelSpec {
  std::string architecture; ///< the family's name
  std::vector<std::string> files;
  int64_t hidden = 0, heads = 0, kvHeads = 0, headSize = 0, feedForward = 0;
  int64_t vocabulary = 0, maxPositions = 0;
  float epsilon = 0;
  ternary::GateKind gate = ternary::GateKind::Relu2;
  ternary::Activations activations = ternary::Activations::Int8PerToken;
  CacheElement cache = CacheElement::F32;
  HeadElement headElement = HeadElement::Stored;
  std::vector<float> frequencies; ///< headSize / 2, radians a position
  WeightSpec embedding, outputNorm;
  std::optional<WeightSpec> head; ///< absent: the embedding
  std::vector<LayerSpec> layers;

  /// The head's table as the checkpoint has it.
  const WeightSpec &storedHead() const { return head ? *head : embedding; }
};

/// The module of the "import" stage; loads the dialects it needs.
mlir::OwningOpRef<mlir::ModuleOp> buildModel(mlir::MLIRContext &context, const ModelSpec &spec);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_MODELBUILDER_H
