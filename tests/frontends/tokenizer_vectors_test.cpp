//===- tokenizer_vectors_test.cpp - published and golden token ids --------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Json.h"
#include "tests/support/TokenizerFolder.h"
#include "tests/support/TokenizerVectors.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

const std::string kModel = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";
const std::string kGolden = TERN_SOURCE_DIR "/tests/data/tiny-stories-bitnet/tokenization.json";

std::vector<int32_t> idsOf(const import::Json &list) {
  std::vector<int32_t> ids;
  for (const import::Json &id : cantFail(list.array()))
    ids.push_back(static_cast<int32_t>(cantFail(id.integer())));
  return ids;
}

struct Case {
  const char *tokenizer, *vectors, *extra;
  bool special;
};

class TokenizerVectors : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    if (!sys::fs::exists(kVectors + GetParam().tokenizer))
      GTEST_SKIP() << "no " << kVectors << GetParam().tokenizer;
    loaded = loadFile(kVectors + GetParam().tokenizer);
    ASSERT_TRUE(loaded);
  }
  Loaded loaded;
};

TEST_P(TokenizerVectors, AgreeWithThePublishedIds) {
  std::vector<TokenizerVector> vectors = tokenizerVectors(GetParam().vectors);
  for (const auto &[text, expected] : vectors) {
    std::vector<int32_t> ids = loaded->encode(text, {});
    EXPECT_EQ(ids, expected) << "text: " << text;
  }
  EXPECT_EQ(vectors.size(), 46u);
}

TEST_P(TokenizerVectors, AgreeWithTheExtraPairs) {
  import::JsonDocument extra = cantFail(import::JsonDocument::read(kVectors + GetParam().extra));
  int cases = 0;
  for (const import::Json &pair : cantFail(extra.root().array())) {
    StringRef text = cantFail(pair.getString("text"));
    Tokenizer::EncodeOptions options;
    options.parseSpecial = GetParam().special;
    EXPECT_EQ(loaded->encode(text, options), idsOf(*cantFail(pair.get("ids"))))
        << "pair " << cases << ": " << text.str();
    ++cases;
  }
  EXPECT_EQ(cases, 68);
}

INSTANTIATE_TEST_SUITE_P(Published, TokenizerVectors,
                         testing::Values(Case{"llama-3.tokenizer.json", "ggml-vocab-llama-bpe.gguf",
                                              "extra-llama-3.json", true},
                                         Case{"qwen-3.tokenizer.json", "ggml-vocab-qwen2.gguf",
                                              "extra-qwen-3.json", true},
                                         Case{"llama-2.regenerated.tokenizer.json",
                                              "ggml-vocab-llama-spm.gguf", "extra-llama-2.json",
                                              false}),
                         [](const auto &info) {
                           std::string name =
                               StringRef(info.param.extra).drop_front(6).drop_back(5).str();
                           std::erase(name, '-');
                           return name;
                         });

TEST(TokenizerGolden, BundledModelAgreesInBothDirections) {
  Loaded loaded = loadFolder(kModel, 4096);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->size(), 4096);
  EXPECT_EQ(loaded->endTokens(), (std::vector<int32_t>{4094, 4095}));
  import::JsonDocument golden = cantFail(import::JsonDocument::read(kGolden));
  for (const import::Json &entry : cantFail(golden.root().array())) {
    StringRef text = cantFail(entry.getString("text"));
    Tokenizer::EncodeOptions options;
    options.parseSpecial = true;
    std::vector<int32_t> plain = idsOf(*cantFail(entry.get("ids")));
    EXPECT_EQ(loaded->encode(text, options), plain) << text.str();
    options.addBos = true;
    std::vector<int32_t> ids = idsOf(*cantFail(entry.get("ids_with_special")));
    EXPECT_EQ(loaded->encode(text, options), ids) << text.str();
    EXPECT_EQ(loaded->decode(plain.data(), plain.size(), false),
              cantFail(entry.getString("decoded")));
    EXPECT_EQ(loaded->decode(ids.data(), ids.size(), true),
              cantFail(entry.getString("decoded_skip_special")));
  }
}

} // namespace
