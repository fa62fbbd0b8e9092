//===- GgufModel.cpp - GGUF metadata as a Config --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/GgufModel.h"

#include "frontends/import/ConfigParts.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"

#include <cmath>

using namespace llvm;

namespace tern::import {

namespace {
/// Keys of one architecture, "llama.block_count"; keeps the first failure, so that a list of keys
/// reads as a list.
class Keys {
public:
  Keys(const GgufMetadata &metadata, StringRef architecture)
      : metadata(metadata), prefix(architecture.str() + ".") {}

  std::string name(StringRef key) const { return prefix + key.str(); }
  bool has(StringRef key) const { return metadata.has(name(key)); }

  int64_t integer(StringRef key, int64_t most) {
    return take(metadata.getInteger(name(key), 1, most));
  }
  int64_t integerOr(StringRef key, int64_t otherwise, int64_t most, int64_t least = 1) {
    return take(metadata.getIntegerOr(name(key), otherwise, least, most));
  }
  double positiveOr(StringRef key, double otherwise) {
    return positive(key, take(metadata.getNumberOr(name(key), otherwise)));
  }
  double positive(StringRef key) { return positive(key, take(metadata.getNumber(name(key)))); }
  StringRef textOr(StringRef key, StringRef otherwise) {
    return take(metadata.getStringOr(name(key), otherwise));
  }
  void fail(StringRef key, const Twine &message) { fail(metadata.error(name(key), message)); }
  void fail(Error error) {
    std::string text = toString(std::move(error));
    if (failure.empty())
      failure = std::move(text);
  }
  bool failed() const { return !failure.empty(); }
  Error finish() const {
    return failure.empty() ? Error::success()
                           : createStringError(inconvertibleErrorCode(), Twine(failure));
  }

private:
  double positive(StringRef key, double value) {
    if (failure.empty() && !(value > 0 && std::isfinite(value)))
      fail(key, "expected a finite number above 0");
    return value;
  }
  template <typename T> T take(Expected<T> value) {
    if (value)
      return *value;
    fail(value.takeError());
    return T();
  }

  const GgufMetadata &metadata;
  std::string prefix, failure;
};
} // namespace

namespace {
/// A key that would change the maths of a block, and its value that does not.
struct NeutralKey {
  StringLiteral name;
  double neutral;
};
} // namespace
static constexpr NeutralKey kNeutralKeys[] = {{"attention.sliding_window", 0},
                                              {"attention.scale", 0},
                                              {"attention.clamp_kqv", 0},
                                              {"attention.max_alibi_bias", 0},
                                              {"attn_logit_softcapping", 0},
                                              {"final_logit_softcapping", 0},
                                              {"logit_scale", 1},
                                              {"embedding_scale", 1},
                                              {"residual_scale", 1},
                                              {"rope.scale_linear", 1},
                                              {"rope.scaling.attn_factor", 1},
                                              {"rope.scaling.yarn_log_multiplier", 0},
                                              {"attention.temperature_length", 0},
                                              {"pooling_type", 0}};

static Expected<double> numberOrInteger(const GgufMetadata &metadata, StringRef key) {
  if (is_contained({GgufValueType::F32, GgufValueType::F64}, metadata.find(key)->type))
    return metadata.getNumber(key);
  Expected<int64_t> value = metadata.getInteger(key);
  if (!value)
    return value.takeError();
  return static_cast<double>(*value);
}

static Error refuseKeys(const GgufMetadata &metadata, Keys &keys) {
  for (const NeutralKey &key : kNeutralKeys) {
    std::string name = keys.name(key.name);
    if (!metadata.has(name))
      continue;
    Expected<double> value = numberOrInteger(metadata, name);
    if (!value)
      return value.takeError();
    if (*value != key.neutral && *value != 0)
      return metadata.error(name, "expected " + shown(key.neutral) + ", found " + shown(*value) +
                                      ": no block of this importer computes with it");
  }
  Expected<bool> causal = metadata.getBooleanOr(keys.name("attention.causal"), true);
  if (!causal)
    return causal.takeError();
  return *causal ? Error::success()
                 : metadata.error(keys.name("attention.causal"),
                                  "expected true: only decoders are supported");
}

/// Refuses what changes the maths of a block.
static Error refuseUnsupported(const GgufFile &file, Keys &keys) {
  if (Error error = refuseKeys(file.metadata(), keys))
    return error;
  for (const GgufMetadata::Entry &entry : file.metadata().entries())
    if (entry.key.starts_with("prism.hadamard."))
      return file.metadata().error(
          entry.key, "the weights are stored in a rotated basis (second-generation Bonsai), which "
                     "this importer cannot undo; take a first-generation file");
  if (keys.integerOr("expert_count", 0, INT32_MAX, 0) > 0)
    return file.metadata().error(keys.name("expert_count"),
                                 "mixtures of experts are not supported");
  return keys.finish();
}

static void readRope(Config &config, Keys &keys) {
  config.ropeTheta = keys.positiveOr("rope.freq_base", 10000);
  int64_t rotary = keys.integerOr("rope.dimension_count", config.headSize, limits::kWidth);
  if (!keys.failed() && rotary != config.headSize)
    keys.fail("rope.dimension_count", "expected the head size " + Twine(config.headSize) +
                                          ", found " + Twine(rotary) +
                                          ": rotary embedding of a part of each head is not "
                                          "supported");
  StringRef scaling = keys.textOr("rope.scaling.type", "none");
  if (keys.failed() || scaling == "none")
    return;
  if (scaling != "linear")
    return keys.fail("rope.scaling.type", "rope scaling \"" + scaling +
                                              "\" is not supported; expected \"none\" or "
                                              "\"linear\"");
  config.ropeScaling.kind = RopeScaling::Kind::Linear;
  config.ropeScaling.factor = keys.positive("rope.scaling.factor");
}

static void readHeads(Config &config, Keys &keys) {
  config.heads = keys.integer("attention.head_count", limits::kHeads);
  config.kvHeads = keys.integerOr("attention.head_count_kv", config.heads, limits::kHeads);
  if (keys.failed())
    return;
  if (config.heads % config.kvHeads)
    return keys.fail("attention.head_count_kv", "expected a divisor of " + Twine(config.heads) +
                                                    " heads, found " + Twine(config.kvHeads));
  if (!keys.has("attention.key_length") && config.hidden % config.heads)
    return keys.fail("embedding_length", "expected a multiple of " + Twine(config.heads) +
                                             " heads where there is no key_length, found " +
                                             Twine(config.hidden));
  config.headSize = keys.integerOr("attention.key_length", config.hidden / config.heads,
                                   limits::kWidth / config.heads);
  int64_t value =
      keys.integerOr("attention.value_length", config.headSize, limits::kWidth / config.heads);
  if (keys.failed())
    return;
  if (value != config.headSize)
    keys.fail("attention.value_length",
              "expected the key length " + Twine(config.headSize) + ", found " + Twine(value));
  if (config.headSize % 2)
    keys.fail("attention.head_count",
              "expected an even head size for rotary embedding, found " + Twine(config.headSize));
}

static void readShape(Config &config, Keys &keys) {
  config.hidden = keys.integer("embedding_length", limits::kWidth);
  config.layers = keys.integer("block_count", limits::kLayers);
  config.feedForward = keys.integer("feed_forward_length", limits::kWidth);
  config.maxPositions = keys.integer("context_length", limits::kPositions);
  double epsilon = keys.positive("attention.layer_norm_rms_epsilon");
  config.epsilon = static_cast<float>(epsilon);
  if (!keys.failed() && (config.epsilon == 0 || config.epsilon > 1))
    keys.fail("attention.layer_norm_rms_epsilon",
              "expected a number up to 1 that is not 0 as a 32-bit float");
  if (!keys.failed())
    readHeads(config, keys);
  if (!keys.failed())
    readRope(config, keys);
}

static Error readVocabulary(const GgufFile &file, Config &config, Keys &keys) {
  const TensorInfo *table =
      file.checkpoint().find((config.family->ggufNames.embedding + ".weight").str());
  if (!table)
    return createStringError(inconvertibleErrorCode(), "missing tensor \"" +
                                                           config.family->ggufNames.embedding +
                                                           ".weight\"");
  if (table->shape.size() != 2 || table->shape[0] < 1 || table->shape[0] > limits::kVocabulary)
    return file.checkpoint().error(*table, "expected a row for each of up to " +
                                               Twine(limits::kVocabulary) + " tokens, found " +
                                               table->describe());
  config.vocabulary = table->shape[0];
  int64_t stated = keys.integerOr("vocab_size", config.vocabulary, limits::kVocabulary);
  if (!keys.failed() && stated != config.vocabulary)
    keys.fail("vocab_size", "expected the rows of the token table, " + Twine(config.vocabulary) +
                                ", found " + Twine(stated));
  return keys.finish();
}

static Error readTokens(const GgufMetadata &metadata, Config &config) {
  auto read = [&](StringRef key) -> Expected<std::optional<int64_t>> {
    if (!metadata.has(key))
      return std::nullopt;
    Expected<int64_t> id = metadata.getInteger(key, 0, config.vocabulary - 1);
    if (!id)
      return id.takeError();
    return *id;
  };
  auto bos = read("tokenizer.ggml.bos_token_id");
  if (!bos)
    return bos.takeError();
  config.bos = *bos;
  for (StringRef key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    auto id = read(key);
    if (!id)
      return id.takeError();
    if (*id && !is_contained(config.eos, **id))
      config.eos.push_back(**id);
  }
  return Error::success();
}

/// Where no key says it: the types of the BitNet runtimes say that activations are quantized;
/// upstream's block types hold weight-only models as well.
static Expected<ActivationMode> activationsOf(const GgufFile &file, const Config &config) {
  if (file.metadata().has(kActivationsKey)) {
    Expected<StringRef> name = file.metadata().getString(kActivationsKey);
    if (!name)
      return name.takeError();
    for (ActivationMode mode : {ActivationMode::Int8, ActivationMode::Float})
      if (*name == describe(mode))
        return mode;
    return file.metadata().error(kActivationsKey, "expected \"" + describe(ActivationMode::Int8) +
                                                      "\" or \"" + describe(ActivationMode::Float) +
                                                      "\", found \"" + *name + "\"");
  }
  const TensorNames &names = config.family->ggufNames;
  const TensorInfo *query =
      file.checkpoint().find((names.layer + ".0." + names.query + ".weight").str());
  bool bitnet = query && is_contained({"I2_S", "IQ1_BN", "IQ2_BN"}, query->dtype);
  return config.family->weightOnly && !bitnet ? ActivationMode::Float : ActivationMode::Int8;
}

Expected<Config> readGgufConfig(const GgufFile &file) {
  constexpr StringLiteral kArchitecture = "general.architecture";
  const GgufMetadata &metadata = file.metadata();
  Expected<StringRef> name = metadata.getString(kArchitecture);
  if (!name)
    return name.takeError();
  if (StringRef reason = whyRefused(*name); !reason.empty())
    return metadata.error(kArchitecture, "\"" + *name + "\" " + reason);
  auto [family, architecture] = findGgufFamily(*name);
  if (!family)
    return metadata.error(kArchitecture, "\"" + *name +
                                             "\" is not an architecture this importer knows (" +
                                             knownGgufArchitectures() + ")");
  Config config;
  config.family = family;
  config.architecture = name->str();
  config.form = WeightForm::Gguf;
  config.place = "the metadata";
  config.interleavedRope = architecture->interleavedRope;
  config.gate = architecture->gate;
  Keys keys(metadata, *name);
  if (Error error = refuseUnsupported(file, keys))
    return error;
  readShape(config, keys);
  if (Error error = keys.finish())
    return error;
  // Early converters wrote the 2B4T model under the name of the older ones.
  if (*name == "bitnet" && config.kvHeads == 5 && config.hidden == 2560)
    config.gate = GateFunction::Relu2;
  if (Error error = readVocabulary(file, config, keys))
    return error;
  if (Error error = readTokens(metadata, config))
    return error;
  Expected<ActivationMode> activations = activationsOf(file, config);
  if (!activations)
    return activations.takeError();
  config.activations = *activations;
  return config;
}

} // namespace tern::import
