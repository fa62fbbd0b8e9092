//===- import_folder_test.cpp - whole folders, right and wrong ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Import.h"
#include "tests/support/TestCheckpoint.h"
#include "gtest/gtest.h"

#include <filesystem>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace tern;
using test::TempFolder;
using test::TestForm;
using test::TestModel;

static void expectRefused(const std::string &path, const std::string &words) {
  mlir::MLIRContext context;
  auto model = import::importModel(context, path);
  ASSERT_FALSE(bool(model)) << "expected an error with: " << words;
  std::string text = toString(model.takeError());
  EXPECT_NE(text.find(words), std::string::npos) << "expected \"" << words << "\" in " << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

namespace {
struct ModelCase {
  const char *name;
  std::function<void(TestModel &)> edit;
  const char *words;
  TestForm form = TestForm::Packed;
};
} // namespace

static const std::string kLayer = "model.layers.1.";
static const std::string kQuery = kLayer + "self_attn.q_proj.weight";
static const std::string kScale = kQuery + "_scale";
static const std::string kNorm = kLayer + "input_layernorm.weight";

static std::function<void(TestModel &)> scaleIs(float value, const char *dtype = "F32") {
  return [=](TestModel &m) {
    m.tensor(kScale).dtype = dtype;
    m.tensor(kScale).bytes = test::floatBytes({value}, dtype);
  };
}
static std::function<void(TestModel &)> setConfig(const char *key, const char *raw) {
  return [=](TestModel &m) { test::set(m.config, key, raw); };
}

static const ModelCase kTensorCases[] = {
    {"missing norm", [](TestModel &m) { m.remove(kNorm); },
     "missing tensor \"model.layers.1.input_layernorm.weight\""},
    {"missing query", [](TestModel &m) { m.remove(kQuery); },
     "missing tensor \"model.layers.1.self_attn.q_proj.weight\""},
    {"missing scale", [](TestModel &m) { m.remove(kScale); },
     "missing tensor \"model.layers.1.self_attn.q_proj.weight_scale\""},
    {"missing embedding", [](TestModel &m) { m.remove("model.embed_tokens.weight"); },
     "missing tensor \"model.embed_tokens.weight\""},
    {"missing output norm", [](TestModel &m) { m.remove("model.norm.weight"); },
     "missing tensor \"model.norm.weight\""},
    {"missing sub-norm", [](TestModel &m) { m.remove(kLayer + "mlp.ffn_sub_norm.weight"); },
     "missing tensor \"model.layers.1.mlp.ffn_sub_norm.weight\""},
    {"missing layer", setConfig("num_hidden_layers", "3"),
     "missing tensors \"model.layers.2.input_layernorm.weight\", \"model.layers.2."},
    {"ten thousand layers", setConfig("num_hidden_layers", "10000"), "missing tensors"},
    {"missing head", setConfig("tie_word_embeddings", "false"),
     "missing tensor \"lm_head.weight\""},
    {"surplus layer", setConfig("num_hidden_layers", "1"),
     "tensors that no part of the model uses: \"model.layers.1."},
    {"surplus tensor", [](TestModel &m) { m.tensors.push_back({"extra", "U8", {1}, "x"}); },
     "tensors that no part of the model uses: \"extra\""},
    {"surplus bias",
     [](TestModel &m) {
       m.tensors.push_back({kLayer + "self_attn.q_proj.bias", "F32", {1}, "1234"});
     },
     "tensor \"model.layers.1.self_attn.q_proj.bias\": a bias, which no block of this importer "
     "adds"},
    {"two sub-norm spellings",
     [](TestModel &m) {
       m.tensors.push_back(m.tensor(kLayer + "self_attn.attn_sub_norm.weight"));
       m.tensors.back().name = kLayer + "self_attn.inner_attn_ln.weight";
     },
     "a norm that blocks of the family bitnet do not have"},
    {"another head", // Tied, and not a copy.
     [](TestModel &m) {
       m.tensors.push_back(m.tensor("model.embed_tokens.weight"));
       m.tensors.back().name = "lm_head.weight";
       m.tensors.back().bytes[5] ^= 1;
     },
     "differs from the embedding, though tie_word_embeddings is true"},
    {"wide hidden", setConfig("hidden_size", "128"), "expected shape [32, 128] from config.json"},
    {"narrow feed-forward", setConfig("intermediate_size", "92"), "from config.json, found"},
    {"large vocabulary", setConfig("vocab_size", "33"),
     "expected shape [33, 64] from config.json, found BF16 [32, 64]"},
    {"more kv heads", setConfig("num_key_value_heads", "4"), "from config.json, found U8 [8, 64]"},
    {"other head size", setConfig("head_dim", "8"), "expected shape [8, 64] from config.json"},
    {"unpacked shape", [](TestModel &m) { m.tensor(kQuery).shape = {64, 16}; },
     "expected shape [16, 64] from config.json, found U8 [64, 16]"},
    {"flat shape", [](TestModel &m) { m.tensor(kQuery).shape = {1024}; }, "found U8 [1024]"},
    {"norm of rank 2", [](TestModel &m) { m.tensor(kNorm).shape = {1, 64}; },
     "expected shape [64] from config.json, found BF16 [1, 64]"},
    {"rows not a multiple of 4",
     [](TestModel &m) { test::set(m.config, "intermediate_size", "94"); },
     "expected a multiple of 4 output rows for packed trits, found 94"},
    {"integer norm", [](TestModel &m) { m.tensor(kNorm).dtype = "I16"; },
     "expected F32, F16 or BF16, found I16 [64]"},
    {"integer embedding", [](TestModel &m) { m.tensor("model.embed_tokens.weight").dtype = "U16"; },
     "expected F32, F16 or BF16, found U16 [32, 64]"},
    {"integer weight",
     [](TestModel &m) {
       m.tensor(kQuery).dtype = "I32";
       m.tensor(kQuery).shape = {16, 16};
     },
     "expected F32, F16 or BF16, found I32 [16, 16]"},
    {"norm not finite", [](TestModel &m) { m.tensor(kNorm).bytes.replace(6, 2, "\x80\x7f", 2); },
     "tensor \"model.layers.1.input_layernorm.weight\": element 3 is not finite"},
    {"code 3", [](TestModel &m) { m.tensor(kQuery).bytes[17] = '\x30'; },
     "byte 17 holds the code 3, which is no trit"},
    {"code 3 in the last pair", [](TestModel &m) { m.tensor(kQuery).bytes[0] = '\xc0'; },
     "byte 0 holds the code 3"},
    {"scale 0", scaleIs(0), "expected a finite scale above 0 (a normal 32-bit float), found 0"},
    {"scale negative", scaleIs(-1), "expected a finite scale above 0"},
    {"scale negative zero", scaleIs(-0.0f), "expected a finite scale above 0"},
    {"scale NaN", scaleIs(NAN), "expected a finite scale above 0"},
    {"scale infinite", scaleIs(INFINITY), "expected a finite scale above 0"},
    {"scale denormal", scaleIs(1e-40f), "expected a finite scale above 0"},
    {"scale whose reciprocal is denormal",
     [](TestModel &m) {
       scaleIs(3e38f)(m);
       test::set(m.config, "quantization_config", "{\"quant_method\": \"bitnet\"}");
     },
     "expected a finite scale above 0"},
    {"scale of two",
     [](TestModel &m) {
       m.tensor(kScale).shape = {2};
       m.tensor(kScale).bytes += "xy";
     },
     "expected shape [1] from config.json, found BF16 [2]"},
    {"integer scale", [](TestModel &m) { m.tensor(kScale).dtype = "U16"; },
     "expected F32, F16 or BF16, found U16 [1]"},
    {"no quantization_config, packed",
     [](TestModel &m) { test::erase(m.config, "quantization_config"); },
     "missing key \"quantization_config\": the checkpoint has"},
    {"no quantization_config, masters",
     [](TestModel &m) { test::erase(m.config, "quantization_config"); },
     "the values are not ternary and config.json has no quantization_config", TestForm::Online},
    {"no quantization_config, unit floats with scales",
     [](TestModel &m) { test::erase(m.config, "quantization_config"); },
     "whether weight_scale multiplies", TestForm::UnitFloats},
    {"packed in online mode",
     setConfig("quantization_config", "{\"quant_method\": \"bitnet\", \"linear_class\": "
                                      "\"autobitlinear\", \"quantization_mode\": \"online\"}"),
     "expected float masters (F32, F16 or BF16) in online mode, found U8 [16, 64]"},
    {"masters in offline mode",
     setConfig("quantization_config",
               "{\"quant_method\": \"bitnet\", \"linear_class\": \"autobitlinear\"}"),
     "masters need quantization_mode \"online\"", TestForm::Online},
    {"ternary floats in online mode",
     setConfig("quantization_config", "{\"quant_method\": \"bitnet\", \"linear_class\": "
                                      "\"autobitlinear\", \"quantization_mode\": \"online\"}"),
     "already ternary: absmean would shrink their scale", TestForm::TernaryFloats},
    {"scale beside scaled floats",
     [](TestModel &m) { m.tensors.push_back({kScale, "F32", {1}, test::floatBytes({1}, "F32")}); },
     "expected -1, 0 and 1 beside a weight_scale", TestForm::TernaryFloats},
    {"online with a scale",
     [](TestModel &m) { m.tensors.push_back({kScale, "F32", {1}, test::floatBytes({1}, "F32")}); },
     "no part of the model uses: \"model.layers.1.self_attn.q_proj.weight_scale\"",
     TestForm::Online},
    {"ternary floats with a NaN",
     [](TestModel &m) { m.tensor(kQuery).bytes.replace(6, 2, "\xc0\x7f", 2); },
     "expected trits in offline mode", TestForm::TernaryFloats},
};

TEST(ImportFolder, RefusesTensorsThatDoNotFit) {
  for (const ModelCase &c : kTensorCases) {
    SCOPED_TRACE(c.name);
    TestModel model(c.form);
    c.edit(model);
    TempFolder folder;
    model.write(folder);
    expectRefused(folder.path(), c.words);
    expectRefused(folder.path(), folder.path());
  }
  EXPECT_GE(std::size(kTensorCases), 45u);
}

namespace {
struct FolderCase {
  const char *name;
  std::function<void(const TempFolder &)> edit;
  const char *words;
};
} // namespace

static void replace(const TempFolder &folder, const char *name, const char *target) {
  std::filesystem::remove(folder / name);
  ASSERT_EQ(symlink(target, (folder / name).c_str()), 0);
}

static const FolderCase kFolderCases[] = {
    {"no config", [](const TempFolder &f) { std::filesystem::remove(f / "config.json"); },
     "expected a Hugging Face folder with a config.json, found none"},
    {"no weights", [](const TempFolder &f) { std::filesystem::remove(f / "model.safetensors"); },
     "expected model.safetensors or model.safetensors.index.json, found neither"},
    {"only a pickle",
     [](const TempFolder &f) {
       std::filesystem::rename(f / "model.safetensors", f / "pytorch_model.bin");
     },
     "PyTorch pickles can run code when they are opened"},
    {"only a gguf",
     [](const TempFolder &f) {
       std::filesystem::rename(f / "model.safetensors", f / "model.gguf");
     },
     "that does not begin as GGUF"},
    {"empty config", [](const TempFolder &f) { f.write("config.json", ""); },
     "config.json: not valid JSON"},
    {"empty weights", [](const TempFolder &f) { f.write("model.safetensors", ""); },
     "model.safetensors: at byte 0: expected 8 bytes of header length, found 0"},
    {"huge config", [](const TempFolder &f) { f.write("config.json", std::string(1 << 21, ' ')); },
     "config.json: expected at most 1048576 bytes, found 2097152"},
    {"config of zeros", [](const TempFolder &f) { f.write("config.json", std::string(99, '\0')); },
     "not valid JSON"},
    {"config is a folder",
     [](const TempFolder &f) {
       std::filesystem::remove(f / "config.json");
       std::filesystem::create_directory(f / "config.json");
     },
     "config.json: expected a file, found a folder"},
    {"config is a pipe",
     [](const TempFolder &f) {
       std::filesystem::remove(f / "config.json");
       ASSERT_EQ(mkfifo((f / "config.json").c_str(), 0600), 0);
     },
     "config.json: expected a file, found a pipe"},
    {"config is a device", [](const TempFolder &f) { replace(f, "config.json", "/dev/zero"); },
     "config.json: expected a file, found a device"},
    {"weights are a folder",
     [](const TempFolder &f) {
       std::filesystem::remove(f / "model.safetensors");
       std::filesystem::create_directory(f / "model.safetensors");
     },
     "model.safetensors: expected a file, found a folder"},
    {"weights are a pipe",
     [](const TempFolder &f) {
       std::filesystem::remove(f / "model.safetensors");
       ASSERT_EQ(mkfifo((f / "model.safetensors").c_str(), 0600), 0);
     },
     "model.safetensors: expected a file, found a pipe"},
    {"weights are a device",
     [](const TempFolder &f) { replace(f, "model.safetensors", "/dev/zero"); },
     "expected a file, found a device"},
    {"config points to itself",
     [](const TempFolder &f) { replace(f, "config.json", "config.json"); }, "config.json"},
    {"weights point nowhere", [](const TempFolder &f) { replace(f, "model.safetensors", "gone"); },
     "found neither"},
    {"generation config wrong",
     [](const TempFolder &f) { f.write("generation_config.json", "{\"top_p\": 7}"); },
     "generation_config.json: top_p: expected a number from 0 to 1, found 7"},
    {"generation config is a pipe",
     [](const TempFolder &f) {
       ASSERT_EQ(mkfifo((f / "generation_config.json").c_str(), 0600), 0);
     },
     "generation_config.json: expected a file, found a pipe"},
    {"tokenizer wrong", [](const TempFolder &f) { f.write("tokenizer.json", "[]"); },
     "tokenizer.json"},
};

TEST(ImportFolder, RefusesFoldersThatAreNotModels) {
  for (const FolderCase &c : kFolderCases) {
    SCOPED_TRACE(c.name);
    TempFolder folder;
    TestModel().write(folder);
    c.edit(folder);
    expectRefused(folder.path(), c.words);
  }
}

TEST(ImportFolder, RefusesFilesThatAreNotModels) {
  TempFolder folder;
  TestModel().write(folder);
  const std::pair<const char *, const char *> files[] = {
      {"a.gguf", "a.gguf: expected a GGUF file, found one that does not begin as GGUF"},
      {"A.GGUF", "that does not begin as GGUF"},
      {"a.onnx", "ONNX files are not read"},
      {"a.bin", "PyTorch pickles"},
      {"a.pt", "PyTorch pickles"},
      {"a.pth", "PyTorch pickles"},
      {"notes.txt", "expected a Hugging Face folder, its config.json or its model.safetensors"},
      {"tokenizer.json", "expected a Hugging Face folder"},
  };
  for (auto [name, words] : files) {
    folder.write(name, "text");
    expectRefused(folder / name, words);
  }
  expectRefused(folder / "absent", "absent: No such file or directory");
  expectRefused("", "No such file or directory");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expectRefused(folder / "pipe", "expected a Hugging Face folder");
  ASSERT_EQ(symlink("loop", (folder / "loop").c_str()), 0);
  expectRefused(folder / "loop", "loop: ");
  expectRefused("/dev/zero", "expected a Hugging Face folder");
}

TEST(ImportFolder, RefusesUnreadableFiles) {
  if (geteuid() == 0)
    GTEST_SKIP() << "root reads everything";
  TempFolder folder;
  TestModel().write(folder);
  chmod((folder / "model.safetensors").c_str(), 0);
  expectRefused(folder.path(), "Permission denied");
}

TEST(ImportFolder, RefusesBadShards) {
  const FolderCase cases[] = {
      {"no such shard",
       [](const TempFolder &f) { std::filesystem::remove(f / "model-1.safetensors"); },
       "model-1.safetensors: No such file"},
      {"tensor in two shards",
       [](const TempFolder &f) {
         std::filesystem::copy_file(f / "model-0.safetensors", f / "model-1.safetensors",
                                    std::filesystem::copy_options::overwrite_existing);
       },
       "is also in model-0.safetensors"},
      {"tensor not in its shard",
       [](const TempFolder &f) { f.write("model-1.safetensors", test::safetensors({})); },
       "no such tensor in model-1.safetensors"},
      {"shard with more than the map says",
       [](const TempFolder &f) {
         f.write("model.safetensors.index.json",
                 "{\"weight_map\": {\"model.embed_tokens.weight\": \"model-0.safetensors\"}}");
       },
       "missing in the weight_map of"},
      {"index is a folder",
       [](const TempFolder &f) {
         std::filesystem::remove(f / "model.safetensors.index.json");
         std::filesystem::create_directory(f / "model.safetensors.index.json");
       },
       "model.safetensors.index.json: expected a file, found a folder"},
      {"index leaves the folder",
       [](const TempFolder &f) {
         f.write("model.safetensors.index.json",
                 "{\"weight_map\": {\"model.embed_tokens.weight\": \"../model-0.safetensors\"}}");
       },
       "model.safetensors.index.json: weight_map.model.embed_tokens.weight: expected the plain "
       "name"},
      {"shard is a pipe",
       [](const TempFolder &f) {
         std::filesystem::remove(f / "model-1.safetensors");
         ASSERT_EQ(mkfifo((f / "model-1.safetensors").c_str(), 0600), 0);
       },
       "model-1.safetensors: expected a file, found a pipe"},
  };
  for (const FolderCase &c : cases) {
    SCOPED_TRACE(c.name);
    TempFolder folder;
    TestModel(TestForm::Online).writeSharded(folder, 2);
    c.edit(folder);
    expectRefused(folder.path(), c.words);
  }
}

TEST(ImportFolder, NoPrefixAndNoChangedByteOfASmallModelCrashes) {
  TestModel model(TestForm::Packed, "BF16", /*small=*/true);
  TempFolder folder;
  model.write(folder);
  std::string seed = test::safetensors(model.tensors);
  ASSERT_LE(seed.size(), 8192u);
  mlir::MLIRContext context;
  auto attempt = [&](const std::string &bytes) {
    folder.write("model.safetensors", bytes);
    auto imported = import::importModel(context, folder.path());
    bool good = bool(imported);
    if (!good)
      consumeError(imported.takeError());
    return good;
  };
  ASSERT_TRUE(attempt(seed));
  for (size_t length = 0; length < seed.size(); ++length)
    EXPECT_FALSE(attempt(seed.substr(0, length))) << length;
  size_t good = 0;
  for (size_t i = 0; i < seed.size(); ++i)
    for (unsigned char value : {0xff, seed[i] ^ 1}) {
      std::string changed = seed;
      changed[i] = static_cast<char>(value);
      good += attempt(changed);
    }
  // Most bytes of a header cannot change, most trits and floats can.
  EXPECT_GT(good, seed.size() / 8);
  EXPECT_LT(good, 2 * seed.size() * 7 / 8);
}
