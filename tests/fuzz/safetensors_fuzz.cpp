//===- safetensors_fuzz.cpp - headers and indexes -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Safetensors.h"
#include "tests/fuzz/Fuzz.h"
#include "tests/support/TestCheckpoint.h"

using namespace llvm;
using namespace tern;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto tensors = import::parseSafetensors("fuzz", ArrayRef<uint8_t>(data, size));
  if (!tensors)
    consumeError(tensors.takeError());
  else
    for (const import::TensorInfo &tensor : *tensors)
      if (tensor.offset > size || tensor.bytes > size - tensor.offset)
        __builtin_trap();
  auto shards =
      import::parseShardIndex("fuzz", StringRef(reinterpret_cast<const char *>(data), size));
  if (!shards)
    consumeError(shards.takeError());
  return 0;
}

std::vector<std::string> test::fuzzSeeds() {
  return {test::safetensors(test::TestModel(test::TestForm::Packed, "BF16", true).tensors),
          test::safetensors({{"a", "U8", {2, 4}, "abcdefgh"}, {"b", "F32", {}, "1234"}}),
          "{\"weight_map\": {\"a\": \"m-1.safetensors\", \"b\": \"m-2.safetensors\"}}"};
}
