//===- import_forms_test.cpp - every stored form of a weight --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/ModelRun.h"
#include "tests/support/TestCheckpoint.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace llvm;
using namespace tern;
using test::TempFolder;
using test::TestForm;
using test::TestModel;

namespace {
struct Outcome {
  std::string text, card;
  std::vector<float> logits;
};
} // namespace

static Outcome runFolder(const std::string &path) {
  mlir::MLIRContext context;
  auto model = import::importModel(context, path);
  if (!model) {
    ADD_FAILURE() << toString(model.takeError());
    return {};
  }
  Outcome outcome;
  raw_string_ostream(outcome.text) << *model->module;
  outcome.card = model->card;
  outcome.logits = test::ModelRun(*model).feed({1, 5, 9, 2});
  return outcome;
}

static Outcome run(const TestModel &model) {
  TempFolder folder;
  model.write(folder);
  return runFolder(folder.path());
}

static bool has(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

TEST(ImportForms, PackedUnitAndScaledFloatsAreTheSameModel) {
  Outcome packed = run(TestModel(TestForm::Packed));
  ASSERT_EQ(packed.logits.size(), 32u);
  for (const char *dtype : {"BF16", "F16", "F32"})
    for (TestForm form : {TestForm::Packed, TestForm::TernaryFloats, TestForm::UnitFloats}) {
      Outcome other = run(TestModel(form, dtype));
      EXPECT_EQ(other.logits, packed.logits) << dtype;
      EXPECT_EQ(has(other.text, "derive = sign_trits"), form != TestForm::Packed);
      EXPECT_EQ(has(other.text, "derive = magnitude_scale"), form == TestForm::TernaryFloats);
    }
}

TEST(ImportForms, TernaryFloatsNeedNoQuantizationConfig) {
  TestModel model(TestForm::TernaryFloats);
  Outcome stated = run(model);
  test::erase(model.config, "quantization_config");
  EXPECT_EQ(run(model).logits, stated.logits);
}

TEST(ImportForms, TernaryFloatsMayHaveAScaleARow) {
  TestModel model(TestForm::TernaryFloats, "F32");
  test::TestTensor &query = model.tensor("model.layers.0.self_attn.q_proj.weight");
  std::vector<float> values(64 * 64);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<int>(i * i % 3) - 1) * (1 + i / 64);
  query.bytes = test::floatBytes(values, "F32");
  Outcome outcome = run(model);
  EXPECT_TRUE(has(outcome.text, "@blk.0.attn_q.scale : tensor<64xf32>"));
  EXPECT_TRUE(has(outcome.text, "func.func private @block_1"));
  EXPECT_EQ(outcome.logits.size(), 32u);
}

TEST(ImportForms, TernaryFloatsMayHaveAScaleAGroup) {
  TestModel model(TestForm::TernaryFloats, "F32");
  test::TestTensor &query = model.tensor("model.layers.0.self_attn.q_proj.weight");
  std::vector<float> values(64 * 64);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(static_cast<int>(i % 3) - 1) * (1 + i / 32);
  query.bytes = test::floatBytes(values, "F32");
  EXPECT_TRUE(has(run(model).text, "@blk.0.attn_q.scale : tensor<64x2xf32>"));
}

TEST(ImportForms, BitlinearDividesByItsScale) {
  TestModel model;
  test::set(model.config, "quantization_config", "{\"quant_method\": \"bitnet\"}");
  Outcome divided = run(model);
  EXPECT_TRUE(has(divided.text, "derive = reciprocal"));
  TestModel inverse;
  for (test::TestTensor &tensor : inverse.tensors)
    if (StringRef(tensor.name).ends_with("weight_scale")) {
      uint32_t bits = static_cast<uint32_t>(static_cast<uint8_t>(tensor.bytes[1])) << 24 |
                      static_cast<uint32_t>(static_cast<uint8_t>(tensor.bytes[0])) << 16;
      tensor.dtype = "F32";
      tensor.bytes = test::floatBytes({1 / bit_cast<float>(bits)}, "F32");
    }
  EXPECT_EQ(divided.logits, run(inverse).logits);
}

TEST(ImportForms, ShardsAreTheSameModelAsOneFile) {
  for (TestForm form : {TestForm::Online, TestForm::Packed}) {
    TestModel model(form);
    Outcome single = run(model);
    EXPECT_EQ(has(single.text, "ternary.quantize_weight"), form == TestForm::Online);
    TempFolder folder;
    model.writeSharded(folder, 3);
    Outcome sharded = runFolder(folder.path());
    EXPECT_EQ(sharded.logits, single.logits);
    EXPECT_TRUE(has(sharded.text, "\"model-2.safetensors\""));
  }
}

TEST(ImportForms, OlderSpellingOfSubNormsAndUntiedHead) {
  TestModel model(TestForm::Online, "F16");
  for (test::TestTensor &tensor : model.tensors)
    for (auto [now, then] :
         {std::pair("attn_sub_norm", "inner_attn_ln"), std::pair("ffn_sub_norm", "ffn_layernorm")})
      if (size_t at = tensor.name.find(now); at != std::string::npos)
        tensor.name.replace(at, strlen(now), then);
  test::erase(model.config, "quantization_config");
  test::set(model.config, "weight_bits", "1");
  test::set(model.config, "input_bits", "8");
  test::set(model.config, "hidden_act", "\"silu\"");
  test::erase(model.config, "tie_word_embeddings");
  model.tensors.push_back(model.tensor("model.embed_tokens.weight"));
  model.tensors.back().name = "lm_head.weight";
  model.tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {1}, "1234"});
  Outcome outcome = run(model);
  EXPECT_TRUE(has(outcome.text, "ternary.weight @output : tensor<32x64xf16>"));
  for (float logit : outcome.logits)
    EXPECT_TRUE(std::isfinite(logit));
}

TEST(Synthetic, EveryShapeVerifiesAndTheTinyOnesRun) {
  for (StringRef name : import::syntheticShapes()) {
    mlir::MLIRContext context;
    auto model = import::syntheticModel(context, name);
    ASSERT_TRUE(bool(model)) << toString(model.takeError());
    if (!name.starts_with("tiny") || name == "tiny-stories")
      continue;
    std::vector<float> logits = test::ModelRun(*model).feed({1, 2, 3});
    ASSERT_FALSE(logits.empty());
    for (float logit : logits)
      EXPECT_TRUE(std::isfinite(logit));
  }
  mlir::MLIRContext context;
  auto unknown = import::syntheticModel(context, "huge");
  EXPECT_FALSE(bool(unknown));
  EXPECT_TRUE(has(toString(unknown.takeError()), "expected one of bitnet-2b4t"));
}
