//===- convert_test.cpp - models to other formats and back ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Convert.h"

#include "frontends/convert/Matrices.h"
#include "tests/support/TestGguf.h"
#include "tests/support/TokenizerFolder.h"

#include <cstring>
#include <map>

using namespace llvm;
using namespace tern;
using namespace tern::test;
using convert::Target;

namespace {

const std::string kModel = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";

/// Everything a model's weights say: trits, scales spread over the rows, and floats.
struct Contents {
  std::map<std::string, std::vector<int8_t>> trits;
  std::map<std::string, std::vector<float>> scales, floats;
  std::string tokenizer, card;
  bool floatActivations = false;
};

void readMatrix(const convert::Source &source, const std::string &name, Contents &out) {
  convert::Matrix matrix = cantFail(convert::readMatrix(source, name));
  WeightReader reader = cantFail(source.reader(name));
  std::vector<int8_t> &trits = out.trits[name];
  trits.resize(matrix.rows * matrix.columns);
  cantFail(reader.readTrits(0, matrix.rows, trits.data()));
  std::vector<float> &scales = out.scales[name];
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t k = 0; k < matrix.columns; k += 32)
      scales.push_back(matrix.scales[row * (matrix.columns / matrix.group) + k / matrix.group]);
}

Contents contentsOf(const std::string &path) {
  Contents contents;
  mlir::MLIRContext context;
  auto model = import::importModel(context, path);
  if (!model) {
    ADD_FAILURE() << toString(model.takeError());
    return contents;
  }
  contents.tokenizer = model->tokenizerBlob;
  contents.card = model->card;
  json::Value card = cantFail(json::parse(model->card));
  convert::Source source = cantFail(convert::Source::open(*model, *card.getAsObject()));
  contents.floatActivations = source.floatActivations();
  contents.floats["frequencies"] = source.frequencies;
  contents.floats["epsilon"] = {source.config.epsilon};
  for (const std::string &name : source.order) {
    if (StringRef(name).ends_with(".scale"))
      continue;
    if (source.isTrits(name)) {
      readMatrix(source, name, contents);
      continue;
    }
    WeightReader reader = cantFail(source.reader(name));
    std::vector<float> values(reader.rows() * reader.columns());
    cantFail(reader.readFloats(0, reader.rows(), values.data()));
    contents.floats[name] = std::move(values);
  }
  return contents;
}

/// The error, or nothing. `notes` takes what the output does not hold.
std::string convertTo(const std::string &in, const std::string &out, Target target,
                      bool roundScales = false, std::vector<std::string> *notes = nullptr) {
  mlir::MLIRContext context;
  auto model = import::importModel(context, in);
  if (!model)
    return toString(model.takeError());
  convert::Options options;
  options.target = target;
  options.roundScales = roundScales;
  auto result = convert::convertModel(*model, in, out, options);
  if (!result)
    return toString(result.takeError());
  if (notes)
    *notes = *result;
  return "";
}

void expectSameWeights(const Contents &a, const Contents &b) {
  EXPECT_FALSE(a.trits.empty());
  EXPECT_TRUE(a.trits == b.trits);
  EXPECT_TRUE(a.scales == b.scales);
  EXPECT_TRUE(a.floats == b.floats);
  EXPECT_EQ(a.floatActivations, b.floatActivations);
}

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

std::string nameOf(const testing::TestParamInfo<Target> &info) {
  constexpr const char *kNames[] = {"tq1_0", "tq2_0", "i2_s", "hf"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvertBundled,
                         testing::Values(Target::I2S, Target::TQ1_0, Target::TQ2_0,
                                         Target::HuggingFace),
                         nameOf);

/// A small GGUF model whose q has the scale `scale`.
std::string smallModel(const Folder &folder, float scale) {
  TestGguf file = TestGguf::make();
  for (auto &tensor : file.tensors)
    if (tensor.type == 36) {
      for (size_t i = 0; i + 32 < tensor.data.size(); ++i)
        tensor.data[i] = static_cast<char>("\x19\x64\x92\x46"[i * 7 % 4]);
      std::memcpy(tensor.data.data() + tensor.data.size() - 32, &scale, sizeof scale);
    }
  folder.write("small.gguf", file.bytes());
  return folder.inside("small.gguf");
}

TEST(Convert, ScalesThatDoNotFitAreNamed) {
  Folder folder;
  std::string small = smallModel(folder, 0.1f), out = folder.inside("out.gguf");
  std::string message = convertTo(small, out, Target::TQ2_0);
  EXPECT_TRUE(StringRef(message).contains("is not exact in float16")) << message;
  EXPECT_TRUE(StringRef(message).contains("--round-scales")) << message;
  EXPECT_FALSE(sys::fs::exists(out));
  EXPECT_EQ(convertTo(small, out, Target::TQ2_0, /*roundScales=*/true), "");
  EXPECT_TRUE(contentsOf(out).trits == contentsOf(small).trits);
  EXPECT_EQ(convertTo(small, folder.inside("same.gguf"), Target::I2S), "");
  expectSameWeights(contentsOf(small), contentsOf(folder.inside("same.gguf")));
  message = convertTo(smallModel(folder, 1e30f), folder.inside("big.gguf"), Target::TQ1_0, true);
  EXPECT_TRUE(StringRef(message).contains("beyond float16")) << message;
}

TEST(Convert, NothingIsOverwrittenOrLeftBehind) {
  Folder folder;
  std::string small = smallModel(folder, 1);
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
