//===- TestGguf.h - small GGUF files, good and bad --------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_TESTGGUF_H
#define TERN_TESTS_SUPPORT_TESTGGUF_H

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace tern::test {

/// A GGUF file in pieces that a test may break. Begins as a decoder of one layer: hidden 128, two
/// heads, one kv head, feed forward 256, 8 tokens; matrices are I2_S of all zeros with scale 1.
struct TestGguf {
  struct Entry {
    std::string key;
    uint32_t type;
    std::string value;
  };
  struct Tensor {
    std::string name;
    std::vector<uint64_t> dims; ///< as in the file: columns first
    uint32_t type;
    std::string data;
    uint64_t shift = 0; ///< added to the offset that would be right
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  int64_t moreTensors = 0, moreEntries = 0; ///< added to the counts that would be right
  uint64_t alignment = 32;
  std::vector<Entry> entries;
  std::vector<Tensor> tensors;

  template <typename T> static std::string raw(T value) {
    return std::string(reinterpret_cast<const char *>(&value), sizeof value);
  }
  static std::string text(const std::string &s) { return raw<uint64_t>(s.size()) + s; }
  static std::string array(uint32_t element, uint64_t count, const std::string &values) {
    return raw(element) + raw(count) + values;
  }
  static std::string strings(const std::vector<std::string> &values) {
    std::string bytes;
    for (const std::string &value : values)
      bytes += text(value);
    return array(8, values.size(), bytes);
  }
  template <typename T> static std::string numbers(uint32_t type, const std::vector<T> &values) {
    std::string bytes;
    for (T value : values)
      bytes += raw(value);
    return array(type, values.size(), bytes);
  }

  void set(const std::string &key, uint32_t type, const std::string &value) {
    for (Entry &entry : entries)
      if (entry.key == key) {
        entry.type = type, entry.value = value;
        return;
      }
    entries.push_back({key, type, value});
  }
  void setString(const std::string &key, const std::string &value) { set(key, 8, text(value)); }
  void setNumber(const std::string &key, uint32_t value) { set(key, 4, raw(value)); }
  void setReal(const std::string &key, float value) { set(key, 6, raw(value)); }
  void erase(const std::string &key) {
    std::erase_if(entries, [&](const Entry &entry) { return entry.key == key; });
  }
  Tensor &tensor(const std::string &name) {
    return *std::find_if(tensors.begin(), tensors.end(),
                         [&](const Tensor &t) { return t.name == name; });
  }
  void eraseTensor(const std::string &name) {
    std::erase_if(tensors, [&](const Tensor &t) { return t.name == name; });
  }

  /// With widths of an eighth: about 4 KiB, so that a test may try every byte of it.
  static TestGguf makeSmall() { return make(8); }
  static TestGguf make(uint32_t divisor = 1) {
    TestGguf file;
    const uint32_t hidden = 128 / divisor, wide = 256 / divisor;
    file.setString("general.architecture", "bitnet-b1.58");
    const std::pair<const char *, uint32_t> sizes[] = {
        {"context_length", 64},      {"embedding_length", hidden},
        {"block_count", 1},          {"feed_forward_length", wide},
        {"attention.head_count", 2}, {"attention.head_count_kv", 1}};
    for (auto [key, value] : sizes)
      file.setNumber(std::string("bitnet-b1.58.") + key, value);
    file.setReal("bitnet-b1.58.attention.layer_norm_rms_epsilon", 1e-5f);
    file.setReal("bitnet-b1.58.rope.freq_base", 10000);
    file.addTokenizer();
    auto floats = [&](const std::string &name, std::vector<uint64_t> dims) {
      uint64_t count = dims[0] * (dims.size() > 1 ? dims[1] : 1);
      std::string data;
      for (uint64_t i = 0; i < count; ++i)
        data += raw(1.0f);
      file.tensors.push_back({name + ".weight", std::move(dims), 0, data});
    };
    auto trits = [&](const std::string &name, uint64_t columns, uint64_t rows) {
      std::string data(columns * rows / 4, '\x55');
      data += raw(1.0f) + std::string(28, '\0');
      file.tensors.push_back({"blk.0." + name + ".weight", {columns, rows}, 36, data});
    };
    floats("token_embd", {hidden, 8});
    floats("blk.0.attn_norm", {hidden});
    trits("attn_q", hidden, hidden);
    trits("attn_k", hidden, hidden / 2);
    trits("attn_v", hidden, hidden / 2);
    floats("blk.0.attn_sub_norm", {hidden});
    trits("attn_output", hidden, hidden);
    floats("blk.0.ffn_norm", {hidden});
    trits("ffn_gate", hidden, wide);
    trits("ffn_up", hidden, wide);
    floats("blk.0.ffn_sub_norm", {wide});
    trits("ffn_down", wide, hidden);
    floats("output_norm", {hidden});
    return file;
  }

  void addTokenizer() {
    setString("tokenizer.ggml.model", "gpt2");
    setString("tokenizer.ggml.pre", "llama-bpe");
    set("tokenizer.ggml.tokens", 9,
        strings({"a", "b", "c", "ab", "abc", "<|begin|>", "<|eot_id|>", "[PAD7]"}));
    set("tokenizer.ggml.token_type", 9, numbers<int32_t>(5, {1, 1, 1, 1, 1, 3, 3, 5}));
    set("tokenizer.ggml.merges", 9, strings({"a b", "ab c"}));
    setNumber("tokenizer.ggml.bos_token_id", 5);
    setNumber("tokenizer.ggml.eos_token_id", 6);
    set("tokenizer.ggml.add_bos_token", 7, raw<uint8_t>(1));
  }

  std::string bytes() const {
    std::string out = magic + raw(version) + raw<uint64_t>(tensors.size() + moreTensors) +
                      raw<uint64_t>(entries.size() + moreEntries);
    for (const Entry &entry : entries)
      out += text(entry.key) + raw(entry.type) + entry.value;
    uint64_t offset = 0;
    auto padded = [&](uint64_t size) { return (size + alignment - 1) / alignment * alignment; };
    for (const Tensor &tensor : tensors) {
      out += text(tensor.name) + raw<uint32_t>(tensor.dims.size());
      for (uint64_t dim : tensor.dims)
        out += raw(dim);
      out += raw(tensor.type) + raw<uint64_t>(offset + tensor.shift);
      offset += padded(tensor.data.size());
    }
    out.resize(padded(out.size()));
    for (const Tensor &tensor : tensors) {
      out += tensor.data;
      out.resize(padded(out.size()));
    }
    return out;
  }
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_TESTGGUF_H
