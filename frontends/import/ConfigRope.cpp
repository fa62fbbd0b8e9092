//===- ConfigRope.cpp - rotary frequencies of a config.json --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/ConfigParts.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace llvm;

namespace tern::import {

static Error readLlama3(const Json &rope, RopeScaling &scaling) {
  Fields fields(rope);
  fields.positive(rope, "low_freq_factor", scaling.lowFactor);
  fields.positive(rope, "high_freq_factor", scaling.highFactor);
  fields.integer("original_max_position_embeddings", scaling.original, limits::kPositions);
  if (Error error = fields.finish())
    return error;
  if (!(scaling.lowFactor < scaling.highFactor))
    return rope.find("high_freq_factor")
        ->error("expected more than low_freq_factor " + shown(scaling.lowFactor));
  return Error::success();
}

/// `rope` is rope_scaling or rope_parameters.
static Error readScaling(const Json &rope, RopeScaling &scaling) {
  if (Expected<ArrayRef<Json::Member>> members = rope.object(); !members)
    return members.takeError();
  for (StringRef key : {"rope_type", "type"}) {
    Expected<StringRef> name = rope.getStringOr(key, "default");
    if (!name)
      return name.takeError();
    auto kind = StringSwitch<std::optional<RopeScaling::Kind>>(*name)
                    .Case("default", RopeScaling::Kind::None)
                    .Case("linear", RopeScaling::Kind::Linear)
                    .Case("llama3", RopeScaling::Kind::Llama3)
                    .Default(std::nullopt);
    if (!kind)
      return rope.find(key)->error("rope scaling \"" + *name +
                                   "\" is not supported; expected \"default\", \"linear\" or "
                                   "\"llama3\"");
    if (scaling.kind == RopeScaling::Kind::None)
      scaling.kind = *kind;
  }
  if (const Json *factor = rope.find("factor"); factor && scaling.kind == RopeScaling::Kind::None)
    return factor->error("expected no factor where rope_type is \"default\"");
  if (scaling.kind != RopeScaling::Kind::None) {
    Fields fields(rope);
    fields.positive(rope, "factor", scaling.factor);
    if (Error error = fields.finish())
      return error;
  }
  if (scaling.kind == RopeScaling::Kind::Llama3)
    if (Error error = readLlama3(rope, scaling))
      return error;
  return refuseUnsupported(rope);
}

void readRope(const Json &root, Config &config, Fields &fields) {
  if (const Json *scaling = root.find("rope_scaling"))
    if (Error error = readScaling(*scaling, config.ropeScaling))
      return fields.fail(std::move(error));
  const Json *parameters = root.find("rope_parameters");
  if (parameters)
    if (Error error = readScaling(*parameters, config.ropeScaling))
      return fields.fail(std::move(error));
  const Json *nested = parameters ? parameters->find("rope_theta") : nullptr;
  fields.positive(nested ? *parameters : root, "rope_theta", config.ropeTheta);
  const Json *outer = root.find("rope_theta");
  if (!nested || !outer)
    return;
  double other = 0;
  fields.positive(root, "rope_theta", other);
  if (other != config.ropeTheta)
    fields.fail(outer->error("rope_theta is " + shown(other) + " here and " +
                             shown(config.ropeTheta) + " in rope_parameters"));
}

/// Wavelengths beyond original / low are stretched by the factor, those below original / high stay,
/// and between the two a blend is taken.
static float llama3Frequency(float frequency, const RopeScaling &scaling) {
  constexpr double kTau = 6.283185307179586;
  double wavelength = kTau / frequency, original = static_cast<double>(scaling.original);
  if (wavelength < original / scaling.highFactor)
    return frequency;
  if (wavelength > original / scaling.lowFactor)
    return static_cast<float>(frequency / scaling.factor);
  double smooth =
      (original / wavelength - scaling.lowFactor) / (scaling.highFactor - scaling.lowFactor);
  return static_cast<float>((1 - smooth) * (frequency / scaling.factor) + smooth * frequency);
}

std::vector<float> ropeFrequencies(const Config &config) {
  std::vector<float> frequencies(config.headSize / 2);
  for (size_t i = 0; i < frequencies.size(); ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(config.headSize);
    // The power in binary64, rounded once: what a good powf gives, on every machine.
    float frequency =
        1.0f / static_cast<float>(std::pow(config.ropeTheta, static_cast<double>(exponent)));
    if (config.ropeScaling.kind == RopeScaling::Kind::Linear)
      frequency = static_cast<float>(frequency / config.ropeScaling.factor);
    if (config.ropeScaling.kind == RopeScaling::Kind::Llama3)
      frequency = llama3Frequency(frequency, config.ropeScaling);
    frequencies[i] = frequency;
  }
  return frequencies;
}

} // namespace tern::import
