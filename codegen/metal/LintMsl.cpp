//===- LintMsl.cpp - what a C++ compiler can't say of MSL -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the text as lines and words, as codegen/metal prints it: a function begins in the first
// column and ends with a brace there, one parameter of a kernel a line.
//
//===----------------------------------------------------------------------===//

#include "codegen/metal/PrintMsl.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Regex.h"

using namespace llvm;

namespace tern::metal {

namespace {

constexpr int64_t kThreadgroupBytes = 32 * 1024;
constexpr unsigned kBuffers = 31;

class Linter {
public:
  explicit Linter(StringRef text) : text(text) {}
  std::vector<std::string> run();

private:
  void complain(const Twine &what) {
    found.push_back(("line " + Twine(number) + ": " + what).str());
  }
  void begin(StringRef line);
  void parameter(StringRef line);
  void declaration(StringRef line);
  void pointers(StringRef line);
  void calls(StringRef line);
  void recursion();

  StringRef text;
  unsigned number = 0;
  std::string function; ///< whose body or parameters the line belongs to, or empty
  bool parameters = false;
  unsigned nextBuffer = 0;
  int64_t sharedBytes = 0;
  StringMap<StringSet<>> called; ///< names followed by a parenthesis, by function
  std::vector<std::string> found;
};

int64_t bytesOf(StringRef type) {
  if (type == "int4" || type == "uint4" || type == "float4")
    return 16;
  if (type == "half" || type == "ushort" || type == "short")
    return 2;
  return type == "char" || type == "uchar" || type == "bool" ? 1 : 4;
}

/// The code of a line, without its comment.
StringRef codeOf(StringRef line) { return line.take_front(line.find("//")); }

bool hasAddressSpace(StringRef words) {
  return Regex("(^|[^A-Za-z_])(device|constant|threadgroup|thread)[^A-Za-z_]").match(words);
}

} // namespace

void Linter::begin(StringRef line) {
  SmallVector<StringRef> match;
  if (!Regex("^(kernel|static inline) [A-Za-z0-9_]+ ([A-Za-z0-9_]+)\\(").match(line, &match))
    return;
  function = match[2].str();
  parameters = match[1] == "kernel" && !line.contains('{');
  nextBuffer = 0;
  sharedBytes = 0;
}

void Linter::parameter(StringRef line) {
  if (!line.contains("[[")) {
    complain("parameter of " + function + " without an attribute: " + line.trim());
    return;
  }
  SmallVector<StringRef> match;
  if (!Regex("\\[\\[buffer\\(([0-9]+)\\)\\]\\]").match(line, &match))
    return;
  unsigned index = 0;
  if (match[1].getAsInteger(10, index) || index != nextBuffer || index >= kBuffers)
    complain(function + ": expected buffer " + Twine(nextBuffer) + ", found " + match[1]);
  ++nextBuffer;
  if (!Regex("[*&]").match(line))
    complain(function + ": a buffer must be a pointer or a reference: " + line.trim());
}

void Linter::declaration(StringRef line) {
  SmallVector<StringRef> match;
  if (!Regex("^ *threadgroup ([a-z0-9]+) [A-Za-z0-9_]+\\[([0-9]+)\\];").match(line, &match))
    return;
  int64_t count = 0;
  match[2].getAsInteger(10, count);
  sharedBytes += bytesOf(match[1]) * count;
  if (sharedBytes > kThreadgroupBytes)
    complain(function + ": " + Twine(sharedBytes) + " bytes of threadgroup memory, at most " +
             Twine(kThreadgroupBytes) + " are there");
}

void Linter::pointers(StringRef line) {
  // `type *name` and `type &name` declare; between values operators have a space on both sides.
  if (Regex("[A-Za-z0-9_]+ [*&][A-Za-z_]").match(line) && !hasAddressSpace(line))
    complain("a pointer or reference without an address space: " + line.trim());
  if (Regex("(^|[^A-Za-z_])double[^A-Za-z_0-9]").match(line))
    complain("Metal has no double: " + line.trim());
}

void Linter::calls(StringRef line) {
  Regex call("([A-Za-z_][A-Za-z0-9_]*)\\((.*)$");
  SmallVector<StringRef> match;
  while (call.match(line, &match)) {
    called[function].insert(match[1]);
    line = match[2];
  }
}

/// A function that can reach itself.
void Linter::recursion() {
  for (const auto &entry : called) {
    SmallVector<StringRef> open = {entry.first()};
    StringSet<> seen;
    while (!open.empty()) {
      auto next = called.find(open.pop_back_val());
      if (next == called.end())
        continue;
      for (const auto &callee : next->second) {
        if (callee.first() == entry.first()) {
          found.push_back((entry.first() + ": recursion").str());
          open.clear();
          break;
        }
        if (seen.insert(callee.first()).second)
          open.push_back(callee.first());
      }
    }
  }
}

std::vector<std::string> Linter::run() {
  SmallVector<StringRef> lines;
  text.split(lines, '\n');
  for (StringRef whole : lines) {
    ++number;
    StringRef line = codeOf(whole);
    pointers(line);
    if (function.empty()) {
      begin(line);
      if (function.empty() || !line.contains('{'))
        continue;
      // A function of one line's signature: what follows the brace is its body.
      line = line.substr(line.find('{'));
    } else if (parameters) {
      parameter(line);
      parameters = !line.contains('{');
      continue;
    }
    declaration(line);
    calls(line);
    if (whole.starts_with("}"))
      function.clear();
  }
  recursion();
  return std::move(found);
}

std::vector<std::string> lintMsl(StringRef text) { return Linter(text).run(); }

} // namespace tern::metal
