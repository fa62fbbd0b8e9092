//===- sparse_test.cpp - what gates make zero is skipped exactly ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelCase.h"

#include "gtest/gtest.h"

#include <functional>

using namespace tern;
using namespace tern::test;

namespace {

/// A feed-forward block whose gate is an argument, so that a test sets it. 304 columns end in part
/// of a vector of tiles; 512 rows are two blocks of columns.
constexpr const char *kBlock = R"(
!up = tensor<304x512x!ternary.trit>
!down = tensor<512x304x!ternary.trit>
module attributes {ternary.files = []} {
  ternary.weight @up : !up from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [304, 512], encoding = random>]
  ternary.weight @down : !down from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [512, 304], encoding = random>]
  ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [1], encoding = random>]
  ternary.weight @gain : tensor<304xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [304], encoding = random>]
  func.func @main(%x: tensor<?x512xf32>, %g: tensor<?x304xf32>) -> tensor<?x512xf32> attributes {ternary.entry} {
    %up = ternary.load @up : !up
    %down = ternary.load @down : !down
    %s = ternary.load @s : tensor<1xf32>
    %gain = ternary.load @gain : tensor<304xf32>
    %u = ternary.linear %x, %up, %s activations(int8_per_token) : tensor<?x512xf32>, !up, tensor<1xf32> -> tensor<?x304xf32>
    %h = ternary.gated_activation relu2 %g, %u : tensor<?x304xf32>
    %n = ternary.rms_norm %h, %gain epsilon 1.0e-05 : tensor<?x304xf32>, tensor<304xf32>
    %d = ternary.linear %n, %down, %s activations(int8_per_token) : tensor<?x304xf32>, !down, tensor<1xf32> -> tensor<?x512xf32>
    %y = arith.addf %x, %d : tensor<?x512xf32>
    return %y : tensor<?x512xf32>
  }
})";

std::unique_ptr<JitModel> jit(ModelCase &model, const Target &target, const std::string &sparse) {
  auto copy = model.copy();
  CompileOptions options;
  options.targets = {target};
  options.maxRows = 40;
  options.sparse = sparse;
  auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
  if (!compiled) {
    ADD_FAILURE() << llvm::toString(compiled.takeError());
    return nullptr;
  }
  return std::move(*compiled);
}

/// Calls of a few row counts whose gates `open` says, by their number in the row.
std::vector<CallArguments> callsWith(ModelCase &model,
                                     const std::function<bool(int64_t row, int64_t i)> &open) {
  std::vector<CallArguments> calls;
  for (int64_t rows : {1, 2, 17, 33}) {
    CallArguments call = model.arguments(rows, rows, 0, 0);
    std::vector<float> &gate = call.floats[1];
    for (size_t i = 0; i < gate.size(); ++i) {
      float size = std::abs(gate[i]) + 0.1f;
      gate[i] = open(i / 304, i % 304) ? size : i % 3 ? -size : i % 2 ? 0.0f : -0.0f;
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

TEST(Sparse, EqualsDenseAndInterpreterAtEveryActivityLevelAndThreadCount) {
  ModelCase model(kBlock);
  ASSERT_TRUE(model.module());
  const std::function<bool(int64_t, int64_t)> activities[] = {
      [](int64_t, int64_t) { return false; },
      [](int64_t row, int64_t i) { return i == (row * 37 + 303) % 304; },
      [](int64_t row, int64_t i) { return (i * 7 + row) % 4 == 0; },
      [](int64_t, int64_t) { return true; },
  };
  std::vector<CallArguments> calls;
  for (const auto &open : activities)
    for (CallArguments &call : callsWith(model, open))
      calls.push_back(std::move(call));
  std::vector<CallResults> expected = model.interpret(calls);
  for (const Target &target : allTargets()) {
    if (!hostCanRun(target.cpuFeatures))
      continue;
    for (const char *sparse : {"on", "off"}) {
      auto compiled = jit(model, target, sparse);
      ASSERT_TRUE(compiled) << target.name;
      const tern_descriptor_t *descriptor = compiled->query()(TERN_ABI_VERSION);
      ASSERT_TRUE(descriptor);
      for (uint32_t threads : {1u, 2u, 3u}) {
        auto found = model.run(descriptor, compiled->payload().data(), 0, threads, calls);
        EXPECT_EQ(difference(expected, found), "")
            << target.name << ", sparse " << sparse << ", " << threads << " threads";
      }
    }
  }
}

TEST(Sparse, OptionIsChecked) {
  ModelCase model(kBlock);
  ASSERT_TRUE(model.module());
  auto copy = model.copy();
  CompileOptions options;
  options.sparse = "perhaps";
  auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
  ASSERT_FALSE(static_cast<bool>(compiled));
  EXPECT_EQ(llvm::toString(compiled.takeError()),
            "sparse 'perhaps' is not known, expected auto, on or off");
}

} // namespace
