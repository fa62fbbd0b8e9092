//===- TextStream.h - token bytes to text that can be shown -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_TEXTSTREAM_H
#define TERN_RUNTIME_TEXT_TEXTSTREAM_H

#include <string>
#include <string_view>
#include <vector>

namespace tern {

/// Turns pieces of bytes into whole UTF-8: holds back a sequence until it is complete, and replaces
/// each maximal ill-formed part by U+FFFD. What it returns, joined, does not depend on how the
/// bytes were cut.
class Utf8Assembler {
public:
  std::string push(std::string_view bytes);
  /// The end of the bytes: an incomplete sequence becomes U+FFFD.
  std::string finish();

private:
  std::string held; ///< a proper prefix of one sequence, at most 3 bytes
};

/// Passes text on until one of the stop strings appears, and holds back what may still become one.
/// The earliest end of a stop string wins; of those ending there, the longest, and nothing of it is
/// passed on. Empty stop strings are ignored.
class StopMatcher {
public:
  explicit StopMatcher(std::vector<std::string> stops = {});
  /// Text that is certainly no part of a stop string; empty once stopped.
  std::string push(std::string_view text);
  /// The end of the text: what was held back, unless stopped.
  std::string finish();
  bool stopped() const { return isStopped; }

private:
  struct Stop {
    std::string text;
    std::vector<size_t>
        border;         ///< of each prefix: its longest proper prefix that is also its suffix
    size_t matched = 0; ///< the longest prefix that the text so far ends with
  };
  std::vector<Stop> stops;
  std::string held;
  bool isStopped = false;
};

/// Both in a row: what a generation shows. Feed it the bytes of each token:
///   std::string text = stream.push(tokenizer.decode(&id, 1, skipSpecial,
///   Tokenizer::Place::Continuation));
class TextStream {
public:
  explicit TextStream(std::vector<std::string> stops = {}) : matcher(std::move(stops)) {}
  std::string push(std::string_view bytes) { return matcher.push(assembler.push(bytes)); }
  /// Once, at the end.
  std::string finish();
  bool stopped() const { return matcher.stopped(); }

private:
  Utf8Assembler assembler;
  StopMatcher matcher;
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_TEXTSTREAM_H
