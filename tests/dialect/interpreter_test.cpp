//===- interpreter_test.cpp - modules run slowly --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Program.h"
#include "dialect/Semantics.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>
#include <random>

using namespace tern;

static std::vector<float> randomFloats(unsigned seed, int64_t count) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-3.0f, 3.0f);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

/// One run whose result is a float tensor.
static std::vector<float> floatsOf(Interpreter &interpreter, llvm::StringRef function,
                                   std::vector<RuntimeValue> arguments) {
  auto results = interpreter.run(function, arguments);
  if (!results) {
    ADD_FAILURE() << llvm::toString(results.takeError());
    return {};
  }
  return asTensor((*results)[0]).f32;
}

static std::string failure(Program &program, llvm::StringRef function,
                           std::vector<RuntimeValue> arguments) {
  WeightFiles files;
  return message(Interpreter(*program.module, files).run(function, arguments));
}

static std::string weightText(llvm::StringRef name, llvm::StringRef type, llvm::StringRef shape) {
  return llvm::formatv("ternary.weight @{0} : tensor<{1}> from [#ternary.source<file = 0, "
                       "offset = {3}, bytes = 0, shape = [{2}], encoding = random>]\n",
                       name, type, shape, name.size())
      .str();
}

//===----------------------------------------------------------------------===//
// Linear layers: every form of one layer gives the same bits
//===----------------------------------------------------------------------===//

/// Functions over one layer of 37 x 96 (or 100 for scales without groups): @linear, @steps, @fused.
static std::string linearText(llvm::StringRef weight, llvm::StringRef scale, int64_t columns,
                              int64_t groups) {
  static const char *const text = R"(
func.func @linear(%x: tensor<?x{2}xf32>) -> tensor<?x37xf32> {{
  %w = ternary.load @w : tensor<{0}>
  %s = ternary.load @s : tensor<{1}>
  %y = ternary.linear %x, %w, %s activations(int8_per_token)
    : tensor<?x{2}xf32>, tensor<{0}>, tensor<{1}> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
func.func @float(%x: tensor<?x{2}xf32>) -> tensor<?x37xf32> {{
  %w = ternary.load @w : tensor<{0}>
  %s = ternary.load @s : tensor<{1}>
  %y = ternary.linear %x, %w, %s activations(float)
    : tensor<?x{2}xf32>, tensor<{0}>, tensor<{1}> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
func.func @steps(%x: tensor<?x{2}xf32>) -> tensor<?x37xf32> {{
  %w = ternary.load @w : tensor<{0}>
  %s = ternary.load @s : tensor<{1}>
  %q, %qs, %offsets = ternary.quantize_rows %x group {4}
    : tensor<?x{2}xf32> -> tensor<?x{2}xi8>, tensor<?xf32>, tensor<?x{3}xi32>
  %acc = ternary.matmul %q, %w : tensor<?x{2}xi8>, tensor<{0}> -> tensor<?x37x{3}xi32>
  %y = ternary.rescale %acc, %qs, %s
    : tensor<?x37x{3}xi32>, tensor<?xf32>, tensor<{1}> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
func.func @fused(%x: tensor<?x{2}xf32>) -> tensor<?x37xf32> {{
  %w = ternary.load @w : tensor<{0}>
  %s = ternary.load @s : tensor<{1}>
  %q, %qs, %offsets = ternary.quantize_rows %x group {4}
    : tensor<?x{2}xf32> -> tensor<?x{2}xi8>, tensor<?xf32>, tensor<?x{3}xi32>
  %y = ternary.fused_linear %q, %qs, %offsets, %w, %s
    : tensor<?x{2}xi8>, tensor<?xf32>, tensor<?x{3}xi32>, tensor<{0}>, tensor<{1}> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
)";
  return llvm::formatv(text, weight, scale, columns, groups, columns / groups).str();
}

namespace {
struct LinearCase {
  const char *scale, *scaleShape, *packedScale;
  int64_t columns, groups;
};
} // namespace

class LinearForms : public testing::TestWithParam<LinearCase> {};

TEST_P(LinearForms, AgreeBitForBitBeforeAndAfterPacking) {
  const LinearCase &c = GetParam();
  std::string trits = llvm::formatv("37x{0}x!ternary.trit", c.columns).str();
  std::string shape = llvm::formatv("37, {0}", c.columns).str();
  Program plain(weightText("w", trits, shape) + weightText("s", c.scale, c.scaleShape) +
                linearText(trits, c.scale, c.columns, c.groups));
  WeightFiles none;
  Interpreter interpreter(*plain.module, none);
  RuntimeValue x = plain.floats({5, c.columns}, randomFloats(9, 5 * c.columns));
  std::vector<float> expected = floatsOf(interpreter, "linear", {x});
  ASSERT_EQ(expected.size(), 5u * 37u);
  EXPECT_EQ(floatsOf(interpreter, "steps", {x}), expected);
  EXPECT_EQ(floatsOf(interpreter, "fused", {x}), expected);
  std::vector<float> expectedFloat = floatsOf(interpreter, "float", {x});

  double worst = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(double(expected[i]) - expectedFloat[i]));
    largest = std::max(largest, std::abs(double(expectedFloat[i])));
  }
  EXPECT_LT(worst, 0.03 * largest) << "int8 activations approximate float ones";

  for (const char *packing : {"two_bit, rows = 16, k = 16", "base3, rows = 5, k = 20"}) {
    std::string packed = trits + ", #ternary.packing<" + packing + ">";
    Program after(weightText("w", packed, shape) + weightText("s", c.packedScale, c.scaleShape) +
                  linearText(packed, c.packedScale, c.columns, c.groups));
    Interpreter second(*after.module, none);
    RuntimeValue same = after.floats({5, c.columns}, randomFloats(9, 5 * c.columns));
    for (const char *function : {"linear", "steps", "fused"})
      EXPECT_EQ(floatsOf(second, function, {same}), expected) << function << " " << packing;
    EXPECT_EQ(floatsOf(second, "float", {same}), expectedFloat) << packing;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Scales, LinearForms,
    testing::Values(LinearCase{"1xf32", "1", "37x1xf32, #ternary.scales<rows = 16>", 100, 1},
                    LinearCase{"37xf32", "37", "37x1xf32, #ternary.scales<rows = 16>", 100, 1},
                    LinearCase{"37x3xf32", "37, 3", "37x3xf32, #ternary.scales<rows = 16>", 96,
                               3}));

TEST(Interpreter, PackAndUnpackKeepTheTrits) {
  for (const char *packing : {"two_bit, rows = 16, k = 16", "base3, rows = 3, k = 20"}) {
    Program program(weightText("w", "19x45x!ternary.trit", "19, 45") + llvm::formatv(R"(
func.func @f() -> (tensor<19x45x!ternary.trit>, tensor<19x45x!ternary.trit>,
                   tensor<19x45x!ternary.trit, #ternary.packing<{0}>>) {{
  %w = ternary.load @w : tensor<19x45x!ternary.trit>
  %p = ternary.pack %w : tensor<19x45x!ternary.trit>
    -> tensor<19x45x!ternary.trit, #ternary.packing<{0}>>
  %u = ternary.unpack %p : tensor<19x45x!ternary.trit, #ternary.packing<{0}>>
    -> tensor<19x45x!ternary.trit>
  return %w, %u, %p : tensor<19x45x!ternary.trit>, tensor<19x45x!ternary.trit>,
                      tensor<19x45x!ternary.trit, #ternary.packing<{0}>>
})",
                                                                                     packing)
                                                                           .str());
    WeightFiles none;
    auto results = llvm::cantFail(Interpreter(*program.module, none).run("f", {}));
    EXPECT_EQ(asTensor(results[0]).i8, asTensor(results[1]).i8);
    const TensorValue &packed = asTensor(results[2]);
    EXPECT_EQ(packed.shape, (std::vector<int64_t>{19, 45}));
    EXPECT_NE(packed.i8.size(), 19u * 45u);
  }
}

TEST(Interpreter, RefusesBytesThatAreNoPackedTrits) {
  const char *const type =
      "tensor<3x16x!ternary.trit, #ternary.packing<two_bit, rows = 2, k = 16>>";
  Program program(llvm::formatv(R"(
func.func @f(%p: {0}) -> tensor<3x16x!ternary.trit> {{
  %u = ternary.unpack %p : {0} -> tensor<3x16x!ternary.trit>
  return %u : tensor<3x16x!ternary.trit>
})",
                                type)
                      .str());
  auto packed = program.tensor(type, {3, 16});
  auto run = [&] { return failure(program, "f", {std::shared_ptr<const TensorValue>(packed)}); };
  EXPECT_NE(run().find("shape [3, 16] with 0 elements"), std::string::npos) << run();
  packed->i8.assign(16, 0x55);
  EXPECT_EQ(run(), "no error");
  packed->i8[9] = 0x5f; // row 2: code 3
  EXPECT_EQ(run(), "@f: ternary.unpack: rows from 2 on are no packed trits");
  packed->i8[9] = 0x55, packed->i8[12] = 0; // row 3 is not there
  EXPECT_EQ(run(), "@f: ternary.unpack: rows from 2 on are no packed trits");
  packed->type = mlir::cast<mlir::RankedTensorType>(program.type("tensor<3x16x!ternary.trit>"));
  EXPECT_NE(run().find("got tensor<3x16x!ternary.trit>"), std::string::npos) << run();
}

TEST(Interpreter, ActivationsWithAScaleAGroupAgreeInAllForms) {
  Program program(weightText("w", "37x128x!ternary.trit", "37, 128") +
                  weightText("s", "37x2xf32", "37, 2") + R"(
func.func @linear(%x: tensor<?x128xf32>) -> tensor<?x37xf32> {
  %w = ternary.load @w : tensor<37x128x!ternary.trit>
  %s = ternary.load @s : tensor<37x2xf32>
  %y = ternary.linear %x, %w, %s activations(int8_per_32)
    : tensor<?x128xf32>, tensor<37x128x!ternary.trit>, tensor<37x2xf32> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
func.func @float(%x: tensor<?x128xf32>) -> tensor<?x37xf32> {
  %w = ternary.load @w : tensor<37x128x!ternary.trit>
  %s = ternary.load @s : tensor<37x2xf32>
  %y = ternary.linear %x, %w, %s activations(float)
    : tensor<?x128xf32>, tensor<37x128x!ternary.trit>, tensor<37x2xf32> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
func.func @steps(%x: tensor<?x128xf32>) -> tensor<?x37xf32> {
  %w = ternary.load @w : tensor<37x128x!ternary.trit>
  %s = ternary.load @s : tensor<37x2xf32>
  %q, %qs, %o = ternary.quantize_rows %x group 32
    : tensor<?x128xf32> -> tensor<?x128xi8>, tensor<?x4xf32>, tensor<?x4xi32>
  %acc = ternary.matmul %q, %w
    : tensor<?x128xi8>, tensor<37x128x!ternary.trit> -> tensor<?x37x4xi32>
  %y = ternary.rescale %acc, %qs, %s
    : tensor<?x37x4xi32>, tensor<?x4xf32>, tensor<37x2xf32> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
func.func @fused(%x: tensor<?x128xf32>) -> tensor<?x37xf32> {
  %w = ternary.load @w : tensor<37x128x!ternary.trit>
  %s = ternary.load @s : tensor<37x2xf32>
  %q, %qs, %o = ternary.quantize_rows %x group 32
    : tensor<?x128xf32> -> tensor<?x128xi8>, tensor<?x4xf32>, tensor<?x4xi32>
  %y = ternary.fused_linear %q, %qs, %o, %w, %s
    : tensor<?x128xi8>, tensor<?x4xf32>, tensor<?x4xi32>, tensor<37x128x!ternary.trit>,
      tensor<37x2xf32> -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
)");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  std::vector<float> values = randomFloats(9, 3 * 128);
  // Groups of very different sizes: one scale a token would lose the small ones.
  for (size_t i = 0; i < values.size(); ++i)
    values[i] *= i / 32 % 2 ? 1e-3f : 1.0f;
  RuntimeValue x = program.floats({3, 128}, values);
  std::vector<float> expected = floatsOf(interpreter, "linear", {x});
  ASSERT_EQ(expected.size(), 3u * 37u);
  EXPECT_EQ(floatsOf(interpreter, "steps", {x}), expected);
  EXPECT_EQ(floatsOf(interpreter, "fused", {x}), expected);
  std::vector<float> exact = floatsOf(interpreter, "float", {x});
  double worst = 0, largest = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(double(expected[i]) - exact[i]));
    largest = std::max(largest, std::abs(double(exact[i])));
  }
  EXPECT_LT(worst, 0.03 * largest);
}

TEST(Interpreter, NormInsideQuantizeRowsEqualsNormBefore) {
  Program program(weightText("g", "64xf32", "64") + R"(
func.func @apart(%x: tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>) {
  %g = ternary.load @g : tensor<64xf32>
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %n group 32
    : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
  return %q, %s, %offsets : tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
}
func.func @together(%x: tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>) {
  %g = ternary.load @g : tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %x norm(%g, 1.0e-05) group 32
    : tensor<?x64xf32>, tensor<64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
  return %q, %s, %offsets : tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  RuntimeValue x = program.floats({3, 64}, randomFloats(1, 192));
  auto apart = llvm::cantFail(interpreter.run("apart", {x}));
  auto together = llvm::cantFail(interpreter.run("together", {x}));
  EXPECT_EQ(asTensor(apart[0]).i8, asTensor(together[0]).i8);
  EXPECT_EQ(asTensor(apart[1]).f32, asTensor(together[1]).f32);
  EXPECT_EQ(asTensor(apart[2]).i32, asTensor(together[2]).i32);
}

TEST(Interpreter, NormOfHeadsEqualsNormsOfTheirParts) {
  Program program(weightText("g", "40xf32", "40") + R"(
func.func @heads(%x: tensor<?x120xf32>) -> tensor<?x120xf32> {
  %g = ternary.load @g : tensor<40xf32>
  %n = ternary.rms_norm %x, %g epsilon 1.0e-06 heads 3 : tensor<?x120xf32>, tensor<40xf32>
  return %n : tensor<?x120xf32>
}
func.func @rows(%x: tensor<?x40xf32>) -> tensor<?x40xf32> {
  %g = ternary.load @g : tensor<40xf32>
  %n = ternary.rms_norm %x, %g epsilon 1.0e-06 : tensor<?x40xf32>, tensor<40xf32>
  return %n : tensor<?x40xf32>
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  std::vector<float> values = randomFloats(2, 240);
  auto heads = llvm::cantFail(interpreter.run("heads", {program.floats({2, 120}, values)}));
  auto rows = llvm::cantFail(interpreter.run("rows", {program.floats({6, 40}, values)}));
  EXPECT_EQ(asTensor(heads[0]).f32, asTensor(rows[0]).f32);
}

TEST(Interpreter, ResidualIsAddedOnTheLeft) {
  Program program(weightText("w", "4x32x!ternary.trit", "4, 32") + weightText("s", "1xf32", "1") +
                  R"(
func.func @f(%x: tensor<?x32xf32>, %h: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %w = ternary.load @w : tensor<4x32x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %q, %qs, %offsets = ternary.quantize_rows %x group 32
    : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %q, %qs, %offsets, %w, %s residual(%h : tensor<?x4xf32>)
    : tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<4x32x!ternary.trit>, tensor<1xf32>
    -> tensor<?x4xf32>
  %l = ternary.linear %x, %w, %s activations(int8_per_token)
    : tensor<?x32xf32>, tensor<4x32x!ternary.trit>, tensor<1xf32> -> tensor<?x4xf32>
  %z = arith.addf %h, %l : tensor<?x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
})");
  WeightFiles none;
  Interpreter interpreter(*program.module, none);
  auto results = llvm::cantFail(interpreter.run("f", {program.floats({2, 32}, randomFloats(3, 64)),
                                                      program.floats({2, 4}, randomFloats(4, 8))}));
  EXPECT_EQ(asTensor(results[0]).f32, asTensor(results[1]).f32);
  EXPECT_EQ(failure(program, "f",
                    {program.floats({2, 32}, randomFloats(3, 64)),
                     program.floats({1, 4}, randomFloats(4, 4))}),
            "@f: ternary.fused_linear: expected 2 rows of the residual, got 1");
}

TEST(Interpreter, RefusesOffsetsOfOtherActivations) {
  Program program(weightText("w", "4x32x!ternary.trit", "4, 32") + weightText("s", "1xf32", "1") +
                  R"(
func.func @f(%x: tensor<?x32xf32>, %z: tensor<?x32xf32>) -> tensor<?x4xf32> {
  %w = ternary.load @w : tensor<4x32x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %q, %qs, %offsets = ternary.quantize_rows %x group 32
    : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  %q2, %qs2, %offsets2 = ternary.quantize_rows %z group 32
    : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %q, %qs, %offsets2, %w, %s
    : tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<4x32x!ternary.trit>, tensor<1xf32>
    -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
})");
  EXPECT_EQ(failure(program, "f",
                    {program.floats({1, 32}, std::vector<float>(32, 1.0f)),
                     program.floats({1, 32}, std::vector<float>(32, -1.0f))}),
            "@f: ternary.fused_linear: row 0, group 0: expected an offset of -4064, got 4064");
}

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
  float scratch[3], expected[4];
  for (int row = 0; row < 3; ++row)
    for (int head = 0; head < 4; ++head) {
      semantics::attend(&q[row * 16 + head * 4], &k[head / 2 * 4], &v[head / 2 * 4], row + 1, 8, 4,
                        scratch, expected);
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
  TemporaryFolder folder;
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
