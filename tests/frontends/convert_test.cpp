//===- convert_test.cpp - models to other formats and back ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/ConvertCase.h"
#include "tests/support/TestGguf.h"
#include "tests/support/TokenizerFolder.h"

using namespace llvm;
using namespace tern;
using namespace tern::test;
using convert::Target;

namespace {

const std::string kModel = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";

class ConvertBundled : public testing::TestWithParam<Target> {};

TEST_P(ConvertBundled, RoundTripsAreExact) {
  Folder folder;
  Contents original = contentsOf(kModel);
  bool hf = GetParam() == Target::HuggingFace;
  std::string there = folder.inside(hf ? "there" : "there.gguf");
  ASSERT_EQ(convertTo(kModel, there, GetParam()), "");
  Contents first = contentsOf(there);
  expectSameWeights(original, first);
  // On to each other form, and from there once more.
  for (Target other : {Target::I2S, Target::TQ2_0, Target::HuggingFace}) {
    std::string name = "on" + std::to_string(static_cast<int>(other));
    std::string path = folder.inside(other == Target::HuggingFace ? name : name + ".gguf");
    ASSERT_EQ(convertTo(there, path, other), "") << name;
    expectSameWeights(original, contentsOf(path));
  }
}

TEST_P(ConvertBundled, TheTokenizerStaysTheSame) {
  Folder folder;
  std::string there = folder.inside(GetParam() == Target::HuggingFace ? "there" : "there.gguf");
  std::string back = folder.inside("back");
  ASSERT_EQ(convertTo(kModel, there, GetParam()), "");
  ASSERT_EQ(convertTo(there, back, Target::HuggingFace), "");
  Loaded a = loadBlob(contentsOf(kModel).tokenizer);
  Loaded b = loadBlob(contentsOf(there).tokenizer);
  Loaded c = loadBlob(contentsOf(back).tokenizer);
  ASSERT_TRUE(a && b && c);
  Tokenizer::EncodeOptions options;
  options.addBos = options.parseSpecial = true;
  for (StringRef text : {"Once upon a time, there was a little girl named Lily.", "", " ",
                         "42 caf\xC3\xA9s\n\n\tdon't<|eot_id|> \xF0\x9F\x98\x80"}) {
    std::vector<int32_t> ids = a->encode(text, options);
    EXPECT_EQ(b->encode(text, options), ids) << text.str();
    EXPECT_EQ(c->encode(text, options), ids) << text.str();
    EXPECT_EQ(b->decode(ids.data(), ids.size(), true), a->decode(ids.data(), ids.size(), true));
  }
  auto sorted = [](std::vector<int32_t> ids) {
    llvm::sort(ids);
    return ids;
  };
  EXPECT_EQ(sorted(a->endTokens()), sorted(b->endTokens()));
  EXPECT_EQ(sorted(a->endTokens()), sorted(c->endTokens()));
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvertBundled,
                         testing::Values(Target::I2S, Target::TQ1_0, Target::TQ2_0,
                                         Target::HuggingFace),
                         [](const auto &info) { return convert::nameOf(info.param).str(); });

TEST(Convert, NothingIsOverwrittenOrLeftBehind) {
  Folder folder;
  std::string small = folder.inside("small.gguf");
  folder.write("small.gguf", TestGguf::make().bytes());
  folder.write("taken", "x");
  std::string message = convertTo(small, folder.inside("taken"), Target::HuggingFace);
  EXPECT_TRUE(StringRef(message).contains("exists already")) << message;
  message = convertTo(small, folder.inside("no/where"), Target::HuggingFace);
  EXPECT_NE(message, "");
  std::error_code code;
  int entries = 0;
  for (sys::fs::directory_iterator entry(folder.path, code), end; entry != end && !code;
       entry.increment(code))
    ++entries;
  EXPECT_EQ(entries, 2);
}

} // namespace
