//===- heads_test.cpp - heads of other elements, and of several sequences -===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/GoldenModel.h"
#include "tests/support/ModelRun.h"
#include "gtest/gtest.h"

#include <bit>

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

std::unique_ptr<RunningModel> open(const OpenOptions &options) {
  auto model = RunningModel::open(kBundledModel, options);
  if (!model) {
    ADD_FAILURE() << toString(model.takeError());
    return nullptr;
  }
  return std::make_unique<RunningModel>(std::move(*model));
}

/// Sessions of one model at different positions.
struct Sessions {
  Sessions(tern_model_t *model, uint32_t threads, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      tern_session_options_t options = {sizeof options, threads, 0};
      tern_session_t *session = nullptr;
      EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OK);
      all.push_back(session);
      std::vector<int32_t> text;
      for (size_t k = 0; k <= i % 5; ++k)
        text.push_back(static_cast<int32_t>(i * 37 + k * 11 + 5));
      EXPECT_EQ(tern_prefill(session, text.data(), text.size()), TERN_STATUS_OK);
    }
  }
  ~Sessions() {
    for (tern_session_t *session : all)
      tern_session_destroy(session);
  }
  std::vector<float> logits(size_t i) const {
    const float *values = nullptr;
    size_t count = 0;
    EXPECT_EQ(tern_session_logits(all[i], &values, &count), TERN_STATUS_OK) << tern_error_message();
    return {values, values + count};
  }

  std::vector<tern_session_t *> all;
};

} // namespace

TEST(Heads, OfOtherElementsAreWhatTheInterpreterSays) {
  const std::vector<int32_t> ids = {1, 700, 33, 2048, 9};
  for (import::HeadElement element : {import::HeadElement::F16, import::HeadElement::BF16,
                                      import::HeadElement::Int8, import::HeadElement::Q6}) {
    SCOPED_TRACE(describe(element));
    OpenOptions options;
    options.import.head = element;
    mlir::MLIRContext context;
    auto imported = import::importModel(context, kBundledModel, options.import);
    ASSERT_TRUE(bool(imported)) << toString(imported.takeError());
    const std::vector<float> expected = ModelRun(*imported).feed(ids);
    std::vector<Target> levels = hostLevels();
    if (!isInteger(element))
      levels.resize(1); // other tests have float heads on every level
    for (const Target &level : levels) {
      SCOPED_TRACE(level.name);
      options.level = level.name;
      options.compile.targets = {level};
      auto model = open(options);
      ASSERT_TRUE(model);
      for (uint32_t threads : {1u, 2u}) {
        SessionRun run(model->get(), threads);
        run.prefill(ids);
        EXPECT_EQ(run.logits(), expected);
      }
      // More rows than pass by the table together.
      std::vector<int32_t> longer;
      for (int i = 0; i < 21; ++i)
        longer.push_back(ids[static_cast<size_t>(i) % ids.size()]);
      std::vector<float> whole = SessionRun(model->get(), 2).prefillLogits(longer);
      EXPECT_EQ(ArrayRef<float>(whole).slice((ids.size() - 1) * expected.size(), expected.size()),
                ArrayRef<float>(expected));
    }
  }
}

/// Batches of every size, smaller and larger than what passes by the screen together.
TEST(Heads, GreedyBatchesFindWhatEachSequenceFindsAlone) {
  OpenOptions options;
  for (const char *head : {"two_stage", "full"}) {
    SCOPED_TRACE(head);
    options.compile.head = head;
    auto model = open(options);
    ASSERT_TRUE(model);
    for (auto [count, threads] : {std::pair<size_t, uint32_t>{1, 2}, {8, 1}, {11, 2}, {17, 3}}) {
      SCOPED_TRACE(std::to_string(count) + " sessions");
      Sessions alone(model->get(), threads, count), together(model->get(), threads, count);
      std::vector<int32_t> ids(count);
      for (size_t i = 0; i < count; ++i)
        ids[i] = static_cast<int32_t>(i * 211 + 3);
      for (int step = 0; step < 4; ++step) {
        std::vector<tern_greedy_t> found(count, {sizeof(tern_greedy_t), -1, 0, 0});
        ASSERT_EQ(tern_decode_batch_greedy(together.all.data(), ids.data(), count, found.data()),
                  TERN_STATUS_OK)
            << tern_error_message();
        for (size_t i = 0; i < count; ++i) {
          tern_greedy_t expected = {sizeof expected, -1, 0, 0};
          ASSERT_EQ(tern_decode_greedy(alone.all[i], ids[i], &expected), TERN_STATUS_OK);
          ASSERT_EQ(found[i].id, expected.id) << i;
          ASSERT_EQ(std::bit_cast<uint32_t>(found[i].logit),
                    std::bit_cast<uint32_t>(expected.logit));
          EXPECT_EQ(found[i].rows_computed, expected.rows_computed);
          ids[i] = found[i].id;
        }
      }
      // Logits that nobody needed so far; the sessions go on as before.
      for (size_t i = 0; i < count; i += 5)
        EXPECT_EQ(together.logits(i), alone.logits(i));
      ASSERT_EQ(tern_decode_batch(together.all.data(), ids.data(), count), TERN_STATUS_OK);
      for (size_t i = 0; i < count; i += 3) {
        ASSERT_EQ(tern_decode(alone.all[i], ids[i]), TERN_STATUS_OK);
        EXPECT_EQ(together.logits(i), alone.logits(i));
      }
    }
  }
}

TEST(Heads, GreedyBatchesCheckTheirResults) {
  auto model = open({});
  ASSERT_TRUE(model);
  Sessions sessions(model->get(), 1, 2);
  const int32_t ids[] = {1, 2};
  EXPECT_EQ(tern_decode_batch_greedy(sessions.all.data(), ids, 2, nullptr),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_decode_batch_greedy: out is NULL");
  tern_greedy_t out[2] = {{sizeof(tern_greedy_t), 0, 0, 0}, {3, 0, 0, 0}};
  EXPECT_EQ(tern_decode_batch_greedy(sessions.all.data(), ids, 2, out),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_decode_batch_greedy: struct_size of out[1] is 3, of out[0] 24");
  out[0].struct_size = 2;
  EXPECT_EQ(tern_decode_batch_greedy(sessions.all.data(), ids, 2, out),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_position(sessions.all[1]), 2u);
}
