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
#include "tests/support/AllocationMeter.h"
#include "tests/support/TestGguf.h"
#include "tests/support/TokenizerFolder.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

const std::string kArch = "bitnet-b1.58.";
constexpr float kNan = NAN;

struct BadFile {
  std::string section; ///< of the catalogue: header, keys, ...
  std::string what;
  std::function<void(TestGguf &)> change;
  std::string words; ///< that the message has
};

/// Imports the bytes as a file, and reads every weight; the message where that fails.
class Importer {
public:
  /// Also fails the test where the import allocates more than a file of that size may.
  std::string messageFor(const std::string &bytes) {
    folder.write("bad.gguf", bytes);
    AllocationMeter meter;
    std::string message = readAll();
    EXPECT_LE(meter.bytes(), allocationCap(bytes.size())) << message;
    return message;
  }
  const Folder &place() const { return folder; }

private:
  std::string readAll() {
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
      if (Error error = readValues(*reader))
        return toString(std::move(error));
    }
    return "";
  }

  static Error readValues(const WeightReader &reader) {
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
    list.push_back({"header", std::move(what), std::move(change), std::move(words)});
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
    list.push_back({"keys", key + " " + what, std::move(change), key + ": " + words});
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
    list.push_back({"tensors", std::move(what), std::move(change), std::move(words)});
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
    list.push_back({"values", std::move(what), std::move(change), std::move(words)});
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

/// The down matrix, 256 columns and 128 rows, as blocks of `bytes` bytes for `columns` of them
/// after `rowBytes` of a row's own: all zeros, scales 1.
struct Blocks {
  std::string name;
  uint32_t type;
  uint64_t columns, bytes, rowBytes;
  size_t scaleAt; ///< in a block, or in the row's own bytes
  std::string one;
  uint8_t zeros; ///< a byte of trits 0
};

std::string blocksOf(const Blocks &format) {
  std::string block(format.bytes, static_cast<char>(format.zeros)), data;
  if (!format.rowBytes)
    block.replace(format.scaleAt, 2, format.one);
  for (int row = 0; row < 128; ++row) {
    data += format.rowBytes ? format.one : "";
    for (uint64_t column = 0; column < 256; column += format.columns)
      data += block;
  }
  return data;
}

void addBlocks(std::vector<BadFile> &list) {
  const std::string half("\0\x3c", 2);
  // 0x55 is four codes 1; 0x7f is 11111 in base 3.
  const Blocks formats[] = {
      {"TQ1_0", 34, 256, 54, 0, 52, half, 0x7f},     {"TQ2_0", 35, 256, 66, 0, 64, half, 0x55},
      {"Q2_0", 42, 64, 18, 0, 0, half, 0x55},        {"PQ2_0", 142, 128, 34, 0, 0, half, 0x55},
      {"PTQ1_0", 143, 128, 28, 0, 26, half, 0x7f},   {"IQ1_BN", 134, 64, 13, 2, 0, half, 0x7f},
      {"IQ2_BN", 135, 64, 16, 4, 0, raw(1.0f), 0x55}};
  auto add = [&](const Blocks &format, std::string what, size_t at, std::string bytes,
                 std::string words) {
    auto change = [=](TestGguf &f) {
      auto &down = f.tensor("blk.0.ffn_down.weight");
      down.type = format.type, down.data = blocksOf(format);
      down.data.replace(at, bytes.size(), bytes);
    };
    list.push_back({"blocks", format.name + " " + what, change, words});
  };
  for (const Blocks &format : formats) {
    bool single = format.one.size() == 4;
    for (auto [what, h, f] : {std::tuple<const char *, uint16_t, float>{"NaN", 0x7e00, kNan},
                              {"negative NaN", 0xfe01, -kNan},
                              {"infinity", 0x7c00, INFINITY},
                              {"negative infinity", 0xfc00, -INFINITY}})
      add(format, std::string("scale ") + what, format.scaleAt, single ? raw(f) : raw(h),
          "bad.gguf");
    // The last byte of the first block's codes.
    size_t codes = format.rowBytes ? format.rowBytes : format.scaleAt == 0 ? 2 : 0;
    if (format.zeros == 0x55)
      for (int byte : {0x57, 0x5d, 0x75, 0xd5, 0xff})
        add(format, "code 3 in " + std::to_string(byte), codes + 3,
            std::string(1, static_cast<char>(byte)), "bad.gguf");
  }
}

void addTokens(std::vector<BadFile> &list) {
  auto add = [&](std::string what, std::function<void(TestGguf &)> change, std::string words) {
    list.push_back({"tokenizer", std::move(what), std::move(change), "tokenizer.ggml." + words});
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
  addHeader(list), addKeys(list), addTensors(list), addValues(list), addBlocks(list);
  addTokens(list);
  return list;
}

TEST(BadGguf, TheSeedIsGood) {
  Importer importer;
  EXPECT_EQ(importer.messageFor(TestGguf::make().bytes()), "");
}

TEST(BadGguf, TheBlocksAreGoodBeforeTheyAreBroken) {
  Importer importer;
  std::set<uint32_t> tried;
  std::vector<BadFile> list;
  addBlocks(list);
  for (const BadFile &bad : list) {
    TestGguf file = TestGguf::make();
    bad.change(file);
    auto &down = file.tensor("blk.0.ffn_down.weight");
    if (!tried.insert(down.type).second)
      continue;
    // The second block of the same kind, in front of the broken one.
    size_t block = down.data.size() / 128;
    down.data.replace(0, block, down.data.substr(block, block));
    EXPECT_EQ(importer.messageFor(file.bytes()), "") << bad.what;
  }
  EXPECT_EQ(tried.size(), 7u);
}

TEST(BadGguf, EveryFileOfTheCatalogueIsRefusedForItsReason) {
  Importer importer;
  std::vector<BadFile> list = catalogue();
  std::map<std::string, unsigned> sections;
  std::set<std::string> files;
  for (const BadFile &bad : list) {
    TestGguf file = TestGguf::make();
    bad.change(file);
    std::string bytes = file.bytes(), message = importer.messageFor(bytes);
    EXPECT_TRUE(StringRef(message).contains(bad.words))
        << bad.what << ": expected \"" << bad.words << "\" in \"" << message << "\"";
    EXPECT_TRUE(StringRef(message).contains("bad.gguf")) << bad.what << ": " << message;
    EXPECT_TRUE(files.insert(bytes).second) << bad.what << ": the same file was there before";
    ++sections[bad.section];
  }
  for (const auto &[section, count] : sections)
    printf("%s: %u files\n", section.c_str(), count);
  EXPECT_GE(files.size(), 300u);
}

/// Things of that name that are no files of bytes, or none that may be read.
TEST(BadGguf, WhatIsNoFileIsRefused) {
  Importer importer;
  const Folder &folder = importer.place();
  std::string path = folder.inside("m.gguf"), good = TestGguf::make().bytes();
  struct Case {
    const char *what;
    std::function<void()> make;
    const char *words;
  };
  const Case cases[] = {
      {"nothing", [] {}, "No such file"},
      {"a folder", [&] { mkdir(path.c_str(), 0700); }, "m.gguf"},
      {"a pipe", [&] { mkfifo(path.c_str(), 0600); }, "found a pipe"},
      {"a device", [&] { ASSERT_EQ(symlink("/dev/zero", path.c_str()), 0); }, "found a device"},
      {"a link to itself", [&] { ASSERT_EQ(symlink("m.gguf", path.c_str()), 0); }, "m.gguf"},
      {"a link to nothing", [&] { ASSERT_EQ(symlink("gone", path.c_str()), 0); }, "No such file"},
      {"an empty file", [&] { folder.write("m.gguf", ""); }, "m.gguf"},
      {"the magic alone", [&] { folder.write("m.gguf", "GGUF"); }, "m.gguf"},
      {"safetensors", [&] { folder.write("m.gguf", std::string("\2\0\0\0\0\0\0\0{}", 10)); },
       "does not begin as GGUF"},
      {"text", [&] { folder.write("m.gguf", "version https://git-lfs.github.com/spec/v1\n"); },
       "does not begin as GGUF"},
      {"zeros", [&] { folder.write("m.gguf", std::string(4096, '\0')); }, "does not begin as GGUF"},
      {"the second half", [&] { folder.write("m.gguf", good.substr(good.size() / 2)); },
       "does not begin as GGUF"},
  };
  for (const Case &c : cases) {
    remove(path.c_str());
    c.make();
    mlir::MLIRContext context;
    auto model = import::importModel(context, path);
    ASSERT_FALSE(static_cast<bool>(model)) << c.what;
    std::string message = toString(model.takeError());
    EXPECT_TRUE(StringRef(message).contains(c.words)) << c.what << ": " << message;
    EXPECT_TRUE(StringRef(message).contains("m.gguf")) << c.what << ": " << message;
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
  std::string bytes = TestGguf::makeSmall().bytes();
  ASSERT_LE(bytes.size(), 8192u);
  Importer importer;
  ASSERT_EQ(importer.messageFor(bytes), "");
  // The file ends with the last gain: no byte of it is padding.
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(parses(bytes.substr(0, size))) << size << " bytes";
    EXPECT_NE(importer.messageFor(bytes.substr(0, size)), "") << size << " bytes";
  }
}

TEST(BadGguf, NoChangedByteCrashes) {
  std::string bytes = TestGguf::makeSmall().bytes();
  constexpr uint8_t kValues[] = {0, 1, 2, 0x7f, 0x80, 0xc3, 0xfe, 0xff};
  Importer importer;
  unsigned refused = 0, tried = 0;
  for (size_t at = 0; at < bytes.size(); ++at)
    for (uint8_t value : kValues) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      bool good = parses(changed);
      // What the parsers pass goes all the way: two values a byte, for the time it takes.
      good = good && (value < 0xfe || importer.messageFor(changed).empty());
      refused += !good, ++tried;
    }
  printf("%u of %u changed files refused\n", refused, tried);
  EXPECT_EQ(tried, 8 * bytes.size());
  EXPECT_GT(refused, tried / 4);
}

} // namespace
