//===- TextStream.cpp - token bytes to text that can be shown -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/TextStream.h"

#include "runtime/text/Utf8.h"

#include <algorithm>
#include <utility>

namespace tern {

std::string Utf8Assembler::push(std::string_view bytes) {
  held += bytes;
  std::string out;
  size_t at = 0;
  while (at < held.size()) {
    Utf8Character c = readUtf8(held, at);
    if (c.kind == Utf8Character::Incomplete)
      break;
    appendUtf8(out, c.code);
    at += c.bytes;
  }
  held.erase(0, at);
  return out;
}

std::string Utf8Assembler::finish() {
  std::string out = repairUtf8(held);
  held.clear();
  return out;
}

StopMatcher::StopMatcher(std::vector<std::string> texts) {
  for (std::string &text : texts) {
    if (text.empty())
      continue;
    std::vector<size_t> border(text.size() + 1, 0);
    for (size_t i = 1, length = 0; i < text.size(); ++i) {
      while (length > 0 && text[i] != text[length])
        length = border[length];
      length += text[i] == text[length];
      border[i + 1] = length;
    }
    stops.push_back({std::move(text), std::move(border), 0});
  }
}

std::string StopMatcher::push(std::string_view text) {
  if (isStopped)
    return "";
  for (char c : text) {
    held += c;
    size_t longest = 0;
    for (Stop &stop : stops) {
      size_t &length = stop.matched;
      while (length > 0 && stop.text[length] != c)
        length = stop.border[length];
      length += stop.text[length] == c;
      if (length == stop.text.size())
        longest = std::max(longest, length);
    }
    if (longest > 0) {
      isStopped = true;
      held.resize(held.size() - longest);
      return std::exchange(held, {});
    }
  }
  size_t keep = 0;
  for (const Stop &stop : stops)
    keep = std::max(keep, stop.matched);
  std::string out = held.substr(0, held.size() - keep);
  held.erase(0, held.size() - keep);
  return out;
}

std::string StopMatcher::finish() { return isStopped ? "" : std::exchange(held, {}); }

std::string TextStream::finish() {
  std::string out = matcher.push(assembler.finish());
  return out + matcher.finish();
}

} // namespace tern
