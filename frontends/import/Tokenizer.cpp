//===- Tokenizer.cpp - a model folder's tokenizer to a blob ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Tokenizer.h"

#include "frontends/import/TokenizerParts.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <optional>

using namespace llvm;

namespace tern::import {

namespace {

constexpr size_t kMaxAddedBytes = 1024;

/// Collects the parts of one tokenizer.
class Importer {
public:
  explicit Importer(uint64_t vocabulary) : vocabulary(vocabulary) {}

  Error readTokenizer(const Json &root);
  /// tokenizer_config.json or special_tokens_map.json.
  Error readConfig(const Json &root);
  /// config.json or generation_config.json.
  Error readEndIds(const Json &root);
  Expected<std::string> finish();

private:
  Error readModel(const Json &model);
  Error readVocabulary(const Json &model);
  Error readMerges(const Json &model);
  Expected<std::pair<StringRef, StringRef>> readPair(const Json &merge);
  Error readAdded(const Json &token, std::optional<int64_t> keyId);
  Error addAdded(const Json &place, StringRef content, uint32_t id, uint32_t flags);
  Error readAround(const Json &root, StringRef flag, StringRef name, std::vector<uint32_t> &ids);
  void describeTokens();
  Expected<uint32_t> placeToken(const Json &place, StringRef text, int64_t id);
  /// The content of a token that a config names, or nothing.
  Expected<std::optional<StringRef>> tokenName(const Json &root, StringRef key);
  void addEnd(uint32_t id);

  uint64_t vocabulary;
  uint64_t entries = 0; ///< of the vocabulary and the added tokens: bounds the ids
  bool hasTemplate = false;
  TokenizerModel model;
  StringMap<uint32_t> ids;     ///< as the file writes the tokens
  StringSet<> added;           ///< contents
  StringSet<> addedNormalized; ///< of those searched in normalized text, what they become
};

} // namespace

Expected<uint32_t> Importer::placeToken(const Json &place, StringRef text, int64_t id) {
  uint64_t limit = vocabulary != 0 ? vocabulary : entries * 16 + 1024;
  limit = std::min<uint64_t>(limit, TERN_TOKENIZER_MAX_IDS);
  if (id < 0 || static_cast<uint64_t>(id) >= limit)
    return place.error("token \"" + text + "\": expected an id below " + Twine(limit) +
                       (vocabulary != 0 ? " (the model's vocabulary)" : "") + ", found " +
                       Twine(id));
  uint32_t index = static_cast<uint32_t>(id);
  if (index >= model.tokens.size())
    model.tokens.resize(index + 1);
  TokenizerModel::Token &token = model.tokens[index];
  if (token.known)
    return place.error("tokens \"" + token.text + "\" and \"" + text + "\" both have the id " +
                       Twine(index));
  token.text = text.str();
  token.known = true;
  ids[text] = index;
  return index;
}

Error Importer::readVocabulary(const Json &part) {
  Expected<const Json *> table = part.get("vocab");
  if (!table)
    return table.takeError();
  Expected<ArrayRef<Json::Member>> members = (*table)->object();
  if (!members)
    return members.takeError();
  if (members->empty())
    return (*table)->error("expected at least one token");
  entries += members->size();
  for (const Json::Member &member : *members) {
    Expected<int64_t> id = member.value.integer(0);
    if (!id)
      return id.takeError();
    Expected<uint32_t> placed = placeToken(**table, member.key, *id);
    if (!placed)
      return placed.takeError();
    model.tokens[*placed].flags = TERN_TOKENIZER_TOKEN_MODEL;
  }
  return Error::success();
}

Expected<std::pair<StringRef, StringRef>> Importer::readPair(const Json &merge) {
  if (merge.isString()) {
    StringRef text = cantFail(merge.string());
    auto [left, right] = text.split(' ');
    if (left.empty() || right.empty() || right.contains(' '))
      return merge.error("expected two tokens and one space between them, found \"" + text + "\"");
    return std::pair(left, right);
  }
  Expected<ArrayRef<Json>> parts = merge.array();
  if (!parts)
    return parts.takeError();
  if (parts->size() != 2)
    return merge.error("expected 2 tokens, found " + Twine(parts->size()));
  Expected<StringRef> left = (*parts)[0].string();
  if (!left)
    return left.takeError();
  Expected<StringRef> right = (*parts)[1].string();
  if (!right)
    return right.takeError();
  return std::pair(*left, *right);
}

Error Importer::readMerges(const Json &part) {
  Expected<ArrayRef<Json>> list = part.getArray("merges");
  if (!list)
    return list.takeError();
  DenseSet<std::pair<uint32_t, uint32_t>> seen;
  std::string whole;
  for (auto [rank, merge] : enumerate(*list)) {
    Expected<std::pair<StringRef, StringRef>> pair = readPair(merge);
    if (!pair)
      return pair.takeError();
    auto find = [&](StringRef text, uint32_t &id) -> Error {
      auto it = ids.find(text);
      if (it == ids.end())
        return merge.error("\"" + text + "\" is not in the vocabulary");
      id = it->second;
      return Error::success();
    };
    tern_tokenizer_merge_t record = {0, 0, static_cast<uint32_t>(rank), 0};
    whole = (pair->first + pair->second).str();
    if (Error error = find(pair->first, record.left))
      return error;
    if (Error error = find(pair->second, record.right))
      return error;
    if (Error error = find(whole, record.result))
      return error;
    if (!seen.insert({record.left, record.right}).second)
      return merge.error("a second merge of \"" + pair->first + "\" and \"" + pair->second + "\"");
    model.merges.push_back(record);
  }
  return Error::success();
}

Error Importer::readModel(const Json &part) {
  Expected<StringRef> type = part.getString("type");
  if (!type)
    return type.takeError();
  if (*type != "BPE")
    return part.error("unsupported model \"" + *type + "\", expected \"BPE\"");
  Expected<double> dropout = part.getNumberOr("dropout", 0.0);
  if (!dropout)
    return dropout.takeError();
  if (*dropout != 0.0)
    return part.error("unsupported dropout");
  for (StringRef key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    Expected<StringRef> text = part.getStringOr(key, "");
    if (!text)
      return text.takeError();
    if (!text->empty())
      return part.error("unsupported " + key + " \"" + *text + "\"");
  }
  const std::pair<StringRef, uint32_t> flags[] = {{"ignore_merges", TERN_TOKENIZER_IGNORE_MERGES},
                                                  {"byte_fallback", TERN_TOKENIZER_BYTE_FALLBACK},
                                                  {"fuse_unk", TERN_TOKENIZER_FUSE_UNKNOWN}};
  for (auto [key, flag] : flags) {
    Expected<bool> value = part.getBooleanOr(key, false);
    if (!value)
      return value.takeError();
    model.flags |= *value ? flag : 0;
  }
  if (Error error = readVocabulary(part))
    return error;
  if (Error error = readMerges(part))
    return error;
  Expected<StringRef> unknown = part.getStringOr("unk_token", "");
  if (!unknown)
    return unknown.takeError();
  if (unknown->empty())
    return Error::success();
  auto it = ids.find(*unknown);
  if (it == ids.end())
    return part.error("unk_token: \"" + *unknown + "\" is not in the vocabulary");
  model.unknown = it->second;
  return Error::success();
}

Error Importer::addAdded(const Json &place, StringRef content, uint32_t id, uint32_t flags) {
  if (!added.insert(content).second)
    return place.error("added token \"" + content + "\" is there twice");
  auto known = ids.find(content);
  if (known != ids.end() && known->second != id)
    return place.error("added token \"" + content + "\" has the id " + Twine(id) +
                       ", and the vocabulary gives it " + Twine(known->second));
  if (known == ids.end())
    if (Expected<uint32_t> placed = placeToken(place, content, id); !placed)
      return placed.takeError();
  if (flags & TERN_TOKENIZER_ADDED_SPECIAL) {
    model.tokens[id].flags |= TERN_TOKENIZER_TOKEN_SPECIAL;
    if (endsTurn(content))
      addEnd(id);
  }
  std::string text = content.str();
  if (flags & TERN_TOKENIZER_ADDED_NORMALIZED) {
    text = normalized(model, content);
    if (text.empty())
      return place.error("added token \"" + content + "\" is empty once it is normalized");
    if (!addedNormalized.insert(text).second)
      return place.error("added token \"" + content + "\" equals another once both are normalized");
  }
  model.added.push_back({std::move(text), id, flags});
  return Error::success();
}

Error Importer::readAdded(const Json &token, std::optional<int64_t> keyId) {
  Expected<StringRef> content = token.getString("content");
  if (!content)
    return content.takeError();
  if (content->empty() || content->size() > kMaxAddedBytes)
    return token.error("content: expected a text of 1 to " + Twine(kMaxAddedBytes) +
                       " bytes, found " + Twine(content->size()));
  Expected<int64_t> id = keyId ? Expected<int64_t>(*keyId) : token.getInteger("id", 0, INT32_MAX);
  if (!id)
    return id.takeError();
  uint32_t flags = 0;
  const std::pair<StringRef, uint32_t> names[] = {
      {"special", TERN_TOKENIZER_ADDED_SPECIAL},
      {"normalized", TERN_TOKENIZER_ADDED_NORMALIZED},
      {"lstrip", TERN_TOKENIZER_ADDED_LSTRIP},
      {"rstrip", TERN_TOKENIZER_ADDED_RSTRIP},
      {"single_word", TERN_TOKENIZER_ADDED_SINGLE_WORD}};
  for (auto [key, flag] : names) {
    Expected<bool> value = token.getBoolean(key);
    if (!value)
      return value.takeError();
    flags |= *value ? flag : 0;
  }
  // tokenizer_config.json repeats the tokens of tokenizer.json, which decides.
  if (keyId && added.contains(*content)) {
    if (ids.lookup(*content) != static_cast<uint64_t>(*keyId))
      return token.error("token \"" + *content +
                         "\" has another id in tokenizer.json: " + Twine(ids.lookup(*content)));
    return Error::success();
  }
  return addAdded(token, *content, static_cast<uint32_t>(*id), flags);
}

Error Importer::readTokenizer(const Json &root) {
  Expected<const Json *> part = root.get("model");
  if (!part)
    return part.takeError();
  if (Error error = readModel(**part))
    return error;
  if (Error error = readNormalizer(root.find("normalizer"), model))
    return error;
  if (const Json *list = root.find("added_tokens")) {
    Expected<ArrayRef<Json>> tokens = list->array();
    if (!tokens)
      return tokens.takeError();
    entries += tokens->size();
    for (const Json &token : *tokens)
      if (Error error = readAdded(token, std::nullopt))
        return error;
  }
  if (Error error = readPreTokenizer(root.find("pre_tokenizer"), model))
    return error;
  if (!root.find("decoder") && !(model.flags & TERN_TOKENIZER_BYTE_LEVEL))
    return root.error("decoder: expected ByteLevel or Sequence, found none");
  if (Error error = readDecoder(root.find("decoder"), model))
    return error;
  return readPostProcessor(root.find("post_processor"), model, hasTemplate);
}

Expected<std::optional<StringRef>> Importer::tokenName(const Json &root, StringRef key) {
  const Json *value = root.find(key);
  if (!value)
    return std::nullopt;
  Expected<StringRef> text = value->isObject() ? value->getString("content") : value->string();
  if (!text)
    return text.takeError();
  return std::optional<StringRef>(*text);
}

void Importer::addEnd(uint32_t id) {
  if (!is_contained(model.end, id) && model.end.size() < TERN_TOKENIZER_MAX_STEPS)
    model.end.push_back(id);
}

Error Importer::readAround(const Json &root, StringRef flag, StringRef name,
                           std::vector<uint32_t> &around) {
  Expected<bool> wanted = root.getBooleanOr(flag, false);
  if (!wanted)
    return wanted.takeError();
  Expected<std::optional<StringRef>> token = tokenName(root, name);
  if (!token)
    return token.takeError();
  if (!*wanted || hasTemplate)
    return Error::success();
  if (!*token || !ids.contains(**token))
    return root.error(flag + " is set, but " + name + " names no token");
  around = {ids.lookup(**token)};
  return Error::success();
}

Error Importer::readConfig(const Json &root) {
  if (!root.isObject())
    return root.error("expected an object, found " + root.kind());
  if (const Json *list = root.find("added_tokens_decoder")) {
    Expected<ArrayRef<Json::Member>> members = list->object();
    if (!members)
      return members.takeError();
    entries += members->size();
    for (const Json::Member &member : *members) {
      uint32_t id = 0;
      if (StringRef(member.key).getAsInteger(10, id) || id > INT32_MAX)
        return list->error("expected an id as key, found \"" + member.key + "\"");
      if (Error error = readAdded(member.value, id))
        return error;
    }
  }
  Expected<std::optional<StringRef>> eos = tokenName(root, "eos_token");
  if (!eos)
    return eos.takeError();
  if (*eos && ids.contains(**eos))
    addEnd(ids.lookup(**eos));
  if (Error error = readAround(root, "add_bos_token", "bos_token", model.prefix))
    return error;
  return readAround(root, "add_eos_token", "eos_token", model.suffix);
}

Error Importer::readEndIds(const Json &root) {
  const Json *end = root.find("eos_token_id");
  if (!end)
    return Error::success();
  auto read = [&](const Json &value) -> Error {
    Expected<int64_t> id = value.integer(0, INT32_MAX);
    if (!id)
      return id.takeError();
    uint64_t index = static_cast<uint64_t>(*id);
    if (index >= model.tokens.size() || !model.tokens[index].known)
      return value.error("no token of tokenizer.json has the id " + Twine(*id));
    addEnd(static_cast<uint32_t>(index));
    return Error::success();
  };
  if (!end->isArray())
    return read(*end);
  for (const Json &value : cantFail(end->array()))
    if (Error error = read(value))
      return error;
  return Error::success();
}

void Importer::describeTokens() {
  bool byteLevel = model.flags & TERN_TOKENIZER_BYTE_LEVEL;
  for (TokenizerModel::Token &token : model.tokens) {
    StringRef text = token.text;
    uint8_t byte = 0;
    if (byteLevel && (token.flags & TERN_TOKENIZER_TOKEN_MODEL)) {
      std::optional<std::string> bytes = alphabetToBytes(text);
      // Added tokens, and what no text can produce, stand for themselves.
      if (bytes && (!added.contains(text) || *bytes == text))
        token.text = std::move(*bytes);
      else
        token.flags &= ~TERN_TOKENIZER_TOKEN_MODEL;
    } else if (!byteLevel && text.size() == 6 && text.starts_with("<0x") && text.ends_with(">") &&
               !text.substr(3, 2).getAsInteger(16, byte) &&
               text.substr(3, 2).upper() == text.substr(3, 2)) {
      token.flags |= TERN_TOKENIZER_TOKEN_BYTE;
      token.byte = byte;
    }
  }
}

Expected<std::string> Importer::finish() {
  describeTokens();
  return writeTokenizerBlob(model);
}

Expected<std::string> parseTokenizer(StringRef file, StringRef text, uint64_t vocabulary) {
  Expected<JsonDocument> document = JsonDocument::parse(file, text);
  if (!document)
    return document.takeError();
  Importer importer(vocabulary);
  if (Error error = importer.readTokenizer(document->root()))
    return std::move(error);
  return importer.finish();
}

Expected<std::string> importTokenizer(StringRef folder, uint64_t vocabulary) {
  auto pathOf = [&](StringRef name) {
    SmallString<128> path = folder;
    sys::path::append(path, name);
    return path;
  };
  if (!sys::fs::exists(pathOf("tokenizer.json")))
    return std::string();
  Importer importer(vocabulary);
  using Read = Error (Importer::*)(const Json &);
  const std::pair<StringRef, Read> files[] = {{"tokenizer.json", &Importer::readTokenizer},
                                              {"tokenizer_config.json", &Importer::readConfig},
                                              {"special_tokens_map.json", &Importer::readConfig},
                                              {"generation_config.json", &Importer::readEndIds},
                                              {"config.json", &Importer::readEndIds}};
  for (auto [name, read] : files) {
    SmallString<128> path = pathOf(name);
    if (!sys::fs::exists(path))
      continue;
    Expected<JsonDocument> document = JsonDocument::read(path);
    if (!document)
      return document.takeError();
    if (Error error = (importer.*read)(document->root()))
      return std::move(error);
  }
  return importer.finish();
}

} // namespace tern::import
