//===- GgufPreTokenizer.cpp - how named vocabularies cut a text -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/GgufPreTokenizer.h"

#include "frontends/import/TokenizerParts.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::import {

namespace {

constexpr StringLiteral kGpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
constexpr StringLiteral kLlama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr StringLiteral kQwen2 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr StringLiteral kQwen35 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr StringLiteral kPunctuation = "[\\p{P}$+<=>^~|`]+";
constexpr StringLiteral kThreeDigits = "[0-9][0-9][0-9]";

constexpr StringLiteral kLlama3Names[] = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon_e"};
constexpr StringLiteral kQwen2Names[] = {"qwen2", "deepseek-r1-qwen"};
constexpr StringLiteral kQwen35Names[] = {"qwen35"};
constexpr StringLiteral kGpt2Names[] = {"gpt-2", "gpt2", "phi-2"};
constexpr StringLiteral kFalconNames[] = {"falcon"};
constexpr StringLiteral kLlama3Splits[] = {kLlama3};
constexpr StringLiteral kQwen2Splits[] = {kQwen2};
constexpr StringLiteral kQwen35Splits[] = {kQwen35};
constexpr StringLiteral kGpt2Splits[] = {kGpt2};
constexpr StringLiteral kFalconSplits[] = {kPunctuation, kGpt2, kThreeDigits};

const PreTokenizer kPreTokenizers[] = {
    {kLlama3Names, kLlama3Splits, false, true, true},
    {kQwen2Names, kQwen2Splits, true, false, false},
    {kQwen35Names, kQwen35Splits, true, false, false},
    {kGpt2Names, kGpt2Splits, false, false, false},
    {kFalconNames, kFalconSplits, false, false, false},
};

} // namespace

const PreTokenizer *preTokenizerNamed(StringRef name) {
  for (const PreTokenizer &pre : kPreTokenizers)
    if (is_contained(pre.names, name))
      return &pre;
  return nullptr;
}

Expected<std::string> translatePreTokenizer(StringRef expression) {
  JsonDocument place = cantFail(JsonDocument::parse("tokenizer.ggml.pre", "{}"));
  return translateExpression(place.root(), expression);
}

std::string knownPreTokenizers() {
  std::string text;
  for (const PreTokenizer &pre : kPreTokenizers)
    for (StringRef name : pre.names)
      text += (text.empty() ? "" : ", ") + name.str();
  return text;
}

StringRef findPreTokenizer(ArrayRef<StringRef> expressions, bool ignoresMerges) {
  for (const PreTokenizer &pre : kPreTokenizers) {
    if (pre.expressions.size() != expressions.size() || pre.ignoresMerges != ignoresMerges)
      continue;
    bool same = true;
    for (auto [ours, theirs] : zip(pre.expressions, expressions))
      same = same && cantFail(translatePreTokenizer(ours)) == theirs;
    if (same)
      return pre.names.front();
  }
  return "";
}

} // namespace tern::import
