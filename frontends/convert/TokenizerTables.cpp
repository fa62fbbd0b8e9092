//===- TokenizerTables.cpp - the tables of a tokenizer blob --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/TokenizerTables.h"

#include "frontends/import/TokenizerModel.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/ConvertUTF.h"

#include <set>
#include <tuple>

using namespace llvm;

namespace tern::convert {

TokenizerTables::TokenizerTables(StringRef blob) : blob(blob) {
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

/// The characters of byte-level BPE's alphabet, by byte.
static std::vector<std::string> makeAlphabet() {
  std::vector<std::string> alphabet(256);
  for (unsigned byte = 0; byte < 256; ++byte) {
    char bytes[4], *end = bytes;
    ConvertCodePointToUTF8(tern_tokenizer_byte_to_alphabet(static_cast<uint8_t>(byte)), end);
    alphabet[byte] = std::string(bytes, end);
  }
  return alphabet;
}

std::string TokenizerTables::spelling(uint32_t id) const {
  static const std::vector<std::string> alphabet = makeAlphabet();
  StringRef bytes = text(tokens[id].text);
  if (!byteLevel() || !isModel(id))
    return bytes.str();
  std::string result;
  for (char byte : bytes)
    result += alphabet[static_cast<uint8_t>(byte)];
  return result;
}

std::vector<tern_tokenizer_step_t> TokenizerTables::split() const {
  auto steps = table<tern_tokenizer_step_t>(header.split);
  llvm::erase_if(steps, [](const auto &s) { return s.kind == TERN_TOKENIZER_BYTE_ALPHABET; });
  return steps;
}

namespace {
using Step = std::tuple<uint32_t, uint32_t, uint32_t, std::string, std::string>;

std::vector<Step> describe(const TokenizerTables &tables,
                           const std::vector<tern_tokenizer_step_t> &steps) {
  std::vector<Step> result;
  for (const tern_tokenizer_step_t &step : steps)
    result.emplace_back(step.kind, step.behaviour, step.invert, tables.text(step.a).str(),
                        tables.text(step.b).str());
  return result;
}

std::vector<Step> describe(const TokenizerTables &tables, tern_tokenizer_table_t steps) {
  return describe(tables, tables.table<tern_tokenizer_step_t>(steps));
}

/// The results of merges in the order of their ranks; those of one rank are together.
std::vector<std::set<uint32_t>> order(const TokenizerTables &tables) {
  std::vector<std::set<uint32_t>> result;
  uint32_t rank = TERN_TOKENIZER_NONE;
  for (const tern_tokenizer_merge_t &merge : tables.merges) {
    bool again = !result.empty() && result.back().size() == 1 && result.back().count(merge.result);
    if (merge.rank == rank && !result.empty())
      result.back().insert(merge.result);
    else if (!again)
      result.push_back({merge.result});
    rank = merge.rank;
  }
  return result;
}

bool sameMerges(const TokenizerTables &a, const TokenizerTables &b) {
  auto set = [](const TokenizerTables &tables) {
    std::set<std::tuple<uint32_t, uint32_t, uint32_t>> merges;
    for (const tern_tokenizer_merge_t &merge : tables.merges)
      merges.emplace(merge.left, merge.right, merge.result);
    return merges;
  };
  return order(a) == order(b) && set(a) == set(b);
}

/// The unknown token is in some formats found in texts and in others not; no text has it.
bool sameAdded(const TokenizerTables &a, const TokenizerTables &b) {
  auto list = [](const TokenizerTables &tables, uint32_t unknown) {
    std::vector<std::tuple<uint32_t, uint32_t, std::string>> result;
    for (const tern_tokenizer_added_t &token : tables.added)
      if (token.id != unknown)
        result.emplace_back(token.id, token.flags, tables.text(token.text).str());
    return result;
  };
  return list(a, a.header.unknown_id) == list(b, a.header.unknown_id);
}

/// Ids that stand for nothing in one may be fillers in the other, and what no merge makes may be
/// called a part of the vocabulary.
bool sameTokens(const TokenizerTables &a, const TokenizerTables &b) {
  std::set<uint32_t> other = {a.header.unknown_id, b.header.unknown_id}, made;
  for (const auto *tables : {&a, &b})
    for (const tern_tokenizer_added_t &token : tables->added)
      other.insert(token.id);
  for (const tern_tokenizer_merge_t &merge : b.merges)
    made.insert(merge.result);
  for (uint32_t id = 0; id < a.tokens.size(); ++id) {
    StringRef text = a.text(a.tokens[id].text);
    if (text.empty())
      continue;
    if (id >= b.tokens.size() || b.text(b.tokens[id].text) != text)
      return false;
    uint32_t flags = a.tokens[id].flags ^ b.tokens[id].flags;
    if (flags & (TERN_TOKENIZER_TOKEN_BYTE | TERN_TOKENIZER_TOKEN_SPECIAL))
      return false;
    if (other.count(id))
      continue;
    if (a.isModel(id) != b.isModel(id) && (a.isModel(id) || made.count(id)))
      return false;
  }
  return true;
}
} // namespace

std::string difference(const TokenizerTables &a, const TokenizerTables &b) {
  auto ids = [](const TokenizerTables &tables, tern_tokenizer_table_t place) {
    return tables.table<uint32_t>(place);
  };
  auto ends = [&](const TokenizerTables &tables) {
    auto list = ids(tables, tables.header.end);
    return std::set<uint32_t>(list.begin(), list.end());
  };
  const std::pair<StringRef, bool> parts[] = {
      {"normalization", describe(a, a.header.normalize) == describe(b, b.header.normalize)},
      {"splitting", describe(a, a.split()) == describe(b, b.split())},
      {"decoding", describe(a, a.header.decode) == describe(b, b.header.decode)},
      {"tokens", sameTokens(a, b)},
      {"merges", sameMerges(a, b)},
      {"added tokens", sameAdded(a, b)},
      {"unknown characters",
       a.header.flags == b.header.flags && a.header.unknown_id == b.header.unknown_id},
      {"tokens around a text", ids(a, a.header.prefix) == ids(b, b.header.prefix) &&
                                   ids(a, a.header.suffix) == ids(b, b.header.suffix)},
      {"tokens that end a text", ends(a) == ends(b)}};
  std::string text;
  for (auto [name, same] : parts)
    if (!same)
      text += (text.empty() ? "" : ", ") + name.str();
  return text;
}

} // namespace tern::convert
