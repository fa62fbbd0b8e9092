//===- ModelHeader.cpp - the C header beside a library --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/ModelHeader.h"

#include "tern/tern.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;

// ModelHeaderData.S: the text of abi.h and tern.h.
extern "C" const char ternAbiHeaderBegin[], ternAbiHeaderEnd[], ternHeaderBegin[], ternHeaderEnd[];

namespace tern::cli {

std::string headerPath(StringRef library) {
  SmallString<256> path(library);
  sys::path::replace_extension(path, "h");
  return path.str().str();
}

/// "tiny-stories.so" to TINY_STORIES.
static std::string macroName(StringRef library) {
  std::string name = sys::path::stem(library).upper();
  for (char &c : name)
    if (!isAlnum(c))
      c = '_';
  return name;
}

/// A C string literal of any file name.
static std::string quote(StringRef text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    if (isPrint(c) || static_cast<unsigned char>(c) >= 0x80)
      out += c;
    else
      out += "\\" + utostr(c >> 6 & 7) + utostr(c >> 3 & 7) + utostr(c & 7);
  }
  return out + "\"";
}

/// tern.h with abi.h in place of its include.
static std::string runtimeDeclarations() {
  StringRef abi(ternAbiHeaderBegin, ternAbiHeaderEnd - ternAbiHeaderBegin);
  StringRef api(ternHeaderBegin, ternHeaderEnd - ternHeaderBegin);
  auto [before, after] = api.split("#include \"tern/abi.h\"\n");
  return (before + abi + after).str();
}

std::string modelHeader(StringRef library, bool standalone) {
  std::string name = macroName(library);
  std::string text = std::string("/* A model compiled by Tern ") + tern_version() + ". */\n";
  text += "#ifndef TERN_MODEL_" + name + "_H\n#define TERN_MODEL_" + name + "_H\n\n";
  text += standalone ? runtimeDeclarations() : "#include \"tern/tern.h\"\n";
  text += "\n/* The file to give to tern_model_open. */\n#define TERN_MODEL_" + name + "_FILE " +
          quote(sys::path::filename(library)) + "\n";
  text += R"(
/* The library's own descriptor: for tern_model_open_linked, where the program links the library. */
#ifdef __cplusplus
extern "C"
#endif
const tern_descriptor_t *tern_query(uint32_t abi_version);

#endif
)";
  return text;
}

} // namespace tern::cli
