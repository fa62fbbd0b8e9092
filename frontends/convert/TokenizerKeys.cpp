//===- TokenizerKeys.cpp - a tokenizer blob as metadata of GGUF ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/TokenizerTables.h"
#include "frontends/import/GgufPreTokenizer.h"
#include "frontends/import/GgufTokenizer.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern::convert {

static Error noKeys(const Twine &why) {
  return createStringError(inconvertibleErrorCode(),
                           "GGUF files cannot describe the model's tokenizer: " + why +
                               "; --type hf can");
}

static Expected<StringRef> preTokenizerOf(const TokenizerTables &tables) {
  std::vector<tern_tokenizer_step_t> steps = tables.split();
  SmallVector<StringRef> expressions;
  for (const tern_tokenizer_step_t &step : steps) {
    if (step.kind != TERN_TOKENIZER_SPLIT_REGEX || step.behaviour != TERN_TOKENIZER_ISOLATED ||
        step.invert)
      return noKeys("it cuts texts in a way that has no name there");
    expressions.push_back(tables.text(step.a));
  }
  StringRef name = import::findPreTokenizer(expressions, tables.has(TERN_TOKENIZER_IGNORE_MERGES));
  if (name.empty())
    return noKeys("the expression that cuts texts has no name there");
  return name;
}

/// SentencePiece scores that make merges in the order of their ranks: tied ranks, tied scores.
static Expected<std::vector<float>> scoresOf(const TokenizerTables &tables, size_t vocabulary) {
  constexpr int64_t kNone = -1;
  std::vector<int64_t> level(tables.tokens.size(), kNone);
  int64_t last = kNone;
  uint32_t rank = TERN_TOKENIZER_NONE;
  for (const tern_tokenizer_merge_t &merge : tables.merges) {
    int64_t &own = level[merge.result];
    if (own != kNone && own != last)
      return noKeys("its merges are in no order that scores could make");
    if (own == kNone)
      own = merge.rank == rank ? last : last + 1;
    last = own;
    rank = merge.rank;
  }
  std::vector<float> scores(vocabulary, 0);
  for (size_t id = 0; id < level.size(); ++id)
    if (level[id] != kNone)
      scores[id] = -static_cast<float>(level[id]);
    else if (tables.isModel(id) && !(tables.tokens[id].flags & TERN_TOKENIZER_TOKEN_BYTE))
      scores[id] = -static_cast<float>(++last); // a character, which nothing is merged to
  return scores;
}

static std::vector<int32_t> typesOf(const TokenizerTables &tables, size_t vocabulary) {
  using import::GgufTokenType;
  std::vector<int32_t> types(vocabulary, static_cast<int32_t>(GgufTokenType::Unused));
  auto set = [&](size_t id, GgufTokenType type) { types[id] = static_cast<int32_t>(type); };
  for (size_t id = 0; id < tables.tokens.size(); ++id)
    if (tables.tokens[id].flags & TERN_TOKENIZER_TOKEN_BYTE)
      set(id, GgufTokenType::Byte);
    else if (tables.isModel(id))
      set(id, GgufTokenType::Normal);
  if (tables.header.unknown_id < vocabulary)
    set(tables.header.unknown_id, GgufTokenType::Unknown);
  for (const tern_tokenizer_added_t &added : tables.added)
    if (added.id != tables.header.unknown_id)
      set(added.id, added.flags & TERN_TOKENIZER_ADDED_SPECIAL ? GgufTokenType::Control
                                                               : GgufTokenType::UserDefined);
  return types;
}

/// What the keys say, with the texts they point to.
struct Vocabulary {
  std::vector<std::string> tokens, merges;
  import::GgufVocabulary keys;
};

static Error setIds(import::GgufVocabulary &keys, const TokenizerTables &tables,
                    std::optional<int64_t> bos) {
  auto prefix = tables.table<uint32_t>(tables.header.prefix);
  auto suffix = tables.table<uint32_t>(tables.header.suffix);
  auto end = tables.table<uint32_t>(tables.header.end);
  if (prefix.size() > 1 || suffix.size() > 1)
    return noKeys("it puts several tokens around a text");
  keys.addBos = !prefix.empty(), keys.addEos = !suffix.empty();
  if (!prefix.empty())
    keys.bos = prefix.front();
  else if (bos)
    keys.bos = *bos;
  if (!suffix.empty() || !end.empty())
    keys.eos = !suffix.empty() ? suffix.front() : end.front();
  if (auto other = find_if(end, [&](uint32_t id) { return id != keys.eos; }); other != end.end())
    keys.eot = *other;
  if (tables.header.unknown_id != TERN_TOKENIZER_NONE)
    keys.unknown = tables.header.unknown_id;
  return Error::success();
}

static Error setScores(Vocabulary &out, const TokenizerTables &tables) {
  Expected<std::vector<float>> scores = scoresOf(tables, out.tokens.size());
  if (!scores)
    return scores.takeError();
  out.keys.model = "llama";
  out.keys.scores = std::move(*scores);
  auto steps = tables.table<tern_tokenizer_step_t>(tables.header.normalize);
  out.keys.addSpacePrefix =
      any_of(steps, [](const auto &step) { return step.kind == TERN_TOKENIZER_PREPEND; });
  return Error::success();
}

static Error setMerges(Vocabulary &out, const TokenizerTables &tables) {
  Expected<StringRef> pre = preTokenizerOf(tables);
  if (!pre)
    return pre.takeError();
  out.keys.model = "gpt2";
  out.keys.pre = *pre;
  for (const tern_tokenizer_merge_t &merge : tables.merges)
    out.merges.push_back(tables.spelling(merge.left) + " " + tables.spelling(merge.right));
  out.keys.merges.assign(out.merges.begin(), out.merges.end());
  return Error::success();
}

static Error setVocabulary(Vocabulary &out, const TokenizerTables &tables, size_t vocabulary,
                           std::optional<int64_t> bos) {
  out.tokens.resize(std::max(tables.tokens.size(), vocabulary));
  for (auto [id, token] : enumerate(out.tokens)) {
    if (id < tables.tokens.size())
      token = tables.spelling(id);
    if (token.empty())
      token = "[PAD" + std::to_string(id) + "]";
  }
  out.keys.tokens.assign(out.tokens.begin(), out.tokens.end());
  out.keys.types = typesOf(tables, out.tokens.size());
  if (Error error = tables.byteLevel() ? setMerges(out, tables) : setScores(out, tables))
    return error;
  return setIds(out.keys, tables, bos);
}

static void write(GgufKeys &out, const Vocabulary &vocabulary) {
  const import::GgufVocabulary &keys = vocabulary.keys;
  out.string("tokenizer.ggml.model", keys.model);
  out.string("tokenizer.ggml.pre", keys.pre.value_or("default"));
  out.strings("tokenizer.ggml.tokens", vocabulary.tokens);
  out.integers("tokenizer.ggml.token_type", keys.types);
  if (keys.pre) {
    out.strings("tokenizer.ggml.merges", vocabulary.merges);
  } else {
    out.reals("tokenizer.ggml.scores", keys.scores);
    out.flag("tokenizer.ggml.add_space_prefix", *keys.addSpacePrefix);
  }
  out.flag("tokenizer.ggml.add_bos_token", *keys.addBos);
  out.flag("tokenizer.ggml.add_eos_token", *keys.addEos);
  const std::pair<StringRef, std::optional<uint64_t>> ids[] = {
      {"bos", keys.bos}, {"eos", keys.eos}, {"eot", keys.eot}, {"unknown", keys.unknown}};
  for (auto [name, id] : ids)
    if (id)
      out.number(("tokenizer.ggml." + name + "_token_id").str(), static_cast<uint32_t>(*id));
}

Expected<std::string> addTokenizerKeys(GgufKeys &keys, StringRef blob, int64_t vocabulary,
                                       std::optional<int64_t> bos) {
  TokenizerTables tables(blob);
  Vocabulary made;
  if (Error error = setVocabulary(made, tables, vocabulary, bos))
    return std::move(error);
  // What a reader makes of the keys shows what they cannot say.
  Expected<import::GgufTokenizer> again = import::makeGgufTokenizer(made.keys, vocabulary);
  if (!again)
    return noKeys(toString(again.takeError()));
  write(keys, made);
  return difference(tables, TokenizerTables(again->blob));
}

} // namespace tern::convert
