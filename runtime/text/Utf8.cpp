//===- Utf8.cpp - characters and their classes ----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

namespace tern {

Utf8Character readUtf8(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  uint8_t first = byte(0);
  if (first < 0x80)
    return {first, 1, Utf8Character::Whole};
  if (first < 0xC2 || first > 0xF4)
    return {0xFFFD, 1, Utf8Character::Illformed};
  uint8_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t code = first & (0xFF >> (length + 1));
  for (uint8_t i = 1; i < length; ++i) {
    if (at + i >= text.size())
      return {0xFFFD, i, Utf8Character::Incomplete};
    uint8_t least = 0x80, most = 0xBF;
    if (i == 1) {
      // Excludes overlong forms, surrogates and what lies above U+10FFFF.
      least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : least;
      most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : most;
    }
    if (byte(i) < least || byte(i) > most)
      return {0xFFFD, i, Utf8Character::Illformed};
    code = code << 6 | (byte(i) & 0x3F);
  }
  return {code, length, Utf8Character::Whole};
}

void appendUtf8(std::string &text, char32_t code) {
  auto tail = [&](unsigned shift) { return static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | code >> 12);
    text += {tail(6), tail(0)};
  } else {
    text += static_cast<char>(0xF0 | code >> 18);
    text += {tail(12), tail(6), tail(0)};
  }
}

bool isUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    Utf8Character c = readUtf8(text, at);
    if (c.kind != Utf8Character::Whole)
      return false;
    at += c.bytes;
  }
  return true;
}

std::string repairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (size_t at = 0; at < text.size();) {
    Utf8Character c = readUtf8(text, at);
    appendUtf8(out, c.code);
    at += c.bytes;
  }
  return out;
}

static utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

static bool isMark(char32_t code) {
  utf8proc_category_t c = category(code);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

bool isWhiteSpace(char32_t code) {
  if (code <= 0x20)
    return code == ' ' || (code >= 9 && code <= 13);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool isNumeric(char32_t code) {
  utf8proc_category_t c = category(code);
  return c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

bool isPunctuation(char32_t code) {
  if (code < 0x80)
    return code > 0x20 && code < 0x7F && !(code >= '0' && code <= '9') &&
           !((code | 0x20) >= 'a' && (code | 0x20) <= 'z');
  utf8proc_category_t c = category(code);
  return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool isWordCharacter(char32_t code) {
  utf8proc_category_t c = category(code);
  return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_NL) || c == UTF8PROC_CATEGORY_PC ||
         code == 0x200C || code == 0x200D;
}

static void appendNormalized(std::string &out, std::string_view text, Normalization form) {
  unsigned options = UTF8PROC_STABLE;
  bool compose = form == Normalization::Nfc || form == Normalization::Nfkc;
  options |= compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (form == Normalization::Nfkc || form == Normalization::Nfkd)
    options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t bytes = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                        static_cast<utf8proc_ssize_t>(text.size()), &result,
                                        static_cast<utf8proc_option_t>(options));
  // Only a lack of memory fails for UTF-8; the text as it is serves best then.
  if (bytes < 0)
    out += text;
  else
    out.append(reinterpret_cast<const char *>(result), static_cast<size_t>(bytes));
  std::free(result);
}

std::string normalize(std::string_view text, Normalization form) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x80; }))
    return std::string(text);
  // utf8proc sorts a run of marks by insertion, in quadratic time.
  constexpr size_t kMaxMarks = 256;
  std::string out;
  out.reserve(text.size());
  size_t begin = 0, marks = 0;
  for (size_t at = 0; at < text.size();) {
    Utf8Character c = readUtf8(text, at);
    marks = c.code >= 0x300 && isMark(c.code) ? marks + 1 : 0;
    if (marks > kMaxMarks) {
      appendNormalized(out, text.substr(begin, at - begin), form);
      begin = at;
      marks = 1;
    }
    at += c.bytes;
  }
  appendNormalized(out, text.substr(begin), form);
  return out;
}

} // namespace tern
