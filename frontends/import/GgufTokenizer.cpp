//===- GgufTokenizer.cpp - a GGUF file's tokenizer to a blob --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/GgufTokenizer.h"

#include "frontends/import/GgufPreTokenizer.h"
#include "frontends/import/Reader.h"
#include "frontends/import/TokenizerParts.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <cmath>

using namespace llvm;

namespace tern::import {

namespace {

constexpr size_t kMaxAddedBytes = 1024;
constexpr StringLiteral kMetaSpace = "\xE2\x96\x81"; // U+2581

/// Turns one vocabulary into the parts of a blob.
class Maker {
public:
  Maker(const GgufVocabulary &from, uint64_t size) : from(from), size(size) {}

  Expected<GgufTokenizer> run();

private:
  Error error(const Twine &text) const { return fileError(from.file, "tokenizer.ggml." + text); }
  GgufTokenType type(size_t id) const {
    return from.types.empty() ? GgufTokenType::Normal : static_cast<GgufTokenType>(from.types[id]);
  }
  Error checkArrays() const;
  Error choosePre();
  Error addTokens();
  Error addAdded(uint32_t id, bool special);
  Error addNormal(uint32_t id);
  Error addByte(uint32_t id);
  Error addListedMerges();
  void addScoredMerges();
  void addSentencePieceSteps();
  Error addAround();
  Error addEnd(std::optional<uint64_t> id, StringRef key);

  const GgufVocabulary &from;
  uint64_t size;
  bool byteLevel = false, addsBos = false;
  TokenizerModel model;
  StringMap<uint32_t> ids; ///< normal tokens, as the file writes them
  StringSet<> added;
  std::string warnings;
};

} // namespace

Error Maker::checkArrays() const {
  size_t count = from.tokens.size();
  uint64_t limit = size != 0 ? size : TERN_TOKENIZER_MAX_IDS;
  if (count == 0)
    return error("tokens: expected at least one token");
  if (count > std::min<uint64_t>(limit, TERN_TOKENIZER_MAX_IDS))
    return error("tokens: expected at most " + Twine(limit) +
                 (size != 0 ? " (the model's vocabulary)" : "") + ", found " + Twine(count));
  if (!from.types.empty() && from.types.size() != count)
    return error("token_type: expected " + Twine(count) + " entries, one a token, found " +
                 Twine(from.types.size()));
  for (auto [index, value] : enumerate(from.types))
    if (value < 1 || value > 6)
      return error("token_type[" + Twine(index) + "]: expected 1 to 6, found " + Twine(value));
  if (byteLevel)
    return Error::success();
  if (from.scores.size() != count)
    return error("scores: expected " + Twine(count) + " entries, one a token, found " +
                 Twine(from.scores.size()));
  for (auto [index, value] : enumerate(from.scores))
    if (std::isnan(value))
      return error("scores[" + Twine(index) + "]: expected a number, found NaN");
  return Error::success();
}

Error Maker::choosePre() {
  constexpr size_t kLlama3Tokens = 128256;
  StringRef name = from.pre.value_or("");
  if (!from.pre && from.tokens.size() == kLlama3Tokens) {
    name = "llama-bpe";
    warnings += from.file + ": tokenizer.ggml.pre is missing; its 128256 tokens are taken as "
                            "Llama 3's\n";
  } else if (!from.pre) {
    return error("pre: missing; how texts are cut cannot be told from the vocabulary (known "
                 "names: " +
                 knownPreTokenizers() + ")");
  }
  const PreTokenizer *pre = preTokenizerNamed(name);
  if (!pre)
    return error("pre: unknown pre-tokenizer \"" + name + "\", expected one of " +
                 knownPreTokenizers());
  for (StringRef expression : pre->expressions) {
    Expected<std::string> text = translatePreTokenizer(expression);
    if (!text)
      return text.takeError();
    model.split.push_back(
        {TERN_TOKENIZER_SPLIT_REGEX, TERN_TOKENIZER_ISOLATED, 0, std::move(*text), ""});
  }
  if (pre->composes)
    model.normalize.push_back({TERN_TOKENIZER_NFC});
  model.flags = TERN_TOKENIZER_BYTE_LEVEL;
  model.flags |= pre->ignoresMerges ? TERN_TOKENIZER_IGNORE_MERGES : 0;
  addsBos = pre->addsBos;
  return Error::success();
}

Error Maker::addAdded(uint32_t id, bool special) {
  StringRef text = from.tokens[id];
  if (text.empty() || text.size() > kMaxAddedBytes)
    return error("tokens[" + Twine(id) + "]: expected a " + (special ? "control" : "user-defined") +
                 " token of 1 to " + Twine(kMaxAddedBytes) + " bytes, found " + Twine(text.size()));
  if (!added.insert(text).second)
    return error("tokens[" + Twine(id) + "]: \"" + text + "\" is there twice");
  model.tokens[id].flags |= special ? TERN_TOKENIZER_TOKEN_SPECIAL : 0;
  if (special && endsTurn(text))
    if (Error failure = addEnd(id, "tokens"))
      return failure;
  model.added.push_back({text.str(), id, special ? TERN_TOKENIZER_ADDED_SPECIAL : 0});
  return Error::success();
}

Error Maker::addNormal(uint32_t id) {
  StringRef text = from.tokens[id];
  if (text.empty()) // nothing can become it
    return Error::success();
  auto [it, fresh] = ids.insert({text, id});
  if (!fresh)
    return error("tokens[" + Twine(id) + "]: \"" + text + "\" is token " + Twine(it->second) +
                 " too");
  TokenizerModel::Token &token = model.tokens[id];
  if (!byteLevel) {
    token.flags |= TERN_TOKENIZER_TOKEN_MODEL;
    return Error::success();
  }
  // What is not written in the alphabet stands for itself, and no text can produce it.
  if (std::optional<std::string> bytes = alphabetToBytes(text)) {
    token.text = std::move(*bytes);
    token.flags |= TERN_TOKENIZER_TOKEN_MODEL;
  }
  return Error::success();
}

Error Maker::addByte(uint32_t id) {
  StringRef text = from.tokens[id];
  uint8_t byte = 0;
  if (byteLevel || text.size() != 6 || !text.starts_with("<0x") || !text.ends_with(">") ||
      text.substr(3, 2).getAsInteger(16, byte))
    return error("tokens[" + Twine(id) + "]: expected a byte token such as \"<0x41>\", found \"" +
                 text.take_front(40) + "\"");
  if (!ids.insert({text, id}).second)
    return error("tokens[" + Twine(id) + "]: \"" + text + "\" is there twice");
  model.tokens[id].flags |= TERN_TOKENIZER_TOKEN_BYTE | TERN_TOKENIZER_TOKEN_MODEL;
  model.tokens[id].byte = byte;
  return Error::success();
}

Error Maker::addTokens() {
  model.tokens.resize(from.tokens.size());
  for (uint32_t id = 0; id < from.tokens.size(); ++id) {
    model.tokens[id].text = from.tokens[id].str();
    model.tokens[id].known = true;
    Error failure = Error::success();
    switch (type(id)) {
    case GgufTokenType::Normal:
      failure = joinErrors(std::move(failure), addNormal(id));
      break;
    case GgufTokenType::Unknown:
      // SentencePiece's unknown token is never searched for in a text.
      if (!from.unknown && !byteLevel)
        model.unknown = id;
      model.tokens[id].flags |= TERN_TOKENIZER_TOKEN_SPECIAL;
      break;
    case GgufTokenType::Control:
    case GgufTokenType::UserDefined:
      failure = joinErrors(std::move(failure), addAdded(id, type(id) == GgufTokenType::Control));
      break;
    case GgufTokenType::Unused:
      break;
    case GgufTokenType::Byte:
      failure = joinErrors(std::move(failure), addByte(id));
      break;
    }
    if (failure)
      return failure;
  }
  return Error::success();
}

Error Maker::addListedMerges() {
  DenseSet<std::pair<uint32_t, uint32_t>> seen;
  for (auto [rank, text] : enumerate(from.merges)) {
    size_t space = text.find(' ', 1);
    StringRef left = text.take_front(space), right = text.substr(space).drop_front(1);
    if (space == StringRef::npos || right.empty())
      return error("merges[" + Twine(rank) +
                   "]: expected two tokens and a space between them, "
                   "found \"" +
                   text.take_front(80) + "\"");
    std::string whole = (left + right).str();
    tern_tokenizer_merge_t merge = {0, 0, static_cast<uint32_t>(rank), 0};
    const std::pair<StringRef, uint32_t *> parts[] = {
        {left, &merge.left}, {right, &merge.right}, {whole, &merge.result}};
    for (auto [part, id] : parts) {
      auto it = ids.find(part);
      if (it == ids.end())
        return error("merges[" + Twine(rank) + "]: \"" + part.take_front(80) +
                     "\" is not a normal token");
      *id = it->second;
    }
    if (!seen.insert({merge.left, merge.right}).second)
      return error("merges[" + Twine(rank) + "]: a second merge of \"" + text.take_front(80) +
                   "\"");
    model.merges.push_back(merge);
  }
  return Error::success();
}

/// SentencePiece joins the pair whose whole has the highest score, whatever its two parts are, so
/// equal scores are equal ranks.
void Maker::addScoredMerges() {
  std::vector<uint32_t> order;
  for (const auto &entry : ids)
    if (type(entry.second) == GgufTokenType::Normal)
      order.push_back(entry.second);
  llvm::sort(order, [&](uint32_t a, uint32_t b) {
    return from.scores[a] != from.scores[b] ? from.scores[a] > from.scores[b] : a < b;
  });
  uint32_t rank = 0;
  for (auto [index, id] : enumerate(order)) {
    if (index != 0 && from.scores[id] != from.scores[order[index - 1]])
      ++rank;
    StringRef text = from.tokens[id];
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((text[cut] & 0xC0) == 0x80) // inside a character
        continue;
      auto left = ids.find(text.take_front(cut)), right = ids.find(text.drop_front(cut));
      if (left == ids.end() || right == ids.end() || type(left->second) != GgufTokenType::Normal ||
          type(right->second) != GgufTokenType::Normal)
        continue;
      model.merges.push_back({left->second, right->second, rank, id});
    }
  }
}

void Maker::addSentencePieceSteps() {
  bool prefix = from.addSpacePrefix.value_or(true);
  if (prefix)
    model.normalize.push_back({TERN_TOKENIZER_PREPEND, 0, 0, kMetaSpace.str(), ""});
  model.normalize.push_back({TERN_TOKENIZER_REPLACE, 0, 0, " ", kMetaSpace.str()});
  model.decode.push_back({TERN_TOKENIZER_REPLACE, 0, 0, kMetaSpace.str(), " "});
  model.decode.push_back({TERN_TOKENIZER_BYTES});
  if (prefix)
    model.decode.push_back({TERN_TOKENIZER_STRIP, 1, 0, " ", ""});
  model.flags = TERN_TOKENIZER_BYTE_FALLBACK | TERN_TOKENIZER_FUSE_UNKNOWN;
}

Error Maker::addEnd(std::optional<uint64_t> id, StringRef key) {
  if (!id)
    return Error::success();
  if (*id >= from.tokens.size())
    return error(key + ": expected an id below " + Twine(from.tokens.size()) + ", found " +
                 Twine(*id));
  if (!is_contained(model.end, *id) && model.end.size() < TERN_TOKENIZER_MAX_STEPS)
    model.end.push_back(static_cast<uint32_t>(*id));
  return Error::success();
}

Error Maker::addAround() {
  if (Error failure = addEnd(from.eos, "eos_token_id"))
    return failure;
  if (Error failure = addEnd(from.eot, "eot_token_id"))
    return failure;
  auto around = [&](std::optional<uint64_t> id, std::optional<bool> stated, bool usual,
                    StringRef key, std::vector<uint32_t> &ids) -> Error {
    if (id && *id >= from.tokens.size())
      return error(key + "_token_id: expected an id below " + Twine(from.tokens.size()) +
                   ", found " + Twine(*id));
    if (stated.value_or(false) && !id)
      return error("add_" + key + "_token: is set, but " + key + "_token_id is missing");
    if (id && stated.value_or(usual))
      ids = {static_cast<uint32_t>(*id)};
    return Error::success();
  };
  if (Error failure = around(from.bos, from.addBos, addsBos, "bos", model.prefix))
    return failure;
  if (Error failure = around(from.eos, from.addEos, false, "eos", model.suffix))
    return failure;
  if (from.unknown && *from.unknown >= from.tokens.size())
    return error("unknown_token_id: expected an id below " + Twine(from.tokens.size()) +
                 ", found " + Twine(*from.unknown));
  if (from.unknown && !byteLevel)
    model.unknown = static_cast<uint32_t>(*from.unknown);
  return Error::success();
}

Expected<GgufTokenizer> Maker::run() {
  byteLevel = from.model == "gpt2";
  if (!byteLevel && from.model != "llama")
    return error("model: unknown tokenizer \"" + from.model.take_front(80) +
                 "\", expected gpt2 (byte-level BPE) or llama (SentencePiece BPE)");
  if (Error failure = checkArrays())
    return std::move(failure);
  if (byteLevel) {
    if (Error failure = choosePre())
      return std::move(failure);
  } else {
    addSentencePieceSteps();
    addsBos = true;
  }
  if (Error failure = addTokens())
    return std::move(failure);
  if (byteLevel) {
    if (Error failure = addListedMerges())
      return std::move(failure);
  } else {
    addScoredMerges();
  }
  if (Error failure = addAround())
    return std::move(failure);
  Expected<std::string> blob = writeTokenizerBlob(model);
  if (!blob)
    return fileError(from.file, toString(blob.takeError()));
  return GgufTokenizer{std::move(*blob), std::move(warnings)};
}

Expected<GgufTokenizer> makeGgufTokenizer(const GgufVocabulary &vocabulary, uint64_t size) {
  return Maker(vocabulary, size).run();
}

} // namespace tern::import
