//===- convert_tokenizer_test.cpp - tokenizers to other forms and back ----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/TokenizerTables.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"
#include "tests/support/SmallTokenizer.h"
#include "tests/support/TestGguf.h"
#include "tests/support/TokenizerFolder.h"

using namespace llvm;
using namespace tern;
using namespace tern::test;
using convert::difference;
using convert::TokenizerTables;

namespace {

/// What a text of each kind of character becomes.
const StringRef kTexts[] = {"",
                            " ",
                            "a",
                            "abab ab12 1234567",
                            "  two  spaces\n\n\tand\r\nlines   ",
                            "don't WE'LL caf\xC3\xA9 cafe\xCC\x81 \xE4\xBD\xA0\xE5\xA5\xBD",
                            "<s>x</s> <|x|><y> \xF0\x9F\x98\x80\xE2\x96\x81_",
                            "Once upon a time, there was a little girl named Lily."};

std::string blobOf(const import::GgufVocabulary &vocabulary, uint64_t size = 0) {
  auto made = import::makeGgufTokenizer(vocabulary, size);
  if (!made) {
    ADD_FAILURE() << toString(made.takeError());
    return "";
  }
  return made->blob;
}

std::string blobOf(StringRef json) {
  Folder folder;
  folder.write("tokenizer.json", json);
  return cantFail(import::importTokenizer(folder.path, 0));
}

/// Through the metadata of a GGUF file; `lost` is what addTokenizerKeys says that costs.
std::string throughKeys(const std::string &blob, int64_t vocabulary, std::string *lost = nullptr) {
  convert::GgufKeys keys;
  auto result = convert::addTokenizerKeys(keys, blob, vocabulary, std::nullopt);
  if (!result) {
    ADD_FAILURE() << toString(result.takeError());
    return "";
  }
  if (lost)
    *lost = *result;
  else
    EXPECT_EQ(*result, "");
  Folder folder;
  folder.write("keys.gguf", "GGUF" + TestGguf::raw<uint32_t>(3) + TestGguf::raw<uint64_t>(0) +
                                TestGguf::raw(keys.count) + keys.bytes);
  import::GgufFile file = cantFail(import::GgufFile::open(folder.inside("keys.gguf")));
  return cantFail(import::importGgufTokenizer("keys.gguf", file.metadata(), vocabulary)).blob;
}

/// Through tokenizer.json.
std::string throughJson(const std::string &blob) {
  Folder folder;
  auto json = convert::tokenizerJson(blob);
  if (!json) {
    ADD_FAILURE() << toString(json.takeError());
    return "";
  }
  folder.write("tokenizer.json", *json);
  folder.write("tokenizer_config.json", convert::tokenizerConfig(blob, "{{ messages }}"));
  // As a converted model's config.json does.
  std::string ends;
  TokenizerTables tables(blob);
  for (uint32_t id : tables.table<uint32_t>(tables.header.end))
    ends += (ends.empty() ? "" : ",") + std::to_string(id);
  folder.write("config.json", "{\"eos_token_id\": [" + ends + "]}");
  return cantFail(import::importTokenizer(folder.path, 0));
}

void expectSame(const std::string &a, const std::string &b, StringRef lost = "") {
  EXPECT_EQ(difference(TokenizerTables(a), TokenizerTables(b)), lost);
  Loaded one = loadBlob(a), other = loadBlob(b);
  ASSERT_TRUE(one && other);
  for (StringRef text : kTexts)
    for (bool bos : {false, true}) {
      Tokenizer::EncodeOptions options;
      options.addBos = bos;
      options.parseSpecial = bos && lost.empty();
      std::vector<int32_t> ids = one->encode(text, options);
      EXPECT_EQ(other->encode(text, options), ids) << text.str();
      EXPECT_EQ(other->decode(ids.data(), ids.size(), bos),
                one->decode(ids.data(), ids.size(), bos))
          << text.str();
    }
}

/// All forms to all forms.
void expectLossless(const std::string &blob, int64_t vocabulary) {
  ASSERT_FALSE(blob.empty());
  std::string keys = throughKeys(blob, vocabulary), json = throughJson(blob);
  ASSERT_FALSE(keys.empty() || json.empty());
  expectSame(blob, keys);
  expectSame(blob, json);
  expectSame(blob, throughJson(keys));
  expectSame(blob, throughKeys(json, vocabulary));
}

import::GgufVocabulary bytesVocabulary(StringRef pre) {
  import::GgufVocabulary out;
  out.file = "bytes.gguf";
  out.model = "gpt2";
  out.pre = pre;
  out.tokens = {"a", "b", "1", "2", "\xC4\xA0", "ab", "12", "<|x|>", "<y>", "abab", "[PAD10]"};
  out.types = {1, 1, 1, 1, 1, 1, 1, 3, 4, 1, 5};
  out.merges = {"a b", "1 2"};
  out.bos = 7, out.eos = 8;
  return out;
}

/// SentencePiece pieces; "ab" and "bc" compete.
import::GgufVocabulary piecesVocabulary() {
  import::GgufVocabulary out;
  out.file = "pieces.gguf";
  out.model = "llama";
  out.tokens = {"<unk>", "<s>",          "</s>", "<0x41>", "a",   "b",
                "c",     "\xE2\x96\x81", "ab",   "bc",     "abc", "\xE2\x96\x81\xE2\x96\x81"};
  out.types = {2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1};
  out.scores = {0, 0, 0, 0, -10, -11, -12, -13, -2, -1, -3, -4};
  out.bos = 1, out.eos = 2, out.unknown = 0;
  return out;
}

TEST(ConvertTokenizer, ByteLevelVocabulariesOfEveryPreTokenizerSurvive) {
  for (StringRef pre : {"llama-bpe", "qwen2", "qwen35", "gpt-2", "falcon"}) {
    SCOPED_TRACE(pre.str());
    expectLossless(blobOf(bytesVocabulary(pre)), 16);
  }
}

TEST(ConvertTokenizer, BosAndEosFlagsSurvive) {
  for (bool bos : {false, true})
    for (bool eos : {false, true}) {
      import::GgufVocabulary vocabulary = bytesVocabulary("qwen2");
      vocabulary.addBos = bos, vocabulary.addEos = eos;
      expectLossless(blobOf(vocabulary), 11);
      vocabulary = piecesVocabulary();
      vocabulary.addBos = bos, vocabulary.addEos = eos;
      expectLossless(blobOf(vocabulary), 12);
    }
}

TEST(ConvertTokenizer, SentencePieceSurvives) {
  for (bool space : {false, true}) {
    import::GgufVocabulary vocabulary = piecesVocabulary();
    vocabulary.addSpacePrefix = space;
    expectLossless(blobOf(vocabulary), 12);
    // Ids that the tokenizer lacks are fillers.
    expectLossless(blobOf(vocabulary), 20);
  }
}

TEST(ConvertTokenizer, TiedScoresStayTiedInGgufAndAreSaidForJson) {
  import::GgufVocabulary vocabulary = piecesVocabulary();
  vocabulary.scores[8] = vocabulary.scores[9];
  std::string blob = blobOf(vocabulary);
  expectSame(blob, throughKeys(blob, 12));
  EXPECT_EQ(difference(TokenizerTables(blob), TokenizerTables(throughJson(blob))), "merges");
}

TEST(ConvertTokenizer, WhatKeysCannotSayIsSaid) {
  // "_" is not SentencePiece's sign for a space.
  std::string lost;
  throughKeys(blobOf(kPieceJson), 10, &lost);
  EXPECT_EQ(lost, "normalization, decoding");
  auto splitting = [](StringRef expression) {
    return R"({"type":"Split","pattern":{"Regex":")" + expression.str() +
           R"("},"behavior":"Isolated","invert":false},)";
  };
  std::string gpt2 =
      splitting("'s|'t|'re|'ve|'m|'ll|'d| ?\\\\p{L}+| ?\\\\p{N}+| ?[^\\\\s\\\\p{L}\\\\p{N}]+|"
                "\\\\s+(?!\\\\S)|\\\\s+");
  std::string json = byteLevelJson({{"a", "b"}, {"ab", "c"}}, gpt2);
  expectLossless(blobOf(json), 300);
  throughKeys(blobOf(replaced(json, "\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}")),
              300, &lost);
  EXPECT_EQ(lost, "normalization");
  throughKeys(blobOf(replaced(json, "\"lstrip\":false", "\"lstrip\":true")), 300, &lost);
  EXPECT_EQ(lost, "added tokens");

  convert::GgufKeys keys;
  auto refused =
      convert::addTokenizerKeys(keys, blobOf(byteLevelJson({}, splitting("[a-z]+"))), 258, {});
  std::string message = toString(refused.takeError());
  EXPECT_TRUE(StringRef(message).contains("has no name there")) << message;
  EXPECT_TRUE(StringRef(message).contains("--type hf can")) << message;
  EXPECT_EQ(keys.count, 0u);
}

/// Vocabularies of published models are too large, and not ours, to keep beside the code.
const std::string kVectors = TERN_SOURCE_DIR "/../shared/tokenizer-vectors/";

struct Published {
  const char *file;
  const char *keys, *json; ///< what those lose
};
class ConvertPublished : public testing::TestWithParam<Published> {
protected:
  void SetUp() override {
    if (!sys::fs::exists(kVectors + GetParam().file))
      GTEST_SKIP() << "no " << kVectors << GetParam().file;
  }
};

TEST_P(ConvertPublished, VocabulariesSurviveOrTheLossIsSaid) {
  std::string path = kVectors + GetParam().file, blob, lost;
  if (StringRef(path).ends_with(".json")) {
    blob = loadFile(path).blob;
  } else {
    import::GgufFile file = cantFail(import::GgufFile::open(path));
    blob = cantFail(import::importGgufTokenizer(path, file.metadata(), 0)).blob;
  }
  ASSERT_FALSE(blob.empty());
  std::string keys = throughKeys(blob, TokenizerTables(blob).tokens.size(), &lost);
  EXPECT_EQ(lost, GetParam().keys);
  expectSame(blob, keys, GetParam().keys);
  expectSame(blob, throughJson(blob), GetParam().json);
}

INSTANTIATE_TEST_SUITE_P(
    Published, ConvertPublished,
    testing::Values(Published{"llama-bpe.regenerated.gguf", "", ""},
                    Published{"qwen2.regenerated.gguf", "", ""},
                    // Its runs of spaces have equal scores; a list of merges has an order.
                    Published{"ggml-vocab-llama-spm.gguf", "", "merges"},
                    Published{"ggml-vocab-gpt-2.gguf", "", ""},
                    Published{"ggml-vocab-falcon.gguf", "", ""},
                    Published{"llama-3.tokenizer.json", "", ""},
                    Published{"qwen-3.tokenizer.json", "", ""},
                    // Its special tokens are looked for in normalized text.
                    Published{"llama-2.regenerated.tokenizer.json", "added tokens", ""}),
    [](const auto &info) {
      std::string name = info.param.file;
      for (char &c : name)
        c = isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

} // namespace
