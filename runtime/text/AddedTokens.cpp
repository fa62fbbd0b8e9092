//===- AddedTokens.cpp - finds added tokens in a text ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/AddedTokens.h"

#include "runtime/text/Utf8.h"

#include <algorithm>

namespace tern {

AddedTokens::AddedTokens(const BlobView &view, bool normalized) : blob(view) {
  uint32_t count = blob.header().added.count, split = 0;
  while (split < count && !(blob.added(split).flags & TERN_TOKENIZER_ADDED_NORMALIZED))
    ++split;
  begin = normalized ? split : 0;
  end = normalized ? count : split;
  for (uint32_t i = begin; i < end; ++i)
    starts[static_cast<uint8_t>(blob.text(blob.added(i).text)[0])] = true;
}

uint32_t AddedTokens::longest(std::string_view text, size_t at) const {
  // [low, high) have the first `length` bytes of the text in common; the table is sorted.
  uint32_t low = begin, high = end, found = TERN_TOKENIZER_NONE;
  for (size_t length = 0; low < high; ++length) {
    if (blob.text(blob.added(low).text).size() == length)
      found = low++;
    if (at + length == text.size())
      break;
    uint8_t wanted = static_cast<uint8_t>(text[at + length]);
    auto bound = [&](bool above) {
      uint32_t from = low, to = high;
      while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        uint8_t byte = static_cast<uint8_t>(blob.text(blob.added(middle).text)[length]);
        if (byte < wanted || (above && byte == wanted))
          from = middle + 1;
        else
          to = middle;
      }
      return from;
    };
    uint32_t first = bound(false), last = bound(true);
    low = first;
    high = last;
  }
  return found;
}

static size_t characterBefore(std::string_view text, size_t at) {
  do
    --at;
  while (at > 0 && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80);
  return at;
}

bool AddedTokens::standsAlone(std::string_view text, size_t from, size_t to) {
  bool before = from > 0 && isWordCharacter(readUtf8(text, characterBefore(text, from)).code);
  bool after = to < text.size() && isWordCharacter(readUtf8(text, to).code);
  return !before && !after;
}

std::vector<AddedTokens::Segment> AddedTokens::cut(std::string_view text, bool special) const {
  std::vector<Segment> segments;
  size_t done = 0;
  auto textUpTo = [&](size_t at) {
    if (at > done)
      segments.push_back({text.substr(done, at - done), TERN_TOKENIZER_NONE});
  };
  for (size_t at = 0; at < text.size() && !empty();) {
    uint32_t index =
        starts[static_cast<uint8_t>(text[at])] ? longest(text, at) : TERN_TOKENIZER_NONE;
    if (index == TERN_TOKENIZER_NONE) {
      ++at;
      continue;
    }
    tern_tokenizer_added_t token = blob.added(index);
    size_t from = at, to = at + token.text.bytes;
    // A match that does not count still uses up its text, as in the tokenizers library.
    at = to;
    if ((token.flags & TERN_TOKENIZER_ADDED_SPECIAL) && !special)
      continue;
    if ((token.flags & TERN_TOKENIZER_ADDED_SINGLE_WORD) && !standsAlone(text, from, to))
      continue;
    if (token.flags & TERN_TOKENIZER_ADDED_LSTRIP)
      while (from > done) {
        size_t before = characterBefore(text, from);
        if (before < done || !isWhiteSpace(readUtf8(text, before).code))
          break;
        from = before;
      }
    if (token.flags & TERN_TOKENIZER_ADDED_RSTRIP)
      while (to < text.size() && isWhiteSpace(readUtf8(text, to).code))
        to += readUtf8(text, to).bytes;
    textUpTo(from);
    segments.push_back({text.substr(from, to - from), token.id});
    done = at = to;
  }
  textUpTo(text.size());
  return segments;
}

} // namespace tern
