//===- attention_test.cpp - compiled attention equals the interpreter -----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelCase.h"
#include "codegen/AttentionKernel.h"

#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"

using namespace tern;
using namespace tern::test;

namespace {

struct Shape {
  int64_t heads, cacheHeads, size;
  const char *element;
  std::string text() const {
    return llvm::formatv("{0} heads, {1} of {2} x {3}", heads, cacheHeads, size, element).str();
  }
};

std::string attentionModule(const Shape &shape) {
  return llvm::formatv(R"(
!q = tensor<?x{0}xf32>
!k = tensor<?x{1}xf32>
!c = !ternary.kv_cache<{2}x{3}x{4}>
module attributes {{ternary.files = []} {{
  func.func @main(%q: !q, %k: !k, %v: !k, %position: index, %c: !c) -> !q attributes {{ternary.entry} {{
    %y = ternary.attention %q, %k, %v, %c at %position heads {5} : !q, !k, !k, !c
    return %y : !q
  }
})",
                       shape.heads * shape.size, shape.cacheHeads * shape.size, shape.cacheHeads,
                       shape.size, shape.element, shape.heads)
      .str();
}

std::vector<Target> runnableTargets() {
  std::vector<Target> targets;
  for (const Target &target : allTargets())
    if (hostCanRun(target.cpuFeatures))
      targets.push_back(target);
  return targets;
}

/// Calls of `rows` rows each, from position 0 on.
std::vector<CallArguments> callsOf(ModelCase &model, const std::vector<int64_t> &rows) {
  std::vector<CallArguments> calls;
  int64_t position = 0;
  for (int64_t count : rows) {
    calls.push_back(model.arguments(static_cast<uint64_t>(position + 7), count, position, 0));
    position += count;
  }
  return calls;
}

void expectEqual(const Shape &shape, const std::vector<int64_t> &rows, int64_t capacity,
                 llvm::ArrayRef<Target> targets, llvm::ArrayRef<uint32_t> threadCounts) {
  SCOPED_TRACE(shape.text());
  ModelCase model(attentionModule(shape));
  ASSERT_TRUE(model.module());
  model.capacity = capacity;
  std::vector<CallArguments> calls = callsOf(model, rows);
  std::vector<CallResults> expected = model.interpret(calls);
  for (const Target &target : targets) {
    auto copy = model.copy();
    CompileOptions options;
    options.targets = {target};
    options.maxRows = 600;
    auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
    ASSERT_TRUE(static_cast<bool>(compiled)) << llvm::toString(compiled.takeError());
    const tern_descriptor_t *descriptor = (*compiled)->query()(TERN_ABI_VERSION);
    for (uint32_t threads : threadCounts) {
      auto found = model.run(descriptor, (*compiled)->payload().data(), 0, threads, calls);
      EXPECT_EQ(difference(expected, found), "") << target.name << ", " << threads << " threads";
    }
  }
}

} // namespace

TEST(Attention, EveryHeadSizeAndElementEqualsTheInterpreterAtEveryLevel) {
  for (const char *element : {"f32", "f16", "i8"})
    for (int64_t size : {2, 10, 16, 64, 80, 96, 128, 130})
      expectEqual({4, 2, size, element}, {1, 5, 1, 70, 1, 1}, 128, runnableTargets(), {1, 2, 3});
}

TEST(Attention, GroupsOfQueryHeadsEqualTheInterpreter) {
  for (int64_t group : {1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 20, 32})
    for (const char *element : {"f32", "i8"})
      expectEqual({2 * group, 2, 16, element}, {3, 1, 20, 1}, 64, runnableTargets().front(),
                  {1, 3});
}

/// Positions around the edges of blocks and tiles, in calls of one row and of many.
TEST(Attention, BlockEdgesEqualTheInterpreter) {
  for (const char *element : {"f32", "f16", "i8"}) {
    expectEqual({8, 2, 64, element}, {254, 1, 1, 1, 1, 3, 251, 1, 1, 87, 1}, 640, runnableTargets(),
                {1, 2, 3});
    expectEqual({4, 1, 32, element}, {600, 1, 2}, 603, runnableTargets(), {2});
  }
}

/// However the rows of a sequence are cut into calls, and from whatever the cache held before.
TEST(Attention, RowsAreIndependentOfTheirCall) {
  ModelCase model(attentionModule({4, 2, 16, "i8"}));
  ASSERT_TRUE(model.module());
  model.capacity = 320;
  CallArguments whole = model.arguments(3, 300, 0, 0);
  CallResults expected = model.interpret({whole}).front();
  auto copy = model.copy();
  CompileOptions options;
  options.targets = {runnableTargets().front()};
  options.maxRows = 300;
  auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
  ASSERT_TRUE(static_cast<bool>(compiled)) << llvm::toString(compiled.takeError());
  const tern_descriptor_t *descriptor = (*compiled)->query()(TERN_ABI_VERSION);
  for (int64_t chunk : {1, 7, 64, 299}) {
    std::vector<CallArguments> calls;
    for (int64_t at = 0; at < 300; at += chunk) {
      int64_t rows = std::min<int64_t>(chunk, 300 - at);
      CallArguments call = whole;
      call.rows = rows, call.indices = {at};
      for (std::vector<float> &floats : call.floats) {
        auto columns = static_cast<int64_t>(floats.size()) / 300;
        floats = std::vector<float>(floats.begin() + at * columns,
                                    floats.begin() + (at + rows) * columns);
      }
      calls.push_back(call);
    }
    CallResults joined(1);
    for (const CallResults &part :
         model.run(descriptor, (*compiled)->payload().data(), 0, 2, calls))
      joined[0].insert(joined[0].end(), part[0].begin(), part[0].end());
    EXPECT_EQ(difference({expected}, {joined}), "") << "calls of " << chunk;
  }
}

TEST(Attention, ACacheTakesTheBytesItsElementsNeed) {
  auto bytes = [](const char *element) -> uint64_t {
    ModelCase model(attentionModule({4, 2, 64, element}));
    auto copy = model.copy();
    CompileOptions options;
    options.targets = {runnableTargets().front()};
    auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
    return compiled ? (*compiled)->query()(TERN_ABI_VERSION)->kv_bytes_per_position : 0;
  };
  EXPECT_EQ(bytes("f32"), 2u * 2 * 64 * 4);
  EXPECT_EQ(bytes("f16"), 2u * 2 * 64 * 2);
  EXPECT_EQ(bytes("i8"), 2u * 2 * (64 + 4));
}
