//===- golden_test.cpp - the interpreter against transformers -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Npy.h"
#include "Program.h"
#include "dialect/Semantics.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <nlohmann/json.hpp>

using namespace tern;
using llvm::formatv;
using nlohmann::json;

static const std::string kModel = TERN_SOURCE_DIR "/../shared/models/tiny-stories-bitnet/";
static const std::string kGolden = kModel + "golden-dev/";

namespace {
struct Projection {
  const char *name;
  int64_t rows, columns;
};
} // namespace

static constexpr Projection kProjections[] = {
    {"self_attn.q_proj", 512, 512}, {"self_attn.k_proj", 256, 512}, {"self_attn.v_proj", 256, 512},
    {"self_attn.o_proj", 512, 512}, {"mlp.gate_proj", 1408, 512},   {"mlp.up_proj", 1408, 512},
    {"mlp.down_proj", 512, 1408}};
static constexpr Projection kNorms[] = {{"input_layernorm", 1, 512},
                                        {"self_attn.attn_sub_norm", 1, 512},
                                        {"post_attention_layernorm", 1, 512},
                                        {"mlp.ffn_sub_norm", 1, 1408}};

/// Text of the weights of one layer, and of one function for each norm and projection.
static std::string layerText(int layer) {
  std::ifstream file(kModel + "model.safetensors", std::ios::binary);
  uint64_t size = 0;
  file.read(reinterpret_cast<char *>(&size), sizeof size);
  std::string header(size, ' ');
  file.read(header.data(), size);
  json tensors = json::parse(header);
  auto source = [&](std::string name, std::string shape, const char *encoding) {
    json place = tensors[formatv("model.layers.{0}.{1}", layer, name).str()]["data_offsets"];
    int64_t begin = place[0], end = place[1];
    return formatv("#ternary.source<file = 0, offset = {0}, bytes = {1}, shape = [{2}], "
                   "encoding = {3}>",
                   8 + size + begin, end - begin, shape, encoding)
        .str();
  };
  std::string text;
  for (const Projection &p : kProjections)
    text += formatv("ternary.weight @{0} : tensor<{1}x{2}x!ternary.trit> from [{3}]\n"
                    "ternary.weight @{0}.scale : tensor<1xf32> from [{4}]\n"
                    "func.func @run.{0}(%x: tensor<?x{2}xf32>) -> tensor<?x{1}xf32> {{\n"
                    "  %w = ternary.load @{0} : tensor<{1}x{2}x!ternary.trit>\n"
                    "  %s = ternary.load @{0}.scale : tensor<1xf32>\n"
                    "  %y = ternary.linear %x, %w, %s activations(int8_per_token) {{golden = "
                    "\"{0}.out\"} : tensor<?x{2}xf32>, tensor<{1}x{2}x!ternary.trit>, "
                    "tensor<1xf32> -> tensor<?x{1}xf32>\n"
                    "  return %y : tensor<?x{1}xf32>\n}\n",
                    p.name, p.rows, p.columns,
                    source(p.name + std::string(".weight"),
                           formatv("{0}, {1}", p.rows, p.columns).str(), "hf_u8"),
                    source(p.name + std::string(".weight_scale"), "1", "bf16"))
                .str();
  for (const Projection &n : kNorms)
    text += formatv("ternary.weight @{0} : tensor<{1}xf32> from [{2}]\n"
                    "func.func @run.{0}(%x: tensor<?x{1}xf32>) -> tensor<?x{1}xf32> {{\n"
                    "  %g = ternary.load @{0} : tensor<{1}xf32>\n"
                    "  %y = ternary.rms_norm %x, %g epsilon 1.0e-05 {{golden = \"{0}.out\"} : "
                    "tensor<?x{1}xf32>, tensor<{1}xf32>\n"
                    "  return %y : tensor<?x{1}xf32>\n}\n",
                    n.name, n.columns,
                    source(n.name + std::string(".weight"), std::to_string(n.columns), "bf16"))
                .str();
  return text;
}

static std::string frequenciesText() {
  std::string text;
  for (int i = 0; i < 32; ++i) {
    char number[32];
    std::snprintf(number, sizeof number, "%s%.9e", i ? ", " : "",
                  static_cast<float>(1.0 / std::pow(10000.0, i / 32.0)));
    text += number;
  }
  return text;
}

/// The decoder layer, made of the functions of layerText.
static std::string blockText() {
  std::string text = R"(
func.func @block(%h: tensor<?x512xf32>, %position: index,
                 %cache: !ternary.kv_cache<4x64xf32>) -> tensor<?x512xf32> {
  %zero = arith.constant 0 : index
  %rows = tensor.dim %h, %zero : tensor<?x512xf32>
  %angles = ternary.rope_angles %position, %rows frequencies(dense<[FREQUENCIES]> : tensor<32xf32>)
    -> tensor<?x64xf32>
  %x = call @run.input_layernorm(%h) : (tensor<?x512xf32>) -> tensor<?x512xf32>
  %q = call @run.self_attn.q_proj(%x) : (tensor<?x512xf32>) -> tensor<?x512xf32>
  %k = call @run.self_attn.k_proj(%x) : (tensor<?x512xf32>) -> tensor<?x256xf32>
  %v = call @run.self_attn.v_proj(%x) : (tensor<?x512xf32>) -> tensor<?x256xf32>
  %qr = ternary.rope %q, %angles heads 8 : tensor<?x512xf32>, tensor<?x64xf32>
  %kr = ternary.rope %k, %angles heads 4 : tensor<?x256xf32>, tensor<?x64xf32>
  %a = ternary.attention %qr, %kr, %v, %cache at %position heads 8
    {golden = "self_attn.attn_sub_norm.in"}
    : tensor<?x512xf32>, tensor<?x256xf32>, tensor<?x256xf32>, !ternary.kv_cache<4x64xf32>
  %an = call @run.self_attn.attn_sub_norm(%a) : (tensor<?x512xf32>) -> tensor<?x512xf32>
  %o = call @run.self_attn.o_proj(%an) : (tensor<?x512xf32>) -> tensor<?x512xf32>
  %h1 = arith.addf %h, %o {golden = "post_attention_layernorm.in"} : tensor<?x512xf32>
  %x1 = call @run.post_attention_layernorm(%h1) : (tensor<?x512xf32>) -> tensor<?x512xf32>
  %gate = call @run.mlp.gate_proj(%x1) : (tensor<?x512xf32>) -> tensor<?x1408xf32>
  %up = call @run.mlp.up_proj(%x1) : (tensor<?x512xf32>) -> tensor<?x1408xf32>
  %f = ternary.gated_activation relu2 %gate, %up {golden = "mlp.ffn_sub_norm.in"} : tensor<?x1408xf32>
  %fn = call @run.mlp.ffn_sub_norm(%f) : (tensor<?x1408xf32>) -> tensor<?x1408xf32>
  %d = call @run.mlp.down_proj(%fn) : (tensor<?x1408xf32>) -> tensor<?x512xf32>
  %h2 = arith.addf %h1, %d {golden = "block.out"} : tensor<?x512xf32>
  return %h2 : tensor<?x512xf32>
}
)";
  std::string mark = "FREQUENCIES";
  return text.replace(text.find(mark), mark.size(), frequenciesText());
}

static std::string moduleText(const std::string &body) {
  return "module attributes {ternary.files = [\"model.safetensors\"]} {\n" + body + "}\n";
}

static std::vector<float> runOne(Program &program, const WeightFiles &files, std::string function,
                                 const std::vector<float> &x, int64_t columns) {
  Interpreter interpreter(*program.module, files);
  auto results = interpreter.run(
      function, {program.floats({static_cast<int64_t>(x.size()) / columns, columns}, x)});
  EXPECT_TRUE(static_cast<bool>(results)) << function;
  if (!results) {
    ADD_FAILURE() << llvm::toString(results.takeError());
    return {};
  }
  return asTensor((*results)[0]).f32;
}

class Golden : public testing::Test {
protected:
  void SetUp() override {
    if (!std::ifstream(kGolden + "block/info.json"))
      GTEST_SKIP() << "no golden data beside the source tree";
  }
};

static void checkBitLinear(int layer, const Projection &shape) {
  std::string folder = kGolden + "bitlinear/layer" + std::to_string(layer) + "." + shape.name + "/";
  auto x = readNpy<float>(folder + "x.npy", "<f4"), s = readNpy<float>(folder + "s.npy", "<f4");
  auto acts = readNpy<int8_t>(folder + "x_int8.npy", "|i1");
  auto trits = readNpy<int8_t>(folder + "weight_ternary.npy", "|i1");
  auto expected = readNpy<int32_t>(folder + "accumulator_int32.npy", "<i4");
  int64_t rows = s.size(), columns = shape.columns;

  std::vector<int8_t> values(rows * columns);
  std::vector<int32_t> accumulator;
  for (int64_t m = 0; m < rows; ++m) {
    float scale;
    int32_t sum;
    semantics::quantizeRow(&x[m * columns], columns, columns, &values[m * columns], &scale, &sum);
    EXPECT_EQ(scale, 1.0f / s[m]);
    for (int64_t n = 0; n < shape.rows; ++n) {
      int32_t dot = 0;
      for (int64_t k = 0; k < columns; ++k)
        dot += values[m * columns + k] * trits[n * columns + k];
      accumulator.push_back(dot);
    }
  }
  EXPECT_EQ(values, acts);
  EXPECT_EQ(accumulator, expected);

  Program program(moduleText(layerText(layer)));
  auto files = llvm::cantFail(WeightFiles::open(*program.module, kModel));
  auto reader = llvm::cantFail(WeightReader::create(program.weight(shape.name), files));
  std::vector<int8_t> read(trits.size());
  ASSERT_EQ(message(reader.readTrits(0, shape.rows, read.data())), "no error");
  EXPECT_EQ(read, trits);
  Distance y = distance(runOne(program, files, std::string("run.") + shape.name, x, columns),
                        readNpy<float>(folder + "y.npy", "<f4"));
  EXPECT_LE(y.difference, 1e-6f * y.magnitude);
}

TEST_F(Golden, AttentionProjectionIsExact) { checkBitLinear(0, kProjections[0]); }
TEST_F(Golden, DownProjectionIsExact) { checkBitLinear(4, kProjections[6]); }

TEST_F(Golden, NormsAndProjectionsMatchFromTheirOwnInputs) {
  int layer = json::parse(std::ifstream(kGolden + "block/info.json"))["layer"];
  Program program(moduleText(layerText(layer)));
  auto files = llvm::cantFail(WeightFiles::open(*program.module, kModel));
  auto check = [&](const Projection &part) {
    std::string stem = kGolden + "block/" + part.name;
    Distance out = distance(runOne(program, files, std::string("run.") + part.name,
                                   readNpy<float>(stem + ".in.npy", "<f4"), part.columns),
                            readNpy<float>(stem + ".out.npy", "<f4"));
    EXPECT_LE(out.difference, 1e-5f * out.magnitude) << part.name;
  };
  llvm::for_each(kProjections, check);
  llvm::for_each(kNorms, check);
}

TEST_F(Golden, BlockMatchesInOnePieceAndTokenByToken) {
  int layer = json::parse(std::ifstream(kGolden + "block/info.json"))["layer"];
  Program program(moduleText(layerText(layer) + blockText()));
  auto files = llvm::cantFail(WeightFiles::open(*program.module, kModel));
  auto x = readNpy<float>(kGolden + "block/block.in.npy", "<f4");
  int64_t rows = x.size() / 512;
  int checked = 0;
  Interpreter interpreter(*program.module, files);
  interpreter.setObserver([&](mlir::Operation *op, llvm::ArrayRef<RuntimeValue> results) {
    auto name = op->getAttrOfType<mlir::StringAttr>("golden");
    if (!name)
      return;
    std::string path = kGolden + "block/" + name.str() + ".npy";
    Distance out = distance(asTensor(results[0]).f32, readNpy<float>(path, "<f4"));
    EXPECT_LE(out.difference, 5e-3f * out.magnitude) << name.str();
    ++checked;
  });
  auto cache = std::make_shared<CacheValue>();
  cache->heads = 4, cache->headSize = 64;
  auto whole = interpreter.run("block", {program.floats({rows, 512}, x), int64_t(0), cache});
  ASSERT_EQ(message(std::move(whole)), "no error");
  EXPECT_EQ(checked, 15);

  // The same bits, whatever the rows of a call.
  interpreter.setObserver(nullptr);
  auto again = interpreter.run("block", {program.floats({rows, 512}, x), int64_t(0), cache});
  ASSERT_TRUE(static_cast<bool>(again));
  const std::vector<float> &expected = asTensor((*again)[0]).f32;
  cache->keys.clear(), cache->values.clear();
  for (int64_t m = 0; m < rows; ++m) {
    std::vector<float> row(&x[m * 512], &x[m * 512] + 512);
    auto step = interpreter.run("block", {program.floats({1, 512}, row), m, cache});
    ASSERT_TRUE(static_cast<bool>(step));
    EXPECT_TRUE(std::equal(expected.begin() + m * 512, expected.begin() + (m + 1) * 512,
                           asTensor((*step)[0]).f32.begin()))
        << "position " << m;
  }
}
