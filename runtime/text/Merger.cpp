//===- Merger.cpp - byte pair encoding of one piece -----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Merger.h"

#include "runtime/text/Utf8.h"

#include <algorithm>

namespace tern {

namespace {
constexpr uint32_t kNone = TERN_TOKENIZER_NONE;
/// Up to here looking through all pairs beats a heap.
constexpr size_t kShort = 48;

bool later(const Merger::Scratch::Entry &a, const Merger::Scratch::Entry &b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}
} // namespace

Merger::Merger(const BlobView &view) : blob(view) {
  bytes.fill(kNone);
  if (blob.has(TERN_TOKENIZER_BYTE_LEVEL)) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      char text = static_cast<char>(byte);
      bytes[byte] = blob.find({&text, 1});
    }
  } else if (blob.has(TERN_TOKENIZER_BYTE_FALLBACK)) {
    for (uint32_t id = 0; id < blob.size(); ++id)
      if (tern_tokenizer_token_t token = blob.token(id); (token.flags & TERN_TOKENIZER_TOKEN_BYTE))
        bytes[token.byte] = id;
  }
}

void Merger::start(std::string_view piece, std::vector<uint32_t> &symbols) const {
  symbols.clear();
  if (!blob.has(TERN_TOKENIZER_BYTE_LEVEL))
    return startCharacters(piece, symbols);
  uint32_t unknown = blob.header().unknown_id;
  bool fuse = blob.has(TERN_TOKENIZER_FUSE_UNKNOWN), wasUnknown = false;
  for (char c : piece) {
    uint32_t id = bytes[static_cast<uint8_t>(c)];
    bool isUnknown = id == kNone;
    if (!isUnknown)
      symbols.push_back(id);
    else if (unknown != kNone && !(fuse && wasUnknown))
      symbols.push_back(unknown);
    wasUnknown = isUnknown;
  }
}

void Merger::startCharacters(std::string_view piece, std::vector<uint32_t> &symbols) const {
  uint32_t unknown = blob.header().unknown_id;
  bool fuse = blob.has(TERN_TOKENIZER_FUSE_UNKNOWN), wasUnknown = false;
  bool fallback = blob.has(TERN_TOKENIZER_BYTE_FALLBACK);
  for (size_t at = 0; at < piece.size();) {
    std::string_view character = piece.substr(at, readUtf8(piece, at).bytes);
    at += character.size();
    uint32_t id = blob.find(character);
    bool asBytes = id == kNone && fallback &&
                   std::all_of(character.begin(), character.end(),
                               [&](char c) { return bytes[static_cast<uint8_t>(c)] != kNone; });
    bool isUnknown = id == kNone && !asBytes;
    if (id != kNone)
      symbols.push_back(id);
    else if (asBytes)
      for (char c : character)
        symbols.push_back(bytes[static_cast<uint8_t>(c)]);
    else if (unknown != kNone && !(fuse && wasUnknown))
      symbols.push_back(unknown);
    wasUnknown = isUnknown;
  }
}

void Merger::mergeShort(Scratch &scratch) const {
  auto &symbols = scratch.symbols;
  auto &pairs = scratch.pairs;
  // The greatest rank is a legal one, so that `result` says whether a pair merges.
  auto look = [&](size_t at) -> Scratch::Pair {
    tern_tokenizer_merge_t m = blob.merge(symbols[at], symbols[at + 1]);
    return {m.rank, m.left == kNone ? kNone : m.result};
  };
  pairs.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    pairs.push_back(look(i));
  while (true) {
    size_t best = pairs.size();
    for (size_t i = 0; i < pairs.size(); ++i)
      if (pairs[i].result != kNone && (best == pairs.size() || pairs[i].rank < pairs[best].rank))
        best = i;
    if (best == pairs.size())
      return;
    symbols[best] = pairs[best].result;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    pairs.erase(pairs.begin() + static_cast<ptrdiff_t>(best));
    if (best > 0)
      pairs[best - 1] = look(best - 1);
    if (best < pairs.size())
      pairs[best] = look(best);
  }
}

void Merger::push(Scratch &scratch, uint32_t at) const {
  uint32_t after = scratch.next[at];
  if (after == kNone)
    return;
  uint32_t left = scratch.symbols[at], right = scratch.symbols[after];
  tern_tokenizer_merge_t m = blob.merge(left, right);
  if (m.left == kNone)
    return;
  scratch.heap.push_back({m.rank, at, left, right, m.result});
  std::push_heap(scratch.heap.begin(), scratch.heap.end(), later);
}

void Merger::mergeLong(Scratch &scratch) const {
  auto &[symbols, next, previous, pairs, heap] = scratch;
  uint32_t count = static_cast<uint32_t>(symbols.size());
  next.resize(count);
  previous.resize(count);
  heap.clear();
  for (uint32_t i = 0; i < count; ++i) {
    previous[i] = i == 0 ? kNone : i - 1;
    next[i] = i + 1 == count ? kNone : i + 1;
  }
  for (uint32_t i = 0; i + 1 < count; ++i)
    push(scratch, i);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Scratch::Entry entry = heap.back();
    heap.pop_back();
    uint32_t after = next[entry.at];
    // Merges since have used one of the two. An absorbed symbol is NONE, which no entry holds.
    if (symbols[entry.at] != entry.left || after == kNone || symbols[after] != entry.right)
      continue;
    symbols[entry.at] = entry.result;
    symbols[after] = kNone;
    next[entry.at] = next[after];
    if (next[after] != kNone)
      previous[next[after]] = entry.at;
    push(scratch, entry.at);
    if (previous[entry.at] != kNone)
      push(scratch, previous[entry.at]);
  }
  std::erase(symbols, kNone);
}

void Merger::append(std::string_view piece, std::vector<int32_t> &ids, Scratch &scratch) const {
  if (blob.has(TERN_TOKENIZER_IGNORE_MERGES))
    if (uint32_t id = blob.find(piece); id != kNone) {
      ids.push_back(static_cast<int32_t>(id));
      return;
    }
  start(piece, scratch.symbols);
  if (scratch.symbols.size() <= kShort)
    mergeShort(scratch);
  else
    mergeLong(scratch);
  ids.insert(ids.end(), scratch.symbols.begin(), scratch.symbols.end());
}

} // namespace tern
