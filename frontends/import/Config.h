//===- Config.h - config.json, checked --------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CONFIG_H
#define TERN_FRONTENDS_IMPORT_CONFIG_H

#include "frontends/import/Json.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>
#include <string>

namespace tern::import {

struct Family;

/// How linear weights are stored and what `weight_scale` means.
enum class WeightForm {
  Multiply, ///< trits (packed, or as floats); weight = trit * weight_scale
  Divide,   ///< trits (packed, or as floats); weight = trit / weight_scale
  Masters,  ///< float masters, quantized by absmean
  Unstated, ///< no quantization_config: only floats that are already ternary can be taken
};
llvm::StringRef describe(WeightForm form);

enum class GateFunction { Relu2, Silu };

/// What config.json says, checked: every number is in range and they agree with one another.
struct Config {
  const Family *family = nullptr;
  std::string architecture; ///< as the file spells it
  std::string dtype;        ///< empty when absent
  int64_t hidden = 0, layers = 0, heads = 0, kvHeads = 0, headSize = 0, feedForward = 0;
  int64_t vocabulary = 0, maxPositions = 0;
  float epsilon = 0;
  double ropeTheta = 0;
  GateFunction gate = GateFunction::Relu2;
  std::optional<bool> tied; ///< absent: decided by whether the checkpoint has a head
  WeightForm form = WeightForm::Unstated;
  std::optional<int64_t> bos;
  llvm::SmallVector<int64_t, 4> eos;
};

llvm::Expected<Config> readConfig(const JsonDocument &document);

/// Defaults of generation_config.json that samplers use; what is absent there stays absent.
struct Generation {
  std::optional<bool> sample;
  std::optional<double> temperature, topP, repetitionPenalty;
  std::optional<int64_t> topK, maxNewTokens;
  llvm::SmallVector<int64_t, 4> eos;
};
llvm::Expected<Generation> readGeneration(const JsonDocument &document, int64_t vocabulary);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_CONFIG_H
