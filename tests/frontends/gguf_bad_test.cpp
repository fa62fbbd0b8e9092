//===- gguf_bad_test.cpp - GGUF files that must be refused ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WeightReader.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"
#include "frontends/import/Import.h"
#include "tests/support/TestGguf.h"
#include "tests/support/TokenizerFolder.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <functional>

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

const std::string kArch = "bitnet-b1.58.";
constexpr float kNan = NAN;

struct BadFile {
  std::string what;
  std::function<void(TestGguf &)> change;
  std::string words; ///< that the message has
};

/// Imports the bytes as a file, and reads every weight; the message where that fails.
class Importer {
public:
  std::string messageFor(const std::string &bytes) {
    folder.write("bad.gguf", bytes);
    mlir::MLIRContext context;
    auto model = import::importModel(context, folder.inside("bad.gguf"));
    if (!model)
      return toString(model.takeError());
    auto files = WeightFiles::open(*model->module, model->folder);
    if (!files)
      return toString(files.takeError());
    for (auto weight : model->module->getOps<ternary::WeightOp>()) {
      auto reader = WeightReader::create(weight, *files);
      if (!reader)
        return toString(reader.takeError());
      if (Error error = readAll(*reader))
        return toString(std::move(error));
    }
    return "";
  }

private:
  static Error readAll(const WeightReader &reader) {
    size_t count = static_cast<size_t>(reader.rows() * reader.columns());
    std::vector<int8_t> trits(reader.isTrits() ? count : 0);
    std::vector<float> floats(reader.isTrits() ? 0 : count);
    return reader.isTrits() ? reader.readTrits(0, reader.rows(), trits.data())
                            : reader.readFloats(0, reader.rows(), floats.data());
  }
  Folder folder;
};

template <typename T> std::string raw(T value) { return TestGguf::raw(value); }

void addHeader(std::vector<BadFile> &list) {
  auto add = [&](std::string what, std::function<void(TestGguf &)> change, std::string words) {
    list.push_back({std::move(what), std::move(change), std::move(words)});
  };
  add("other magic", [](TestGguf &f) { f.magic = "GGML"; }, "a GGUF file");
  add("swapped magic", [](TestGguf &f) { f.magic = "FUGG"; }, "a GGUF file");
  for (uint32_t version : {0u, 4u, 5u, 0xffffffffu})
    add(
        "version " + std::to_string(version), [=](TestGguf &f) { f.version = version; },
        "expected GGUF version 2 or 3");
  add("version 1", [](TestGguf &f) { f.version = 1; }, "GGUF version 1 is not read");
  for (uint32_t version : {0x03000000u, 0x02000000u})
    add("big-endian", [=](TestGguf &f) { f.version = version; }, "big-endian");
  for (int64_t more : {int64_t(100000), int64_t(1) << 40, INT64_MAX - 100, int64_t(-100)}) {
    add("tensors too many", [=](TestGguf &f) { f.moreTensors = more; }, "expected at most");
    add("entries too many", [=](TestGguf &f) { f.moreEntries = more; }, "expected at most");
  }
  add("one entry more", [](TestGguf &f) { f.moreEntries = 1; }, "bad.gguf: ");
  add("one entry less", [](TestGguf &f) { f.moreEntries = -1; }, "bad.gguf: ");
  add("one tensor more", [](TestGguf &f) { f.moreTensors = 1; }, "bad.gguf: ");
  add("empty key", [](TestGguf &f) { f.set("", 4, raw(1u)); }, "metadata key of 1 to");
  add(
      "key with NUL", [](TestGguf &f) { f.set(std::string("a\0b", 3), 4, raw(1u)); },
      "without control characters");
  add(
      "key with a tab", [](TestGguf &f) { f.set("a\tb", 4, raw(1u)); },
      "without control characters");
  add("key not UTF-8", [](TestGguf &f) { f.set("a\xff", 4, raw(1u)); }, "in UTF-8");
  add(
      "key too long", [](TestGguf &f) { f.set(std::string(70000, 'k'), 4, raw(1u)); },
      "metadata key of 1 to 65535 bytes");
  add("key twice", [](TestGguf &f) { f.entries.push_back(f.entries[0]); }, "occurs twice");
  for (uint32_t type : {13u, 100u, 0x80000000u})
    add("value type", [=](TestGguf &f) { f.set("x", type, raw(1u)); }, "value type of at most 12");
  add(
      "array of arrays",
      [](TestGguf &f) { f.set("x", 9, TestGguf::array(9, 1, TestGguf::array(4, 0, ""))); },
      "arrays of arrays");
  for (uint64_t count : {uint64_t(1) << 20, uint64_t(1) << 62, UINT64_MAX}) {
    add(
        "array too long", [=](TestGguf &f) { f.set("x", 9, TestGguf::array(4, count, "")); },
        "elements of x");
    add(
        "strings too many", [=](TestGguf &f) { f.set("x", 9, TestGguf::array(8, count, "")); },
        "elements of x");
  }
  for (uint64_t length : {uint64_t(1) << 31, UINT64_MAX, uint64_t(INT64_MAX)})
    add(
        "string too long", [=](TestGguf &f) { f.set("x", 8, raw(length)); },
        "string of at most 1073741824");
  add(
      "string past the end", [](TestGguf &f) { f.set("x", 8, raw(uint64_t(1) << 28)); },
      "bad.gguf: ");
  for (int byte : {2, 255})
    add(
        "bool", [=](TestGguf &f) { f.set("x", 7, raw(static_cast<uint8_t>(byte))); },
        "expected a bool of 0 or 1");
  add(
      "bool in an array",
      [](TestGguf &f) { f.set("x", 9, TestGguf::array(7, 2, std::string("\1\3", 2))); },
      "expected a bool of 0 or 1");
  for (uint32_t value : {0u, 1u << 21})
    add(
        "alignment range", [=](TestGguf &f) { f.setNumber("general.alignment", value); },
        "general.alignment: expected an integer from 1 to 1048576");
  for (uint32_t value : {3u, 24u, 33u})
    add("alignment", [=](TestGguf &f) { f.setNumber("general.alignment", value); }, "power of two");
  add(
      "alignment as text", [](TestGguf &f) { f.setString("general.alignment", "32"); },
      "expected an integer");
}

void addKeys(std::vector<BadFile> &list) {
  auto add = [&](std::string key, std::string what, std::function<void(TestGguf &)> change,
                 std::string words) {
    list.push_back({key + " " + what, std::move(change), key + ": " + words});
  };
  for (std::string name : {"context_length", "embedding_length", "block_count",
                           "feed_forward_length", "attention.head_count"}) {
    std::string key = kArch + name;
    add(key, "missing", [=](TestGguf &f) { f.erase(key); }, "this metadata key is missing");
    add(key, "zero", [=](TestGguf &f) { f.setNumber(key, 0); }, "expected an integer from 1");
    add(
        key, "huge", [=](TestGguf &f) { f.setNumber(key, UINT32_MAX); },
        "expected an integer from 1");
    add(
        key, "negative", [=](TestGguf &f) { f.set(key, 11, raw(int64_t(-4))); },
        "expected an integer from 1");
    add(
        key, "beyond int64", [=](TestGguf &f) { f.set(key, 10, raw(UINT64_MAX)); },
        "expected an integer");
    add(key, "text", [=](TestGguf &f) { f.setString(key, "2"); }, "expected an integer");
    add(key, "float", [=](TestGguf &f) { f.setReal(key, 2); }, "expected an integer");
  }
  std::string kv = kArch + "attention.head_count_kv";
  add(kv, "zero", [=](TestGguf &f) { f.setNumber(kv, 0); }, "expected an integer from 1");
  add(
      kv, "array", [=](TestGguf &f) { f.set(kv, 9, TestGguf::numbers<uint32_t>(4, {1})); },
      "expected an integer");
  add(kv, "no divisor", [=](TestGguf &f) { f.setNumber(kv, 3); }, "expected a divisor");
  std::string eps = kArch + "attention.layer_norm_rms_epsilon";
  add(eps, "missing", [=](TestGguf &f) { f.erase(eps); }, "this metadata key is missing");
  for (float value : {0.0f, -1.0f})
    add(eps, "not positive", [=](TestGguf &f) { f.setReal(eps, value); }, "expected a");
  for (float value : {kNan, INFINITY})
    add(eps, "not finite", [=](TestGguf &f) { f.setReal(eps, value); }, "expected a finite number");
  add(eps, "two", [=](TestGguf &f) { f.setReal(eps, 2); }, "expected a number up to 1");
  std::string base = kArch + "rope.freq_base";
  for (float value : {0.0f, -5.0f, kNan})
    add(base, "wrong", [=](TestGguf &f) { f.setReal(base, value); }, "expected a");
  std::string rotary = kArch + "rope.dimension_count";
  for (uint32_t value : {0u, 7u, 32u, 128u})
    add(rotary, "wrong", [=](TestGguf &f) { f.setNumber(rotary, value); }, "expected");
  std::string scaling = kArch + "rope.scaling.type";
  add(
      scaling, "unknown", [=](TestGguf &f) { f.setString(scaling, "yarn"); },
      "rope scaling \"yarn\" is not supported");
  std::string length = kArch + "attention.value_length";
  add(length, "other", [=](TestGguf &f) { f.setNumber(length, 32); }, "expected the key length");
  add(
      kArch + "vocab_size", "other", [](TestGguf &f) { f.setNumber(kArch + "vocab_size", 9); },
      "expected the rows of the token table");
  std::string arch = "general.architecture";
  add(arch, "missing", [=](TestGguf &f) { f.erase(arch); }, "this metadata key is missing");
  add(arch, "number", [=](TestGguf &f) { f.setNumber(arch, 1); }, "expected a string");
  add(arch, "unknown", [=](TestGguf &f) { f.setString(arch, "mamba"); }, "\"mamba\"");
  add(arch, "hybrid", [=](TestGguf &f) { f.setString(arch, "qwen35"); }, "\"qwen35\"");
  add(
      "prism.hadamard.version", "rotated",
      [](TestGguf &f) { f.setNumber("prism.hadamard.version", 1); },
      "the weights are stored in a rotated basis");
}

void addTensors(std::vector<BadFile> &list) {
  auto add = [&](std::string what, std::function<void(TestGguf &)> change, std::string words) {
    list.push_back({std::move(what), std::move(change), std::move(words)});
  };
  for (const TestGguf::Tensor &tensor : TestGguf::make().tensors) {
    std::string name = tensor.name;
    add(name + " missing", [=](TestGguf &f) { f.eraseTensor(name); }, name);
    add(
        name + " of rank 3",
        [=](TestGguf &f) { f.tensor(name).dims.insert(f.tensor(name).dims.end(), {1, 1}); }, name);
    add(
        name + " with a 0", [=](TestGguf &f) { f.tensor(name).dims[0] = 0; },
        "dimensions of at least 1");
  }
  std::string q = "blk.0.attn_q.weight";
  add("no dimension", [=](TestGguf &f) { f.tensor(q).dims.clear(); }, "expected 1 to 4 dimensions");
  add(
      "5 dimensions", [=](TestGguf &f) { f.tensor(q).dims = {1, 1, 1, 1, 1}; },
      "expected 1 to 4 dimensions");
  add(
      "swapped",
      [](TestGguf &f) {
        std::swap(f.tensor("blk.0.attn_k.weight").dims[0], f.tensor("blk.0.attn_k.weight").dims[1]);
      },
      "blk.0.attn_k.weight");
  add(
      "product overflows",
      [=](TestGguf &f) { f.tensor(q).dims = {uint64_t(1) << 32, uint64_t(1) << 32}; }, "63 bits");
  add("dimension beyond", [=](TestGguf &f) { f.tensor(q).dims[1] = UINT64_MAX; }, "63 bits");
  add(
      "bytes overflow", [=](TestGguf &f) { f.tensor(q).dims[1] = uint64_t(1) << 54; },
      "tensor \"" + q + "\"");
  add(
      "too large for the file", [=](TestGguf &f) { f.tensor(q).dims[1] = 1 << 20; },
      "tensor \"" + q + "\"");
  add("no block", [=](TestGguf &f) { f.tensor(q).dims = {100, 1}; }, "tensor \"" + q + "\"");
  for (uint32_t type : {4u,  5u,  7u,  9u,  10u, 11u, 15u, 16u,  17u,  18u,         19u,
                        20u, 21u, 22u, 23u, 24u, 25u, 26u, 27u,  28u,  29u,         31u,
                        32u, 33u, 37u, 38u, 39u, 40u, 41u, 335u, 999u, 0x7fffffffu, UINT32_MAX})
    add(
        "type " + std::to_string(type), [=](TestGguf &f) { f.tensor(q).type = type; },
        "tensor \"" + q + "\": type " + std::to_string(type));
  add(
      "token table in I2_S",
      [](TestGguf &f) {
        auto &table = f.tensor("token_embd.weight");
        table.type = 36,
        table.data = std::string(128 * 8 / 4, '\x55') + raw(1.0f) + std::string(28, '\0');
      },
      "token_embd.weight");
  add(
      "gain in I2_S",
      [](TestGguf &f) {
        auto &gain = f.tensor("output_norm.weight");
        gain.type = 36, gain.data = std::string(32, '\x55') + raw(1.0f) + std::string(28, '\0');
      },
      "output_norm.weight");
  add("empty name", [=](TestGguf &f) { f.tensor(q).name = ""; }, "tensor name of 1 to 63 bytes");
  add(
      "long name", [=](TestGguf &f) { f.tensor(q).name = std::string(64, 'x'); },
      "tensor name of 1 to 63 bytes");
  add("name not UTF-8", [=](TestGguf &f) { f.tensor(q).name = "\xc3"; }, "in UTF-8");
  add("name twice", [](TestGguf &f) { f.tensors.push_back(f.tensors[0]); }, "occurs twice");
  add(
      "one too many",
      [](TestGguf &f) {
        f.tensors.push_back(f.tensors[0]);
        f.tensors.back().name = "surplus.weight";
      },
      "surplus.weight");
  add(
      "offset unaligned", [=](TestGguf &f) { f.tensor(q).shift = 8; },
      "an offset that is a multiple of 32");
  add("offset beyond", [=](TestGguf &f) { f.tensor(q).shift = 1 << 30; }, "bytes of data");
  add(
      "offset overflows", [=](TestGguf &f) { f.tensor(q).shift = UINT64_MAX - (1 << 20) + 1; },
      "tensor \"" + q + "\"");
  add(
      "overlap", [=](TestGguf &f) { f.tensor("blk.0.attn_norm.weight").shift = 512; },
      "blk.0.attn_norm.weight");
  add(
      "no data",
      [](TestGguf &f) {
        for (auto &t : f.tensors)
          t.data.clear();
      },
      "overlap");
}

void addValues(std::vector<BadFile> &list) {
  auto add = [&](std::string what, std::function<void(TestGguf &)> change, std::string words) {
    list.push_back({std::move(what), std::move(change), std::move(words)});
  };
  std::string q = "blk.0.attn_q.weight";
  for (size_t at : {size_t(0), size_t(17), size_t(4095)})
    add(
        "code 3 in byte " + std::to_string(at), [=](TestGguf &f) { f.tensor(q).data[at] = '\x57'; },
        "bad.gguf");
  for (float scale : {0.0f, -1.0f, kNan, INFINITY, -INFINITY})
    add(
        "scale " + std::to_string(scale),
        [=](TestGguf &f) { f.tensor(q).data.replace(4096, 4, raw(scale)); }, "bad.gguf");
  for (float value : {kNan, INFINITY})
    add(
        "gain " + std::to_string(value),
        [=](TestGguf &f) { f.tensor("output_norm.weight").data.replace(8, 4, raw(value)); },
        "bad.gguf");
}

void addTokens(std::vector<BadFile> &list) {
  auto add = [&](std::string what, std::function<void(TestGguf &)> change, std::string words) {
    list.push_back({std::move(what), std::move(change), "tokenizer.ggml." + words});
  };
  const std::string t = "tokenizer.ggml.";
  auto text = [&](std::string key, std::string value) {
    return [=](TestGguf &f) { f.setString("tokenizer.ggml." + key, value); };
  };
  auto tokens = [](std::vector<std::string> values) {
    return [=](TestGguf &f) { f.set("tokenizer.ggml.tokens", 9, TestGguf::strings(values)); };
  };
  auto types = [](std::vector<int32_t> values) {
    return
        [=](TestGguf &f) { f.set("tokenizer.ggml.token_type", 9, TestGguf::numbers(5, values)); };
  };
  auto merges = [](std::vector<std::string> values) {
    return [=](TestGguf &f) { f.set("tokenizer.ggml.merges", 9, TestGguf::strings(values)); };
  };
  for (std::string model : {"bert", "t5", "rwkv", "none", "gpt-2", ""})
    add("model " + model, text("model", model), "model: unknown tokenizer");
  add(
      "model a number", [=](TestGguf &f) { f.setNumber(t + "model", 1); },
      "model: expected a string");
  add("model missing", [=](TestGguf &f) { f.erase(t + "model"); }, "model");
  for (std::string pre : {"default", "deepseek-llm", "Llama-BPE", ""})
    add("pre " + pre, text("pre", pre), "pre: unknown pre-tokenizer");
  add("pre missing", [=](TestGguf &f) { f.erase(t + "pre"); }, "pre: missing");
  add("tokens missing", [=](TestGguf &f) { f.erase(t + "tokens"); }, "tokens: this metadata key");
  add("no tokens", tokens({}), "tokens: expected at least one token");
  add(
      "tokens of numbers",
      [=](TestGguf &f) { f.set(t + "tokens", 9, TestGguf::numbers<int32_t>(5, {1})); },
      "tokens: expected an array of");
  add("too many tokens", tokens({"1", "2", "3", "4", "5", "6", "7", "8", "9"}),
      "tokens: expected at most 8 (the model's vocabulary), found 9");
  add("token twice", tokens({"a", "b", "c", "ab", "ab", "x", "y", "z"}),
      "tokens[4]: \"ab\" is token 3");
  add("control token twice", tokens({"a", "b", "c", "ab", "abc", "x", "x", "z"}),
      "tokens[6]: \"x\" is there twice");
  add("empty control token", tokens({"a", "b", "c", "ab", "abc", "", "x", "z"}),
      "tokens[5]: expected a control token");
  add("control token too long",
      tokens({"a", "b", "c", "ab", "abc", std::string(1025, 'x'), "x", "z"}),
      "tokens[5]: expected a control token of 1 to 1024 bytes");
  add("types too few", types({1, 1}), "token_type: expected 8 entries");
  for (int32_t type : {0, 7, -1})
    add("type " + std::to_string(type), types({1, 1, 1, 1, 1, 3, 3, type}),
        "token_type[7]: expected 1 to 6");
  add(
      "types of text", [=](TestGguf &f) { f.set(t + "token_type", 9, TestGguf::strings({"1"})); },
      "token_type: expected an array of");
  add("byte token in gpt2", types({6, 1, 1, 1, 1, 3, 3, 5}), "tokens[0]: expected a byte token");
  add("merge of one", merges({"ab"}), "merges[0]: expected two tokens");
  add("merge with nothing", merges({"a "}), "merges[0]: expected two tokens");
  add("merge of nothing", merges({""}), "merges[0]");
  add("merge unknown", merges({"a b", "a z"}), "merges[1]: \"z\" is not a normal token");
  add("merge to nothing", merges({"b a"}), "merges[0]: \"ba\" is not a normal token");
  add("merge of a control token", merges({"<|begin|> a"}),
      "merges[0]: \"<|begin|>\" is not a normal token");
  add("merge twice", merges({"a b", "a b"}), "merges[1]: a second merge");
  for (std::string key : {"bos_token_id", "eos_token_id"}) {
    add(key + " beyond", [=](TestGguf &f) { f.setNumber(t + key, 8); }, key);
    add(key + " negative", [=](TestGguf &f) { f.set(t + key, 5, raw(-1)); }, key);
    add(
        key + " text", [=](TestGguf &f) { f.setString(t + key, "5"); },
        key + ": expected an integer");
  }
  add(
      "unknown beyond", [=](TestGguf &f) { f.setNumber(t + "unknown_token_id", 8); },
      "unknown_token_id: expected an id below 8");
  add(
      "bos without id", [=](TestGguf &f) { f.erase(t + "bos_token_id"); },
      "add_bos_token: is set, but bos_token_id is missing");
  add(
      "add_bos a number", [=](TestGguf &f) { f.setNumber(t + "add_bos_token", 1); },
      "add_bos_token: expected a bool");
  add("no scores", text("model", "llama"), "scores: expected 8 entries");
  add(
      "scores of text",
      [=](TestGguf &f) {
        f.setString(t + "model", "llama");
        f.set(t + "scores", 9, TestGguf::strings({"1"}));
      },
      "scores: expected an array of");
}

std::vector<BadFile> catalogue() {
  std::vector<BadFile> list;
  addHeader(list), addKeys(list), addTensors(list), addValues(list), addTokens(list);
  return list;
}

TEST(BadGguf, TheSeedIsGood) {
  Importer importer;
  EXPECT_EQ(importer.messageFor(TestGguf::make().bytes()), "");
}

TEST(BadGguf, EveryFileOfTheCatalogueIsRefusedForItsReason) {
  Importer importer;
  std::vector<BadFile> list = catalogue();
  EXPECT_GE(list.size(), 250u);
  for (const BadFile &bad : list) {
    TestGguf file = TestGguf::make();
    bad.change(file);
    std::string message = importer.messageFor(file.bytes());
    EXPECT_TRUE(StringRef(message).contains(bad.words))
        << bad.what << ": expected \"" << bad.words << "\" in \"" << message << "\"";
    EXPECT_TRUE(StringRef(message).contains("bad.gguf")) << bad.what << ": " << message;
  }
}

/// Everything before the IR, from memory.
bool parses(StringRef bytes) {
  auto refused = [](Error error) {
    consumeError(std::move(error));
    return false;
  };
  auto header = import::parseGguf("bad.gguf", arrayRefFromStringRef(bytes));
  if (!header)
    return refused(header.takeError());
  auto tensors = import::resolveTensors("bad.gguf", *header, import::Q2Group::None);
  if (!tensors)
    return refused(tensors.takeError());
  auto tokenizer = import::importGgufTokenizer("bad.gguf", header->metadata, 8);
  return tokenizer ? true : refused(tokenizer.takeError());
}

TEST(BadGguf, EveryPrefixIsRefused) {
  std::string bytes = TestGguf::make().bytes();
  ASSERT_TRUE(parses(bytes));
  // The file ends with the last gain; what is behind its last byte is padding.
  for (size_t size = 0; size < bytes.size(); ++size)
    ASSERT_FALSE(parses(std::string(bytes, 0, size))) << size << " bytes";
  Importer importer;
  for (size_t size = 0; size < bytes.size(); size += 509)
    EXPECT_NE(importer.messageFor(bytes.substr(0, size)), "") << size << " bytes";
}

TEST(BadGguf, ChangedBytesNeverCrash) {
  std::string bytes = TestGguf::make().bytes();
  constexpr uint8_t kValues[] = {0, 1, 2, 0x7f, 0x80, 0xc3, 0xfe, 0xff};
  unsigned refused = 0;
  // All of the header; data are not looked at here.
  for (size_t at = 0; at < 2048; ++at)
    for (uint8_t value : kValues) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      refused += !parses(changed);
    }
  EXPECT_GT(refused, 5000u);
  Importer importer;
  for (size_t at = 0; at < bytes.size(); at += 97) {
    std::string changed = bytes;
    changed[at] ^= '\x5a';
    importer.messageFor(changed);
  }
}

} // namespace
