//===- batch_test.cpp - several sessions in one call ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <atomic>
#include <cstring>
#include <gtest/gtest.h>
#include <thread>

#include "FakeModel.h"
#include "ModelFile.h"

using namespace tern::test;

namespace {

class Batch : public testing::Test {
protected:
  void SetUp() override { model = openFake(); }
  void TearDown() override {
    for (tern_session_t *session : sessions)
      tern_session_destroy(session);
    tern_model_close(model);
  }
  tern_session_t *add(uint32_t threads = 1, uint32_t positions = 0) {
    tern_session_options_t options = {sizeof(options), threads, positions};
    tern_session_t *session = nullptr;
    EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OK);
    sessions.push_back(session);
    return session;
  }
  tern_status_t decode(const std::vector<int32_t> &ids) {
    return tern_decode_batch(sessions.data(), ids.data(), ids.size());
  }
  void expectUnmoved(const std::vector<uint32_t> &positions) {
    for (size_t i = 0; i < sessions.size(); ++i)
      EXPECT_EQ(tern_session_position(sessions[i]), positions[i]);
  }

  tern_model_t *model = nullptr;
  std::vector<tern_session_t *> sessions;
};

int32_t best(const tern_session_t *session) {
  const float *logits = nullptr;
  size_t count = 0;
  EXPECT_EQ(tern_session_logits(session, &logits, &count), TERN_STATUS_OK);
  return int32_t(std::max_element(logits, logits + count) - logits);
}

TEST_F(Batch, EverySessionGoesOnWithItsOwnTokens) {
  for (uint32_t threads : {1, 2, 3}) {
    std::vector<std::vector<int32_t>> texts = {{5}, {1, 2, 3}, {299, 0, 7, 7, 9}, {4, 4}};
    for (const std::vector<int32_t> &text : texts)
      ASSERT_EQ(tern_prefill(add(threads), text.data(), text.size()), TERN_STATUS_OK);
    for (int step = 0; step < 20; ++step) {
      // Batches of every size, of different members.
      size_t first = step % 3, count = 1 + step % (texts.size() - first);
      std::vector<int32_t> ids;
      for (size_t i = first; i < first + count; ++i) {
        ids.push_back(best(sessions[i]));
        ASSERT_EQ(ids.back(), fakeNext(texts[i]));
        texts[i].push_back(ids.back());
      }
      ASSERT_EQ(tern_decode_batch(sessions.data() + first, ids.data(), count), TERN_STATUS_OK)
          << tern_error_message();
      for (size_t i = 0; i < texts.size(); ++i)
        EXPECT_EQ(tern_session_position(sessions[i]), texts[i].size());
    }
    while (!sessions.empty()) {
      tern_session_destroy(sessions.back());
      sessions.pop_back();
    }
  }
}

TEST_F(Batch, SessionsGoOnAloneAfterwards) {
  add(2), add(1);
  ASSERT_EQ(decode({7, 8}), TERN_STATUS_OK);
  const float *logits[2];
  ASSERT_EQ(tern_session_logits(sessions[0], &logits[0], nullptr), TERN_STATUS_OK);
  ASSERT_EQ(tern_session_logits(sessions[1], &logits[1], nullptr), TERN_STATUS_OK);
  EXPECT_NE(std::memcmp(logits[0], logits[1], FAKE_VOCABULARY * sizeof(float)), 0);
  ASSERT_EQ(tern_decode(sessions[1], 9), TERN_STATUS_OK);
  EXPECT_EQ(best(sessions[1]), fakeNext({8, 9}));
  EXPECT_EQ(best(sessions[0]), fakeNext({7}));
  ASSERT_EQ(tern_session_trim(sessions[0], 0), TERN_STATUS_OK);
  ASSERT_EQ(decode({3, 10}), TERN_STATUS_OK);
  EXPECT_EQ(best(sessions[0]), fakeNext({3}));
  EXPECT_EQ(best(sessions[1]), fakeNext({8, 9, 10}));
}

TEST_F(Batch, BadCallsMoveNobody) {
  for (int i = 0; i < 4; ++i)
    add(1, 6);
  int32_t text[] = {1, 2, 3, 4, 5, 6};
  ASSERT_EQ(tern_prefill(sessions[2], text, 6), TERN_STATUS_OK);
  auto refused = [&](tern_status_t expected, const char *message) {
    EXPECT_EQ(decode({1, 2, 3}), expected);
    EXPECT_STREQ(tern_error_message(), message);
  };
  refused(TERN_STATUS_CONTEXT_FULL, "session 2: 1 tokens do not fit: 6 of 6 positions are used");
  ASSERT_EQ(tern_session_trim(sessions[2], 5), TERN_STATUS_OK);
  std::swap(sessions[2], sessions[3]);
  tern_session_t *third = sessions[2];
  sessions[2] = sessions[0];
  refused(TERN_STATUS_INVALID_ARGUMENT, "tern_decode_batch: sessions 0 and 2 are the same");
  sessions[2] = nullptr;
  refused(TERN_STATUS_INVALID_ARGUMENT, "tern_decode_batch: session 2 is NULL");
  sessions[2] = third;
  EXPECT_EQ(decode({1, 300, 2}), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_decode_batch: session 1: token 0 is 300, expected 0 to 299");
  expectUnmoved({0, 0, 0, 5});
  int32_t id = 1;
  EXPECT_EQ(tern_decode_batch(nullptr, &id, 1), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_decode_batch: sessions is NULL");
  EXPECT_EQ(tern_decode_batch(sessions.data(), nullptr, 1), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_decode_batch(sessions.data(), &id, 0), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_decode_batch: no sessions given");
  // What was refused is free again.
  EXPECT_EQ(decode({1, 2, 3, 4}), TERN_STATUS_OK) << tern_error_message();
}

TEST_F(Batch, LimitsComeFromModelAndFirstSession) {
  for (int i = 0; i < 5; ++i)
    add(1, i == 0 ? 3 : 8);
  EXPECT_EQ(decode({1, 2, 3, 4, 5}), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_decode_batch: 5 sessions, the model takes at most 4 in a batch");
  int32_t text[] = {1, 2, 3};
  ASSERT_EQ(tern_prefill(sessions[1], text, 3), TERN_STATUS_OK);
  EXPECT_EQ(decode({1, 2}), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_decode_batch: session 1 is at position 3; session 0, whose memory the batch "
               "uses, has only 3 positions");
  std::swap(sessions[0], sessions[1]);
  EXPECT_EQ(decode({1, 2}), TERN_STATUS_OK);
  EXPECT_EQ(best(sessions[0]), fakeNext({1, 2, 3, 1}));
}

TEST_F(Batch, SessionsOfAnotherModelAreRefused) {
  tern_model_t *other = openFake();
  add();
  tern_session_t *stranger = nullptr;
  ASSERT_EQ(tern_session_create(other, nullptr, &stranger), TERN_STATUS_OK);
  sessions.push_back(stranger);
  EXPECT_EQ(decode({1, 2}), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_decode_batch: session 1 is of another model than session 0");
  sessions.pop_back();
  tern_session_destroy(stranger);
  tern_model_close(other);
}

TEST_F(Batch, ModulesThatAreNoLanguageModelsAreRefused) {
  tern_descriptor_t before = fakeDescriptor;
  fakeDescriptor.vocabulary = fakeDescriptor.max_positions = 0;
  fakeDescriptor.kv_bytes_per_position = 0;
  fakeDescriptor.index_count = 1;
  fakeDescriptor.variants = &fakeGenericVariant;
  fakeDescriptor.variant_count = 1;
  tern_model_t *generic = openFake();
  tern_session_options_t options = {sizeof(options), 1, 0};
  tern_session_t *session = nullptr;
  ASSERT_EQ(tern_session_create(generic, &options, &session), TERN_STATUS_OK);
  int32_t id = 0;
  EXPECT_EQ(tern_decode_batch(&session, &id, 1), TERN_STATUS_UNSUPPORTED);
  tern_session_destroy(session);
  tern_model_close(generic);
  fakeDescriptor = before;
}

/// Two batches that share a session: one is refused, or they come one after the other.
TEST_F(Batch, OverlappingBatchesAreNotRaced) {
  for (int i = 0; i < 3; ++i)
    add(2);
  std::atomic<uint32_t> moves[3] = {};
  auto use = [&](size_t first) {
    int32_t ids[] = {1, 1};
    for (int step = 0; step < 20; ++step)
      if (tern_decode_batch(sessions.data() + first, ids, 2) == TERN_STATUS_OK) {
        ++moves[first];
        ++moves[first + 1];
      } else {
        EXPECT_NE(std::strstr(tern_error_message(), "in use"), nullptr) << tern_error_message();
      }
  };
  std::thread other(use, 1);
  use(0);
  other.join();
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(tern_session_position(sessions[i]), moves[i]);
    if (moves[i])
      EXPECT_EQ(best(sessions[i]), fakeNext(std::vector<int32_t>(moves[i], 1)));
  }
}

} // namespace
