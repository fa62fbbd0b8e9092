//===- Decoder.cpp - tensors of a checkpoint as a model -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Decoder.h"

#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::import {

ModelSpec emptySpec(const Config &config) {
  ModelSpec spec;
  spec.architecture = config.family->name.str();
  spec.hidden = config.hidden, spec.feedForward = config.feedForward;
  spec.heads = config.heads, spec.kvHeads = config.kvHeads, spec.headSize = config.headSize;
  spec.vocabulary = config.vocabulary, spec.maxPositions = config.maxPositions;
  spec.epsilon = config.epsilon;
  spec.gate =
      config.gate == GateFunction::Relu2 ? ternary::GateKind::Relu2 : ternary::GateKind::Silu;
  spec.activations = static_cast<ternary::Activations>(config.activations);
  spec.cache = config.cache;
  spec.headElement = config.head;
  spec.frequencies = ropeFrequencies(config);
  return spec;
}

namespace {
/// Fills a ModelSpec from the tensors of a checkpoint, by the family's names.
class Decoder {
public:
  Decoder(mlir::MLIRContext &context, const Checkpoint &checkpoint, const Config &config,
          ternary::Encoding i2sLayout)
      : checkpoint(checkpoint), config(config), weights(context, checkpoint, config, i2sLayout),
        names(chooseNames()), spec(emptySpec(config)) {
    spec.files = checkpoint.files();
  }

  Expected<ModelSpec> read() {
    if (Error error = checkNames())
      return error;
    if (Error error =
            take(spec.embedding, weights.table(names.embedding, config.vocabulary, config.hidden)))
      return error;
    for (int64_t layer = 0; layer < config.layers; ++layer)
      if (Error error = readLayer(layer))
        return error;
    if (Error error = take(spec.outputNorm, weights.gain(names.outputNorm, config.hidden)))
      return error;
    if (Error error = readHead())
      return error;
    if (Error error = readRopeFactors())
      return error;
    if (Error error = weights.checkSurplus())
      return error;
    return std::move(spec);
  }
  const WeightSummary &summary() const { return weights.summary(); }

private:
  std::string inLayer(int64_t layer, StringRef module) const {
    return (names.layer + "." + Twine(layer) + "." + module).str();
  }
  const TensorNames &chooseNames() const {
    if (config.form == WeightForm::Gguf)
      return config.family->ggufNames;
    for (const TensorNames &candidate : config.family->names)
      if (!candidate.attentionSubNorm.empty() &&
          checkpoint.find((candidate.layer + ".0." + candidate.attentionSubNorm + ".weight").str()))
        return candidate;
    return config.family->names.front();
  }

  /// Lists the first few missing tensors at once; whoever renames them wants to see the pattern.
  Error checkNames() const {
    std::string text;
    size_t missing = 0;
    constexpr size_t kListed = 5;
    auto check = [&](const std::string &module) {
      if (!checkpoint.find(module + ".weight") && ++missing <= kListed)
        text += (missing > 1 ? ", \"" : "\"") + module + ".weight\"";
      return missing <= kListed;
    };
    check(names.embedding.str());
    for (int64_t layer = 0; layer < config.layers; ++layer)
      for (StringRef module :
           {names.attentionNorm, names.query, names.key, names.value, names.queryNorm,
            names.keyNorm, names.attentionSubNorm, names.output, names.feedForwardNorm, names.gate,
            names.up, names.feedForwardSubNorm, names.down})
        if (!module.empty() && !check(inLayer(layer, module)))
          return createStringError(inconvertibleErrorCode(),
                                   "missing tensors " + Twine(text) + ", ...");
    check(names.outputNorm.str());
    if (!missing)
      return Error::success();
    return createStringError(inconvertibleErrorCode(),
                             Twine(missing > 1 ? "missing tensors " : "missing tensor ") + text);
  }

  template <typename T> static Error take(T &out, Expected<T> value) {
    if (!value)
      return value.takeError();
    out = std::move(*value);
    return Error::success();
  }

  Error readLayer(int64_t index) {
    LayerSpec &layer = spec.layers.emplace_back();
    int64_t attention = config.heads * config.headSize, kv = config.kvHeads * config.headSize;
    Error failure = Error::success();
    auto gain = [&](WeightSpec &out, StringRef module, int64_t size) {
      if (!failure)
        failure = take(out, weights.gain(inLayer(index, module), size));
    };
    auto extraGain = [&](std::optional<WeightSpec> &out, StringRef module, int64_t size) {
      if (!module.empty())
        gain(out.emplace(), module, size);
    };
    auto linear = [&](LinearSpec &out, StringRef module, int64_t rows, int64_t columns,
                      int64_t ropeHeads = 0) {
      if (!failure)
        failure = take(out, weights.linear(inLayer(index, module), rows, columns, ropeHeads));
    };
    gain(layer.attentionNorm, names.attentionNorm, config.hidden);
    linear(layer.query, names.query, attention, config.hidden, config.heads);
    linear(layer.key, names.key, kv, config.hidden, config.kvHeads);
    linear(layer.value, names.value, kv, config.hidden);
    extraGain(layer.queryNorm, names.queryNorm, config.headSize);
    extraGain(layer.keyNorm, names.keyNorm, config.headSize);
    extraGain(layer.attentionSubNorm, names.attentionSubNorm, attention);
    linear(layer.output, names.output, config.hidden, attention);
    gain(layer.feedForwardNorm, names.feedForwardNorm, config.hidden);
    linear(layer.gate, names.gate, config.feedForward, config.hidden);
    linear(layer.up, names.up, config.feedForward, config.hidden);
    extraGain(layer.feedForwardSubNorm, names.feedForwardSubNorm, config.feedForward);
    linear(layer.down, names.down, config.hidden, config.feedForward);
    return failure;
  }

  /// A head beside a tied embedding is taken as a copy only if it is one.
  Error readHead() {
    std::string name = names.head.str() + ".weight";
    const TensorInfo *head = checkpoint.find(name);
    if (!config.tied.value_or(!head)) {
      Expected<WeightSpec> table = weights.table(names.head, config.vocabulary, config.hidden);
      if (!table)
        return table.takeError();
      spec.head = *table;
      return Error::success();
    }
    for (StringRef part : {".weight", ".scales", ".biases"}) {
      const TensorInfo *copy = checkpoint.find((names.head + part).str());
      const TensorInfo *embedding = checkpoint.find((names.embedding + part).str());
      if (copy && (!embedding || copy->dtype != embedding->dtype ||
                   checkpoint.bytes(*copy) != checkpoint.bytes(*embedding)))
        return checkpoint.error(*copy,
                                "differs from the embedding, though tie_word_embeddings is true");
      weights.ignore((names.head + part).str());
    }
    return Error::success();
  }

  /// GGUF writes a scaling of the rotary frequencies as divisors.
  Error readRopeFactors() {
    constexpr StringLiteral kName = "rope_freqs.weight";
    if (config.form != WeightForm::Gguf || !checkpoint.find(kName))
      return Error::success();
    auto divisors = weights.factors(kName, config.headSize / 2);
    if (!divisors)
      return divisors.takeError();
    for (auto [frequency, divisor] : llvm::zip_equal(spec.frequencies, *divisors))
      frequency /= divisor;
    return Error::success();
  }

  const Checkpoint &checkpoint;
  const Config &config;
  Weights weights;
  const TensorNames &names;
  ModelSpec spec;
};
} // namespace

Expected<DecodedModel> decodeModel(mlir::MLIRContext &context, const Checkpoint &checkpoint,
                                   const Config &config, ternary::Encoding i2sLayout) {
  Decoder decoder(context, checkpoint, config, i2sLayout);
  Expected<ModelSpec> spec = decoder.read();
  if (!spec)
    return spec.takeError();
  return DecodedModel{std::move(*spec), decoder.summary()};
}

} // namespace tern::import
