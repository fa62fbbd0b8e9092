//===- tokenizer_fuzz.cpp - tokenizer.json and tokenizer blobs ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Tokenizer.h"
#include "runtime/text/Tokenizer.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/support/SmallTokenizer.h"

using namespace llvm;
using namespace tern;

/// Uses whatever loads: no text and no id may lead outside the blob.
static void use(std::string_view blob) {
  std::unique_ptr<Tokenizer> tokenizer;
  if (Status status = Tokenizer::load(blob, &tokenizer); !status.ok())
    return;
  for (std::string_view text : {"", "ab <s>bb\xc3\xa9 1234's\n\n  x", "\xff\xf0\x9f"})
    for (bool special : {false, true}) {
      std::vector<int32_t> ids =
          tokenizer->encode(text, {.addBos = special, .parseSpecial = special});
      for (int32_t id : ids)
        if (id < 0 || id >= tokenizer->size())
          __builtin_trap();
      ids.insert(ids.end(), {-1, tokenizer->size()});
      tokenizer->decode(ids.data(), ids.size(), special);
    }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  StringRef text(reinterpret_cast<const char *>(data), size);
  use(text);
  Expected<std::string> blob = import::parseTokenizer("fuzz", text, 0);
  if (blob)
    use(*blob);
  else
    consumeError(blob.takeError());
  return 0;
}

std::vector<std::string> test::fuzzSeeds() {
  std::string split =
      R"x({"type":"Split","pattern":{"Regex":"\\p{N}{1,3}| ?[^\\s\\p{L}]+|\\s+(?!\\S)"},)x"
      R"x("behavior":"Isolated","invert":false},)x";
  std::string bytes = byteLevelJson({{"a", "b"}, {"ab", "c"}}, split, true);
  auto blob = [](StringRef text) { return cantFail(import::parseTokenizer("seed", text, 0)); };
  return {kPieceJson, bytes, blob(kPieceJson), blob(bytes)};
}
