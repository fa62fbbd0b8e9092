//===- GgufVocabulary.cpp - the vocabulary keys of a GGUF file ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"

using namespace llvm;

namespace tern::import {

namespace {

/// Reads keys one after another; after the first error nothing more is read.
class Keys {
public:
  Keys(const GgufMetadata &metadata, Error &failure) : metadata(metadata), failure(failure) {}

  template <typename Out, typename Get> void read(StringRef key, Out &out, Get get) {
    if (failure || !metadata.has(key))
      return;
    auto value = get(key);
    if (value)
      out = std::move(*value);
    else
      failure = value.takeError();
  }
  void id(StringRef key, std::optional<uint64_t> &out) {
    read(key, out, [&](StringRef k) { return metadata.getInteger(k, 0, UINT32_MAX); });
  }
  void flag(StringRef key, std::optional<bool> &out) {
    read(key, out, [&](StringRef k) { return metadata.getBoolean(k); });
  }
  void strings(StringRef key, std::vector<StringRef> &out) {
    read(key, out, [&](StringRef k) { return metadata.getStrings(k); });
  }

private:
  const GgufMetadata &metadata;
  Error &failure;
};

} // namespace

Expected<std::optional<GgufVocabulary>> readGgufVocabulary(StringRef file,
                                                           const GgufMetadata &metadata) {
  if (!metadata.has("tokenizer.ggml.model") && !metadata.has("tokenizer.ggml.tokens"))
    return std::nullopt;
  GgufVocabulary out;
  out.file = file.str();
  Expected<StringRef> model = metadata.getString("tokenizer.ggml.model");
  if (!model)
    return model.takeError();
  out.model = *model;
  // Refused by name below; its arrays need not be of any form.
  if (out.model != "gpt2" && out.model != "llama")
    return out;
  Expected<std::vector<StringRef>> tokens = metadata.getStrings("tokenizer.ggml.tokens");
  if (!tokens)
    return tokens.takeError();
  out.tokens = std::move(*tokens);

  Error failure = Error::success();
  Keys keys(metadata, failure);
  std::vector<int64_t> types;
  keys.read("tokenizer.ggml.token_type", types,
            [&](StringRef k) { return metadata.getIntegers(k, INT32_MIN, INT32_MAX); });
  out.types.assign(types.begin(), types.end());
  if (out.model == "llama") {
    keys.read("tokenizer.ggml.scores", out.scores,
              [&](StringRef k) { return metadata.getNumbers(k); });
  } else {
    keys.read("tokenizer.ggml.pre", out.pre, [&](StringRef k) { return metadata.getString(k); });
    keys.strings("tokenizer.ggml.merges", out.merges);
  }
  keys.id("tokenizer.ggml.bos_token_id", out.bos);
  keys.id("tokenizer.ggml.eos_token_id", out.eos);
  keys.id("tokenizer.ggml.eot_token_id", out.eot);
  keys.id("tokenizer.ggml.unknown_token_id", out.unknown);
  keys.flag("tokenizer.ggml.add_bos_token", out.addBos);
  keys.flag("tokenizer.ggml.add_eos_token", out.addEos);
  keys.flag("tokenizer.ggml.add_space_prefix", out.addSpacePrefix);
  if (failure)
    return std::move(failure);
  return out;
}

Expected<GgufTokenizer> importGgufTokenizer(StringRef file, const GgufMetadata &metadata,
                                            uint64_t size) {
  Expected<std::optional<GgufVocabulary>> vocabulary = readGgufVocabulary(file, metadata);
  if (!vocabulary)
    return vocabulary.takeError();
  if (!*vocabulary)
    return GgufTokenizer();
  return makeGgufTokenizer(**vocabulary, size);
}

} // namespace tern::import
