//===- config_fuzz.cpp - JSON and config.json -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Config.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/support/TestCheckpoint.h"

using namespace llvm;
using namespace tern;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto document =
      import::JsonDocument::parse("fuzz", StringRef(reinterpret_cast<const char *>(data), size));
  if (!document) {
    consumeError(document.takeError());
    return 0;
  }
  auto config = import::readConfig(*document);
  if (!config)
    consumeError(config.takeError());
  auto generation = import::readGeneration(*document, 32);
  if (!generation)
    consumeError(generation.takeError());
  return 0;
}

std::vector<std::string> test::fuzzSeeds() {
  test::RawObject newer = test::TestModel(test::TestForm::Online).config;
  test::erase(newer, "rope_theta");
  test::set(newer, "rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 5e5}");
  test::set(newer, "eos_token_id", "[1, 2]");
  return {test::toJson(test::TestModel().config), test::toJson(newer),
          "{\"do_sample\": true, \"temperature\": 0.5, \"top_p\": 1, \"top_k\": 40}"};
}
