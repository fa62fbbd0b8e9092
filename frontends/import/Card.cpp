//===- Card.cpp - what a model is, as JSON --------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Card.h"

#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/JSON.h"

#include <cmath>

using namespace llvm;

namespace tern::import {

/// Four significant digits: a card is for reading.
static double rounded(double value) {
  if (value == 0)
    return 0;
  double step = std::pow(10.0, 3 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * step) / step;
}

static void writeSizes(json::OStream &out, const Config &config) {
  out.attributeObject("sizes", [&] {
    out.attribute("hidden", config.hidden);
    out.attribute("layers", config.layers);
    out.attribute("heads", config.heads);
    out.attribute("kv_heads", config.kvHeads);
    out.attribute("head_size", config.headSize);
    out.attribute("feed_forward", config.feedForward);
    out.attribute("vocabulary", config.vocabulary);
    out.attribute("max_positions", config.maxPositions);
  });
}

static void writeWeights(json::OStream &out, const WeightSummary &weights, const ModelSpec &spec) {
  out.attribute("parameters", weights.ternary + weights.floats);
  out.attribute("ternary_parameters", weights.ternary);
  out.attribute("tied_head", !spec.head.has_value());
  if (weights.sampledTrits)
    out.attribute("zero_share", rounded(static_cast<double>(weights.sampledZeros) /
                                        static_cast<double>(weights.sampledTrits)));
  if (weights.mostScale > 0)
    out.attributeObject("scales", [&] {
      out.attribute("least", rounded(weights.leastScale));
      out.attribute("most", rounded(weights.mostScale));
    });
}

static void writeGeneration(json::OStream &out, const Generation &generation) {
  auto write = [&](StringRef key, const auto &value) {
    if (value)
      out.attribute(key, *value);
  };
  out.attributeObject("generation", [&] {
    write("sample", generation.sample);
    write("temperature", generation.temperature);
    write("top_p", generation.topP);
    write("top_k", generation.topK);
    write("repetition_penalty", generation.repetitionPenalty);
    write("max_new_tokens", generation.maxNewTokens);
  });
}

static void writeTokens(json::OStream &out, const Config &config, const Generation &generation) {
  SmallVector<int64_t> eos(config.eos.begin(), config.eos.end());
  eos.append(generation.eos.begin(), generation.eos.end());
  llvm::sort(eos);
  eos.erase(llvm::unique(eos), eos.end());
  out.attributeObject("tokens", [&] {
    if (config.bos)
      out.attribute("bos", *config.bos);
    out.attributeArray("eos", [&] {
      for (int64_t id : eos)
        out.value(id);
    });
  });
}

static void writeScaling(json::OStream &out, const RopeScaling &scaling) {
  if (scaling.kind == RopeScaling::Kind::None)
    return;
  bool llama3 = scaling.kind == RopeScaling::Kind::Llama3;
  out.attributeObject("rope_scaling", [&] {
    out.attribute("type", llama3 ? "llama3" : "linear");
    out.attribute("factor", scaling.factor);
    if (!llama3)
      return;
    out.attribute("low_factor", scaling.lowFactor);
    out.attribute("high_factor", scaling.highFactor);
    out.attribute("original_positions", scaling.original);
  });
}

std::string makeCard(const CardParts &parts) {
  const Config &config = parts.config;
  const ModelSpec &spec = parts.spec;
  std::string text;
  raw_string_ostream stream(text);
  json::OStream out(stream, /*IndentSize=*/2);
  out.object([&] {
    out.attribute("architecture", config.architecture);
    out.attribute("family", spec.architecture);
    out.attribute("source", spec.files.empty()                ? "synthetic"
                            : config.form == WeightForm::Gguf ? "gguf"
                                                              : "safetensors");
    out.attribute("source_files", static_cast<int64_t>(spec.files.size()));
    out.attribute("source_weights", describe(config.form));
    if (!config.dtype.empty())
      out.attribute("source_dtype", json::fixUTF8(config.dtype));
    if (parts.weights.types.size())
      out.attributeArray("weight_types", [&] {
        SmallVector<StringRef> types(parts.weights.types.keys());
        llvm::sort(types);
        for (StringRef type : types)
          out.value(type);
      });
    out.attribute("activations", describe(config.activations));
    if (config.cache != CacheElement::F32)
      out.attribute("cache", describe(config.cache));
    if (config.head != HeadElement::Stored)
      out.attribute("head", describe(config.head));
    if (config.activations != parts.stated)
      out.attribute("approximation", ("the model's own activations are " + describe(parts.stated) +
                                      "; these were asked for")
                                         .str());
    out.attribute("activation", config.gate == GateFunction::Relu2 ? "relu2" : "silu");
    out.attribute("rope_theta", config.ropeTheta);
    writeScaling(out, config.ropeScaling);
    out.attribute("rms_norm_eps", rounded(config.epsilon));
    writeSizes(out, config);
    writeWeights(out, parts.weights, spec);
    writeTokens(out, config, parts.generation);
    writeGeneration(out, parts.generation);
    if (!parts.licence.empty())
      out.attribute("licence", json::fixUTF8(parts.licence));
  });
  return text;
}

std::string readLicence(StringRef readme) {
  constexpr size_t kMaxLicence = 100;
  if (!readme.consume_front("---\n"))
    return "";
  StringRef front = readme.split("\n---").first;
  while (!front.empty()) {
    StringRef line;
    std::tie(line, front) = front.split('\n');
    if (line.consume_front("license:"))
      return line.trim().take_front(kMaxLicence).str();
  }
  return "";
}

} // namespace tern::import
