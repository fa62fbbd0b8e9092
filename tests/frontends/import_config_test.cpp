//===- import_config_test.cpp - config.json, right and wrong --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Config.h"

#include "frontends/import/families/Family.h"
#include "tests/support/TestCheckpoint.h"
#include "gtest/gtest.h"

using namespace llvm;
using namespace tern;
using namespace tern::import;

static Expected<Config> read(const std::string &text) {
  Expected<JsonDocument> document = JsonDocument::parse("config.json", text);
  if (!document)
    return document.takeError();
  return readConfig(*document);
}

static Config readGood(const test::RawObject &object) {
  Expected<Config> config = read(test::toJson(object));
  if (config)
    return *config;
  ADD_FAILURE() << toString(config.takeError());
  return Config();
}

static void expectRefused(const std::string &text, const std::string &words) {
  Expected<Config> config = read(text);
  ASSERT_FALSE(bool(config)) << "expected \"" << words << "\" for " << text;
  std::string message = toString(config.takeError());
  EXPECT_TRUE(StringRef(message).starts_with("config.json: ")) << message;
  EXPECT_NE(message.find(words), std::string::npos)
      << "expected \"" << words << "\" in " << message;
}

static test::RawObject good() { return test::TestModel().config; }

TEST(Config, ReadsThePackedForm) {
  Config config = readGood(good());
  EXPECT_EQ(config.family->name, "bitnet");
  EXPECT_EQ(config.hidden, 64);
  EXPECT_EQ(config.headSize, 16);
  EXPECT_EQ(config.kvHeads, 2);
  EXPECT_EQ(config.epsilon, 1e-5f);
  EXPECT_EQ(config.form, WeightForm::Multiply);
  EXPECT_EQ(config.tied, true);
}

TEST(Config, KnowsTheClassInAnyCase) {
  for (const char *name : {"[\"BitnetForCausalLM\"]", "[\"bitnetforcausallm\"]"}) {
    test::RawObject object = good();
    test::set(object, "architectures", name);
    EXPECT_EQ(readGood(object).family->name, "bitnet");
  }
}

TEST(Config, WeightFormFollowsQuantizationConfig) {
  const std::pair<const char *, WeightForm> forms[] = {
      {"{\"quant_method\":\"bitnet\"}", WeightForm::Divide},
      {"{\"quant_method\":\"bitnet\",\"linear_class\":\"bitlinear\"}", WeightForm::Divide},
      {"{\"quant_method\":\"bitnet\",\"linear_class\":\"autobitlinear\"}", WeightForm::Multiply},
      {"{\"quant_method\":\"bitnet\",\"linear_class\":\"autobitlinear\",\"quantization_mode\":"
       "\"online\"}",
       WeightForm::Masters},
      {"{\"quant_method\":\"bitnet\",\"modules_to_not_convert\":null,\"use_rms_norm\":false,"
       "\"rms_norm_eps\":1e-6}",
       WeightForm::Divide},
      {"{\"quant_method\":\"bitnet\",\"modules_to_not_convert\":[\"lm_head\"]}",
       WeightForm::Divide},
  };
  for (auto [raw, form] : forms) {
    test::RawObject object = good();
    test::set(object, "quantization_config", raw);
    EXPECT_EQ(readGood(object).form, form) << raw;
  }
  test::RawObject object = good();
  test::erase(object, "quantization_config");
  EXPECT_EQ(readGood(object).form, WeightForm::Unstated);
  test::set(object, "weight_bits", "1");
  test::set(object, "input_bits", "8");
  EXPECT_EQ(readGood(object).form, WeightForm::Masters);
}

TEST(Config, TakesTheSpellingsOfNewerAndOlderWriters) {
  test::RawObject object = good();
  test::erase(object, "rope_theta");
  test::set(object, "rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 5e5}");
  test::erase(object, "num_key_value_heads");
  test::erase(object, "tie_word_embeddings");
  test::set(object, "dtype", "\"bfloat16\"");
  test::set(object, "head_dim", "32");
  test::set(object, "rope_scaling", "null");
  test::set(object, "eos_token_id", "[3, 4]");
  test::set(object, "bos_token_id", "1");
  Config config = readGood(object);
  EXPECT_EQ(config.ropeTheta, 5e5);
  EXPECT_EQ(config.kvHeads, 4);
  EXPECT_FALSE(config.tied.has_value());
  EXPECT_EQ(config.dtype, "bfloat16");
  EXPECT_EQ(config.headSize, 32);
  EXPECT_EQ(config.eos.size(), 2u);
  EXPECT_EQ(config.bos, 1);
}

TEST(Config, NamesEveryMissingKey) {
  for (const char *key : {"architectures", "hidden_act", "hidden_size", "intermediate_size",
                          "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
                          "rms_norm_eps", "rope_theta", "vocab_size"}) {
    test::RawObject object = good();
    test::erase(object, key);
    expectRefused(test::toJson(object), std::string("missing key \"") + key + "\"");
    test::set(object, key, "null");
    expectRefused(test::toJson(object), std::string(key) + ": expected a value, found null");
  }
}

namespace {
struct EditCase {
  const char *key, *raw, *words;
};
} // namespace

TEST(Config, ScalesRotaryFrequencies) {
  Config config;
  config.headSize = 8, config.ropeTheta = 10000;
  std::vector<float> plain = ropeFrequencies(config);
  EXPECT_EQ(plain, (std::vector<float>{1, 0.1f, 0.01f, 0.001f}));
  config.ropeScaling.kind = RopeScaling::Kind::Linear, config.ropeScaling.factor = 4;
  EXPECT_EQ(ropeFrequencies(config), (std::vector<float>{0.25f, 0.025f, 0.0025f, 0.00025f}));
  // Wavelengths are 6.3, 63, 628 and 6283 positions; the blended band is 250 to 1000.
  config.ropeScaling = {RopeScaling::Kind::Llama3, 8, 1, 4, 1000};
  std::vector<float> blended = ropeFrequencies(config);
  EXPECT_EQ(blended[0], plain[0]);
  EXPECT_EQ(blended[1], plain[1]);
  double smooth = (1000 / 628.3185307 - 1) / 3;
  EXPECT_NEAR(blended[2], (1 - smooth) * 0.01 / 8 + smooth * 0.01, 1e-7);
  EXPECT_FLOAT_EQ(blended[3], 0.001f / 8);
}

TEST(Config, RefusesBadValues) {
  const EditCase cases[] = {
      {"architectures", "\"BitNetForCausalLM\"",
       "architectures: expected an array, found a string"},
      {"architectures", "[]", "architectures: expected one class name, found 0"},
      {"architectures", "[\"BitNetForCausalLM\", \"X\"]", "expected one class name, found 2"},
      {"architectures", "[1]", "architectures[0]: expected a string, found an integer"},
      {"architectures", "[\"GPTNeoXForCausalLM\"]",
       "\"GPTNeoXForCausalLM\" is not an architecture this importer knows (BitNetForCausalLM, "
       "LlamaForCausalLM, Qwen3ForCausalLM)"},
      {"architectures", "[\"MixtralForCausalLM\"]", "mixture of experts"},
      {"architectures", "[\"MiniCPMForCausalLM\"]", "scales its embedding"},
      {"architectures", "[\"\"]", "\"\" is not an architecture"},
      {"hidden_size", "\"64\"", "hidden_size: expected an integer, found a string"},
      {"hidden_size", "64.0", "hidden_size: expected an integer, found a number"},
      {"hidden_size", "0", "hidden_size: expected an integer from 1 to 132104, found 0"},
      {"hidden_size", "-64", "found -64"},
      {"hidden_size", "132105", "found 132105"},
      {"hidden_size", "18446744073709551615", "found 18446744073709551615"},
      {"hidden_size", "99999999999999999999999", "expected an integer, found a number"},
      {"hidden_size", "true", "expected an integer, found a boolean"},
      {"hidden_size", "[64]", "expected an integer, found an array"},
      {"hidden_size", "66", "hidden_size: expected a multiple of 4 attention heads"},
      {"hidden_size", "12", "expected an even head size for rotary embedding, found 3"},
      {"intermediate_size", "0", "intermediate_size: expected an integer from 1"},
      {"intermediate_size", "1000000", "found 1000000"},
      {"num_hidden_layers", "0", "num_hidden_layers: expected an integer from 1 to 10000"},
      {"num_hidden_layers", "10001", "found 10001"},
      {"num_hidden_layers", "4294967296", "found 4294967296"},
      {"num_attention_heads", "0", "num_attention_heads: expected an integer from 1"},
      {"num_attention_heads", "65537", "found 65537"},
      {"num_key_value_heads", "3", "num_key_value_heads: expected a divisor of 4"},
      {"num_key_value_heads", "0", "num_key_value_heads: expected an integer from 1"},
      {"num_key_value_heads", "8", "expected a divisor of 4"},
      {"num_key_value_heads", "\"2\"", "expected an integer, found a string"},
      {"head_dim", "0", "head_dim: expected an integer from 1"},
      {"head_dim", "15", "expected an even head size"},
      {"head_dim", "40000",
       "expected at most 132104 columns in all heads, found 4 heads of size 40000"},
      {"head_dim", "\"16\"", "head_dim: expected an integer, found a string"},
      {"vocab_size", "0", "vocab_size: expected an integer from 1"},
      {"vocab_size", "16777217", "found 16777217"},
      {"max_position_embeddings", "0", "max_position_embeddings: expected an integer from 1"},
      {"max_position_embeddings", "16777217", "found 16777217"},
      {"rms_norm_eps", "0", "rms_norm_eps: expected a finite number above 0, found 0"},
      {"rms_norm_eps", "-1e-5", "above 0, found -1"},
      {"rms_norm_eps", "1e-60", "not 0 as a 32-bit float"},
      {"rms_norm_eps", "2", "expected a number up to 1"},
      {"rms_norm_eps", "\"1e-5\"", "rms_norm_eps: expected a number, found a string"},
      {"rms_norm_eps", "1e400", "not valid JSON"},
      {"rms_norm_eps", "NaN", "not valid JSON"},
      {"rope_theta", "0", "rope_theta: expected a finite number above 0"},
      {"rope_theta", "-10000", "above 0, found -10000"},
      {"rope_theta", "\"1e4\"", "rope_theta: expected a number, found a string"},
      {"rope_theta", "Infinity", "not valid JSON"},
      {"rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2.0}",
       "rope_scaling.type: rope scaling \"dynamic\" is not supported"},
      {"rope_scaling", "{\"type\": \"linear\", \"factor\": 0}",
       "rope_scaling.factor: expected a finite number above 0"},
      {"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8}",
       "rope_scaling: missing key \"low_freq_factor\""},
      {"rope_scaling", "{\"rope_type\": 3}", "rope_scaling.rope_type: expected a string"},
      {"rope_scaling", "{\"factor\": 4}", "rope_scaling.factor: expected no factor"},
      {"rope_scaling", "[]", "rope_scaling: expected an object, found an array"},
      {"rope_parameters", "{\"rope_type\": \"yarn\", \"rope_theta\": 1e4}",
       "rope_parameters.rope_type: rope scaling \"yarn\""},
      {"rope_parameters", "{\"rope_theta\": 2e4}",
       "rope_theta: rope_theta is 10000 here and 20000 in rope_parameters"},
      {"rope_parameters", "{\"rope_theta\": -1}",
       "rope_parameters.rope_theta: expected a finite number"},
      {"rope_parameters", "{\"rope_theta\": 1e4, \"partial_rotary_factor\": 0.5}",
       "partial_rotary_factor: expected 1"},
      {"rope_parameters", "7", "rope_parameters: expected an object, found an integer"},
      {"partial_rotary_factor", "0.25", "partial_rotary_factor: expected 1"},
      {"hidden_act", "\"gelu\"", "hidden_act: expected relu2 or silu, found \"gelu\""},
      {"hidden_act", "[]", "hidden_act: expected a string, found an array"},
      {"attention_bias", "true", "attention_bias: expected false"},
      {"attention_bias", "0", "attention_bias: expected a boolean, found an integer"},
      {"mlp_bias", "true", "mlp_bias: expected false"},
      {"sliding_window", "4096", "sliding_window: expected null"},
      {"use_sliding_window", "true", "use_sliding_window: expected false"},
      {"tie_word_embeddings", "\"true\"",
       "tie_word_embeddings: expected a boolean, found a string"},
      {"torch_dtype", "16", "torch_dtype: expected a string, found an integer"},
      {"bos_token_id", "32", "bos_token_id: expected an integer from 0 to 31, found 32"},
      {"bos_token_id", "-1", "bos_token_id: expected an integer from 0 to 31, found -1"},
      {"bos_token_id", "[1, 2]", "bos_token_id: expected one id, found 2"},
      {"eos_token_id", "[1, 99]", "eos_token_id[1]: expected an integer from 0 to 31, found 99"},
      {"eos_token_id", "\"2\"", "eos_token_id: expected an integer, found a string"},
      {"eos_token_id", "{}", "eos_token_id: expected an integer, found an object"},
      // quantization_config
      {"quantization_config", "[]", "quantization_config: expected an object, found an array"},
      {"quantization_config", "\"bitnet\"",
       "quantization_config: expected an object, found a string"},
      {"quantization_config", "{}", "quantization_config: missing key \"quant_method\""},
      {"quantization_config", "{\"quant_method\": \"gptq\"}",
       "quantization_config.quant_method: expected \"bitnet\", found \"gptq\""},
      {"quantization_config", "{\"quant_method\": 1}", "quant_method: expected a string"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"linear_class\": \"linear\"}",
       "linear_class: expected \"bitlinear\" or \"autobitlinear\", found \"linear\""},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"linear_class\": true}",
       "linear_class: expected a string, found a boolean"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"quantization_mode\": \"OFFLINE\"}",
       "quantization_mode: expected \"offline\" or \"online\", found \"OFFLINE\""},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"quantization_mode\": 0}",
       "quantization_mode: expected a string"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"quantization_mode\": \"online\"}",
       "\"online\" goes with linear_class \"autobitlinear\""},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"quantisation_mode\": \"online\"}",
       "quantization_config.quantisation_mode: unknown key"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"use_rms_norm\": true}",
       "use_rms_norm: expected false"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"use_rms_norm\": 1}",
       "use_rms_norm: expected a boolean"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"modules_to_not_convert\": \"x\"}",
       "modules_to_not_convert: expected an array"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"modules_to_not_convert\": [1]}",
       "modules_to_not_convert[0]: expected a string"},
      {"quantization_config",
       "{\"quant_method\": \"bitnet\", \"modules_to_not_convert\": [\"q_proj\"]}",
       "linear layers left in float (\"q_proj\")"},
      {"quantization_config", "{\"quant_method\": \"bitnet\", \"quant_method\": \"bitnet\"}",
       "duplicate key \"quant_method\""},
  };
  for (const EditCase &c : cases) {
    test::RawObject object = good();
    test::set(object, c.key, c.raw);
    SCOPED_TRACE(std::string(c.key) + " = " + c.raw);
    expectRefused(test::toJson(object), c.words);
  }
  EXPECT_GE(std::size(cases), 85u);
}

TEST(Config, RefusesBadBitCounts) {
  test::RawObject object = good();
  test::erase(object, "quantization_config");
  test::set(object, "weight_bits", "2");
  test::set(object, "input_bits", "8");
  expectRefused(test::toJson(object), "weight_bits: expected an integer from 1 to 1, found 2");
  test::set(object, "weight_bits", "1");
  test::set(object, "input_bits", "4");
  expectRefused(test::toJson(object), "input_bits: expected an integer from 8 to 8, found 4");
  test::erase(object, "input_bits");
  expectRefused(test::toJson(object), "missing key \"input_bits\"");
}

TEST(Config, RefusesWhatIsNoConfig) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "not valid JSON at byte"},
      {"null", "expected an object, found null"},
      {"[]", "expected an object, found an array"},
      {"{\"architectures\": [\"BitNetForCausalLM\"]", "not valid JSON"},
      {"{\"hidden_size\": 1, \"hidden\\u005fsize\": 2}", "duplicate key \"hidden_size\""},
      {"{\"a\": " + std::string(70, '[') + std::string(70, ']') + "}",
       "nested more than 64 levels"},
      {"{\"a\": \"\xff\"}", "not valid JSON"},
      {std::string("{\"a\": 1}\0", 9), "not valid JSON"},
      {std::string(1 << 20, '['), "nested more than 64 levels"},
  };
  for (const auto &[text, words] : cases)
    expectRefused(text, words);
}

TEST(Config, NoPrefixAndNoChangedByteCrashes) {
  std::string seed = test::toJson(good());
  for (size_t length = 0; length + 2 < seed.size(); ++length) {
    Expected<Config> config = read(seed.substr(0, length));
    EXPECT_FALSE(bool(config)) << "prefix of " << length;
    consumeError(config.takeError());
  }
  for (size_t i = 0; i < seed.size(); ++i)
    for (unsigned char value : {0x00, 0xff, 0x7f, 0x80, 0x22, 0x7b, 0x39, seed[i] ^ 1}) {
      std::string changed = seed;
      changed[i] = static_cast<char>(value);
      Expected<Config> config = read(changed);
      if (!config)
        consumeError(config.takeError());
    }
}

static Expected<Generation> readGenerationText(const std::string &text) {
  Expected<JsonDocument> document = JsonDocument::parse("generation_config.json", text);
  if (!document)
    return document.takeError();
  return readGeneration(*document, 32);
}

TEST(Generation, ReadsWhatIsThere) {
  auto generation = readGenerationText("{\"do_sample\": true, \"temperature\": 0.5, \"top_p\": 1, "
                                       "\"top_k\": 40, \"eos_token_id\": [1, 2], \"other\": {}}");
  ASSERT_TRUE(bool(generation)) << toString(generation.takeError());
  EXPECT_EQ(generation->sample, true);
  EXPECT_EQ(generation->temperature, 0.5);
  EXPECT_EQ(generation->topK, 40);
  EXPECT_FALSE(generation->maxNewTokens.has_value());
  EXPECT_EQ(generation->eos.size(), 2u);
}

TEST(Generation, RefusesBadValues) {
  const std::pair<const char *, const char *> cases[] = {
      {"[]", "expected an object"},
      {"{\"do_sample\": 1}", "do_sample: expected a boolean"},
      {"{\"temperature\": \"1\"}", "temperature: expected a number"},
      {"{\"temperature\": -1}", "temperature: expected a number from 0 to 1000, found -1"},
      {"{\"top_p\": 1.5}", "top_p: expected a number from 0 to 1, found 1.5"},
      {"{\"top_k\": -1}", "top_k: expected an integer from 0"},
      {"{\"top_k\": 1.5}", "top_k: expected an integer, found a number"},
      {"{\"repetition_penalty\": 0}", "repetition_penalty: expected a number from 0.001"},
      {"{\"max_new_tokens\": -5}", "max_new_tokens: expected an integer from 0"},
      {"{\"eos_token_id\": 32}", "eos_token_id: expected an integer from 0 to 31"},
  };
  for (auto [text, words] : cases) {
    auto generation = readGenerationText(text);
    ASSERT_FALSE(bool(generation)) << text;
    std::string message = toString(generation.takeError());
    EXPECT_NE(message.find(words), std::string::npos) << message;
  }
}
