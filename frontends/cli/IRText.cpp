//===- IRText.cpp - bounds of IR files before they are parsed -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/IRText.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/MathExtras.h"

#include <vector>

using namespace llvm;

namespace tern::cli {

namespace {

// Models of any size are some hundred kilobytes of IR; the figures leave room and keep the parser's
// stack below a megabyte.
constexpr size_t kMaxBytes = size_t(64) << 20;
constexpr uint32_t kMaxDepth = 256;
constexpr uint64_t kMaxResults = 65536;
/// Operators without a bracket between them: affine expressions nest by operators, too.
constexpr uint32_t kMaxOperators = 1024;
/// What all aliases are together once each stands for its text.
constexpr uint64_t kMaxExpanded = uint64_t(1) << 24;

/// An alias (`#name = ...` or `!name = ...`): how deep its text nests, and how long it is when the
/// aliases in it are written out.
struct Alias {
  uint32_t depth = 0;
  uint64_t length = 1;
};

class Scanner {
public:
  explicit Scanner(StringRef text) : rest(text) {}

  Error run() {
    while (skipBlank()) {
      if (Error error = token())
        return error;
    }
    return Error::success();
  }

private:
  Error error(const Twine &text) const {
    return createStringError(inconvertibleErrorCode(), "%s",
                             ("line " + Twine(line) + ": " + text).str().c_str());
  }

  char take() {
    char c = rest.front();
    line += c == '\n';
    rest = rest.drop_front();
    return c;
  }

  /// Past white space and comments; false at the end.
  bool skipBlank() {
    for (;;) {
      while (!rest.empty() && (isSpace(rest.front()) || rest.front() == '\0'))
        take();
      if (!rest.starts_with("//"))
        return !rest.empty();
      rest = rest.drop_until([](char c) { return c == '\n'; });
    }
  }

  StringRef takeWhile(bool (*belongs)(char)) {
    StringRef word = rest.take_while(belongs);
    rest = rest.drop_front(word.size());
    return word;
  }

  static bool isName(char c) { return isAlnum(c) || c == '_' || c == '$' || c == '.' || c == '-'; }
  static bool isNumber(char c) { return isDigit(c); }

  void string() {
    for (take(); !rest.empty() && rest.front() != '"' && rest.front() != '\n';)
      if (take() == '\\' && !rest.empty())
        take();
    if (!rest.empty())
      take();
  }

  Error count(StringRef digits) const {
    uint64_t number = 0;
    if (!digits.empty() && (digits.getAsInteger(10, number) || number > kMaxResults))
      return error("expected at most " + Twine(kMaxResults) + " results of an operation, found " +
                   digits.take_front(20));
    return Error::success();
  }

  /// `inner` more levels at this place.
  Error nest(uint32_t inner) {
    size_t depth = levels.size() - 1 + inner;
    current.depth = std::max<uint32_t>(current.depth, depth);
    if (depth > kMaxDepth)
      return error("expected brackets and aliases to nest at most " + Twine(kMaxDepth) + " deep");
    return Error::success();
  }

  bool atTop() const { return levels.size() == 1; }

  /// `#` or `!` and what follows.
  Error sigil(char kind) {
    StringRef name = takeWhile(isName);
    if (kind == '#' && !name.empty() && all_of(name, isNumber))
      return count(name);
    std::string key = kind + name.str();
    StringRef before = rest;
    size_t beforeLine = line;
    if (atTop() && skipBlank() && rest.front() == '=') {
      finishAlias();
      defined = key;
      expectsValue = true;
      take();
      return Error::success();
    }
    rest = before, line = beforeLine;
    expectsValue = false;
    auto known = aliases.find(key);
    if (known == aliases.end())
      return Error::success();
    current.length = SaturatingAdd(current.length, known->second.length);
    if (current.length > kMaxExpanded)
      return error("expected aliases that stand for at most " + Twine(kMaxExpanded) + " tokens");
    return nest(known->second.depth);
  }

  void finishAlias() {
    if (!defined.empty())
      aliases[defined] = current;
    defined.clear();
    current = {};
  }

  Error value() {
    takeWhile(isName);
    StringRef before = rest;
    size_t beforeLine = line;
    if (skipBlank() && rest.consume_front(":") && skipBlank() && isNumber(rest.front()))
      return count(takeWhile(isNumber));
    rest = before, line = beforeLine;
    return Error::success();
  }

  Error operation() {
    if (++levels.back().operators > kMaxOperators)
      return error("expected at most " + Twine(kMaxOperators) + " operators in an expression");
    return Error::success();
  }

  /// At the top, what follows an alias's whole value is an operation.
  void startWord() {
    if (!atTop())
      return;
    if (!expectsValue)
      finishAlias();
    expectsValue = false;
  }

  Error token() {
    ++current.length;
    if (rest.consume_front("->")) {
      expectsValue = true;
      return Error::success();
    }
    if (rest.consume_front(">=") || rest.consume_front("=="))
      return Error::success();
    if (rest.front() == '"') {
      startWord();
      string();
      return Error::success();
    }
    char c = take();
    constexpr StringRef kOpening = "([{<", kClosing = ")]}>";
    if (size_t which = kOpening.find(c); which != StringRef::npos) {
      expectsValue = false;
      levels.push_back({kClosing[which]});
      return nest(0);
    }
    // The parser stops at a bracket that does not match.
    if (c == levels.back().closing)
      levels.pop_back();
    if (c == '#' || c == '!')
      return sigil(c);
    if (c == '%')
      return value();
    if (c == '+' || c == '*' || c == '-')
      return operation();
    if (c == ',' || c == '=')
      levels.back().operators = 0;
    expectsValue |= c == ':';
    if (!isName(c))
      return Error::success();
    startWord();
    StringRef word = takeWhile(isName);
    // floordiv, ceildiv, mod
    return word == "loordiv" || word == "eildiv" || word == "od" ? operation() : Error::success();
  }

  struct Level {
    char closing; ///< the bracket that ends it
    uint32_t operators = 0;
  };

  StringRef rest;
  size_t line = 1;
  std::vector<Level> levels = {{'\0'}};
  std::string defined;       ///< the alias whose text is being read
  bool expectsValue = false; ///< at the top: the alias's value goes on
  Alias current;
  StringMap<Alias> aliases;
};

} // namespace

Error checkIRText(StringRef text) {
  if (text.starts_with("ML\xefR"))
    return createStringError(inconvertibleErrorCode(),
                             "expected text, found bytecode: its reader trusts its input; write it "
                             "as text with tern-opt");
  if (text.size() > kMaxBytes)
    return createStringError(inconvertibleErrorCode(),
                             "expected at most %zu bytes of IR, found %zu", kMaxBytes, text.size());
  return Scanner(text).run();
}

} // namespace tern::cli
