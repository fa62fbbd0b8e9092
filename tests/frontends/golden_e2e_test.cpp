//===- golden_e2e_test.cpp - the bundled model from checkpoint to logits --===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/dialect/Npy.h"
#include "tests/support/GoldenModel.h"
#include "tests/support/ModelRun.h"
#include "gtest/gtest.h"

#include <cmath>
#include <filesystem>

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {
/// What all tests compare with: the library, its prompts, and what its best level says of them with
/// one thread.
struct Reference {
  TempFolder folder;
  std::string library = folder / "model.so";
  std::vector<GoldenPrompt> prompts = goldenPrompts();
  GoldenOutcome outcome;

  Reference() {
    compileFolder(kBundledModel, library);
    if (auto model = openModel(library))
      outcome = runPrompts(model->get(), 1, prompts);
  }
  /// Made once; goes away with the process.
  static const Reference &get() {
    static Reference reference;
    return reference;
  }
  std::vector<GoldenPrompt> first(size_t count) const {
    return {prompts.begin(), prompts.begin() + static_cast<std::ptrdiff_t>(count)};
  }
};
} // namespace

TEST(GoldenEndToEnd, CompiledLibraryAgreesWithTheReference) {
  const Reference &reference = Reference::get();
  ASSERT_EQ(reference.prompts.size(), 24u);
  expectGolden(reference.outcome, reference.prompts);
}

TEST(GoldenEndToEnd, EveryLevelAndThreadCountGivesTheSameBits) {
  const Reference &reference = Reference::get();
  for (const Target &level : hostLevels())
    for (uint32_t threads : {1u, 2u}) {
      SCOPED_TRACE(level.name + ", threads " + std::to_string(threads));
      auto model = openModel(reference.library, level.name);
      ASSERT_TRUE(model);
      tern_model_info_t info = {};
      info.struct_size = sizeof info;
      ASSERT_EQ(tern_model_get_info(model->get(), &info), TERN_STATUS_OK);
      EXPECT_EQ(level.name, info.level);
      GoldenOutcome outcome = runPrompts(model->get(), threads, reference.prompts);
      ASSERT_EQ(outcome.greedy.size(), 24u);
      expectSame(reference.outcome, outcome);
    }
}

TEST(GoldenEndToEnd, CodeInMemoryGivesTheSameBits) {
  const Reference &reference = Reference::get();
  std::vector<Target> levels = hostLevels();
  for (const Target &level : levels) {
    auto model = openModel(kBundledModel, level.name);
    ASSERT_TRUE(model);
    // The portable level is slow, and its code was compared in full above.
    bool best = level.name == levels.front().name;
    for (uint32_t threads : {1u, 2u}) {
      SCOPED_TRACE(level.name + ", threads " + std::to_string(threads));
      expectSame(reference.outcome,
                 runPrompts(model->get(), threads, reference.first(best ? 24 : 6)));
    }
  }
}

TEST(GoldenEndToEnd, ShardedMastersQuantizedOnlineAreTheSameModel) {
  const Reference &reference = Reference::get();
  TempFolder folder;
  writeOnlineFolder(folder);
  ASSERT_TRUE(std::filesystem::exists(folder / "model-2.safetensors"));
  std::string library = folder / "online.so";
  compileFolder(folder.path(), library);
  auto model = openModel(library);
  ASSERT_TRUE(model);
  GoldenOutcome outcome = runPrompts(model->get(), 2, reference.prompts);
  expectSame(reference.outcome, outcome);
  expectGolden(outcome, reference.prompts);
}

TEST(GoldenEndToEnd, DividingScalesStayWithinTheReferencesTolerances) {
  const Reference &reference = Reference::get();
  TempFolder folder;
  writeDividingFolder(folder);
  auto model = openModel(folder.path(), hostLevels().front().name);
  ASSERT_TRUE(model);
  GoldenOutcome outcome = runPrompts(model->get(), 2, reference.prompts);
  expectGolden(outcome, reference.prompts);
  mlir::MLIRContext context;
  auto imported = import::importModel(context, folder.path());
  ASSERT_TRUE(bool(imported)) << toString(imported.takeError());
  EXPECT_EQ(ModelRun(*imported).feed(reference.prompts[5].ids), outcome.lastLogits[5]);
}

/// Sum of -log p of each token after its predecessors.
static double windowLoss(tern_model_t *model, ArrayRef<int32_t> ids, size_t vocabulary) {
  SessionRun run(model, 2);
  std::vector<float> logits = run.prefillLogits(ids);
  double loss = 0;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    const float *row = logits.data() + i * vocabulary;
    double most = *std::max_element(row, row + vocabulary), sum = 0;
    for (size_t v = 0; v < vocabulary; ++v)
      sum += std::exp(row[v] - most);
    loss += most + std::log(sum) - row[ids[i + 1]];
  }
  return loss;
}

TEST(GoldenEndToEnd, MeanLossOfHeldOutTextIsTheReferences) {
  std::string path =
      TERN_SOURCE_DIR "/../shared/models/tiny-stories-bitnet/golden-dev/perplexity/ids.npy";
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " is not here";
  constexpr size_t kWindow = 512;
  std::vector<int32_t> ids = readNpy<int32_t>(path, "<i4");
  ASSERT_EQ(ids.size(), 40 * kWindow);
  auto model = openModel(Reference::get().library);
  ASSERT_TRUE(model);
  double loss = 0;
  for (size_t at = 0; at < ids.size(); at += kWindow)
    loss += windowLoss(model->get(), ArrayRef<int32_t>(ids).slice(at, kWindow), 4096);
  EXPECT_NEAR(loss / (40 * (kWindow - 1)), 2.15027, 0.001);
}

TEST(GoldenEndToEnd, PrefillInOneCallEqualsTokenByTokenAndChunks) {
  const Reference &reference = Reference::get();
  // 200 tokens: more than the 128 rows that one call of the code takes.
  const GoldenPrompt &prompt = reference.prompts[21];
  ASSERT_GE(prompt.ids.size(), 200u);
  for (const Target &level : hostLevels()) {
    SCOPED_TRACE(level.name);
    auto model = openModel(reference.library, level.name);
    ASSERT_TRUE(model);
    std::vector<float> whole = SessionRun(model->get(), 2).prefillLogits(prompt.ids);
    ASSERT_EQ(whole.size(), prompt.ids.size() * 4096);
    SessionRun single(model->get(), 1), chunks(model->get(), 2);
    ArrayRef<int32_t> left = prompt.ids;
    for (size_t chunk = 1; !left.empty(); ++chunk) {
      size_t count = std::min(chunk, left.size());
      for (int32_t id : left.take_front(count))
        single.decode(id);
      chunks.prefill(left.take_front(count));
      left = left.drop_front(count);
      size_t row = prompt.ids.size() - left.size() - 1;
      auto expected = ArrayRef<float>(whole).slice(row * 4096, 4096);
      ASSERT_EQ(ArrayRef<float>(single.logits()), expected) << "row " << row;
      ASSERT_EQ(ArrayRef<float>(chunks.logits()), expected) << "row " << row;
    }
  }
}

TEST(GoldenEndToEnd, InterpreterOfTheImportedModuleGivesTheSameBits) {
  mlir::MLIRContext context;
  auto imported = import::importModel(context, kBundledModel);
  ASSERT_TRUE(bool(imported)) << toString(imported.takeError());
  const GoldenPrompt &prompt = Reference::get().prompts[5];
  ASSERT_EQ(prompt.name, "once");
  ModelRun interpreter(*imported);
  EXPECT_EQ(interpreter.feed(prompt.ids), Reference::get().outcome.lastLogits[5]);
  // One step more: the cache, too, holds the same.
  auto model = openModel(Reference::get().library);
  ASSERT_TRUE(model);
  SessionRun compiled(model->get(), 2);
  compiled.prefill(prompt.ids);
  compiled.decode(prompt.greedy[0]);
  EXPECT_EQ(interpreter.feed({prompt.greedy[0]}), compiled.logits());
}
