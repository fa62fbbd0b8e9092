//===- ConfigGeneration.cpp - generation_config.json, checked ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/ConfigParts.h"

using namespace llvm;

namespace tern::import {

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
