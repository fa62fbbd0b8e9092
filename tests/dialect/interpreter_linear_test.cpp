//===- interpreter_linear_test.cpp - linear layers run slowly -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Runs.h"

#include <cmath>

using namespace tern;

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
