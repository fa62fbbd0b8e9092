//===- Tokenizer.cpp - a tokenizer blob as other programs want it ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Tokenizer.h"

#include "frontends/import/GgufPreTokenizer.h"
#include "frontends/import/GgufTokenizer.h"
#include "frontends/import/TokenizerModel.h"
#include "tern/tokenizer_blob.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/JSON.h"

#include <cstring>

#include <nlohmann/json.hpp>

using namespace llvm;
using Ordered = nlohmann::ordered_json;

namespace tern::convert {

namespace {

/// The tables of a blob that the importer made.
class Tables {
public:
  explicit Tables(StringRef blob) : blob(blob) {
    std::memcpy(&header, blob.data(), sizeof header);
    merges = table<tern_tokenizer_merge_t>(header.merges);
    llvm::erase_if(merges, [](const auto &merge) { return merge.left == TERN_TOKENIZER_NONE; });
    llvm::sort(merges, [](const auto &a, const auto &b) {
      return std::tuple(a.rank, a.result, a.left, a.right) <
             std::tuple(b.rank, b.result, b.left, b.right);
    });
    tokens = table<tern_tokenizer_token_t>(header.tokens);
    added = table<tern_tokenizer_added_t>(header.added);
    llvm::sort(added, [](const auto &a, const auto &b) { return a.id < b.id; });
  }
  template <typename T> std::vector<T> table(tern_tokenizer_table_t place) const {
    std::vector<T> records(place.count);
    std::memcpy(records.data(), blob.data() + place.offset, place.count * sizeof(T));
    return records;
  }
  StringRef text(tern_tokenizer_text_t place) const {
    return blob.substr(header.texts.offset + place.offset, place.bytes);
  }
  bool byteLevel() const { return header.flags & TERN_TOKENIZER_BYTE_LEVEL; }
  bool isModel(uint32_t id) const { return tokens[id].flags & TERN_TOKENIZER_TOKEN_MODEL; }
  /// A token as vocabularies write it.
  std::string spelling(uint32_t id) const;

  StringRef blob;
  tern_tokenizer_header_t header;
  std::vector<tern_tokenizer_token_t> tokens;
  std::vector<tern_tokenizer_merge_t> merges;
  std::vector<tern_tokenizer_added_t> added;
};

/// The characters of byte-level BPE's alphabet, by byte.
std::vector<std::string> makeAlphabet() {
  std::vector<std::string> alphabet(256);
  for (unsigned character = 0; character < 256 + 68; ++character) {
    int byte = import::alphabetToByte(character);
    if (byte < 0)
      continue;
    char bytes[4], *end = bytes;
    ConvertCodePointToUTF8(character, end);
    alphabet[byte] = std::string(bytes, end);
  }
  return alphabet;
}

std::string Tables::spelling(uint32_t id) const {
  static const std::vector<std::string> alphabet = makeAlphabet();
  StringRef bytes = text(tokens[id].text);
  if (!byteLevel() || !isModel(id))
    return bytes.str();
  std::string result;
  for (char byte : bytes)
    result += alphabet[static_cast<uint8_t>(byte)];
  return result;
}

} // namespace

//===----------------------------------------------------------------------===//
// GGUF
//===----------------------------------------------------------------------===//

static Error noKeys(const Twine &why) {
  return createStringError(inconvertibleErrorCode(),
                           "GGUF files cannot describe the model's tokenizer: " + why +
                               "; --type hf keeps it as it is");
}

static Expected<std::string> preTokenizerOf(const Tables &tables) {
  SmallVector<StringRef> expressions;
  for (const auto &step : tables.table<tern_tokenizer_step_t>(tables.header.split)) {
    if (step.kind == TERN_TOKENIZER_BYTE_ALPHABET)
      continue;
    if (step.kind != TERN_TOKENIZER_SPLIT_REGEX || step.behaviour != TERN_TOKENIZER_ISOLATED ||
        step.invert)
      return noKeys("it cuts texts in a way that has no name there");
    expressions.push_back(tables.text(step.a));
  }
  bool ignores = tables.header.flags & TERN_TOKENIZER_IGNORE_MERGES;
  StringRef name = import::findPreTokenizer(expressions, ignores);
  if (name.empty())
    return noKeys("the expression that cuts texts has no name there");
  return name.str();
}

/// SentencePiece scores that make merges in the order of their ranks.
static Expected<std::vector<float>> scoresOf(const Tables &tables, size_t vocabulary) {
  std::vector<float> scores(vocabulary, 0);
  std::vector<uint32_t> rank(tables.tokens.size(), TERN_TOKENIZER_NONE);
  uint32_t last = TERN_TOKENIZER_NONE, next = 0;
  for (const tern_tokenizer_merge_t &merge : tables.merges) {
    if (merge.result == last)
      continue;
    if (rank[merge.result] != TERN_TOKENIZER_NONE)
      return noKeys("its merges are in no order that scores could make");
    last = merge.result;
    rank[last] = next++;
    scores[last] = -static_cast<float>(rank[last]);
  }
  // Characters, which nothing is merged to.
  for (size_t id = 0; id < rank.size(); ++id)
    if (rank[id] == TERN_TOKENIZER_NONE && tables.isModel(id) &&
        !(tables.tokens[id].flags & TERN_TOKENIZER_TOKEN_BYTE))
      scores[id] = -static_cast<float>(next++);
  return scores;
}

static std::vector<int32_t> typesOf(const Tables &tables, size_t vocabulary) {
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

static void addIds(GgufKeys &keys, const Tables &tables) {
  auto prefix = tables.table<uint32_t>(tables.header.prefix);
  auto suffix = tables.table<uint32_t>(tables.header.suffix);
  auto end = tables.table<uint32_t>(tables.header.end);
  keys.flag("tokenizer.ggml.add_bos_token", !prefix.empty());
  keys.flag("tokenizer.ggml.add_eos_token", !suffix.empty());
  if (!prefix.empty())
    keys.number("tokenizer.ggml.bos_token_id", prefix.front());
  std::optional<uint32_t> eos;
  if (!suffix.empty() || !end.empty())
    eos = !suffix.empty() ? suffix.front() : end.front();
  if (eos)
    keys.number("tokenizer.ggml.eos_token_id", *eos);
  for (uint32_t id : end)
    if (id != eos) {
      keys.number("tokenizer.ggml.eot_token_id", id);
      break;
    }
  if (tables.header.unknown_id != TERN_TOKENIZER_NONE)
    keys.number("tokenizer.ggml.unknown_token_id", tables.header.unknown_id);
}

Error addTokenizerKeys(GgufKeys &keys, StringRef blob, int64_t vocabulary) {
  if (blob.empty())
    return Error::success();
  Tables tables(blob);
  if (tables.header.prefix.count > 1 || tables.header.suffix.count > 1)
    return noKeys("it puts several tokens around a text");
  size_t count = std::max<size_t>(tables.tokens.size(), vocabulary);
  std::vector<std::string> tokens(count);
  for (size_t id = 0; id < count; ++id) {
    if (id < tables.tokens.size())
      tokens[id] = tables.spelling(id);
    if (tokens[id].empty())
      tokens[id] = "[PAD" + std::to_string(id) + "]";
  }
  keys.string("tokenizer.ggml.model", tables.byteLevel() ? "gpt2" : "llama");
  if (tables.byteLevel()) {
    Expected<std::string> pre = preTokenizerOf(tables);
    if (!pre)
      return pre.takeError();
    keys.string("tokenizer.ggml.pre", *pre);
    std::vector<std::string> merges;
    for (const tern_tokenizer_merge_t &merge : tables.merges)
      merges.push_back(tables.spelling(merge.left) + " " + tables.spelling(merge.right));
    keys.strings("tokenizer.ggml.merges", merges);
  } else {
    Expected<std::vector<float>> scores = scoresOf(tables, count);
    if (!scores)
      return scores.takeError();
    keys.string("tokenizer.ggml.pre", "default");
    keys.reals("tokenizer.ggml.scores", *scores);
    auto steps = tables.table<tern_tokenizer_step_t>(tables.header.normalize);
    keys.flag("tokenizer.ggml.add_space_prefix",
              any_of(steps, [](const auto &step) { return step.kind == TERN_TOKENIZER_PREPEND; }));
  }
  keys.strings("tokenizer.ggml.tokens", tokens);
  keys.integers("tokenizer.ggml.token_type", typesOf(tables, count));
  addIds(keys, tables);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// tokenizer.json
//===----------------------------------------------------------------------===//

static Expected<Ordered> normalizerJson(const Tables &tables) {
  Ordered parts = Ordered::array();
  for (const auto &step : tables.table<tern_tokenizer_step_t>(tables.header.normalize)) {
    static constexpr const char *kForms[] = {"", "NFC", "NFD", "NFKC", "NFKD"};
    if (step.kind <= TERN_TOKENIZER_NFKD)
      parts.push_back({{"type", kForms[step.kind]}});
    else if (step.kind == TERN_TOKENIZER_PREPEND)
      parts.push_back({{"type", "Prepend"}, {"prepend", tables.text(step.a).str()}});
    else
      parts.push_back({{"type", "Replace"},
                       {"pattern", {{"String", tables.text(step.a).str()}}},
                       {"content", tables.text(step.b).str()}});
  }
  if (parts.empty())
    return Ordered();
  return Ordered{{"type", "Sequence"}, {"normalizers", parts}};
}

static Expected<Ordered> preTokenizerJson(const Tables &tables) {
  Ordered parts = Ordered::array();
  for (const auto &step : tables.table<tern_tokenizer_step_t>(tables.header.split)) {
    if (step.kind == TERN_TOKENIZER_BYTE_ALPHABET)
      continue;
    if (step.kind != TERN_TOKENIZER_SPLIT_REGEX || step.behaviour != TERN_TOKENIZER_ISOLATED)
      return createStringError("the tokenizer cuts texts in a way that cannot be written");
    parts.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", tables.text(step.a).str()}}},
                     {"behavior", "Isolated"},
                     {"invert", step.invert != 0}});
  }
  if (!tables.byteLevel())
    return Ordered();
  parts.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", false}});
  return Ordered{{"type", "Sequence"}, {"pretokenizers", parts}};
}

static Ordered decoderJson(const Tables &tables) {
  if (tables.byteLevel())
    return {{"type", "ByteLevel"},
            {"add_prefix_space", true},
            {"trim_offsets", true},
            {"use_regex", true}};
  Ordered before = Ordered::array(), after = Ordered::array();
  for (const auto &step : tables.table<tern_tokenizer_step_t>(tables.header.decode)) {
    if (step.kind == TERN_TOKENIZER_REPLACE)
      before.push_back({{"type", "Replace"},
                        {"pattern", {{"String", tables.text(step.a).str()}}},
                        {"content", tables.text(step.b).str()}});
    else if (step.kind == TERN_TOKENIZER_BYTES)
      before.push_back({{"type", "ByteFallback"}});
    else
      after.push_back({{"type", "Strip"},
                       {"content", tables.text(step.a).str()},
                       {"start", step.behaviour},
                       {"stop", 0}});
  }
  before.push_back({{"type", "Fuse"}});
  before.insert(before.end(), after.begin(), after.end());
  return {{"type", "Sequence"}, {"decoders", before}};
}

static Ordered postProcessorJson(const Tables &tables) {
  Ordered single = Ordered::array(), special = Ordered::object();
  auto add = [&](tern_tokenizer_table_t place) {
    for (uint32_t id : tables.table<uint32_t>(place)) {
      std::string name = tables.spelling(id);
      single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
      special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
    }
  };
  add(tables.header.prefix);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add(tables.header.suffix);
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", Ordered::array()},
          {"special_tokens", special}};
}

static Ordered addedJson(const Tables &tables) {
  Ordered list = Ordered::array();
  for (const tern_tokenizer_added_t &token : tables.added) {
    auto has = [&](uint32_t flag) { return (token.flags & flag) != 0; };
    list.push_back({{"id", token.id},
                    {"content", tables.text(tables.tokens[token.id].text).str()},
                    {"single_word", has(TERN_TOKENIZER_ADDED_SINGLE_WORD)},
                    {"lstrip", has(TERN_TOKENIZER_ADDED_LSTRIP)},
                    {"rstrip", has(TERN_TOKENIZER_ADDED_RSTRIP)},
                    {"normalized", has(TERN_TOKENIZER_ADDED_NORMALIZED)},
                    {"special", has(TERN_TOKENIZER_ADDED_SPECIAL)}});
  }
  return list;
}

Expected<std::string> tokenizerJson(StringRef blob) {
  Tables tables(blob);
  Ordered vocabulary = Ordered::object(), merges = Ordered::array();
  SmallVector<bool> isAdded(tables.tokens.size());
  for (const tern_tokenizer_added_t &token : tables.added)
    isAdded[token.id] = true;
  uint32_t unknown = tables.header.unknown_id;
  // Not operator[], which would search the members so far.
  auto &members = vocabulary.get_ref<Ordered::object_t &>();
  for (uint32_t id = 0; id < tables.tokens.size(); ++id) {
    std::string text = tables.spelling(id);
    // JSON holds texts, not bytes.
    if ((!isAdded[id] || id == unknown) && !text.empty() && json::isUTF8(text))
      members.emplace_back(text, id);
  }
  for (const tern_tokenizer_merge_t &merge : tables.merges)
    merges.push_back({tables.spelling(merge.left), tables.spelling(merge.right)});
  Expected<Ordered> normalizer = normalizerJson(tables);
  if (!normalizer)
    return normalizer.takeError();
  Expected<Ordered> pre = preTokenizerJson(tables);
  if (!pre)
    return pre.takeError();
  auto has = [&](uint32_t flag) { return (tables.header.flags & flag) != 0; };
  Ordered model = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"fuse_unk", has(TERN_TOKENIZER_FUSE_UNKNOWN)},
                   {"byte_fallback", has(TERN_TOKENIZER_BYTE_FALLBACK)},
                   {"ignore_merges", has(TERN_TOKENIZER_IGNORE_MERGES)}};
  if (unknown != TERN_TOKENIZER_NONE)
    model["unk_token"] = tables.spelling(unknown);
  model["vocab"] = std::move(vocabulary);
  model["merges"] = std::move(merges);
  Ordered root = {{"version", "1.0"},
                  {"added_tokens", addedJson(tables)},
                  {"normalizer", *normalizer},
                  {"pre_tokenizer", *pre},
                  {"post_processor", postProcessorJson(tables)},
                  {"decoder", decoderJson(tables)},
                  {"model", std::move(model)}};
  return root.dump(1, ' ', false, Ordered::error_handler_t::replace);
}

std::string tokenizerConfig(StringRef blob, StringRef chatTemplate) {
  Ordered root = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                  {"clean_up_tokenization_spaces", false}};
  Tables tables(blob);
  auto prefix = tables.table<uint32_t>(tables.header.prefix);
  auto end = tables.table<uint32_t>(tables.header.end);
  if (!prefix.empty())
    root["bos_token"] = tables.spelling(prefix.front());
  if (!end.empty())
    root["eos_token"] = tables.spelling(end.front());
  if (!chatTemplate.empty())
    root["chat_template"] = chatTemplate.str();
  return root.dump(2, ' ', false, Ordered::error_handler_t::replace);
}

} // namespace tern::convert
