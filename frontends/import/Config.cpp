//===- Config.cpp - config.json, checked ----------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Config.h"

#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>
#include <cstdio>

using namespace llvm;

namespace tern::import {

namespace {
std::string shown(double number) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", number);
  return text;
}

/// Collects values and keeps the first failure, so that a list of keys reads as a list.
class Fields {
public:
  explicit Fields(const Json &json) : json(json) {}

  void integer(StringRef key, int64_t &out, int64_t most) {
    take(json.getInteger(key, 1, most), out);
  }
  /// A finite number above 0.
  void positive(const Json &object, StringRef key, double &out) {
    take(object.getNumber(key), out);
    if (failure.empty() && !(out > 0 && std::isfinite(out)))
      fail((*object.get(key))->error("expected a finite number above 0, found " + shown(out)));
  }
  template <typename T, typename U> void take(Expected<T> value, U &out) {
    if (value)
      out = *value;
    else
      fail(value.takeError());
  }
  void fail(Error error) {
    std::string text = toString(std::move(error));
    if (failure.empty())
      failure = std::move(text);
  }
  Error finish() const {
    return failure.empty() ? Error::success()
                           : createStringError(inconvertibleErrorCode(), Twine(failure));
  }

private:
  const Json &json;
  std::string failure;
};
} // namespace

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
  return mode == ActivationMode::Int8 ? "int8_per_token" : "float";
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

/// Refuses what changes the maths of a block and is not part of these families.
static Error refuseUnsupported(const Json &root) {
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

static void readRope(const Json &root, Config &config, Fields &fields) {
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

static Expected<WeightForm> readForm(const Json &quantization) {
  Expected<ArrayRef<Json::Member>> members = quantization.object();
  if (!members)
    return members.takeError();
  for (const Json::Member &member : *members)
    if (!is_contained({"quant_method", "linear_class", "quantization_mode",
                       "modules_to_not_convert", "use_rms_norm", "rms_norm_eps"},
                      member.key))
      return member.value.error("unknown key: what it would change is not known");
  Expected<StringRef> method = quantization.getString("quant_method");
  if (!method)
    return method.takeError();
  if (*method != "bitnet")
    return quantization.find("quant_method")
        ->error("expected \"bitnet\", found \"" + *method + "\"");
  Expected<StringRef> linear = quantization.getStringOr("linear_class", "bitlinear");
  if (!linear)
    return linear.takeError();
  if (*linear != "bitlinear" && *linear != "autobitlinear")
    return quantization.find("linear_class")
        ->error("expected \"bitlinear\" or \"autobitlinear\", found \"" + *linear + "\"");
  Expected<StringRef> mode = quantization.getStringOr("quantization_mode", "offline");
  if (!mode)
    return mode.takeError();
  if (*mode != "offline" && *mode != "online")
    return quantization.find("quantization_mode")
        ->error("expected \"offline\" or \"online\", found \"" + *mode + "\"");
  if (*mode == "offline")
    return *linear == "bitlinear" ? WeightForm::Divide : WeightForm::Multiply;
  if (*linear == "bitlinear")
    return quantization.find("quantization_mode")
        ->error("\"online\" goes with linear_class \"autobitlinear\", found \"bitlinear\"");
  return WeightForm::Masters;
}

static Error refuseQuantizationOptions(const Json &quantization) {
  Expected<bool> norm = quantization.getBooleanOr("use_rms_norm", false);
  if (!norm)
    return norm.takeError();
  if (*norm)
    return quantization.find("use_rms_norm")
        ->error("expected false: a norm inside each linear layer is not supported");
  const Json *excluded = quantization.find("modules_to_not_convert");
  if (!excluded)
    return Error::success();
  Expected<ArrayRef<Json>> modules = excluded->array();
  if (!modules)
    return modules.takeError();
  for (const Json &module : *modules) {
    Expected<StringRef> name = module.string();
    if (!name)
      return name.takeError();
    // These are never ternary anyway.
    if (*name != "lm_head" && *name != "embed_tokens" && *name != "model.embed_tokens")
      return module.error("linear layers left in float (\"" + *name + "\") are not supported");
  }
  return Error::success();
}

/// MLX writes the same object as `quantization` and as `quantization_config`.
static Error readMlx(const Json &quantization, Config &config) {
  Expected<ArrayRef<Json::Member>> members = quantization.object();
  if (!members)
    return members.takeError();
  for (const auto &member : *members)
    if (!is_contained({"group_size", "bits", "mode"}, member.key))
      return member.value.error("unknown key: what it would change is not known");
  if (Expected<int64_t> bits = quantization.getInteger("bits", 2, 2); !bits)
    return bits.takeError();
  Expected<StringRef> mode = quantization.getStringOr("mode", "affine");
  if (!mode)
    return mode.takeError();
  if (*mode != "affine")
    return quantization.find("mode")->error("expected \"affine\", found \"" + *mode + "\"");
  Expected<int64_t> group = quantization.getInteger("group_size", 1, limits::kWidth);
  if (!group)
    return group.takeError();
  if (!is_contained({32, 64, 128}, *group))
    return quantization.find("group_size")->error("expected 32, 64 or 128, found " + Twine(*group));
  config.form = WeightForm::Mlx;
  config.mlxGroup = *group;
  return Error::success();
}

static Error readQuantization(const Json &root, Config &config) {
  if (const Json *mlx = root.find("quantization"))
    return readMlx(*mlx, config);
  const Json *quantization = root.find("quantization_config");
  if (!quantization) {
    if (!config.family->formWithoutQuantization)
      return Error::success();
    Expected<WeightForm> form = config.family->formWithoutQuantization(root);
    if (!form)
      return form.takeError();
    config.form = *form;
    return Error::success();
  }
  Expected<WeightForm> form = readForm(*quantization);
  if (!form)
    return form.takeError();
  config.form = *form;
  return refuseQuantizationOptions(*quantization);
}

/// A token id, or a list of them.
static Error readTokens(const Json &root, StringRef key, int64_t vocabulary,
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

template <typename T>
static Error readOptional(const Json &root, StringRef key, std::optional<T> &out, T least, T most) {
  const Json *value = root.find(key);
  if (!value)
    return Error::success();
  if constexpr (std::is_same_v<T, int64_t>) {
    Expected<int64_t> integer = value->integer(least, most);
    if (!integer)
      return integer.takeError();
    out = *integer;
  } else {
    Expected<double> number = value->number();
    if (!number)
      return number.takeError();
    if (!(*number >= least && *number <= most))
      return value->error("expected a number from " + shown(least) + " to " + shown(most) +
                          ", found " + shown(*number));
    out = *number;
  }
  return Error::success();
}

Expected<Generation> readGeneration(const JsonDocument &document, int64_t vocabulary) {
  const Json &root = document.root();
  Generation generation;
  if (Expected<ArrayRef<Json::Member>> members = root.object(); !members)
    return members.takeError();
  if (root.find("do_sample")) {
    Expected<bool> sample = root.getBoolean("do_sample");
    if (!sample)
      return sample.takeError();
    generation.sample = *sample;
  }
  if (Error error = readOptional(root, "temperature", generation.temperature, 0.0, 1000.0))
    return error;
  if (Error error = readOptional(root, "top_p", generation.topP, 0.0, 1.0))
    return error;
  if (Error error =
          readOptional(root, "repetition_penalty", generation.repetitionPenalty, 1e-3, 1000.0))
    return error;
  if (Error error = readOptional(root, "top_k", generation.topK, int64_t(0), limits::kVocabulary))
    return error;
  if (Error error = readOptional(root, "max_new_tokens", generation.maxNewTokens, int64_t(0),
                                 int64_t(1) << 31))
    return error;
  if (Error error = readTokens(root, "eos_token_id", vocabulary, generation.eos))
    return error;
  return generation;
}

} // namespace tern::import
