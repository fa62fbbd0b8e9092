//===- gguf_tokenizer_test.cpp - tokenizers from GGUF metadata ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"
#include "frontends/import/Json.h"
#include "tests/support/TokenizerFolder.h"
#include "tests/support/TokenizerVectors.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

Loaded loadGguf(const std::string &path) {
  auto file = import::GgufFile::open(path);
  if (!file) {
    ADD_FAILURE() << toString(file.takeError());
    return {};
  }
  auto tokenizer = import::importGgufTokenizer(path, file->metadata(), 0);
  if (!tokenizer) {
    ADD_FAILURE() << toString(tokenizer.takeError());
    return {};
  }
  EXPECT_EQ(tokenizer->warnings, "");
  return loadBlob(std::move(tokenizer->blob));
}

struct Case {
  const char *name, *gguf, *vectors;
  const char *json, *extra; ///< the same vocabulary as tokenizer.json, and further texts
  bool special;
};

class GgufVectors : public testing::TestWithParam<Case> {};

TEST_P(GgufVectors, AgreeWithThePublishedIds) {
  if (!sys::fs::exists(kVectors + GetParam().gguf))
    GTEST_SKIP() << "no " << kVectors << GetParam().gguf;
  Loaded loaded = loadGguf(kVectors + GetParam().gguf);
  ASSERT_TRUE(loaded);
  Loaded other;
  if (GetParam().json)
    other = loadFile(kVectors + GetParam().json);
  std::vector<TokenizerVector> vectors = tokenizerVectors(GetParam().vectors);
  for (const auto &[text, expected] : vectors) {
    std::vector<int32_t> ids = loaded->encode(text, {});
    EXPECT_EQ(ids, expected) << "text: " << text;
    if (other) {
      EXPECT_EQ(ids, other->encode(text, {})) << "text: " << text;
      EXPECT_EQ(loaded->decode(ids.data(), ids.size(), false),
                other->decode(ids.data(), ids.size(), false));
    }
  }
  EXPECT_EQ(vectors.size(), 46u);
}

TEST_P(GgufVectors, AgreeWithTheExtraPairs) {
  if (!GetParam().extra || !sys::fs::exists(kVectors + GetParam().gguf))
    GTEST_SKIP() << "no further pairs";
  Loaded loaded = loadGguf(kVectors + GetParam().gguf);
  ASSERT_TRUE(loaded);
  auto extra = cantFail(import::JsonDocument::read(kVectors + GetParam().extra));
  int cases = 0;
  for (const import::Json &pair : cantFail(extra.root().array())) {
    StringRef text = cantFail(pair.getString("text"));
    std::vector<int32_t> ids;
    for (const import::Json &id : cantFail(cantFail(pair.get("ids"))->array()))
      ids.push_back(static_cast<int32_t>(cantFail(id.integer())));
    Tokenizer::EncodeOptions options;
    options.parseSpecial = GetParam().special;
    EXPECT_EQ(loaded->encode(text, options), ids) << "pair " << cases << ": " << text.str();
    ++cases;
  }
  EXPECT_EQ(cases, 68);
}

INSTANTIATE_TEST_SUITE_P(
    Published, GgufVectors,
    testing::Values(Case{"llama_bpe", "llama-bpe.regenerated.gguf", "ggml-vocab-llama-bpe.gguf",
                         "llama-3.tokenizer.json", "extra-llama-3.json", true},
                    Case{"qwen2", "qwen2.regenerated.gguf", "ggml-vocab-qwen2.gguf",
                         "qwen-3.tokenizer.json", "extra-qwen-3.json", true},
                    Case{"llama_spm", "ggml-vocab-llama-spm.gguf", "ggml-vocab-llama-spm.gguf",
                         "llama-2.regenerated.tokenizer.json", "extra-llama-2.json", false},
                    Case{"gpt_2", "ggml-vocab-gpt-2.gguf", "ggml-vocab-gpt-2.gguf", nullptr,
                         nullptr, false},
                    Case{"falcon", "ggml-vocab-falcon.gguf", "ggml-vocab-falcon.gguf", nullptr,
                         nullptr, false}),
    [](const auto &info) { return info.param.name; });

//===----------------------------------------------------------------------===//
// Small vocabularies
//===----------------------------------------------------------------------===//

import::GgufVocabulary smallBytes() {
  import::GgufVocabulary vocabulary;
  vocabulary.file = "small.gguf";
  vocabulary.model = "gpt2";
  vocabulary.pre = "llama-bpe";
  vocabulary.tokens = {"a",
                       "b",
                       "1",
                       "2",
                       "\xC4\xA0",
                       "ab",
                       "\xC4\xA0"
                       "ab",
                       "12",
                       "<|x|>",
                       "<y>",
                       "abab",
                       "[PAD11]"};
  vocabulary.types = {1, 1, 1, 1, 1, 1, 1, 1, 3, 4, 1, 5};
  vocabulary.merges = {"a b", "\xC4\xA0 ab", "1 2"};
  vocabulary.bos = 8;
  return vocabulary;
}

Loaded make(const import::GgufVocabulary &vocabulary) {
  auto made = import::makeGgufTokenizer(vocabulary, 0);
  if (!made) {
    ADD_FAILURE() << toString(made.takeError());
    return {};
  }
  return loadBlob(std::move(made->blob));
}

using Ids = std::vector<int32_t>;

TEST(GgufTokenizer, CutsAndMergesAsItsPreTokenizerSays) {
  Loaded loaded = make(smallBytes());
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("ab ab12", {}), (Ids{5, 6, 7}));
  // Llama 3 takes a piece that is a token, though no merge makes it.
  EXPECT_EQ(loaded->encode("abab", {}), (Ids{10}));
  import::GgufVocabulary qwen = smallBytes();
  qwen.pre = "qwen2";
  loaded = make(qwen);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("abab12", {}), (Ids{5, 5, 2, 3}));
}

TEST(GgufTokenizer, ControlTokensNeedAsking) {
  Loaded loaded = make(smallBytes());
  ASSERT_TRUE(loaded);
  Tokenizer::EncodeOptions special;
  special.parseSpecial = true;
  EXPECT_EQ(loaded->encode("a<|x|>b", special), (Ids{0, 8, 1}));
  EXPECT_EQ(loaded->encode("a<y>b", {}), (Ids{0, 9, 1}));
  EXPECT_EQ(loaded->size(), 12);
}

TEST(GgufTokenizer, BeginsTextsAsTheFileOrItsPreTokenizerSays) {
  Tokenizer::EncodeOptions bos;
  bos.addBos = true;
  import::GgufVocabulary vocabulary = smallBytes();
  EXPECT_EQ(make(vocabulary)->encode("a", bos), (Ids{8, 0}));
  vocabulary.addBos = false;
  EXPECT_EQ(make(vocabulary)->encode("a", bos), (Ids{0}));
  vocabulary.addBos.reset();
  vocabulary.pre = "qwen2";
  EXPECT_EQ(make(vocabulary)->encode("a", bos), (Ids{0}));
  vocabulary.eos = 9;
  vocabulary.addEos = true;
  EXPECT_EQ(make(vocabulary)->encode("a", bos), (Ids{0, 9}));
  EXPECT_EQ(make(vocabulary)->endTokens(), (Ids{9}));
}

TEST(GgufTokenizer, SentencePieceTakesTheHighestScore) {
  import::GgufVocabulary vocabulary;
  vocabulary.file = "small.gguf";
  vocabulary.model = "llama";
  const std::string space = "\xE2\x96\x81";
  vocabulary.tokens = {"<unk>", "<s>", "<0x41>", "a", "b", "c", space, "ab", "bc"};
  vocabulary.types = {2, 3, 6, 1, 1, 1, 1, 1, 1};
  vocabulary.scores = {0, 0, 0, -10, -11, -12, -13, -2, -1};
  vocabulary.bos = 1;
  vocabulary.unknown = 0;
  Loaded loaded = make(vocabulary);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("abc", {}), (Ids{6, 3, 8}));
  EXPECT_EQ(loaded->encode("A", {}), (Ids{6, 2}));
  vocabulary.scores[7] = vocabulary.scores[8]; // the leftmost of equals
  EXPECT_EQ(make(vocabulary)->encode("abc", {}), (Ids{6, 7, 5}));
  vocabulary.addSpacePrefix = false;
  EXPECT_EQ(make(vocabulary)->encode("abc", {}), (Ids{7, 5}));
  Ids ids = {6, 7};
  EXPECT_EQ(make(vocabulary)->decode(ids.data(), ids.size(), false), " ab");
}

TEST(GgufTokenizer, LlamaThreeVocabulariesWithoutPreAreKnownBySize) {
  std::vector<std::string> texts;
  for (int i = 0; i < 128256; ++i)
    texts.push_back("t" + std::to_string(i));
  import::GgufVocabulary vocabulary;
  vocabulary.file = "big.gguf";
  vocabulary.model = "gpt2";
  vocabulary.tokens.assign(texts.begin(), texts.end());
  auto made = import::makeGgufTokenizer(vocabulary, 0);
  ASSERT_TRUE(static_cast<bool>(made)) << toString(made.takeError());
  EXPECT_TRUE(StringRef(made->warnings).contains("taken as Llama 3's"));
  vocabulary.tokens.pop_back();
  made = import::makeGgufTokenizer(vocabulary, 0);
  EXPECT_TRUE(StringRef(toString(made.takeError())).contains("pre: missing"));
}

} // namespace
