//===- Config.cpp - config.json, checked ----------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/ConfigParts.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <cstdio>

using namespace llvm;

namespace tern::import {

std::string shown(double number) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", number);
  return text;
}

void Fields::positive(const Json &object, StringRef key, double &out) {
  take(object.getNumber(key), out);
  if (failure.empty() && !(out > 0 && std::isfinite(out)))
    fail((*object.get(key))->error("expected a finite number above 0, found " + shown(out)));
}

void Fields::fail(Error error) {
  std::string text = toString(std::move(error));
  if (failure.empty())
    failure = std::move(text);
}

Error Fields::finish() const {
  return failure.empty() ? Error::success()
                         : createStringError(inconvertibleErrorCode(), Twine(failure));
}

StringRef describe(WeightForm form) {
  switch (form) {
  case WeightForm::Multiply:
    return "trits, multiplied by weight_scale";
  case WeightForm::Divide:
    return "trits, divided by weight_scale";
  case WeightForm::Masters:
    return "float masters, quantized by absmean";
  case WeightForm::Unstated:
    return "floats that are already ternary";
  case WeightForm::Mlx:
    return "MLX 2-bit codes, scales and biases";
  case WeightForm::Gguf:
    return "GGUF tensor types";
  }
  llvm_unreachable("all forms are handled");
}

StringRef describe(ActivationMode mode) {
  switch (mode) {
  case ActivationMode::Int8:
    return "int8_per_token";
  case ActivationMode::Float:
    return "float";
  case ActivationMode::Int8Per32:
    return "int8_per_32";
  case ActivationMode::Int8Per64:
    return "int8_per_64";
  case ActivationMode::Int8Per128:
    return "int8_per_128";
  }
  llvm_unreachable("all modes are handled");
}

static Error readArchitecture(const Json &root, Config &config) {
  Expected<ArrayRef<Json>> names = root.getArray("architectures");
  if (!names)
    return names.takeError();
  if (names->size() != 1)
    return (*root.get("architectures"))
        ->error("expected one class name, found " + Twine(names->size()));
  Expected<StringRef> name = names->front().string();
  if (!name)
    return name.takeError();
  config.architecture = name->str();
  config.family = findFamily(*name);
  if (StringRef reason = whyRefused(*name); !reason.empty())
    return names->front().error("\"" + *name + "\" " + reason);
  if (!config.family)
    return names->front().error("\"" + *name + "\" is not an architecture this importer knows (" +
                                knownArchitectures() +
                                "); its blocks may differ in ways that the tensors do not show");
  return Error::success();
}

Error refuseUnsupported(const Json &root) {
  for (StringRef key : {"attention_bias", "mlp_bias", "qkv_bias", "bias", "use_sliding_window"}) {
    Expected<bool> on = root.getBooleanOr(key, false);
    if (!on)
      return on.takeError();
    if (*on)
      return root.find(key)->error("expected false: this importer has no blocks with it");
  }
  if (const Json *window = root.find("sliding_window"); window && !root.find("use_sliding_window"))
    return window->error("expected null: sliding-window attention is not supported");
  if (const Json *types = root.find("layer_types")) {
    Expected<ArrayRef<Json>> kinds = types->array();
    if (!kinds)
      return kinds.takeError();
    for (const Json &kind : *kinds) {
      Expected<StringRef> name = kind.string();
      if (!name)
        return name.takeError();
      if (*name != "full_attention")
        return kind.error("expected \"full_attention\", found \"" + *name + "\"");
    }
  }
  Expected<double> partial = root.getNumberOr("partial_rotary_factor", 1);
  if (!partial)
    return partial.takeError();
  if (*partial != 1)
    return root.find("partial_rotary_factor")
        ->error("expected 1: rotary embedding of a part of each head is not supported");
  return Error::success();
}

static void readShape(const Json &root, Config &config, Fields &fields) {
  fields.integer("hidden_size", config.hidden, limits::kWidth);
  fields.integer("num_hidden_layers", config.layers, limits::kLayers);
  fields.integer("num_attention_heads", config.heads, limits::kHeads);
  fields.integer("intermediate_size", config.feedForward, limits::kWidth);
  fields.integer("vocab_size", config.vocabulary, limits::kVocabulary);
  fields.integer("max_position_embeddings", config.maxPositions, limits::kPositions);
  fields.take(root.getIntegerOr("num_key_value_heads", config.heads, 1, limits::kHeads),
              config.kvHeads);
  fields.take(root.getIntegerOr("head_dim", 0, 1, limits::kWidth), config.headSize);
  double epsilon = 0;
  fields.positive(root, "rms_norm_eps", epsilon);
  config.epsilon = static_cast<float>(epsilon);
}

/// Numbers that are each in range must also fit together.
static Error checkShape(const Json &root, Config &config) {
  if (config.epsilon == 0 || config.epsilon > 1)
    return (*root.get("rms_norm_eps"))
        ->error("expected a number up to 1 that is not 0 as a 32-bit float");
  if (config.heads % config.kvHeads)
    return root.find("num_key_value_heads")
        ->error("expected a divisor of " + Twine(config.heads) + " attention heads, found " +
                Twine(config.kvHeads));
  if (!config.headSize) {
    if (config.hidden % config.heads)
      return (*root.get("hidden_size"))
          ->error("expected a multiple of " + Twine(config.heads) +
                  " attention heads where there is no head_dim, found " + Twine(config.hidden));
    config.headSize = config.hidden / config.heads;
  }
  if (config.headSize % 2)
    return root.error("expected an even head size for rotary embedding, found " +
                      Twine(config.headSize));
  if (config.headSize > limits::kWidth / config.heads)
    return root.error("expected at most " + Twine(limits::kWidth) +
                      " columns in all heads, found " + Twine(config.heads) + " heads of size " +
                      Twine(config.headSize));
  return Error::success();
}

static void readGate(const Json &root, Config &config, Fields &fields) {
  Expected<StringRef> name = root.getString("hidden_act");
  if (!name)
    return fields.fail(name.takeError());
  auto gate = StringSwitch<std::optional<GateFunction>>(*name)
                  .Case("relu2", GateFunction::Relu2)
                  .Case("silu", GateFunction::Silu)
                  .Default(std::nullopt);
  if (!gate || !is_contained(config.family->gates, *gate))
    return fields.fail(root.find("hidden_act")
                           ->error(Twine(is_contained(config.family->gates, GateFunction::Relu2)
                                             ? "expected relu2 or silu"
                                             : "expected silu") +
                                   ", found \"" + *name + "\""));
  config.gate = *gate;
}

Error readTokens(const Json &root, StringRef key, int64_t vocabulary,
                 SmallVectorImpl<int64_t> &out) {
  const Json *tokens = root.find(key);
  if (!tokens)
    return Error::success();
  ArrayRef<Json> items = ArrayRef<Json>(*tokens);
  if (tokens->isArray())
    items = *tokens->array();
  constexpr size_t kMaxTokens = 256;
  if (items.size() > kMaxTokens)
    return tokens->error("expected at most " + Twine(kMaxTokens) + " ids, found " +
                         Twine(items.size()));
  for (const Json &item : items) {
    Expected<int64_t> id = item.integer(0, vocabulary - 1);
    if (!id)
      return id.takeError();
    out.push_back(*id);
  }
  return Error::success();
}

static Error readRest(const Json &root, Config &config) {
  if (root.find("tie_word_embeddings")) {
    Expected<bool> tied = root.getBoolean("tie_word_embeddings");
    if (!tied)
      return tied.takeError();
    config.tied = *tied;
  }
  for (StringRef key : {"dtype", "torch_dtype"}) {
    Expected<StringRef> dtype = root.getStringOr(key, "");
    if (!dtype)
      return dtype.takeError();
    if (config.dtype.empty())
      config.dtype = dtype->str();
  }
  SmallVector<int64_t, 4> bos;
  if (Error error = readTokens(root, "bos_token_id", config.vocabulary, bos))
    return error;
  if (bos.size() > 1)
    return root.find("bos_token_id")->error("expected one id, found " + Twine(bos.size()));
  if (!bos.empty())
    config.bos = bos.front();
  return readTokens(root, "eos_token_id", config.vocabulary, config.eos);
}

Expected<Config> readConfig(const JsonDocument &document) {
  const Json &root = document.root();
  Config config;
  if (Expected<ArrayRef<Json::Member>> members = root.object(); !members)
    return members.takeError();
  if (Error error = readArchitecture(root, config))
    return error;
  Fields fields(root);
  readShape(root, config, fields);
  readRope(root, config, fields);
  readGate(root, config, fields);
  if (Error error = fields.finish())
    return error;
  if (Error error = checkShape(root, config))
    return error;
  if (Error error = refuseUnsupported(root))
    return error;
  if (Error error = readQuantization(root, config))
    return error;
  bool weightOnly = config.form == WeightForm::Unstated || config.form == WeightForm::Mlx;
  if (weightOnly && config.family->weightOnly)
    config.activations = ActivationMode::Float;
  if (Error error = readRest(root, config))
    return error;
  return config;
}

} // namespace tern::import
