//===- TokenizerModel.cpp - a tokenizer to its blob -----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/TokenizerModel.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>

using namespace llvm;

namespace tern::import {

static_assert(endianness::native == endianness::little, "records are written as they lie");

std::optional<std::string> alphabetToBytes(StringRef text) {
  std::string bytes;
  const UTF8 *at = text.bytes_begin();
  while (at < text.bytes_end()) {
    UTF32 character = 0;
    if (convertUTF8Sequence(&at, text.bytes_end(), &character, strictConversion) != conversionOK)
      return std::nullopt;
    int byte = tern_tokenizer_alphabet_to_byte(character);
    if (byte < 0)
      return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

bool endsTurn(StringRef text) {
  return is_contained<StringRef>(
      {"<|eot_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>"}, text);
}

namespace {

/// Appends tables behind a header whose place it keeps.
class BlobWriter {
public:
  BlobWriter() { bytes.resize(sizeof(tern_tokenizer_header_t)); }

  tern_tokenizer_text_t text(StringRef s) {
    tern_tokenizer_text_t place = {static_cast<uint32_t>(texts.size()),
                                   static_cast<uint32_t>(s.size())};
    texts += s;
    return place;
  }
  template <typename Record> tern_tokenizer_table_t table(ArrayRef<Record> records) {
    bytes.resize(alignTo(bytes.size(), 8));
    tern_tokenizer_table_t place = {static_cast<uint32_t>(bytes.size()),
                                    static_cast<uint32_t>(records.size())};
    bytes.append(reinterpret_cast<const char *>(records.data()), records.size() * sizeof(Record));
    return place;
  }
  tern_tokenizer_table_t steps(ArrayRef<TokenizerModel::Step> steps) {
    SmallVector<tern_tokenizer_step_t> records;
    for (const TokenizerModel::Step &step : steps)
      records.push_back({step.kind, step.behaviour, step.invert, 0, text(step.a), text(step.b)});
    return table<tern_tokenizer_step_t>(records);
  }
  Expected<std::string> finish(tern_tokenizer_header_t &header) {
    header.texts = table<char>({texts.data(), texts.size()});
    // Offsets are 32 bits wide; sizes only grew, so the last one tells.
    if (bytes.size() > UINT32_MAX)
      return createStringError("tokenizer: its tables need more than 4 GiB");
    std::memcpy(header.magic, TERN_TOKENIZER_MAGIC, sizeof(header.magic));
    header.header_bytes = sizeof(header);
    header.total_bytes = bytes.size();
    std::memcpy(bytes.data(), &header, sizeof(header));
    return std::move(bytes);
  }

private:
  std::string bytes, texts;
};

/// An open-addressing table at two thirds full, as the searches of the format expect it.
template <typename Record> class HashTable {
public:
  HashTable(size_t count, Record empty) : records(count + count / 2 + 1, empty) {}

  /// `isEmpty` tells a free slot; returns how many slots a search for the record looks at.
  template <typename IsEmpty> uint32_t insert(uint32_t hash, Record record, IsEmpty isEmpty) {
    size_t slot = static_cast<size_t>(uint64_t{hash} * records.size() >> 32);
    uint32_t probes = 1;
    for (; !isEmpty(records[slot]); ++probes) {
      slot = slot + 1 == records.size() ? 0 : slot + 1;
      if (probes > TERN_TOKENIZER_MAX_PROBES)
        return probes;
    }
    records[slot] = record;
    return probes;
  }

  std::vector<Record> records;
};

} // namespace

static Expected<std::vector<uint32_t>> hashTokens(const TokenizerModel &model, uint32_t &probes) {
  size_t count = count_if(
      model.tokens, [](const auto &token) { return token.flags & TERN_TOKENIZER_TOKEN_MODEL; });
  HashTable<uint32_t> slots(count, TERN_TOKENIZER_NONE);
  for (uint32_t id = 0; id < model.tokens.size(); ++id) {
    const TokenizerModel::Token &token = model.tokens[id];
    if (!(token.flags & TERN_TOKENIZER_TOKEN_MODEL))
      continue;
    uint32_t hash = tern_tokenizer_hash_text(token.text.data(), token.text.size());
    probes = std::max(probes, slots.insert(hash, id, [](uint32_t other) {
      return other == TERN_TOKENIZER_NONE;
    }));
    if (probes > TERN_TOKENIZER_MAX_PROBES)
      return createStringError("tokenizer: the hashes of too many tokens collide");
  }
  return std::move(slots.records);
}

static Expected<std::vector<tern_tokenizer_merge_t>> hashMerges(const TokenizerModel &model,
                                                                uint32_t &probes) {
  HashTable<tern_tokenizer_merge_t> slots(model.merges.size(), {TERN_TOKENIZER_NONE, 0, 0, 0});
  for (const tern_tokenizer_merge_t &merge : model.merges) {
    uint32_t hash = tern_tokenizer_hash_pair(merge.left, merge.right);
    probes = std::max(probes, slots.insert(hash, merge, [](const auto &other) {
      return other.left == TERN_TOKENIZER_NONE;
    }));
    if (probes > TERN_TOKENIZER_MAX_PROBES)
      return createStringError("tokenizer: the hashes of too many merges collide");
  }
  return std::move(slots.records);
}

Expected<std::string> writeTokenizerBlob(const TokenizerModel &model) {
  tern_tokenizer_header_t header = {};
  header.flags = model.flags;
  header.unknown_id = model.unknown;
  header.max_probes = 1;
  Expected<std::vector<uint32_t>> slots = hashTokens(model, header.max_probes);
  if (!slots)
    return slots.takeError();
  Expected<std::vector<tern_tokenizer_merge_t>> merges = hashMerges(model, header.max_probes);
  if (!merges)
    return merges.takeError();

  BlobWriter writer;
  std::vector<tern_tokenizer_token_t> tokens;
  for (const TokenizerModel::Token &token : model.tokens)
    tokens.push_back({writer.text(token.text), token.flags, token.byte});
  std::vector<TokenizerModel::Added> sorted = model.added;
  llvm::sort(sorted, [](const auto &a, const auto &b) {
    bool na = a.flags & TERN_TOKENIZER_ADDED_NORMALIZED;
    bool nb = b.flags & TERN_TOKENIZER_ADDED_NORMALIZED;
    return na != nb ? nb : a.text < b.text;
  });
  std::vector<tern_tokenizer_added_t> added;
  for (const TokenizerModel::Added &token : sorted)
    added.push_back({writer.text(token.text), token.id, token.flags});

  header.tokens = writer.table<tern_tokenizer_token_t>(tokens);
  header.slots = writer.table<uint32_t>(*slots);
  header.merges = writer.table<tern_tokenizer_merge_t>(*merges);
  header.added = writer.table<tern_tokenizer_added_t>(added);
  header.normalize = writer.steps(model.normalize);
  header.split = writer.steps(model.split);
  header.decode = writer.steps(model.decode);
  header.prefix = writer.table<uint32_t>(model.prefix);
  header.suffix = writer.table<uint32_t>(model.suffix);
  header.end = writer.table<uint32_t>(model.end);
  return writer.finish(header);
}

} // namespace tern::import
