//===- compile_test.cpp - compiled modules equal the interpreter ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelCase.h"

#include "tests/support/RandomModules.h"
#include "gtest/gtest.h"

using namespace tern;
using namespace tern::test;

static std::vector<Target> runnableTargets() {
  std::vector<Target> targets;
  for (const Target &target : allTargets())
    if (hostCanRun(target.cpuFeatures))
      targets.push_back(target);
  return targets;
}

static std::vector<Target> bestTarget() { return {runnableTargets().front()}; }

static std::unique_ptr<JitModel> jit(ModelCase &model, const Target &target,
                                     const std::string &packing = "two_bit") {
  auto copy = model.copy();
  CompileOptions options;
  options.targets = {target};
  options.maxRows = 40;
  options.packing = packing;
  auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
  if (!compiled) {
    ADD_FAILURE() << llvm::toString(compiled.takeError());
    return nullptr;
  }
  return std::move(*compiled);
}

static void expectEqual(ModelCase &model, const std::vector<CallArguments> &calls,
                        llvm::ArrayRef<Target> targets, const std::string &packing = "two_bit") {
  std::vector<CallResults> expected = model.interpret(calls);
  for (const Target &target : targets) {
    auto compiled = jit(model, target, packing);
    ASSERT_TRUE(compiled) << target.name;
    const tern_descriptor_t *descriptor = compiled->query()(TERN_ABI_VERSION);
    ASSERT_TRUE(descriptor);
    for (uint32_t threads : {1u, 2u, 3u}) {
      auto found = model.run(descriptor, compiled->payload().data(), 0, threads, calls);
      EXPECT_EQ(difference(expected, found), "") << target.name << ", " << threads << " threads";
    }
  }
}

TEST(Compile, MlpsEqualTheInterpreterAtEveryLevelAndThreadCount) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelCase model(randomMlp(seed));
    ASSERT_TRUE(model.module());
    std::vector<CallArguments> calls;
    for (int64_t rows : {1, 2, 7, 33})
      calls.push_back(model.arguments(seed * 100 + rows, rows, 0, 0));
    expectEqual(model, calls, seed % 3 ? bestTarget() : runnableTargets());
  }
}

TEST(Compile, DecodersEqualTheInterpreterAtEveryLevelAndThreadCount) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelCase model(randomDecoder(seed, 3));
    ASSERT_TRUE(model.module());
    std::vector<CallArguments> calls = {
        model.arguments(seed, 9, 0, 4), model.arguments(seed + 1, 1, 9, 1),
        model.arguments(seed + 2, 2, 10, 0), model.arguments(seed + 3, 3, 12, 3)};
    expectEqual(model, calls, seed % 2 ? runnableTargets() : bestTarget());
  }
}

/// A call whose argument starts at a row known only at run time gets a row of the calls table made
/// on the stack; calls before and after it have theirs in the constant table.
TEST(Compile, CallsOnRowsThatStartAnywhereEqualTheInterpreter) {
  ModelCase model(R"(
!w = tensor<96x96x!ternary.trit>
module attributes {ternary.files = []} {
  ternary.weight @w : !w from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [96, 96], encoding = random>]
  ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
  func.func private @layer(%x: tensor<?x96xf32>, %w: !w, %s: tensor<1xf32>) -> tensor<?x96xf32> {
    %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x96xf32>, !w, tensor<1xf32> -> tensor<?x96xf32>
    %z = arith.addf %x, %y : tensor<?x96xf32>
    return %z : tensor<?x96xf32>
  }
  func.func @main(%x: tensor<?x96xf32>, %position: index, %wanted: index) -> tensor<?x96xf32> attributes {ternary.entry} {
    %zero = arith.constant 0 : index
    %w = ternary.load @w : !w
    %s = ternary.load @s : tensor<1xf32>
    %count = tensor.dim %x, %zero : tensor<?x96xf32>
    %first = arith.subi %count, %wanted : index
    %0 = call @layer(%x, %w, %s) : (tensor<?x96xf32>, !w, tensor<1xf32>) -> tensor<?x96xf32>
    %1 = call @layer(%0, %w, %s) : (tensor<?x96xf32>, !w, tensor<1xf32>) -> tensor<?x96xf32>
    %tail = tensor.extract_slice %1[%first, 0] [%wanted, 96] [1, 1] : tensor<?x96xf32> to tensor<?x96xf32>
    %2 = call @layer(%tail, %w, %s) : (tensor<?x96xf32>, !w, tensor<1xf32>) -> tensor<?x96xf32>
    %3 = call @layer(%2, %w, %s) : (tensor<?x96xf32>, !w, tensor<1xf32>) -> tensor<?x96xf32>
    %4 = arith.addf %3, %tail : tensor<?x96xf32>
    return %4 : tensor<?x96xf32>
  }
})");
  ASSERT_TRUE(model.module());
  std::vector<CallArguments> calls = {model.arguments(1, 9, 0, 9), model.arguments(2, 9, 0, 4),
                                      model.arguments(3, 5, 0, 1), model.arguments(4, 1, 0, 1)};
  expectEqual(model, calls, runnableTargets());
}

TEST(Compile, BarriersSuffice) {
  for (uint64_t seed = 31; seed <= 36; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    bool decoder = seed % 2;
    ModelCase model(decoder ? randomDecoder(seed, 2) : randomMlp(seed));
    ASSERT_TRUE(model.module());
    std::vector<CallArguments> calls = {model.arguments(1, 7, 0, 3), model.arguments(2, 1, 7, 1),
                                        model.arguments(3, 2, 8, 2)};
    std::vector<CallResults> expected = model.interpret(calls);
    auto compiled = jit(model, runnableTargets().front());
    ASSERT_TRUE(compiled);
    for (uint32_t threads : {2u, 5u})
      for (Schedule schedule : {Schedule::Ascending, Schedule::Descending}) {
        auto found = model.run(compiled->query()(TERN_ABI_VERSION), compiled->payload().data(), 0,
                               threads, calls, schedule);
        EXPECT_EQ(difference(expected, found), "")
            << threads << " threads, " << (schedule == Schedule::Ascending ? "up" : "down");
      }
  }
}

TEST(Compile, DecodersInBase3EqualTheInterpreter) {
  ModelCase model(randomDecoder(11, 2));
  ASSERT_TRUE(model.module());
  std::vector<CallArguments> calls = {model.arguments(1, 5, 0, 1), model.arguments(2, 1, 5, 1)};
  expectEqual(model, calls, runnableTargets(), "base3");
}

TEST(Compile, PrefillInChunksEqualsTokenByToken) {
  for (uint64_t seed = 21; seed <= 23; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelCase model(randomDecoder(seed, 2));
    ASSERT_TRUE(model.module());
    auto compiled = jit(model, runnableTargets().front());
    ASSERT_TRUE(compiled);
    const tern_descriptor_t *descriptor = compiled->query()(TERN_ABI_VERSION);
    CallArguments whole = model.arguments(seed, 24, 0, 24);
    CallResults expected = model.run(descriptor, compiled->payload().data(), 0, 2, {whole}).front();
    size_t vocabulary = expected[0].size() / 24;
    for (int64_t chunk : {1, 5, 16}) {
      std::vector<CallArguments> calls;
      for (int64_t at = 0; at < 24; at += chunk) {
        int64_t rows = std::min<int64_t>(chunk, 24 - at);
        CallArguments call = whole;
        call.rows = rows;
        call.indices = {at, rows};
        call.ids[0].assign(whole.ids[0].begin() + at, whole.ids[0].begin() + at + rows);
        calls.push_back(call);
      }
      CallResults joined(1);
      for (const CallResults &part : model.run(descriptor, compiled->payload().data(), 0, 3, calls))
        joined[0].insert(joined[0].end(), part[0].begin(), part[0].end());
      EXPECT_EQ(difference({expected}, {joined}), "")
          << "chunks of " << chunk << ", vocabulary " << vocabulary;
    }
  }
}
