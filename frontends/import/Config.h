//===- Config.h - config.json, checked --------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CONFIG_H
#define TERN_FRONTENDS_IMPORT_CONFIG_H

#include "frontends/import/CacheElement.h"
#include "frontends/import/HeadElement.h"
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
  Mlx,      ///< 2-bit codes, scales and biases of MLX
  Gguf,     ///< each tensor's type says it
};
llvm::StringRef describe(WeightForm form);

enum class GateFunction { Relu2, Silu };

/// What linear layers make of their input; numbered as ternary::Activations.
enum class ActivationMode {
  Int8,      ///< 8-bit integers with a scale a token: BitNet's definition
  Float,     ///< as it is: the definition of weight-only models
  Int8Per32, ///< 8-bit integers with a scale for each so many columns of a token
  Int8Per64,
  Int8Per128
};
llvm::StringRef describe(ActivationMode mode);

/// What is done to the rotary frequencies.
struct RopeScaling {
  enum class Kind { None, Linear, Llama3 };
  Kind kind = Kind::None;
  double factor = 1;
  double lowFactor = 1, highFactor = 4; ///< Llama3: bounds of the band that is blended
  int64_t original = 0;                 ///< Llama3: positions the model was trained on
};

/// What config.json or a GGUF file's metadata say, checked: every number is in range and they agree
/// with one another.
struct Config {
  const Family *family = nullptr;
  std::string architecture; ///< as the file spells it
  std::string dtype;        ///< empty when absent
  int64_t hidden = 0, layers = 0, heads = 0, kvHeads = 0, headSize = 0, feedForward = 0;
  int64_t vocabulary = 0, maxPositions = 0;
  float epsilon = 0;
  double ropeTheta = 0;
  RopeScaling ropeScaling;
  /// Rows of q and k are stored so that rotary pairs are neighbours (formats of GGUF).
  bool interleavedRope = false;
  ActivationMode activations = ActivationMode::Int8;
  int64_t mlxGroup = 0; ///< columns a scale in WeightForm::Mlx
  GateFunction gate = GateFunction::Relu2;
  CacheElement cache = CacheElement::F32;
  HeadElement head = HeadElement::Stored;
  std::optional<bool> tied; ///< absent: decided by whether the checkpoint has a head
  WeightForm form = WeightForm::Unstated;
  const char *place = "config.json"; ///< where sizes come from, for messages
  std::optional<int64_t> bos;
  llvm::SmallVector<int64_t, 4> eos;
};

llvm::Expected<Config> readConfig(const JsonDocument &document);

/// Rotary frequencies, radians a position: 1 / theta^(2 i / headSize) and their scaling. Each step
/// is rounded to binary32, as the reference does it.
std::vector<float> ropeFrequencies(const Config &config);

/// What numbers may be, wherever they were read.
namespace limits {
/// Sums of int8 times trit stay exact in binary32 up to this many columns.
constexpr int64_t kWidth = 132104;
constexpr int64_t kLayers = 10000;
constexpr int64_t kHeads = 65536;
/// float(position) must be exact, and token ids are int32.
constexpr int64_t kPositions = int64_t(1) << 24;
constexpr int64_t kVocabulary = int64_t(1) << 24;
} // namespace limits

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
