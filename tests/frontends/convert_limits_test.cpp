//===- convert_limits_test.cpp - what each form can and cannot hold -------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/ConvertCase.h"
#include "tests/support/TestCheckpoint.h"
#include "tests/support/TestGguf.h"

#include "frontends/import/Gguf.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstring>

using namespace llvm;
using namespace tern;
using namespace tern::test;
using convert::Target;

namespace {

/// Matrices of one scale, codes 0 to 2 everywhere.
TestGguf smallModel(const char *architecture = "bitnet-b1.58") {
  TestGguf file = TestGguf::make();
  for (TestGguf::Entry &entry : file.entries)
    if (entry.key.starts_with("bitnet-b1.58."))
      entry.key = architecture + entry.key.substr(strlen("bitnet-b1.58"));
  file.setString("general.architecture", architecture);
  for (TestGguf::Tensor &tensor : file.tensors)
    if (tensor.type == 36)
      for (size_t i = 0; i + 32 < tensor.data.size(); ++i)
        tensor.data[i] = static_cast<char>("\x19\x64\x92\x46"[i * 7 % 4]);
  if (StringRef(architecture).starts_with("bitnet"))
    return file;
  file.eraseTensor("blk.0.attn_sub_norm.weight");
  file.eraseTensor("blk.0.ffn_sub_norm.weight");
  return file;
}

void setScale(TestGguf &file, float scale) {
  for (TestGguf::Tensor &tensor : file.tensors)
    if (tensor.type == 36)
      std::memcpy(tensor.data.data() + tensor.data.size() - 32, &scale, sizeof scale);
}

std::string textOf(const std::string &path) {
  auto buffer = MemoryBuffer::getFile(path);
  EXPECT_TRUE(static_cast<bool>(buffer)) << path;
  return buffer ? (*buffer)->getBuffer().str() : "";
}

#define EXPECT_SAYS(message, text) EXPECT_TRUE(StringRef(message).contains(text)) << (message)

/// The packed folder of the small model, with more in its config.json.
std::string packedFolder(const TempFolder &folder, const std::string &more) {
  folder.write("plain.gguf", smallModel().bytes());
  std::string out = folder / "packed";
  EXPECT_EQ(convertTo(folder / "plain.gguf", out, Target::HuggingFace), "");
  std::string config = textOf(out + "/config.json");
  folder.write("packed/config.json", config.insert(config.find('{') + 1, more));
  return out;
}

//===----------------------------------------------------------------------===//
// Rotary frequencies
//===----------------------------------------------------------------------===//

TEST(ConvertRope, LinearScalingSurvivesEveryForm) {
  TempFolder folder;
  std::string packed =
      packedFolder(folder, R"("rope_scaling": {"rope_type": "linear", "factor": 3.5},)");
  Contents original = contentsOf(packed);
  std::string file = folder / "m.gguf", back = folder / "back";
  ASSERT_EQ(convertTo(packed, file, Target::I2S), "");
  import::GgufFile gguf = cantFail(import::GgufFile::open(file));
  EXPECT_EQ(cantFail(gguf.metadata().getString("bitnet-b1.58.rope.scaling.type")), "linear");
  EXPECT_EQ(gguf.checkpoint().find("rope_freqs.weight"), nullptr);
  expectSameWeights(original, contentsOf(file));
  ASSERT_EQ(convertTo(file, back, Target::HuggingFace), "");
  expectSameWeights(original, contentsOf(back));
  EXPECT_NE(original.floats["frequencies"],
            contentsOf(folder / "plain.gguf").floats["frequencies"]);
}

TEST(ConvertRope, LlamaThreeScalingBecomesDivisors) {
  TempFolder folder;
  std::string packed = packedFolder(
      folder, R"("rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                 "high_freq_factor": 4.0, "original_max_position_embeddings": 16},)");
  Contents original = contentsOf(packed);
  std::string again = folder / "again", file = folder / "m.gguf", other = folder / "other.gguf";
  ASSERT_EQ(convertTo(packed, again, Target::HuggingFace), "");
  expectSameWeights(original, contentsOf(again));
  ASSERT_EQ(convertTo(packed, file, Target::TQ2_0), "");
  import::GgufFile gguf = cantFail(import::GgufFile::open(file));
  EXPECT_NE(gguf.checkpoint().find("rope_freqs.weight"), nullptr);
  expectSameWeights(original, contentsOf(file));
  ASSERT_EQ(convertTo(file, other, Target::I2S), "");
  expectSameWeights(original, contentsOf(other));
  // Divisors say less than the rule they came from.
  std::string message = convertTo(file, folder / "folder", Target::HuggingFace);
  EXPECT_SAYS(message, "rope_freqs");
  EXPECT_SAYS(message, "--type tq2_0 or i2_s can hold it");
}

/// In the blended band a divisor may not be a float32: such a model is refused, all others are
/// exact.
TEST(ConvertRope, FrequenciesThatNoDivisorGivesAreRefused) {
  int refused = 0, exact = 0;
  for (int factor = 2; factor < 14; ++factor) {
    TempFolder folder;
    std::string packed =
        packedFolder(folder, R"("rope_scaling": {"rope_type": "llama3", "low_freq_factor": 1.0,
                   "high_freq_factor": 4.0, "original_max_position_embeddings": 2048, "factor": )" +
                                 std::to_string(factor) + "},");
    std::string message = convertTo(packed, folder / "m.gguf", Target::I2S);
    if (message.empty()) {
      ++exact;
      expectSameWeights(contentsOf(packed), contentsOf(folder / "m.gguf"));
      continue;
    }
    ++refused;
    EXPECT_SAYS(message, "no float32 divides the rotary frequency of pair ");
    EXPECT_SAYS(message, "--type hf can");
    EXPECT_EQ(convertTo(packed, folder / "packed-too", Target::HuggingFace), "");
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(exact, 0);
}

//===----------------------------------------------------------------------===//
// Shapes and scales
//===----------------------------------------------------------------------===//

TEST(ConvertLimits, ColumnsThatFitNoBlockGoIntoFolders) {
  // Hidden size 64, feed forward 96.
  for (TestForm form : {TestForm::Packed, TestForm::Online, TestForm::UnitFloats}) {
    TempFolder folder;
    TestModel(form).write(folder);
    std::string out = folder / "m.gguf", packed = folder / "packed";
    std::string message = convertTo(folder.path(), out, Target::I2S);
    EXPECT_SAYS(message, "64 columns: i2_s needs a multiple of 128; --type hf can hold it");
    message = convertTo(folder.path(), out, Target::TQ2_0, /*roundScales=*/true);
    EXPECT_SAYS(message, "\"blk.0.ffn_down\": 96 columns: tq2_0 and the smaller blocks of q2_0 "
                         "need a multiple of 64; --type hf can hold it");
    EXPECT_FALSE(sys::fs::exists(out));
    ASSERT_EQ(convertTo(folder.path(), packed, Target::HuggingFace), "");
    expectSameWeights(contentsOf(folder.path()), contentsOf(packed));
  }
}

TEST(ConvertLimits, ScalesThatAreNoFloat16AreNamed) {
  TempFolder folder;
  TestGguf file = smallModel();
  setScale(file, 0.1f);
  folder.write("m.gguf", file.bytes());
  std::string in = folder / "m.gguf", out = folder / "out.gguf";
  for (Target target : {Target::TQ1_0, Target::TQ2_0}) {
    std::string message = convertTo(in, out, target);
    EXPECT_SAYS(message, "\"blk.0.attn_q\": scale 0.100000001 is not exact in float16");
    EXPECT_SAYS(message, "--round-scales allows that, --type i2_s or hf can hold it");
    EXPECT_FALSE(sys::fs::exists(out));
  }
  ASSERT_EQ(convertTo(in, out, Target::TQ2_0, /*roundScales=*/true), "");
  EXPECT_EQ(contentsOf(out).trits, contentsOf(in).trits);
  ASSERT_EQ(convertTo(in, folder / "same.gguf", Target::I2S), "");
  expectSameWeights(contentsOf(in), contentsOf(folder / "same.gguf"));
  for (float scale : {1e30f, 1e-30f}) {
    setScale(file, scale);
    folder.write("m.gguf", file.bytes());
    std::string message = convertTo(in, folder / "far.gguf", Target::TQ1_0, true);
    EXPECT_SAYS(message, "is beyond float16");
    EXPECT_SAYS(message, "--type i2_s or hf can hold it");
  }
}

TEST(ConvertLimits, ScalesOfZeroAndBelowNeedBlocks) {
  for (float scale : {0.0f, -0.5f}) {
    TempFolder folder;
    TestGguf file = smallModel();
    for (TestGguf::Tensor &tensor : file.tensors)
      if (tensor.name == "blk.0.attn_v.weight") {
        // TQ2_0 wants 256 columns; groups of 64 take 128.
        std::string block =
            TestGguf::raw<uint16_t>(scale == 0 ? 0 : 0xb800) + std::string(16, '\x19');
        tensor.type = 42;
        tensor.data.clear();
        for (int i = 0; i < 128; ++i)
          tensor.data += block;
      }
    folder.write("m.gguf", file.bytes());
    std::string in = folder / "m.gguf";
    for (Target target : {Target::I2S, Target::HuggingFace}) {
      std::string message = convertTo(in, folder / "out.gguf", target);
      EXPECT_SAYS(message, "above 0; --type tq2_0 can hold it");
    }
    ASSERT_EQ(convertTo(in, folder / "out.gguf", Target::TQ2_0), "");
    expectSameWeights(contentsOf(in), contentsOf(folder / "out.gguf"));
  }
}

/// MLX groups of 32 columns: no block that is written is so short.
TEST(ConvertLimits, GroupsOf32AreRefusedAndNothingIsNamed) {
  TempFolder folder;
  TestModel model;
  test::erase(model.config, "quantization_config");
  test::set(model.config, "architectures", "[\"LlamaForCausalLM\"]");
  test::set(model.config, "hidden_act", "\"silu\"");
  test::set(model.config, "quantization", "{\"group_size\": 32, \"bits\": 2}");
  std::vector<TestTensor> tensors;
  for (const TestTensor &tensor : model.tensors) {
    StringRef name = tensor.name;
    if (name.contains("sub_norm") || name.ends_with("_scale"))
      continue;
    if (!name.ends_with("_proj.weight")) {
      tensors.push_back(tensor);
      continue;
    }
    int64_t rows = tensor.shape[0] * 4, columns = tensor.shape[1];
    std::string base = name.drop_back(strlen("weight")).str();
    std::vector<float> scales, biases;
    for (int64_t i = 0; i < rows * columns / 32; ++i) {
      scales.push_back(static_cast<float>(i % 7 + 1) / 8);
      biases.push_back(-scales.back());
    }
    tensors.push_back(
        {base + "weight", "U32", {rows, columns / 16}, std::string(rows * columns / 4, '\x19')});
    tensors.push_back({base + "scales", "F16", {rows, columns / 32}, floatBytes(scales, "F16")});
    tensors.push_back({base + "biases", "F16", {rows, columns / 32}, floatBytes(biases, "F16")});
  }
  model.tensors = tensors;
  model.write(folder);
  for (Target target : {Target::TQ2_0, Target::TQ1_0, Target::I2S, Target::HuggingFace}) {
    std::string message = convertTo(folder.path(), folder / "out.gguf", target);
    EXPECT_SAYS(message, "nothing that is written holds it");
    EXPECT_FALSE(sys::fs::exists(folder / "out.gguf"));
  }
}

//===----------------------------------------------------------------------===//
// Activations and metadata
//===----------------------------------------------------------------------===//

TEST(ConvertLimits, ActivationsAreKeptByAKey) {
  for (bool eightBits : {true, false}) {
    TempFolder folder;
    TestGguf file = smallModel("llama");
    if (!eightBits)
      file.setString("tern.activations", "float");
    folder.write("m.gguf", file.bytes());
    std::string in = folder / "m.gguf";
    EXPECT_EQ(contentsOf(in).floatActivations, !eightBits);
    for (Target target : {Target::TQ1_0, Target::TQ2_0, Target::I2S}) {
      std::string out = folder / (convert::nameOf(target).str() + ".gguf");
      std::vector<std::string> notes;
      ASSERT_EQ(convertTo(in, out, target, false, &notes), "");
      expectSameWeights(contentsOf(in), contentsOf(out));
      bool said = !notes.empty() && StringRef(notes[0]).contains("activations");
      EXPECT_EQ(said, target == Target::I2S && !eightBits);
    }
    std::string message = convertTo(in, folder / "packed", Target::HuggingFace);
    if (eightBits) {
      EXPECT_EQ(message, "");
      expectSameWeights(contentsOf(in), contentsOf(folder / "packed"));
    } else {
      EXPECT_SAYS(message, "means 8-bit activations");
      EXPECT_SAYS(message, "--type tq2_0 or i2_s can hold it");
    }
  }
}

TEST(ConvertLimits, AnUnknownActivationModeIsAnError) {
  TempFolder folder;
  TestGguf file = smallModel("llama");
  file.setString("tern.activations", "int4");
  folder.write("m.gguf", file.bytes());
  EXPECT_SAYS(convertTo(folder / "m.gguf", folder / "out.gguf", Target::I2S),
              "tern.activations: expected \"int8_per_token\" or \"float\", found \"int4\"");
  file.setNumber("tern.activations", 8);
  folder.write("m.gguf", file.bytes());
  EXPECT_SAYS(convertTo(folder / "m.gguf", folder / "out.gguf", Target::I2S),
              "tern.activations: expected");
}

TEST(ConvertLimits, MetadataOfAFileStay) {
  TempFolder folder;
  TestGguf file = smallModel();
  file.setString("general.name", "A name");
  file.setString("general.license", "mit");
  file.setString("tokenizer.chat_template", "{{ messages }}");
  folder.write("m.gguf", file.bytes());
  std::string in = folder / "m.gguf", out = folder / "out.gguf", packed = folder / "packed";
  ASSERT_EQ(convertTo(in, out, Target::I2S), "");
  import::GgufFile gguf = cantFail(import::GgufFile::open(out));
  for (const char *key : {"general.name", "general.license", "tokenizer.chat_template"})
    EXPECT_TRUE(gguf.metadata().has(key)) << key;
  EXPECT_EQ(cantFail(gguf.metadata().getString("general.name")), "A name");
  EXPECT_EQ(contentsOf(in).tokenizer, contentsOf(out).tokenizer);
  ASSERT_EQ(convertTo(in, packed, Target::HuggingFace), "");
  EXPECT_SAYS(textOf(packed + "/README.md"), "license: mit");
  EXPECT_SAYS(textOf(packed + "/tokenizer_config.json"), "{{ messages }}");
  EXPECT_SAYS(contentsOf(packed).card, "\"licence\": \"mit\"");
}

TEST(ConvertLimits, WhatAFolderSaysAboutSamplingIsSaidToBeLost) {
  TempFolder folder;
  std::string packed = packedFolder(folder, "");
  folder.write("packed/generation_config.json", "{\"temperature\": 0.5}");
  std::vector<std::string> notes;
  ASSERT_EQ(convertTo(packed, folder / "m.gguf", Target::I2S, false, &notes), "");
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_SAYS(notes[0], "sampling defaults");
  ASSERT_EQ(convertTo(packed, folder / "again", Target::HuggingFace, false, &notes), "");
  EXPECT_TRUE(notes.empty());
}

TEST(ConvertLimits, EndTokensStayWithoutATokenizer) {
  TempFolder folder;
  TestGguf file = smallModel();
  std::erase_if(file.entries,
                [](const auto &entry) { return StringRef(entry.key).starts_with("tokenizer."); });
  folder.write("m.gguf", file.bytes());
  std::string packed = folder / "packed";
  ASSERT_EQ(convertTo(folder / "m.gguf", packed, Target::HuggingFace), "");
  std::string config = textOf(packed + "/config.json");
  folder.write(
      "packed/config.json",
      config.insert(config.find('{') + 1, "\"bos_token_id\": 5, \"eos_token_id\": [6, 7],"));
  ASSERT_EQ(convertTo(packed, folder / "out.gguf", Target::I2S), "");
  json::Value card = cantFail(json::parse(contentsOf(folder / "out.gguf").card));
  const json::Object *tokens = card.getAsObject()->getObject("tokens");
  EXPECT_EQ(tokens->getInteger("bos"), 5);
  EXPECT_EQ(*tokens->getArray("eos"), json::Array({6, 7}));
}

} // namespace
