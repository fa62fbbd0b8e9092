//===- session_test.cpp - sessions, through the C interface ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

#include "FakeModel.h"
#include "ModelFile.h"

using namespace tern::test;

namespace {

class Session : public testing::Test {
protected:
  void SetUp() override { model = openFake(); }
  void TearDown() override {
    tern_session_destroy(session);
    tern_model_close(model);
  }
  void create(uint32_t threads = 1, uint32_t positions = 0) {
    tern_session_options_t options = {sizeof(options), threads, positions};
    ASSERT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OK)
        << tern_error_message();
  }
  int32_t best() {
    const float *logits = nullptr;
    size_t count = 0;
    EXPECT_EQ(tern_session_logits(session, &logits, &count), TERN_STATUS_OK);
    EXPECT_EQ(count, size_t(FAKE_VOCABULARY));
    return int32_t(std::max_element(logits, logits + count) - logits);
  }

  tern_model_t *model = nullptr;
  tern_session_t *session = nullptr;
};

TEST_F(Session, PrefillInChunksAndDecodeGiveTheNextToken) {
  for (uint32_t threads : {1, 2, 3, 8}) {
    create(threads);
    std::vector<int32_t> ids = {5, 0, 299, 17, 4, 4, 1, 88, 250, 3, 2};
    ASSERT_EQ(tern_prefill(session, ids.data(), ids.size()), TERN_STATUS_OK);
    EXPECT_EQ(tern_session_position(session), ids.size());
    for (int step = 0; step < 20; ++step) {
      int32_t next = best();
      ASSERT_EQ(next, fakeNext(ids));
      ids.push_back(next);
      ASSERT_EQ(tern_decode(session, next), TERN_STATUS_OK);
    }
    EXPECT_EQ(tern_session_position(session), ids.size());
    tern_session_destroy(session);
    session = nullptr;
  }
}

TEST_F(Session, PrefillLogitsHasOneRowAToken) {
  create(2);
  std::vector<int32_t> ids = {9, 8, 7, 6, 5, 4, 3, 2, 1};
  std::vector<float> logits(ids.size() * FAKE_VOCABULARY, -1);
  ASSERT_EQ(tern_prefill_logits(session, ids.data(), ids.size(), logits.data(), logits.size()),
            TERN_STATUS_OK);
  for (size_t i = 0; i < ids.size(); ++i) {
    const float *row = logits.data() + i * FAKE_VOCABULARY;
    EXPECT_EQ(std::max_element(row, row + FAKE_VOCABULARY) - row,
              fakeNext({ids.begin(), ids.begin() + long(i) + 1}));
  }
  const float *last = nullptr;
  ASSERT_EQ(tern_session_logits(session, &last, nullptr), TERN_STATUS_OK);
  EXPECT_EQ(std::memcmp(last, logits.data() + 8 * FAKE_VOCABULARY, FAKE_VOCABULARY * 4), 0);
  EXPECT_EQ(tern_prefill_logits(session, ids.data(), 2, logits.data(), 2 * FAKE_VOCABULARY - 1),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_prefill_logits: room for 599 logits, expected 2 x 300");
  EXPECT_EQ(tern_prefill_logits(session, ids.data(), SIZE_MAX / 8, logits.data(), 600),
            TERN_STATUS_INVALID_ARGUMENT);
}

TEST_F(Session, TrimForgetsPositions) {
  create();
  int32_t ids[] = {1, 2, 3, 4, 5};
  ASSERT_EQ(tern_prefill(session, ids, 5), TERN_STATUS_OK);
  EXPECT_EQ(tern_session_trim(session, 6), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_trim(session, 5), TERN_STATUS_OK);
  best();
  ASSERT_EQ(tern_session_trim(session, 2), TERN_STATUS_OK);
  EXPECT_EQ(tern_session_position(session), 2u);
  const float *logits;
  EXPECT_EQ(tern_session_logits(session, &logits, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  ASSERT_EQ(tern_decode(session, 77), TERN_STATUS_OK);
  EXPECT_EQ(best(), fakeNext({1, 2, 77}));
  ASSERT_EQ(tern_session_trim(session, 0), TERN_STATUS_OK);
  ASSERT_EQ(tern_decode(session, 7), TERN_STATUS_OK);
  EXPECT_EQ(best(), fakeNext({7}));
}

TEST_F(Session, RefusesWrongTokensBeforeAnythingRuns) {
  create();
  const float *logits;
  EXPECT_EQ(tern_session_logits(session, &logits, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  int32_t ids[] = {1, 2, 3, 300};
  EXPECT_EQ(tern_prefill(session, ids, 4), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_prefill: token 3 is 300, expected 0 to 299");
  EXPECT_EQ(tern_error_category(), TERN_CATEGORY_TENSOR);
  EXPECT_STREQ(tern_error_context(0), "tern_prefill");
  EXPECT_STREQ(tern_error_context(1), "token 3 is 300, expected 0 to 299");
  EXPECT_EQ(tern_error_context(2), nullptr);
  EXPECT_EQ(tern_decode(session, -1), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_prefill(session, ids, 0), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_prefill(session, nullptr, 3), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_position(session), 0u);
}

TEST_F(Session, FullCacheIsReportedBeforeAnythingRuns) {
  create(1, 6);
  int32_t ids[] = {1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(tern_prefill(session, ids, 7), TERN_STATUS_CONTEXT_FULL);
  EXPECT_STREQ(tern_error_message(), "7 tokens do not fit: 0 of 6 positions are used");
  ASSERT_EQ(tern_prefill(session, ids, 6), TERN_STATUS_OK);
  EXPECT_EQ(tern_decode(session, 1), TERN_STATUS_CONTEXT_FULL);
  EXPECT_EQ(best(), fakeNext({1, 2, 3, 4, 5, 6}));
}

TEST_F(Session, OptionsAreChecked) {
  tern_session_options_t options = {sizeof(options), 257, 0};
  EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_session_create: 257 threads asked for, at most 256 are possible");
  options = {sizeof(options), 1, 65};
  EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_INVALID_ARGUMENT);
  options = {3, 1, 1};
  EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_INVALID_ARGUMENT);
  struct {
    tern_session_options_t known;
    uint64_t later;
  } later = {{sizeof(later), 1, 4}, 0};
  ASSERT_EQ(tern_session_create(model, &later.known, &session), TERN_STATUS_OK);
  tern_session_destroy(session);
  session = nullptr;
  later.later = 1;
  EXPECT_EQ(tern_session_create(model, &later.known, &session), TERN_STATUS_UNSUPPORTED);
  EXPECT_EQ(session, nullptr);
  ASSERT_EQ(tern_session_create(model, nullptr, &session), TERN_STATUS_OK);
}

TEST_F(Session, ReportsMemoryThatDoesNotExist) {
  tern_descriptor_t before = fakeDescriptor;
  fakeDescriptor.kv_bytes_per_position = uint64_t(1) << 32;
  fakeDescriptor.max_positions = 1 << 28;
  tern_session_options_t options = {sizeof(options), 2, 1 << 28};
  EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OUT_OF_MEMORY);
  EXPECT_EQ(tern_error_category(), TERN_CATEGORY_MEMORY);
  EXPECT_STREQ(tern_error_message(), "a session of 268435456 positions and 2 threads: cannot "
                                     "allocate 1152921504606846976 bytes for the cache");
  fakeDescriptor = before;
}

TEST_F(Session, RunChecksItsArguments) {
  create(2, 10);
  int32_t ids[] = {3, 4};
  std::vector<float> logits(2 * FAKE_VOCABULARY);
  const void *inputs[] = {ids};
  int64_t indices[] = {0, 2};
  void *outputs[] = {logits.data()};
  auto run = [&](int64_t rows, size_t inputCount = 1, size_t indexCount = 2,
                 size_t outputCount = 1) {
    return tern_session_run(session, rows, inputs, inputCount, indices, indexCount, outputs,
                            outputCount);
  };
  EXPECT_EQ(run(2), TERN_STATUS_OK);
  EXPECT_EQ(std::max_element(logits.begin(), logits.begin() + FAKE_VOCABULARY) - logits.begin(),
            fakeNext({3}));
  EXPECT_EQ(run(0), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(run(5), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(run(2, 2), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(run(2, 1, 1), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(run(2, 1, 2, 0), TERN_STATUS_INVALID_ARGUMENT);
  indices[0] = 9;
  EXPECT_EQ(run(2), TERN_STATUS_INVALID_ARGUMENT);
  indices[0] = -1;
  EXPECT_EQ(run(2), TERN_STATUS_INVALID_ARGUMENT);
  indices[0] = 0;
  indices[1] = 3;
  EXPECT_EQ(run(2), TERN_STATUS_INVALID_ARGUMENT);
  indices[1] = 1;
  ids[1] = 300;
  EXPECT_EQ(run(2), TERN_STATUS_INVALID_ARGUMENT);
  inputs[0] = nullptr;
  EXPECT_EQ(run(2), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_session_run: inputs[0] is NULL");
}

TEST_F(Session, GenericModuleRuns) {
  tern_descriptor_t before = fakeDescriptor;
  fakeDescriptor.vocabulary = fakeDescriptor.max_positions = 0;
  fakeDescriptor.kv_bytes_per_position = 0;
  fakeDescriptor.index_count = 1;
  fakeDescriptor.variants = &fakeGenericVariant;
  fakeDescriptor.variant_count = 1;
  tern_model_t *generic = openFake();
  tern_session_options_t options = {sizeof(options), 3, 0};
  ASSERT_EQ(tern_session_create(generic, &options, &session), TERN_STATUS_OK);
  float in[6] = {1, 2, 3, 4, 5, 6}, out[6] = {};
  const void *inputs[] = {in};
  int64_t indices[] = {7};
  void *outputs[] = {out};
  EXPECT_EQ(tern_session_run(session, 2, inputs, 1, indices, 1, outputs, 1), TERN_STATUS_OK);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(out[i], in[i] * 7);
  // Buffers of a module whose rows are fixed have that many, not fewer.
  fakeDescriptor.fixed_rows = 2;
  EXPECT_EQ(tern_session_run(session, 2, inputs, 1, indices, 1, outputs, 1), TERN_STATUS_OK);
  EXPECT_EQ(tern_session_run(session, 1, inputs, 1, indices, 1, outputs, 1),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_session_run: 1 rows asked for, the module has 2");
  fakeDescriptor.fixed_rows = 0;
  EXPECT_EQ(tern_decode(session, 0), TERN_STATUS_UNSUPPORTED);
  const float *logits;
  EXPECT_EQ(tern_session_logits(session, &logits, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  tern_session_destroy(session);
  session = nullptr;
  tern_model_close(generic);
  fakeDescriptor = before;
}

TEST_F(Session, ManySessionsOfOneModelRunAtOnce) {
  std::vector<std::thread> users;
  std::atomic<int> wrong{0};
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&, user] {
      tern_session_options_t options = {sizeof(options), uint32_t(1 + user % 2), 0};
      for (int round = 0; round < 5; ++round) {
        tern_session_t *own = nullptr;
        if (tern_session_create(model, &options, &own) != TERN_STATUS_OK) {
          ++wrong;
          return;
        }
        std::vector<int32_t> ids = {user, round};
        tern_prefill(own, ids.data(), ids.size());
        for (int step = 0; step < 20; ++step) {
          const float *logits = nullptr;
          tern_session_logits(own, &logits, nullptr);
          ids.push_back(int32_t(std::max_element(logits, logits + FAKE_VOCABULARY) - logits));
          std::vector<int32_t> before(ids.begin(), ids.end() - 1);
          wrong += ids.back() != fakeNext(before);
          tern_decode(own, ids.back());
        }
        tern_session_destroy(own);
      }
    });
  for (std::thread &user : users)
    user.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Session, SamplerFollowsTheLogits) {
  create();
  tern_sampler_t *sampler = nullptr;
  ASSERT_EQ(tern_sampler_create(nullptr, &sampler), TERN_STATUS_OK);
  int32_t id = -1;
  EXPECT_EQ(tern_sample(sampler, session, &id), TERN_STATUS_INVALID_ARGUMENT);
  ASSERT_EQ(tern_decode(session, 12), TERN_STATUS_OK);
  ASSERT_EQ(tern_sample(sampler, session, &id), TERN_STATUS_OK);
  EXPECT_EQ(id, fakeNext({12}));
  tern_sampler_destroy(sampler);
  tern_sampler_options_t options = {};
  options.struct_size = sizeof(options);
  options.temperature = -1;
  EXPECT_EQ(tern_sampler_create(&options, &sampler), TERN_STATUS_INVALID_ARGUMENT);
  options.temperature = std::nanf("");
  EXPECT_EQ(tern_sampler_create(&options, &sampler), TERN_STATUS_INVALID_ARGUMENT);
}

TEST_F(Session, NullArgumentsAreErrors) {
  const float *logits;
  int32_t id = 0;
  EXPECT_EQ(tern_session_create(nullptr, nullptr, &session), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_session_create: model is NULL");
  EXPECT_EQ(tern_session_create(model, nullptr, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_trim(nullptr, 0), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_position(nullptr), 0u);
  EXPECT_EQ(tern_prefill(nullptr, &id, 1), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_decode(nullptr, 0), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_logits(nullptr, &logits, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_sampler_create(nullptr, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_sample(nullptr, nullptr, &id), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_run(nullptr, 1, nullptr, 0, nullptr, 0, nullptr, 0),
            TERN_STATUS_INVALID_ARGUMENT);
  tern_session_destroy(nullptr);
  tern_sampler_destroy(nullptr);
  tern_model_close(nullptr);
}

} // namespace
