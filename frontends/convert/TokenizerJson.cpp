//===- TokenizerJson.cpp - a tokenizer blob as tokenizer.json ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/TokenizerTables.h"
#include "frontends/import/GgufPreTokenizer.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/JSON.h"

#include <nlohmann/json.hpp>

using namespace llvm;
using Ordered = nlohmann::ordered_json;

namespace tern::convert {

static Expected<Ordered> normalizerJson(const TokenizerTables &tables) {
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

static Expected<Ordered> preTokenizerJson(const TokenizerTables &tables) {
  if (!tables.byteLevel())
    return Ordered();
  std::vector<tern_tokenizer_step_t> steps = tables.split();
  SmallVector<StringRef> expressions;
  bool plain = true;
  for (const tern_tokenizer_step_t &step : steps) {
    if (step.kind != TERN_TOKENIZER_SPLIT_REGEX || step.behaviour != TERN_TOKENIZER_ISOLATED)
      return createStringError("the tokenizer cuts texts in a way that cannot be written");
    expressions.push_back(tables.text(step.a));
    plain = plain && !step.invert;
  }
  // Where the expressions are known, as others write them.
  StringRef name = import::findPreTokenizer(expressions, tables.has(TERN_TOKENIZER_IGNORE_MERGES));
  if (!name.empty() && plain)
    expressions.assign(import::preTokenizerNamed(name)->expressions.begin(),
                       import::preTokenizerNamed(name)->expressions.end());
  Ordered parts = Ordered::array();
  for (auto [step, expression] : zip_equal(steps, expressions))
    parts.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", expression.str()}}},
                     {"behavior", "Isolated"},
                     {"invert", step.invert != 0}});
  parts.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", false}});
  return Ordered{{"type", "Sequence"}, {"pretokenizers", parts}};
}

static Ordered decoderJson(const TokenizerTables &tables) {
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

/// One text, or two with the same tokens around each.
static Ordered postProcessorJson(const TokenizerTables &tables) {
  Ordered single = Ordered::array(), pair = Ordered::array(), special = Ordered::object();
  for (int sequence : {0, 1}) {
    auto add = [&](const Ordered &piece) {
      if (sequence == 0)
        single.push_back(piece);
      pair.push_back(piece);
    };
    auto around = [&](tern_tokenizer_table_t place) {
      for (uint32_t id : tables.table<uint32_t>(place)) {
        std::string name = tables.spelling(id);
        add({{"SpecialToken", {{"id", name}, {"type_id", sequence}}}});
        special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
      }
    };
    around(tables.header.prefix);
    add({{"Sequence", {{"id", sequence == 0 ? "A" : "B"}, {"type_id", sequence}}}});
    around(tables.header.suffix);
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", special}};
}

/// The unknown token is special: texts of ids leave it out where they leave those out.
static bool addsUnknown(const TokenizerTables &tables) {
  uint32_t unknown = tables.header.unknown_id;
  return unknown != TERN_TOKENIZER_NONE &&
         tables.tokens[unknown].flags & TERN_TOKENIZER_TOKEN_SPECIAL &&
         none_of(tables.added, [&](const auto &token) { return token.id == unknown; });
}

static Ordered addedJson(const TokenizerTables &tables) {
  Ordered list = Ordered::array();
  auto add = [&](uint32_t id, uint32_t flags) {
    auto has = [&](uint32_t flag) { return (flags & flag) != 0; };
    list.push_back({{"id", id},
                    {"content", tables.text(tables.tokens[id].text).str()},
                    {"single_word", has(TERN_TOKENIZER_ADDED_SINGLE_WORD)},
                    {"lstrip", has(TERN_TOKENIZER_ADDED_LSTRIP)},
                    {"rstrip", has(TERN_TOKENIZER_ADDED_RSTRIP)},
                    {"normalized", has(TERN_TOKENIZER_ADDED_NORMALIZED)},
                    {"special", has(TERN_TOKENIZER_ADDED_SPECIAL)}});
  };
  if (addsUnknown(tables))
    add(tables.header.unknown_id, TERN_TOKENIZER_ADDED_SPECIAL);
  for (const tern_tokenizer_added_t &token : tables.added)
    add(token.id, token.flags);
  return list;
}

Expected<std::string> tokenizerJson(StringRef blob) {
  TokenizerTables tables(blob);
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
  TokenizerTables tables(blob);
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
