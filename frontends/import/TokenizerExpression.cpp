//===- TokenizerExpression.cpp - Oniguruma's syntax to PCRE2's ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/TokenizerParts.h"

#include "llvm/ADT/StringExtras.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

using namespace llvm;

namespace tern::import {

namespace {

constexpr size_t kMaxExpression = 1 << 14;

/// White_Space. PCRE2's own \s has U+180E besides, which is none since Unicode 6.3.
constexpr StringLiteral kSpace = "\\p{Z}\\t-\\r\\x{85}";
constexpr StringLiteral kHexDigit = "0-9A-Fa-f";

/// Copies an expression and rewrites what the two engines read differently.
class Translator {
public:
  Translator(const Json &place, StringRef in) : place(place), in(in) {}

  Expected<std::string> run() {
    while (at < in.size())
      if (Error error = element())
        return std::move(error);
    if (inClass)
      return place.error("a character class without its end");
    return std::move(out);
  }

private:
  Error element() {
    char c = in[at];
    if (c == '\\')
      return escape();
    if (inClass)
      return classElement(c);
    switch (c) {
    case '[':
      inClass = true;
      copy(in.substr(at).starts_with("[^") ? 2 : 1);
      if (at < in.size() && in[at] == ']') // the first one is a character
        copy(1);
      return Error::success();
    case '^':
    case '$': // lines, not the whole text
      ++at;
      out += c == '^' ? "(?m:^)" : "(?m:$)";
      return Error::success();
    case '(':
      return group();
    case '{':
      return interval();
    default:
      copy(1);
      return Error::success();
    }
  }

  Error classElement(char c) {
    StringRef rest = in.substr(at);
    if (rest.starts_with("[:")) {
      size_t end = rest.find(":]");
      if (end == StringRef::npos)
        return place.error("\"[:\" without \":]\"");
      copy(end + 2);
      return Error::success();
    }
    if (c == '[' || rest.starts_with("&&"))
      return place.error("unsupported operation on character classes at \"" + rest.take_front(16) +
                         "\"");
    inClass = c != ']';
    copy(1);
    return Error::success();
  }

  Error group() {
    StringRef rest = in.substr(at);
    if (rest.starts_with("(*"))
      return place.error("unsupported group \"(*\"");
    if (!rest.starts_with("(?")) {
      copy(1);
      return Error::success();
    }
    StringRef inside = rest.drop_front(2);
    if (inside.starts_with("<=") || inside.starts_with("<!"))
      copy(4);
    else if (inside.starts_with(":") || inside.starts_with("=") || inside.starts_with("!") ||
             inside.starts_with(">"))
      copy(3);
    else if (inside.starts_with("i)") || inside.starts_with("i:"))
      copy(4);
    else if (inside.starts_with("-i)") || inside.starts_with("-i:"))
      copy(5);
    else
      return place.error("unsupported group \"" + rest.take_front(4) + "\"");
    return Error::success();
  }

  Error interval() {
    size_t end = at + 1;
    while (end < in.size() && (isDigit(in[end]) || in[end] == ','))
      ++end;
    // Possessive in PCRE2, a repetition of the repetition in Oniguruma.
    if (end + 1 < in.size() && in[end] == '}' && in[end + 1] == '+')
      return place.error("unsupported \"+\" behind an interval");
    copy(1);
    return Error::success();
  }

  Error escape() {
    if (at + 1 >= in.size())
      return place.error("a backslash at the end");
    char c = in[at + 1];
    auto put = [&](const Twine &alone, const Twine &within) {
      at += 2;
      out += (inClass ? within : alone).str();
      return Error::success();
    };
    switch (c) {
    case 's':
      return put("[" + kSpace + "]", kSpace);
    case 'h':
      return put("[" + kHexDigit + "]", kHexDigit);
    case 'v':
      return put("\\x{0B}", "\\x{0B}");
    case 'S':
      if (!inClass)
        return put("[^" + kSpace + "]", "");
      break;
    case 'H':
      if (!inClass)
        return put("[^" + kHexDigit + "]", "");
      break;
    case 'u':
      if (in.size() - at >= 6 && all_of(in.substr(at + 2, 4), isHexDigit)) {
        out += ("\\x{" + in.substr(at + 2, 4) + "}").str();
        at += 6;
        return Error::success();
      }
      break;
    case 'p':
    case 'P':
    case 'x':
      if (size_t end = in.find('}', at);
          in.substr(at + 2).starts_with("{") && end != StringRef::npos)
        copy(end + 1 - at);
      else
        copy(2);
      return Error::success();
    default:
      if (!isAlnum(c) || StringRef("abdDefnrtwW").contains(c) ||
          (!inClass && StringRef("ABz").contains(c))) {
        copy(2);
        return Error::success();
      }
    }
    return place.error("unsupported escape \"" + in.substr(at, 2) + "\"");
  }

  void copy(size_t count) {
    out += in.substr(at, count);
    at += count;
  }

  const Json &place;
  StringRef in;
  size_t at = 0;
  bool inClass = false;
  std::string out;
};

struct FreeCode {
  void operator()(pcre2_code *code) const { pcre2_code_free(code); }
};

} // namespace

Expected<std::string> translateExpression(const Json &place, StringRef expression) {
  if (expression.empty() || expression.size() > kMaxExpression)
    return place.error("expected an expression of 1 to " + Twine(kMaxExpression) +
                       " bytes, found " + Twine(expression.size()));
  Expected<std::string> translated = Translator(place, expression).run();
  if (!translated)
    return translated;
  int code = 0;
  PCRE2_SIZE at = 0;
  // The options of runtime/text/Splitter.cpp.
  std::unique_ptr<pcre2_code, FreeCode> compiled(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated->data()), translated->size(),
                    TERN_TOKENIZER_PCRE2_OPTIONS, &code, &at, nullptr));
  if (compiled)
    return translated;
  char reason[256] = "out of memory";
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR *>(reason), sizeof(reason));
  return place.error("the expression does not compile: " + Twine(reason) + ", at byte " +
                     Twine(at) + " of \"" + StringRef(*translated).take_front(200) + "\"");
}

} // namespace tern::import
