//===- Families.cpp - the table of families -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace tern::import {

extern const Family kBitnet, kLlama, kQwen3;
static constexpr const Family *kFamilies[] = {&kBitnet, &kLlama, &kQwen3};

namespace {
/// Models that people do have, and what they can do instead.
struct Refusal {
  StringLiteral name, reason;
};
} // namespace
static constexpr StringLiteral kExperts =
    "routes each token to some of many feed-forward parts (mixture of experts), which no block of "
    "this importer does";
static constexpr StringLiteral kDeltaNet =
    "has gated delta-net layers between its attention layers (Bonsai 27B), which no block of this "
    "importer computes; the 1.7B, 4B and 8B Bonsai models (qwen3) can be imported";
static constexpr StringLiteral kGemma =
    "is a Gemma 3 embedding model: GELU gates, norms in front of each projection and pooled output "
    "are not supported";
static constexpr StringLiteral kMiniCpm =
    "scales its embedding, residual branches and logits (MiniCPM), which no block of this importer "
    "does; the 1B and 3B BitCPM models (llama) can be imported";
static constexpr Refusal kRefusals[] = {
    {"qwen35", kDeltaNet},
    {"Qwen3_5ForCausalLM", kDeltaNet},
    {"Qwen3_5ForConditionalGeneration", kDeltaNet},
    {"Qwen3NextForCausalLM", kDeltaNet},
    {"gemma3", kGemma},
    {"Gemma3ForCausalLM", kGemma},
    {"Gemma3TextModel", kGemma},
    {"minicpm", kMiniCpm},
    {"MiniCPMForCausalLM", kMiniCpm},
    {"qwen3moe", kExperts},
    {"Qwen3MoeForCausalLM", kExperts},
    {"MixtralForCausalLM", kExperts},
    {"MMfreeLMForCausalLM", "is no transformer (MatMul-free LM): it has no attention"},
    {"HGRNBitForCausalLM", "is no transformer (MatMul-free LM): it has no attention"},
};

const Family *findFamily(StringRef architecture) {
  for (const Family *family : kFamilies)
    if (any_of(family->architectures,
               [&](StringRef name) { return name.equals_insensitive(architecture); }))
      return family;
  return nullptr;
}

const Family *familyNamed(StringRef name) {
  for (const Family *family : kFamilies)
    if (family->name == name)
      return family;
  return nullptr;
}

std::pair<const Family *, const GgufArchitecture *> findGgufFamily(StringRef architecture) {
  for (const Family *family : kFamilies)
    for (const GgufArchitecture &known : family->ggufArchitectures)
      if (known.name == architecture)
        return {family, &known};
  return {nullptr, nullptr};
}

StringRef whyRefused(StringRef architecture) {
  for (const Refusal &refusal : kRefusals)
    if (refusal.name.equals_insensitive(architecture))
      return refusal.reason;
  return "";
}

std::string knownArchitectures() {
  std::string text;
  for (const Family *family : kFamilies)
    for (StringRef name : family->architectures)
      text += (text.empty() ? "" : ", ") + name.str();
  return text;
}

std::string knownGgufArchitectures() {
  std::string text;
  for (const Family *family : kFamilies)
    for (const GgufArchitecture &known : family->ggufArchitectures)
      text += (text.empty() ? "" : ", ") + known.name.str();
  return text;
}

} // namespace tern::import
