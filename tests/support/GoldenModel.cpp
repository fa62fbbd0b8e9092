//===- GoldenModel.cpp - the bundled model and its reference --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/GoldenModel.h"

#include "frontends/import/Json.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <set>

using namespace llvm;
using namespace tern;
using namespace tern::test;

static const std::string kData = TERN_SOURCE_DIR "/tests/data/tiny-stories-bitnet";
static constexpr size_t kVocabulary = 4096;

//===----------------------------------------------------------------------===//
// The reference
//===----------------------------------------------------------------------===//

template <typename T> static std::vector<T> numbersOf(const import::Json &object, StringRef key) {
  std::vector<T> values;
  for (const import::Json &value : cantFail(object.getArray(key)))
    values.push_back(static_cast<T>(cantFail(value.number())));
  return values;
}

/// The values of a float32 .npy: they end the file.
static std::vector<float> readLogits(size_t rows) {
  std::vector<float> values(rows * kVocabulary);
  std::ifstream file(kData + "/last_logits_fp32.npy", std::ios::binary);
  file.seekg(-static_cast<std::streamoff>(values.size() * sizeof(float)), std::ios::end);
  file.read(reinterpret_cast<char *>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  EXPECT_TRUE(file.good());
  return values;
}

std::vector<GoldenPrompt> test::goldenPrompts(size_t count) {
  std::vector<GoldenPrompt> prompts;
  auto document = import::JsonDocument::read(kData + "/prompts.json");
  if (!document) {
    ADD_FAILURE() << toString(document.takeError());
    return prompts;
  }
  ArrayRef<import::Json> entries = cantFail(document->root().array());
  std::vector<float> logits = readLogits(entries.size());
  for (size_t i = 0; i < std::min(count, entries.size()); ++i) {
    GoldenPrompt &prompt = prompts.emplace_back();
    prompt.name = cantFail(entries[i].getString("name")).str();
    prompt.ids = numbersOf<int32_t>(entries[i], "input_ids");
    const import::Json *golden = cantFail(entries[i].get("fp32"));
    prompt.greedy = numbersOf<int32_t>(*golden, "greedy_ids");
    prompt.margins = numbersOf<double>(*golden, "greedy_margins");
    auto first = logits.begin() + static_cast<std::ptrdiff_t>(i * kVocabulary);
    prompt.lastLogits.assign(first, first + kVocabulary);
  }
  return prompts;
}

/// KL divergence of softmax(found) from softmax(golden).
static double divergence(const std::vector<float> &golden, const std::vector<float> &found) {
  auto logSum = [](const std::vector<float> &logits) {
    double most = *std::max_element(logits.begin(), logits.end()), sum = 0;
    for (float logit : logits)
      sum += std::exp(logit - most);
    return most + std::log(sum);
  };
  double goldenSum = logSum(golden), foundSum = logSum(found), result = 0;
  for (size_t i = 0; i < golden.size(); ++i)
    result += std::exp(golden[i] - goldenSum) * ((golden[i] - goldenSum) - (found[i] - foundSum));
  return result;
}

/// In these no activation falls near a rounding boundary: see the model's README.
static bool isExact(StringRef name) {
  static const std::set<StringRef> names = {"empty", "space", "newlines", "letter", "the", "once"};
  return names.count(name);
}

void test::expectGolden(const GoldenOutcome &outcome, const std::vector<GoldenPrompt> &prompts) {
  constexpr double kSureMargin = 0.25;
  size_t compared = 0;
  ASSERT_EQ(outcome.lastLogits.size(), prompts.size());
  for (size_t p = 0; p < prompts.size(); ++p) {
    const GoldenPrompt &prompt = prompts[p];
    SCOPED_TRACE(prompt.name);
    ASSERT_EQ(outcome.lastLogits[p].size(), kVocabulary);
    float worst = 0;
    for (size_t i = 0; i < kVocabulary; ++i)
      worst = std::max(worst, std::fabs(outcome.lastLogits[p][i] - prompt.lastLogits[i]));
    EXPECT_LE(worst, isExact(prompt.name) ? 1e-3f : 0.5f);
    EXPECT_LT(divergence(prompt.lastLogits, outcome.lastLogits[p]), 0.005);
    ASSERT_EQ(outcome.greedy[p].size(), prompt.greedy.size());
    for (size_t step = 0; step < prompt.greedy.size() && prompt.margins[step] >= kSureMargin;
         ++step, ++compared)
      ASSERT_EQ(outcome.greedy[p][step], prompt.greedy[step]) << "step " << step;
  }
  EXPECT_GE(compared, 5 * prompts.size()) << "the reference is hardly ever sure";
}

static bool sameBits(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && !memcmp(a.data(), b.data(), a.size() * sizeof(float));
}

void test::expectSame(const GoldenOutcome &whole, const GoldenOutcome &part) {
  ASSERT_LE(part.lastLogits.size(), whole.lastLogits.size());
  for (size_t p = 0; p < part.lastLogits.size(); ++p) {
    EXPECT_TRUE(sameBits(part.lastLogits[p], whole.lastLogits[p])) << "logits of prompt " << p;
    EXPECT_EQ(part.greedy[p], whole.greedy[p]) << "prompt " << p;
  }
}

//===----------------------------------------------------------------------===//
// Models and sessions
//===----------------------------------------------------------------------===//

static bool succeeded(tern_status_t status) {
  EXPECT_EQ(status, TERN_STATUS_OK) << tern_error_message();
  return status == TERN_STATUS_OK;
}

SessionRun::SessionRun(tern_model_t *model, uint32_t threads) {
  tern_session_options_t options = {};
  options.struct_size = sizeof options;
  options.threads = threads;
  succeeded(tern_session_create(model, &options, &session));
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  succeeded(tern_model_get_info(model, &info));
  vocabulary = info.vocabulary;
}

void SessionRun::prefill(ArrayRef<int32_t> ids) {
  succeeded(tern_prefill(session, ids.data(), ids.size()));
}

void SessionRun::decode(int32_t id) { succeeded(tern_decode(session, id)); }

std::vector<float> SessionRun::logits() const {
  const float *values = nullptr;
  size_t count = 0;
  if (!succeeded(tern_session_logits(session, &values, &count)))
    return {};
  return {values, values + count};
}

std::vector<float> SessionRun::prefillLogits(ArrayRef<int32_t> ids) {
  std::vector<float> values(ids.size() * vocabulary);
  succeeded(tern_prefill_logits(session, ids.data(), ids.size(), values.data(), values.size()));
  return values;
}

std::vector<int32_t> SessionRun::generate(uint32_t tokens) {
  tern_generate_options_t options = {};
  options.struct_size = sizeof options;
  options.max_tokens = tokens;
  options.ignore_eos = 1;
  std::vector<int32_t> ids;
  auto onToken = [](void *context, const char *, size_t, int32_t id) {
    if (id >= 0)
      static_cast<std::vector<int32_t> *>(context)->push_back(id);
    return 0;
  };
  succeeded(tern_generate_ids(session, nullptr, 0, &options, onToken, &ids));
  return ids;
}

GoldenOutcome test::runPrompts(tern_model_t *model, uint32_t threads,
                               const std::vector<GoldenPrompt> &prompts) {
  GoldenOutcome outcome;
  for (const GoldenPrompt &prompt : prompts) {
    SessionRun run(model, threads);
    run.prefill(prompt.ids);
    outcome.lastLogits.push_back(run.logits());
    outcome.greedy.push_back(run.generate(static_cast<uint32_t>(prompt.greedy.size())));
  }
  return outcome;
}

std::vector<Target> test::hostLevels() {
  std::vector<Target> levels = cantFail(parseTargets("all"));
  erase_if(levels, [](const Target &target) { return !hostCanRun(target.cpuFeatures); });
  return levels;
}

void test::compileFolder(const std::string &folder, const std::string &library) {
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto model = import::importModel(context, folder);
  ASSERT_TRUE(bool(model)) << toString(model.takeError());
  auto files = WeightFiles::open(*model->module, model->folder);
  ASSERT_TRUE(bool(files)) << toString(files.takeError());
  CompileInput input{*model->module, &*files, model->tokenizerBlob, model->card};
  CompileOptions options;
  options.maxRows = 128; // the longest prompt takes two calls
  Error error = compileLibrary(input, options, library);
  ASSERT_FALSE(bool(error)) << toString(std::move(error));
}

std::unique_ptr<RunningModel> test::openModel(const std::string &path, const std::string &level) {
  OpenOptions options;
  options.level = level;
  if (!level.empty())
    options.compile.targets = cantFail(parseTargets(level));
  auto model = RunningModel::open(path, options);
  if (!model) {
    ADD_FAILURE() << path << ": " << toString(model.takeError());
    return nullptr;
  }
  return std::make_unique<RunningModel>(std::move(*model));
}
