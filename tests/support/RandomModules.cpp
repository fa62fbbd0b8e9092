//===- RandomModules.cpp - seeded modules at the import stage -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/RandomModules.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <random>
#include <vector>

using llvm::formatv;

namespace {

std::string rows(int64_t columns) { return formatv("tensor<?x{0}xf32>", columns); }

/// A linear layer's sizes and the kind of its scale.
struct Linear {
  std::string name;
  int64_t n, k, groups; ///< groups 0: one scale; -1: one a row; else [n, groups]
  bool halves = false;  ///< f16 scales

  std::string weightType() const { return formatv("tensor<{0}x{1}x!ternary.trit>", n, k); }
  std::string scaleShape() const {
    if (groups <= 0)
      return std::to_string(groups ? n : 1);
    return formatv("{0}, {1}", n, groups);
  }
  std::string scaleType() const {
    std::string shape = scaleShape();
    if (size_t comma = shape.find(", "); comma != std::string::npos)
      shape.replace(comma, 2, "x");
    return formatv("tensor<{0}x{1}>", shape, halves ? "f16" : "f32");
  }
};

class Writer {
public:
  explicit Writer(uint64_t seed)
      : random(seed), sourceSeed(seed % 100000 * 1000), activations(pick(0, 4)) {}

  int64_t pick(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  }
  float epsilon() { return pick(0, 1) ? 1e-5f : 1e-6f; }

  Linear linear(std::string name, int64_t n, int64_t k) {
    std::vector<int64_t> kinds = {0, -1, 1};
    for (int64_t group = 32; group <= 128 && group < k; group *= 2)
      if (k % group == 0)
        kinds.push_back(k / group);
    int64_t groups = kinds[pick(0, kinds.size() - 1)];
    return {std::move(name), n, k, groups, groups > 1 && pick(0, 1)};
  }

  void weight(const std::string &name, const std::string &type, const std::string &shape) {
    weights += formatv("  ternary.weight @{0} : {1} from [#ternary.source<file = 0, offset = {2}, "
                       "bytes = 0, shape = [{3}], encoding = random>]\n",
                       name, type, sourceSeed++, shape);
  }

  std::string load(const std::string &value, const std::string &name, const std::string &type,
                   const std::string &shape) {
    weight(name, type, shape);
    return formatv("    %{0} = ternary.load @{1} : {2}\n", value, name, type);
  }

  /// Loads %w_<value> and %s_<value>, or quantizes them online where a master may stand for them.
  std::string loadLinear(const std::string &value, const std::string &prefix, const Linear &layer) {
    std::string name = prefix + layer.name, shape = formatv("{0}, {1}", layer.n, layer.k);
    if (layer.groups != 0 || pick(0, 2))
      return load("w_" + value, name, layer.weightType(), shape) +
             load("s_" + value, name + ".scale", layer.scaleType(), layer.scaleShape());
    std::string type = formatv("tensor<{0}x{1}xf32>", layer.n, layer.k);
    return load("m_" + value, name + ".master", type, shape) +
           formatv("    %w_{0}, %s_{0} = ternary.quantize_weight %m_{0} : {1} -> {2}, {3}\n", value,
                   type, layer.weightType(), layer.scaleType())
               .str();
  }

  /// int8 with a scale a token, or a group where one divides the columns that share a scale.
  std::string int8Mode(const Linear &layer) {
    std::vector<const char *> modes = {"int8_per_token"};
    int64_t scaled = layer.k / std::max<int64_t>(layer.groups, 1);
    for (auto [group, name] : {std::pair(32, "int8_per_32"), std::pair(64, "int8_per_64"),
                               std::pair(128, "int8_per_128")})
      if (activations == 4 && scaled % group == 0)
        modes.push_back(name);
    return modes[pick(modes.size() > 1, modes.size() - 1)];
  }

  /// All linears of a module take int8, or all floats, or each is asked for itself.
  std::string apply(const std::string &result, const std::string &input, const std::string &value,
                    const Linear &layer) {
    bool floats = activations == 2 || (activations == 3 && pick(0, 1));
    return formatv("    %{0} = ternary.linear %{1}, %w_{2}, %s_{2} activations({3}) "
                   ": {4}, {5}, {6} -> {7}\n",
                   result, input, value, floats ? "float" : int8Mode(layer), rows(layer.k),
                   layer.weightType(), layer.scaleType(), rows(layer.n));
  }

  std::string norm(const std::string &result, const std::string &input, const std::string &gain,
                   int64_t columns) {
    return formatv("    %{0} = ternary.rms_norm %{1}, %{2} epsilon {3:E} : {4}, tensor<{5}xf32>\n",
                   result, input, gain, epsilon(), rows(columns), columns);
  }

  std::string add(const std::string &result, const std::string &left, const std::string &right,
                  int64_t columns) {
    return formatv("    %{0} = arith.addf %{1}, %{2} : {3}\n", result, left, right, rows(columns));
  }

  std::string gate(const std::string &result, const std::string &gate, const std::string &up,
                   int64_t columns) {
    return formatv("    %{0} = ternary.gated_activation {1} %{2}, %{3} : {4}\n", result,
                   pick(0, 1) ? "relu2" : "silu", gate, up, rows(columns));
  }

  std::string module(const std::string &functions) const {
    return "module {\n" + weights + functions + "}\n";
  }

private:
  std::mt19937_64 random;
  uint64_t sourceSeed;
  int64_t activations; ///< 0 and 1: int8; 2: float; 3: mixed; 4: int8 with a scale a group
  std::string weights;
};

/// Sizes and layers of a decoder's block.
struct Decoder {
  int64_t heads, kvHeads, headSize, hidden, ffn, vocabulary;
  std::vector<Linear> layers; ///< q, k, v, o, gate, up, down

  explicit Decoder(Writer &writer) {
    kvHeads = writer.pick(1, 3), heads = kvHeads * writer.pick(1, 2);
    headSize = 2 * writer.pick(1, 16);
    hidden = writer.pick(0, 1) ? 32 * writer.pick(1, 4) : writer.pick(3, 90);
    ffn = writer.pick(0, 1) ? 64 * writer.pick(1, 3) : writer.pick(5, 150);
    vocabulary = writer.pick(3, 70);
    int64_t wide = heads * headSize, narrow = kvHeads * headSize;
    layers = {writer.linear("attn_q", wide, hidden),   writer.linear("attn_k", narrow, hidden),
              writer.linear("attn_v", narrow, hidden), writer.linear("attn_o", hidden, wide),
              writer.linear("ffn_gate", ffn, hidden),  writer.linear("ffn_up", ffn, hidden),
              writer.linear("ffn_down", hidden, ffn)};
  }

  std::string cacheType() const {
    return formatv("!ternary.kv_cache<{0}x{1}xf32>", kvHeads, headSize);
  }
  std::string fixedTypes() const {
    return formatv("{0}, {1}, index, {2}, tensor<{3}xf32>, tensor<{4}xf32>", rows(hidden),
                   rows(headSize), cacheType(), hidden, ffn);
  }
};

std::string block(Writer &writer, const Decoder &d) {
  int64_t wide = d.heads * d.headSize, narrow = d.kvHeads * d.headSize;
  std::string text = formatv("  func.func private @block(%h: {0}, %angles: {1}, %position: index, "
                             "%cache: {2}, %g1: tensor<{3}xf32>, %g2: tensor<{4}xf32>",
                             rows(d.hidden), rows(d.headSize), d.cacheType(), d.hidden, d.ffn);
  for (const Linear &layer : d.layers)
    text +=
        formatv(", %w_{0}: {1}, %s_{0}: {2}", layer.name, layer.weightType(), layer.scaleType());
  text += ") -> " + rows(d.hidden) + " {\n";
  text += writer.norm("x", "h", "g1", d.hidden);
  text += writer.apply("q", "x", "attn_q", d.layers[0]);
  text += writer.apply("k", "x", "attn_k", d.layers[1]);
  text += writer.apply("v", "x", "attn_v", d.layers[2]);
  for (auto [name, heads, columns] :
       {std::tuple{"q", d.heads, wide}, std::tuple{"k", d.kvHeads, narrow}})
    text += formatv("    %{0}r = ternary.rope %{0}, %angles heads {1} : {2}, {3}\n", name, heads,
                    rows(columns), rows(d.headSize));
  text += formatv("    %a = ternary.attention %qr, %kr, %v, %cache at %position heads {0} : {1}, "
                  "{2}, {2}, {3}\n",
                  d.heads, rows(wide), rows(narrow), d.cacheType());
  text += writer.apply("o", "a", "attn_o", d.layers[3]) + writer.add("h1", "h", "o", d.hidden);
  // Norms may be shared by quantized and other users, or not be there.
  bool normed = writer.pick(0, 2);
  text += normed ? writer.norm("y", "h1", "g1", d.hidden) : "";
  text += writer.apply("gate", normed ? "y" : "h1", "ffn_gate", d.layers[4]);
  text += writer.apply("up", normed ? "y" : "h1", "ffn_up", d.layers[5]);
  text += writer.gate("f", "gate", "up", d.ffn) + writer.norm("fn", "f", "g2", d.ffn);
  text += writer.apply("down", "fn", "ffn_down", d.layers[6]);
  bool productRight = writer.pick(0, 3);
  text += productRight ? writer.add("h2", "h1", "down", d.hidden)
                       : writer.add("h2", "down", "h1", d.hidden);
  return text + "    return %h2 : " + rows(d.hidden) + "\n  }\n";
}

/// The weights of layer `index` and the call of @block on %h<index>.
std::string callBlock(Writer &writer, const Decoder &d, int64_t index) {
  std::string layer = std::to_string(index), prefix = "blk." + layer + ".", text, values, types;
  text += writer.load("g1_" + layer, prefix + "attn_norm", formatv("tensor<{0}xf32>", d.hidden),
                      std::to_string(d.hidden));
  text += writer.load("g2_" + layer, prefix + "ffn_sub_norm", formatv("tensor<{0}xf32>", d.ffn),
                      std::to_string(d.ffn));
  for (const Linear &linear : d.layers) {
    std::string value = linear.name + layer;
    text += writer.loadLinear(value, prefix, linear);
    values += formatv(", %w_{0}, %s_{0}", value);
    types += ", " + linear.weightType() + ", " + linear.scaleType();
  }
  return text + formatv("    %h{0} = call @block(%h{1}, %angles, %position, %cache{1}, %g1_{1}, "
                        "%g2_{1}{2}) : ({3}{4}) -> {5}\n",
                        index + 1, index, values, d.fixedTypes(), types, rows(d.hidden))
                    .str();
}

} // namespace

std::string tern::test::randomMlp(uint64_t seed) {
  Writer writer(seed);
  auto size = [&] { return writer.pick(0, 1) ? 32 * writer.pick(1, 5) : writer.pick(1, 150); };
  int64_t in = size(), k = in;
  std::string value = "x", text;
  for (int64_t layer = 0, layers = writer.pick(1, 4); layer < layers; ++layer) {
    std::string id = std::to_string(layer);
    if (writer.pick(0, 1)) {
      text += writer.load("g" + id, "norm" + id, formatv("tensor<{0}xf32>", k), std::to_string(k));
      text += writer.norm("n" + id, value, "g" + id, k);
      value = "n" + id;
    }
    int64_t n = size(), parts = writer.pick(1, 3);
    std::string sum;
    for (int64_t part = 0; part < parts; ++part) {
      std::string name = formatv("fc{0}_{1}", layer, part), result = "y" + name;
      Linear linear = writer.linear(name, n, k);
      text += writer.loadLinear(name, "", linear) + writer.apply(result, value, name, linear);
      if (part)
        text += writer.pick(0, 1) ? writer.add("a" + name, sum, result, n)
                                  : writer.gate("a" + name, sum, result, n);
      sum = part ? "a" + name : result;
    }
    value = sum, k = n;
  }
  std::string head = formatv("  func.func @main(%x: {0}) -> {1} attributes {{ternary.entry} {{\n",
                             rows(in), rows(k));
  return writer.module(head + text + "    return %" + value + " : " + rows(k) + "\n  }\n");
}

std::string tern::test::randomDecoder(uint64_t seed, int64_t layers) {
  Writer writer(seed);
  Decoder d(writer);
  std::string body = block(writer, d), caches, frequencies;
  for (int64_t layer = 0; layer < layers; ++layer)
    caches += formatv(", %cache{0}: {1}", layer, d.cacheType());
  for (int64_t i = 0; i < d.headSize / 2; ++i)
    frequencies += formatv("{0}{1:E}", i ? ", " : "", 1.0 / (1 + 3 * i));
  std::string logits = rows(d.vocabulary), hidden = rows(d.hidden);
  std::string table = formatv("tensor<{0}x{1}xbf16>", d.vocabulary, d.hidden);
  body += formatv("  func.func @forward(%ids: tensor<?xi32>, %position: index, %wanted: index{0}) "
                  "-> {1} attributes {{ternary.entry} {{\n    %c0 = arith.constant 0 : index\n",
                  caches, logits);
  body += writer.load("table", "embed", table, formatv("{0}, {1}", d.vocabulary, d.hidden));
  body += formatv("    %h0 = ternary.embedding %ids, %table : tensor<?xi32>, {0} -> {1}\n", table,
                  hidden);
  body += formatv("    %rows = tensor.dim %ids, %c0 : tensor<?xi32>\n    %angles = "
                  "ternary.rope_angles %position, %rows frequencies(dense<[{0}]> : "
                  "tensor<{1}xf32>) -> {2}\n",
                  frequencies, d.headSize / 2, rows(d.headSize));
  for (int64_t layer = 0; layer < layers; ++layer)
    body += callBlock(writer, d, layer);
  body += formatv("    %first = arith.subi %rows, %wanted : index\n    %tail = "
                  "tensor.extract_slice %h{0}[%first, 0] [%wanted, {1}] [1, 1] : {2} to {2}\n",
                  layers, d.hidden, hidden);
  body +=
      writer.load("gain", "norm", formatv("tensor<{0}xf32>", d.hidden), std::to_string(d.hidden));
  body += writer.norm("n", "tail", "gain", d.hidden);
  body +=
      formatv("    %logits = ternary.head %n, %table : {0}, {1} -> {2}\n", hidden, table, logits);
  return writer.module(body + "    return %logits : " + logits + "\n  }\n");
}
