//===- TestCheckpoint.cpp - small checkpoints made by tests ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/TestCheckpoint.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>

namespace tern::test {

static std::string u64(uint64_t value) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string rawSafetensors(std::string_view header, size_t dataBytes) {
  return u64(header.size()) + std::string(header) + std::string(dataBytes, '\0');
}

std::string safetensors(const std::vector<TestTensor> &tensors) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}", data;
  for (const TestTensor &tensor : tensors) {
    header += ",\"" + tensor.name + "\":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i)
      header += (i ? "," : "") + std::to_string(tensor.shape[i]);
    header += "],\"data_offsets\":[" + std::to_string(data.size()) + ",";
    data += tensor.bytes;
    header += std::to_string(data.size()) + "]}";
  }
  return u64(header.size() + 1) + header + "}" + data;
}

std::string floatBytes(const std::vector<float> &values, std::string_view dtype) {
  std::string bytes;
  for (float value : values) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    // Test values are short enough for both halves: no rounding.
    if (dtype == "BF16") {
      bits >>= 16;
    } else if (dtype == "F16") {
      uint32_t exponent = (bits >> 23 & 0xff), sign = bits >> 16 & 0x8000;
      bits = (bits << 1) ? sign | (exponent - 112) << 10 | (bits >> 13 & 0x3ff) : sign;
    }
    bytes.append(reinterpret_cast<const char *>(&bits), dtype == "F32" ? 4 : 2);
  }
  return bytes;
}

std::string packTrits(const std::vector<int8_t> &trits, int64_t rows, int64_t columns) {
  int64_t packedRows = rows / 4;
  std::string bytes(packedRows * columns, '\0');
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      bytes[r % packedRows * columns + c] |=
          static_cast<char>((trits[r * columns + c] + 1) << 2 * (r / packedRows));
  return bytes;
}

std::string toJson(const RawObject &object) {
  std::string text = "{";
  for (const auto &[key, raw] : object)
    text += (text.size() > 1 ? ",\n  \"" : "\n  \"") + key + "\": " + raw;
  return text + "\n}\n";
}

void set(RawObject &object, std::string_view key, std::string_view raw) {
  for (auto &entry : object)
    if (entry.first == key) {
      entry.second = raw;
      return;
    }
  object.emplace_back(key, raw);
}

void erase(RawObject &object, std::string_view key) {
  std::erase_if(object, [&](const auto &entry) { return entry.first == key; });
}

namespace {
/// Adds the tensors of a model one by one.
class Filler {
public:
  Filler(TestForm form, std::string_view dtype, std::vector<TestTensor> &out)
      : form(form), dtype(dtype), out(out) {}

  void floats(const std::string &module, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t d : shape)
      count *= d;
    std::vector<float> values(count);
    for (float &value : values)
      value = static_cast<float>(static_cast<int>(random() % 64) - 32) / 32 + 1.0f / 64;
    out.push_back({module + ".weight", dtype, std::move(shape), floatBytes(values, dtype)});
  }
  void linear(const std::string &module, int64_t rows, int64_t columns) {
    if (form == TestForm::Online)
      return floats(module, {rows, columns});
    std::vector<int8_t> trits(rows * columns);
    for (int8_t &trit : trits)
      trit = static_cast<int8_t>(random() % 3) - 1;
    float scale = static_cast<float>(1 + random() % 7) / 8;
    if (form == TestForm::Packed) {
      out.push_back(
          {module + ".weight", "U8", {rows / 4, columns}, packTrits(trits, rows, columns)});
    } else {
      std::vector<float> values(trits.begin(), trits.end());
      if (form == TestForm::TernaryFloats)
        for (float &value : values)
          value *= scale;
      out.push_back({module + ".weight", dtype, {rows, columns}, floatBytes(values, dtype)});
    }
    if (form != TestForm::TernaryFloats)
      out.push_back({module + ".weight_scale", dtype, {1}, floatBytes({scale}, dtype)});
  }

private:
  TestForm form;
  std::string dtype;
  std::vector<TestTensor> &out;
  std::mt19937 random{20261122};
};
} // namespace

TestModel::TestModel(TestForm form, std::string_view dtype, bool small) {
  int64_t hidden = small ? 8 : 64, layers = small ? 1 : 2, heads = 4, kvHeads = 2;
  int64_t headSize = hidden / heads, ffn = small ? 12 : 96, vocabulary = small ? 8 : 32;
  config = {
      {"architectures", "[\"BitNetForCausalLM\"]"},
      {"model_type", "\"bitnet\""},
      {"attention_bias", "false"},
      {"hidden_act", "\"relu2\""},
      {"hidden_size", std::to_string(hidden)},
      {"intermediate_size", std::to_string(ffn)},
      {"num_hidden_layers", std::to_string(layers)},
      {"num_attention_heads", std::to_string(heads)},
      {"num_key_value_heads", std::to_string(kvHeads)},
      {"max_position_embeddings", "64"},
      {"rms_norm_eps", "1e-05"},
      {"rope_theta", "10000.0"},
      {"tie_word_embeddings", "true"},
      {"vocab_size", std::to_string(vocabulary)},
      {"quantization_config",
       std::string("{\"quant_method\": \"bitnet\", \"linear_class\": \"autobitlinear\", "
                   "\"quantization_mode\": \"") +
           (form == TestForm::Online ? "online\"}" : "offline\"}")},
  };
  Filler add(form, dtype, tensors);
  add.floats("model.embed_tokens", {vocabulary, hidden});
  for (int64_t i = 0; i < layers; ++i) {
    std::string layer = "model.layers." + std::to_string(i) + ".";
    add.floats(layer + "input_layernorm", {hidden});
    add.linear(layer + "self_attn.q_proj", hidden, hidden);
    add.linear(layer + "self_attn.k_proj", kvHeads * headSize, hidden);
    add.linear(layer + "self_attn.v_proj", kvHeads * headSize, hidden);
    add.floats(layer + "self_attn.attn_sub_norm", {hidden});
    add.linear(layer + "self_attn.o_proj", hidden, hidden);
    add.floats(layer + "post_attention_layernorm", {hidden});
    add.linear(layer + "mlp.gate_proj", ffn, hidden);
    add.linear(layer + "mlp.up_proj", ffn, hidden);
    add.floats(layer + "mlp.ffn_sub_norm", {ffn});
    add.linear(layer + "mlp.down_proj", hidden, ffn);
  }
  add.floats("model.norm", {hidden});
}

TestTensor &TestModel::tensor(std::string_view name) {
  for (TestTensor &tensor : tensors)
    if (tensor.name == name)
      return tensor;
  std::fprintf(stderr, "no tensor %s\n", std::string(name).c_str());
  std::abort();
}

void TestModel::remove(std::string_view name) {
  std::erase_if(tensors, [&](const TestTensor &tensor) { return tensor.name == name; });
}

void TestModel::write(const TempFolder &folder) const {
  folder.write("config.json", toJson(config));
  folder.write("model.safetensors", safetensors(tensors));
}

void TestModel::writeSharded(const TempFolder &folder, size_t shards) const {
  folder.write("config.json", toJson(config));
  std::vector<std::vector<TestTensor>> parts(shards);
  RawObject map;
  auto name = [](size_t i) { return "model-" + std::to_string(i) + ".safetensors"; };
  for (size_t i = 0; i < tensors.size(); ++i) {
    parts[i % shards].push_back(tensors[i]);
    map.emplace_back(tensors[i].name, "\"" + name(i % shards) + "\"");
  }
  for (size_t i = 0; i < shards; ++i)
    folder.write(name(i), safetensors(parts[i]));
  folder.write("model.safetensors.index.json",
               toJson({{"metadata", "{\"total_size\": 7}"}, {"weight_map", toJson(map)}}));
}

} // namespace tern::test
