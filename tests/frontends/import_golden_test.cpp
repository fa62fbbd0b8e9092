//===- import_golden_test.cpp - imported models compute what HF computes --===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Interpreter.h"
#include "frontends/import/Import.h"
#include "frontends/import/Json.h"
#include "tests/support/ModelRun.h"
#include "gtest/gtest.h"

#include <fstream>
#include <set>

using namespace llvm;
using namespace tern;

static const std::string kModel = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";
static const std::string kData = TERN_SOURCE_DIR "/tests/data/tiny-stories-bitnet";

namespace {
struct Prompt {
  std::string name;
  std::vector<int32_t> ids, greedy;
  std::vector<double> margins;
};
} // namespace

static std::vector<Prompt> readPrompts() {
  auto document = import::JsonDocument::read(kData + "/prompts.json");
  EXPECT_TRUE(bool(document)) << toString(document.takeError());
  std::vector<Prompt> prompts;
  ArrayRef<import::Json> entries = cantFail(document->root().array());
  for (const import::Json &entry : entries) {
    Prompt &prompt = prompts.emplace_back();
    prompt.name = entry.getString("name")->str();
    ArrayRef<import::Json> ids = cantFail(entry.getArray("input_ids"));
    for (const import::Json &id : ids)
      prompt.ids.push_back(*id.integer());
    const import::Json *golden = *entry.get("fp32");
    ArrayRef<import::Json> greedy = cantFail(golden->getArray("greedy_ids"));
    for (const import::Json &id : greedy)
      prompt.greedy.push_back(*id.integer());
    ArrayRef<import::Json> margins = cantFail(golden->getArray("greedy_margins"));
    for (const import::Json &margin : margins)
      prompt.margins.push_back(*margin.number());
  }
  return prompts;
}

/// The values of a two-dimensional little-endian float32 .npy of `columns` columns.
static std::vector<float> readNpy(const std::string &path, size_t rows, size_t columns) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  size_t bytes = rows * columns * sizeof(float);
  std::vector<float> values(rows * columns);
  EXPECT_GT(size_t(file.tellg()), bytes);
  file.seekg(-std::streamoff(bytes), std::ios::end);
  file.read(reinterpret_cast<char *>(values.data()), bytes);
  return values;
}

TEST(ImportGolden, ShortPromptsGiveTheReferenceLogits) {
  mlir::MLIRContext context;
  auto model = import::importModel(context, kModel);
  ASSERT_TRUE(bool(model)) << toString(model.takeError());
  std::vector<Prompt> prompts = readPrompts();
  ASSERT_EQ(prompts.size(), 24u);
  std::vector<float> golden = readNpy(kData + "/last_logits_fp32.npy", 24, 4096);
  std::set<std::string> exact = {"empty", "space", "newlines", "letter", "the", "once"};
  size_t seen = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    if (!exact.count(prompts[p].name))
      continue;
    ++seen;
    test::ModelRun run(*model);
    std::vector<float> logits = run.feed(prompts[p].ids);
    ASSERT_EQ(logits.size(), 4096u);
    float worst = 0;
    for (size_t i = 0; i < logits.size(); ++i)
      worst = std::max(worst, std::fabs(logits[i] - golden[p * 4096 + i]));
    EXPECT_LE(worst, 1e-3f) << prompts[p].name;
  }
  EXPECT_EQ(seen, exact.size());
}

TEST(ImportGolden, GreedyTokensFollowTheReferenceWhileItIsSure) {
  mlir::MLIRContext context;
  auto model = import::importModel(context, kModel);
  ASSERT_TRUE(bool(model)) << toString(model.takeError());
  constexpr size_t kSteps = 12;
  constexpr double kSureMargin = 0.25;
  size_t compared = 0;
  for (const Prompt &prompt : readPrompts()) {
    if (prompt.ids.size() > 6)
      continue;
    test::ModelRun run(*model);
    std::vector<float> logits = run.feed(prompt.ids);
    for (size_t step = 0; step < kSteps && prompt.margins[step] >= kSureMargin; ++step) {
      int32_t best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      ASSERT_EQ(best, prompt.greedy[step]) << prompt.name << ", step " << step;
      ++compared;
      logits = run.feed({best});
    }
  }
  EXPECT_GE(compared, 20u);
}
