//===- gguf_fuzz.cpp - GGUF headers and vocabularies ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/support/TestGguf.h"

using namespace llvm;
using namespace tern;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto header = import::parseGguf("fuzz", ArrayRef(data, size));
  if (!header) {
    consumeError(header.takeError());
    return 0;
  }
  for (auto group : {import::Q2Group::None, import::Q2Group::G64, import::Q2Group::G128}) {
    auto tensors = import::resolveTensors("fuzz", *header, group);
    if (!tensors)
      consumeError(tensors.takeError());
  }
  auto tokenizer = import::importGgufTokenizer("fuzz", header->metadata, 0);
  if (!tokenizer)
    consumeError(tokenizer.takeError());
  return 0;
}

std::vector<std::string> test::fuzzSeeds() {
  test::TestGguf vocabulary = test::TestGguf::make();
  vocabulary.tensors.clear();
  test::TestGguf scored = vocabulary;
  scored.setString("tokenizer.ggml.model", "llama");
  scored.set("tokenizer.ggml.scores", 9,
             test::TestGguf::numbers<float>(6, {-1, -2, -3, -4, -5, 0, 0, 0}));
  return {test::TestGguf::make().bytes(), vocabulary.bytes(), scored.bytes()};
}
