//===- Utf8.h - characters and their classes --------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_UTF8_H
#define TERN_RUNTIME_TEXT_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tern {

struct Utf8Character {
  enum Kind : uint8_t { Whole, Illformed, Incomplete };
  char32_t code; ///< U+FFFD unless whole
  uint8_t bytes; ///< at least 1; of an ill-formed part, the maximal one that could have begun a
                 ///< character
  Kind kind;     ///< incomplete: the text ends within it
};

/// The character at `at` < text.size().
Utf8Character readUtf8(std::string_view text, size_t at);
void appendUtf8(std::string &text, char32_t code);
bool isUtf8(std::string_view text);
/// A copy with every ill-formed part replaced by U+FFFD.
std::string repairUtf8(std::string_view text);

bool isWhiteSpace(char32_t code);
/// Category N: decimal digits, letter numbers, other numbers.
bool isNumeric(char32_t code);
/// Category P, and the ASCII symbols.
bool isPunctuation(char32_t code);
/// What a word consists of: letters, marks, decimal digits, letter numbers, connectors.
bool isWordCharacter(char32_t code);

enum class Normalization : uint8_t { Nfc, Nfd, Nfkc, Nfkd };
/// `text` is UTF-8. A run of marks longer than 256 is normalized in parts, which bounds the time.
std::string normalize(std::string_view text, Normalization form);

} // namespace tern

#endif // TERN_RUNTIME_TEXT_UTF8_H
