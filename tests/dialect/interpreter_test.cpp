//===- interpreter_test.cpp - modules run slowly --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runs.h"
#include "dialect/Semantics.h"

#include <cmath>

using namespace tern;

//===----------------------------------------------------------------------===//
// Whole models
//===----------------------------------------------------------------------===//

TEST(Interpreter, RunsAMultilayerPerceptron) {
  Program program(weightText("w1", "128x64x!ternary.trit", "128, 64") +
                  weightText("w22", "10x128x!ternary.trit", "10, 128") +
                  weightText("s", "1xf32", "1") + R"(
func.func @main(%x: tensor<?x64xf32>) -> tensor<?x10xf32> attributes {ternary.entry} {
  %one = arith.constant dense<1.0> : tensor<2x128xf32>
  %w1 = ternary.load @w1 : tensor<128x64x!ternary.trit>
  %w2 = ternary.load @w22 : tensor<10x128x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %h = ternary.linear %x, %w1, %s activations(int8_per_token)
    : tensor<?x64xf32>, tensor<128x64x!ternary.trit>, tensor<1xf32> -> tensor<2x128xf32>
  %r = ternary.gated_activation silu %h, %one : tensor<2x128xf32>
  %y = ternary.linear %r, %w2, %s activations(float)
    : tensor<2x128xf32>, tensor<10x128x!ternary.trit>, tensor<1xf32> -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  std::vector<float> x = randomFloats(8, 128);
  std::vector<float> y = floatsOf(interpreter, "main", {program.floats({2, 64}, x)});
  ASSERT_EQ(y.size(), 20u);

  WeightReader first = llvm::cantFail(WeightReader::create(program.weight("w1"), none));
  WeightReader second = llvm::cantFail(WeightReader::create(program.weight("w22"), none));
  WeightReader scales = llvm::cantFail(WeightReader::create(program.weight("s"), none));
  std::vector<int8_t> t1(128 * 64), t2(10 * 128), acts(64);
  float s;
  ASSERT_EQ(message(first.readTrits(0, 128, t1.data())), "no error");
  ASSERT_EQ(message(second.readTrits(0, 10, t2.data())), "no error");
  ASSERT_EQ(message(scales.readFloats(0, 1, &s)), "no error");
  for (int m = 0; m < 2; ++m) {
    float rowScale, h[128];
    int32_t sum;
    semantics::quantizeRow(&x[m * 64], 64, 64, acts.data(), &rowScale, &sum);
    for (int n = 0; n < 128; ++n) {
      int32_t acc = 0;
      for (int k = 0; k < 64; ++k)
        acc += acts[k] * t1[n * 64 + k];
      h[n] = semantics::silu((static_cast<float>(acc) * s) * rowScale, 1.0f);
    }
    for (int n = 0; n < 10; ++n)
      EXPECT_EQ(y[m * 10 + n], semantics::linearFloat(&t2[n * 128], h, 128, &s, 1));
  }
}

TEST(Interpreter, TakesTheWantedTailAndItsLogits) {
  Program program(weightText("e", "50x32xbf16", "50, 32") + R"(
func.func private @tail(%h: tensor<?x32xf32>, %wanted: index) -> tensor<?x32xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %h, %c0 : tensor<?x32xf32>
  %first = arith.subi %rows, %wanted : index
  %t = tensor.extract_slice %h[%first, 0] [%wanted, 32] [1, 1] : tensor<?x32xf32> to tensor<?x32xf32>
  return %t : tensor<?x32xf32>
}
func.func @forward(%ids: tensor<?xi32>, %wanted: index) -> (tensor<?x50xf32>, tensor<?x32xf32>) {
  %e = ternary.load @e : tensor<50x32xbf16>
  %h = ternary.embedding %ids, %e : tensor<?xi32>, tensor<50x32xbf16> -> tensor<?x32xf32>
  %t = call @tail(%h, %wanted) : (tensor<?x32xf32>, index) -> tensor<?x32xf32>
  %l = ternary.head %t, %e : tensor<?x32xf32>, tensor<50x32xbf16> -> tensor<?x50xf32>
  return %l, %h : tensor<?x50xf32>, tensor<?x32xf32>
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  auto results = llvm::cantFail(interpreter.run("forward", {program.ids({3, 49, 0}), int64_t(2)}));
  const TensorValue &logits = asTensor(results[0]), &h = asTensor(results[1]);
  EXPECT_EQ(logits.shape, (std::vector<int64_t>{2, 50}));
  EXPECT_EQ(h.shape, (std::vector<int64_t>{3, 32}));
  EXPECT_EQ(logits.f32[49], semantics::rowDot(&h.f32[32], &h.f32[32], 32));
  EXPECT_EQ(logits.f32[50], semantics::rowDot(&h.f32[64], &h.f32[64], 32));

  EXPECT_EQ(failure(program, "forward", {program.ids({3, 50}), int64_t(1)}),
            "@forward: ternary.embedding: row 1: expected an id from 0 to 49, got 50");
  EXPECT_EQ(failure(program, "forward", {program.ids({-1}), int64_t(1)}),
            "@forward: ternary.embedding: row 0: expected an id from 0 to 49, got -1");
  EXPECT_EQ(
      failure(program, "forward", {program.ids({1, 2}), int64_t(3)}),
      "@tail: tensor.extract_slice: dimension 0: expected a slice of 2 elements, got 3 from -1");
}

static std::string attentionText() {
  return R"(
func.func @f(%q: tensor<?x16xf32>, %k: tensor<?x8xf32>, %v: tensor<?x8xf32>, %p: index,
             %c: !ternary.kv_cache<2x4xf32>) -> tensor<?x16xf32> {
  %y = ternary.attention %q, %k, %v, %c at %p heads 4
    : tensor<?x16xf32>, tensor<?x8xf32>, tensor<?x8xf32>, !ternary.kv_cache<2x4xf32>
  return %y : tensor<?x16xf32>
})";
}

static std::shared_ptr<CacheValue> emptyCache(int64_t heads, int64_t headSize) {
  auto cache = std::make_shared<CacheValue>();
  cache->heads = heads, cache->headSize = headSize;
  return cache;
}

TEST(Interpreter, AttentionSharesKeyHeadsAndExtendsTheCache) {
  Program program(attentionText());
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  std::vector<float> q = randomFloats(1, 48), k = randomFloats(2, 24), v = randomFloats(3, 24);
  auto cache = emptyCache(2, 4);
  std::vector<float> y = floatsOf(interpreter, "f",
                                  {program.floats({3, 16}, q), program.floats({3, 8}, k),
                                   program.floats({3, 8}, v), int64_t(0), cache});
  EXPECT_EQ(cache->keys, k);
  EXPECT_EQ(cache->values, v);
  float expected[4];
  for (int row = 0; row < 3; ++row)
    for (int head = 0; head < 4; ++head) {
      semantics::attend(&q[row * 16 + head * 4], {&k[head / 2 * 4], 8}, {&v[head / 2 * 4], 8},
                        row + 1, 4, expected);
      for (int d = 0; d < 4; ++d)
        EXPECT_EQ(y[row * 16 + head * 4 + d], expected[d]);
    }
  // Going back overwrites positions; going past the end would leave a gap.
  auto at = [&](int64_t position) {
    return message(
        interpreter.run("f", {program.floats({1, 16}, randomFloats(4, 16)),
                              program.floats({1, 8}, randomFloats(5, 8)),
                              program.floats({1, 8}, randomFloats(6, 8)), position, cache}));
  };
  EXPECT_EQ(at(1), "no error");
  EXPECT_EQ(cache->keys.size(), 24u);
  EXPECT_EQ(cache->keys[8], randomFloats(5, 8)[0]);
  EXPECT_EQ(at(4), "@f: ternary.attention: the cache ends at position 3, got position 4");
  EXPECT_EQ(at(-1), "@f: ternary.attention: expected positions from 0 to 2^24, got 1 rows from "
                    "position -1");
}

TEST(Interpreter, RefusesPositionsThatBinary32CannotCount) {
  Program program(R"(
func.func @f(%p: index, %n: index) -> tensor<?x2xf32> {
  %a = ternary.rope_angles %p, %n frequencies(dense<[1.0]> : tensor<1xf32>) -> tensor<?x2xf32>
  return %a : tensor<?x2xf32>
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  std::vector<float> angles = floatsOf(interpreter, "f", {int64_t(16777214), int64_t(2)});
  ASSERT_EQ(angles.size(), 4u);
  EXPECT_EQ(angles[2], semantics::cos(16777215.0f));
  EXPECT_EQ(failure(program, "f", {int64_t(16777215), int64_t(2)}),
            "@f: ternary.rope_angles: expected positions from 0 to 2^24, got 2 rows from position "
            "16777215");
  EXPECT_EQ(
      failure(program, "f", {int64_t(0), int64_t(-2)}),
      "@f: ternary.rope_angles: expected positions from 0 to 2^24, got -2 rows from position 0");
}

TEST(Interpreter, QuantizesOnlineMastersAsTheDerivationsDo) {
  const char *const text = R"(
ternary.weight @m : tensor<8x32xbf16> from [SOURCE>]
ternary.weight @t : tensor<8x32x!ternary.trit> from [SOURCE, derive = absmean_trits>]
ternary.weight @s : tensor<1xf32> from [SOURCE, derive = absmean_scale>]
func.func @f() -> (tensor<8x32x!ternary.trit>, tensor<1xf32>, tensor<8x32x!ternary.trit>,
                   tensor<1xf32>) {
  %m = ternary.load @m : tensor<8x32xbf16>
  %t, %s = ternary.quantize_weight %m
    : tensor<8x32xbf16> -> tensor<8x32x!ternary.trit>, tensor<1xf32>
  %t2 = ternary.load @t : tensor<8x32x!ternary.trit>
  %s2 = ternary.load @s : tensor<1xf32>
  return %t, %s, %t2, %s2 : tensor<8x32x!ternary.trit>, tensor<1xf32>,
                            tensor<8x32x!ternary.trit>, tensor<1xf32>
})";
  std::string module(text), mark = "SOURCE";
  for (size_t at; (at = module.find(mark)) != std::string::npos;)
    module.replace(at, mark.size(),
                   "#ternary.source<file = 0, offset = 0, bytes = 512, "
                   "shape = [8, 32], encoding = bf16");
  Program program("module attributes {ternary.files = [\"w\"]} {" + module + "}");
  TempFolder folder;
  std::string bytes;
  for (float value : randomFloats(77, 256)) {
    uint16_t bits = semantics::toBF16(value);
    bytes.append(reinterpret_cast<char *>(&bits), 2);
  }
  folder.write("w", bytes);
  auto files = llvm::cantFail(WeightFiles::open(*program.module, folder.path()));
  auto results = llvm::cantFail(Interpreter(*program.module, files).run("f", {}));
  EXPECT_EQ(asTensor(results[0]).i8, asTensor(results[2]).i8);
  EXPECT_EQ(asTensor(results[1]).f32, asTensor(results[3]).f32);
  EXPECT_GT(asTensor(results[1]).f32[0], 1.0f);
}

//===----------------------------------------------------------------------===//
// Calls and their errors
//===----------------------------------------------------------------------===//

TEST(Interpreter, ShowsEveryOpToItsObserver) {
  Program program(R"(
func.func @inner(%i: index) -> index {
  %c = arith.constant 5 : index
  %r = arith.addi %i, %c : index
  return %r : index
}
func.func @f(%i: index) -> index {
  %r = call @inner(%i) : (index) -> index
  return %r : index
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  std::vector<std::string> seen;
  interpreter.setObserver([&](mlir::Operation *op, llvm::ArrayRef<RuntimeValue> results) {
    seen.push_back(op->getName().getStringRef().str() + " " +
                   std::to_string(std::get<int64_t>(results[0])));
  });
  auto results = llvm::cantFail(interpreter.run("f", {int64_t(2)}));
  EXPECT_EQ(std::get<int64_t>(results[0]), 7);
  EXPECT_EQ(seen, (std::vector<std::string>{"arith.constant 5", "arith.addi 7", "func.call 7"}));
}

TEST(Interpreter, ChecksTheArgumentsOfItsCaller) {
  Program program(R"(
func.func @f(%x: tensor<?x4xf32>, %c: !ternary.kv_cache<2x4xf32>, %i: index) {
  return
})");
  RuntimeValue x = program.floats({1, 4}, {1, 2, 3, 4}), cache = emptyCache(2, 4), i = int64_t(0);
  EXPECT_EQ(failure(program, "f", {x, cache, i}), "no error");
  EXPECT_EQ(failure(program, "g", {}), "expected a function named @g");
  EXPECT_EQ(failure(program, "f", {x}), "@f: expected 3 arguments, got 1");
  EXPECT_EQ(failure(program, "f", {x, cache, cache}),
            "@f: argument 2: expected index, got no index");
  EXPECT_EQ(failure(program, "f", {i, cache, i}),
            "@f: argument 0: expected tensor<?x4xf32>, got no tensor");
  EXPECT_EQ(failure(program, "f", {program.floats({1, 5}, {1, 2, 3, 4, 5}), cache, i}),
            "@f: argument 0: expected tensor<?x4xf32>, got shape [1, 5]");
  EXPECT_EQ(failure(program, "f", {program.floats({1, 4}, {1, 2, 3}), cache, i}),
            "@f: argument 0: expected tensor<?x4xf32>, got shape [1, 4] with 3 elements");
  EXPECT_EQ(failure(program, "f", {program.ids({1}), cache, i}),
            "@f: argument 0: expected tensor<?x4xf32>, got shape [1]");
  EXPECT_EQ(failure(program, "f", {x, emptyCache(4, 4), i}),
            "@f: argument 1: expected !ternary.kv_cache<2x4xf32>, got 4 heads of size 4");
  EXPECT_EQ(failure(program, "f", {x, std::shared_ptr<CacheValue>(), i}),
            "@f: argument 1: expected !ternary.kv_cache<2x4xf32>, got no cache");
}

TEST(Interpreter, NamesOpsItDoesNotKnow) {
  Program program(R"(
func.func @f(%i: index) -> index {
  %r = arith.muli %i, %i : index
  return %r : index
})");
  EXPECT_EQ(failure(program, "f", {int64_t(2)}),
            "@f: arith.muli: the interpreter does not know this op");
}

TEST(Interpreter, StopsEndlessRecursion) {
  Program program(R"(
func.func @f(%i: index) -> index {
  %r = call @f(%i) : (index) -> index
  return %r : index
}
func.func private @outside(index) -> index)");
  EXPECT_EQ(failure(program, "f", {int64_t(2)}), "@f: calls are more than 64 deep");
  EXPECT_EQ(failure(program, "outside", {int64_t(2)}), "@outside: expected a body of one block");
}

TEST(Interpreter, ReportsSizesThatOnlyShowAtRunTime) {
  Program program(R"(
func.func @add(%a: tensor<?x4xf32>, %b: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %r = arith.addf %a, %b : tensor<?x4xf32>
  return %r : tensor<?x4xf32>
}
func.func @overflow(%i: index) -> index {
  %c = arith.constant 9223372036854775807 : index
  %r = arith.addi %i, %c : index
  return %r : index
}
func.func @huge() -> tensor<1048576x1048576xf32> {
  %r = arith.constant dense<1.0> : tensor<1048576x1048576xf32>
  return %r : tensor<1048576x1048576xf32>
})");
  EXPECT_EQ(failure(program, "add",
                    {program.floats({1, 4}, {1, 2, 3, 4}),
                     program.floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})}),
            "@add: arith.addf: expected operands of one shape, got 4 and 8 elements");
  EXPECT_EQ(failure(program, "overflow", {int64_t(1)}),
            "@overflow: arith.addi: the result does not fit 64 bits");
  EXPECT_EQ(failure(program, "huge", {}),
            "@huge: arith.constant: shape [1048576, 1048576] is too large to interpret");
}
