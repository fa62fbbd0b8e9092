//===- generate_test.cpp - text in, text out ------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>

#include "FakeModel.h"
#include "ModelFile.h"
#include "tern/tokenizer_blob.h"

using namespace tern::test;

namespace {

constexpr int32_t kBegin = 256, kEnd = 257;

/// Bytes are the tokens 0 .. 255; 256 begins a text, 257 ends it; 258 to 299 are "<258>" to
/// "<299>". There are no merges.
std::string byteTokenizer(bool withEnd) {
  tern_tokenizer_header_t header = {};
  std::memcpy(header.magic, TERN_TOKENIZER_MAGIC, sizeof(header.magic));
  header.header_bytes = sizeof(header);
  header.flags = TERN_TOKENIZER_BYTE_LEVEL;
  header.unknown_id = TERN_TOKENIZER_NONE;
  header.max_probes = TERN_TOKENIZER_MAX_PROBES;
  std::string texts;
  std::vector<tern_tokenizer_token_t> tokens;
  std::vector<uint32_t> slots(1024, TERN_TOKENIZER_NONE);
  for (uint32_t id = 0; id < FAKE_VOCABULARY; ++id) {
    std::string text = id < 256 ? std::string(1, char(id)) : "<" + std::to_string(id) + ">";
    bool special = id == kBegin || id == kEnd;
    tokens.push_back({{uint32_t(texts.size()), uint32_t(text.size())},
                      special ? TERN_TOKENIZER_TOKEN_SPECIAL : TERN_TOKENIZER_TOKEN_MODEL,
                      0});
    texts += text;
    if (special)
      continue;
    uint64_t slot =
        uint64_t(tern_tokenizer_hash_text(text.data(), text.size())) * slots.size() >> 32;
    while (slots[slot] != TERN_TOKENIZER_NONE)
      slot = (slot + 1) % slots.size();
    slots[slot] = id;
  }
  std::string blob(sizeof(header), 0);
  auto add = [&](const void *data, size_t count, size_t size) {
    tern_tokenizer_table_t table = {uint32_t(blob.size()), uint32_t(count)};
    blob.append(static_cast<const char *>(data), count * size);
    return table;
  };
  std::vector<tern_tokenizer_merge_t> merges(8, {TERN_TOKENIZER_NONE, 0, 0, 0});
  tern_tokenizer_added_t added[] = {{tokens[kBegin].text, kBegin, TERN_TOKENIZER_ADDED_SPECIAL},
                                    {tokens[kEnd].text, kEnd, TERN_TOKENIZER_ADDED_SPECIAL}};
  uint32_t begin = kBegin, end = kEnd;
  header.texts = add(texts.data(), texts.size(), 1);
  header.tokens = add(tokens.data(), tokens.size(), sizeof(tokens[0]));
  header.slots = add(slots.data(), slots.size(), sizeof(slots[0]));
  header.merges = add(merges.data(), merges.size(), sizeof(merges[0]));
  header.added = add(added, 2, sizeof(added[0]));
  header.prefix = add(&begin, 1, sizeof(begin));
  header.end = add(&end, withEnd, sizeof(end));
  for (auto *table : {&header.normalize, &header.split, &header.decode, &header.suffix})
    *table = add(nullptr, 0, 1);
  header.total_bytes = blob.size();
  std::memcpy(blob.data(), &header, sizeof(header));
  return blob;
}

struct Output {
  std::string text;
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
  size_t stopAfter = SIZE_MAX;
};

int take(void *context, const char *text, size_t bytes, int32_t id) {
  auto *output = static_cast<Output *>(context);
  output->text.append(text, bytes);
  output->pieces.emplace_back(text, bytes);
  output->ids.push_back(id);
  return output->ids.size() >= output->stopAfter;
}

/// What the fake model goes on with.
std::vector<int32_t> continuation(std::vector<int32_t> ids, size_t count) {
  size_t before = ids.size();
  for (size_t i = 0; i < count; ++i)
    ids.push_back(fakeNext(ids));
  return {ids.begin() + long(before), ids.end()};
}

class Generate : public testing::Test {
protected:
  void SetUp() override { open(byteTokenizer(true)); }
  void open(const std::string &blob) {
    TearDown();
    std::vector<Section> more;
    if (!blob.empty())
      more.push_back({TERN_SECTION_TOKENIZER, blob});
    payload = std::make_unique<AlignedPayload>(fakePayload(more));
    ASSERT_EQ(tern_model_open_linked(fake_query, payload->data, payload->size, nullptr, &model),
              TERN_STATUS_OK)
        << tern_error_message();
    tern_session_options_t room = {sizeof(room), 1, 40};
    ASSERT_EQ(tern_session_create(model, &room, &session), TERN_STATUS_OK);
    options.struct_size = sizeof(options);
  }
  void TearDown() override {
    tern_session_destroy(session);
    tern_model_close(model);
    session = nullptr;
    model = nullptr;
  }
  tern_status_t generate(const char *prompt) {
    return tern_generate(session, prompt, &options, take, &output);
  }

  std::unique_ptr<AlignedPayload> payload;
  tern_model_t *model = nullptr;
  tern_session_t *session = nullptr;
  tern_generate_options_t options = {};
  Output output;
};

/// The fake model's ids of a prompt that begins a text.
std::vector<int32_t> idsOf(const std::string &prompt) {
  std::vector<int32_t> ids = {kBegin};
  for (char c : prompt)
    ids.push_back(uint8_t(c));
  return ids;
}

/// A short prompt whose continuation satisfies `wanted`.
template <typename Wanted> std::string findPrompt(Wanted wanted) {
  for (size_t length = 2; length < 8; ++length)
    for (char a = 'A'; a <= 'z'; ++a)
      for (char b = 'A'; b <= 'z'; ++b) {
        std::string prompt(length, 'P');
        prompt[0] = a;
        prompt[1] = b;
        if (wanted(continuation(idsOf(prompt), 8)))
          return prompt;
      }
  ADD_FAILURE() << "no such prompt";
  return "";
}

bool noEnd(const std::vector<int32_t> &ids) {
  return std::find(ids.begin(), ids.end(), kEnd) == ids.end();
}

TEST_F(Generate, StreamsTheContinuation) {
  std::string prompt = findPrompt(noEnd);
  options.max_tokens = 8;
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK) << tern_error_message();
  std::vector<int32_t> expected = continuation(idsOf(prompt), 8);
  // The last call may only bring text that was held back.
  if (output.ids.back() == -1)
    output.ids.pop_back();
  EXPECT_EQ(output.ids, expected);
  EXPECT_EQ(tern_session_position(session), prompt.size() + 1 + 8u);
}

TEST_F(Generate, GoesOnFromWhereItStopped) {
  std::string prompt = findPrompt(noEnd);
  options.max_tokens = 3;
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK);
  options.max_tokens = 5;
  ASSERT_EQ(generate(""), TERN_STATUS_OK) << tern_error_message();
  std::erase(output.ids, -1);
  EXPECT_EQ(output.ids, continuation(idsOf(prompt), 8));
  // Only the first prompt begins a text.
  ASSERT_EQ(tern_session_trim(session, 1), TERN_STATUS_OK);
  options.max_tokens = 1;
  output = {};
  ASSERT_EQ(generate("xy"), TERN_STATUS_OK);
  EXPECT_EQ(output.ids[0], fakeNext({kBegin, 'x', 'y'}));
}

TEST_F(Generate, StopsAtAnEndTokenUnlessToldOtherwise) {
  std::string prompt = findPrompt([](const std::vector<int32_t> &ids) { return ids[2] == kEnd; });
  options.max_tokens = 8;
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK);
  std::erase(output.ids, -1);
  EXPECT_EQ(output.ids, continuation(idsOf(prompt), 2));
  EXPECT_EQ(tern_session_position(session), prompt.size() + 1 + 2u);
  output = {};
  options.ignore_eos = 1;
  ASSERT_EQ(tern_session_trim(session, 0), TERN_STATUS_OK);
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK);
  std::erase(output.ids, -1);
  EXPECT_EQ(output.ids, continuation(idsOf(prompt), 8));
}

TEST_F(Generate, PassesOnWholeCharactersOnly) {
  // A byte that needs others behind it, then one that does not continue it.
  std::string prompt = findPrompt([](const std::vector<int32_t> &ids) {
    return noEnd(ids) && ids[0] >= 0xe1 && ids[0] <= 0xec && ids[1] < 0x80;
  });
  options.max_tokens = 2;
  std::vector<int32_t> ids = continuation(idsOf(prompt), 2);
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK);
  ASSERT_EQ(output.pieces.size(), 2u);
  EXPECT_EQ(output.pieces[0], "");
  EXPECT_EQ(output.pieces[1], "\xef\xbf\xbd" + std::string(1, char(ids[1])));
}

TEST_F(Generate, GivesWhatWasHeldBackAtTheEnd) {
  std::string prompt =
      findPrompt([](const std::vector<int32_t> &ids) { return ids[0] >= 0xe1 && ids[0] <= 0xec; });
  options.max_tokens = 1;
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK);
  EXPECT_EQ(output.pieces, (std::vector<std::string>{"", "\xef\xbf\xbd"}));
  EXPECT_EQ(output.ids[1], -1);
}

TEST_F(Generate, StopTextsEndTheOutputAndAreNotPartOfIt) {
  std::string prompt = findPrompt([](const std::vector<int32_t> &ids) {
    bool plain = noEnd(ids);
    for (int i = 0; i < 3; ++i)
      plain &= ids[i] > ' ' && ids[i] < 127;
    return plain && ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2];
  });
  std::vector<int32_t> ids = continuation(idsOf(prompt), 3);
  std::string stop = {char(ids[1]), char(ids[2])};
  const char *stops[] = {"never", stop.c_str()};
  options.stop = stops;
  options.stop_count = 2;
  options.max_tokens = 8;
  ASSERT_EQ(generate(prompt.c_str()), TERN_STATUS_OK);
  EXPECT_EQ(output.text, std::string(1, char(ids[0])));
  EXPECT_EQ(output.ids.size(), 3u);
  EXPECT_EQ(tern_session_position(session), prompt.size() + 1 + 3u);
}

TEST_F(Generate, TheCallbackCanStop) {
  std::string prompt = findPrompt(noEnd);
  output.stopAfter = 2;
  EXPECT_EQ(generate(prompt.c_str()), TERN_STATUS_CANCELLED);
  EXPECT_STREQ(tern_error_message(), "stopped by the callback");
  EXPECT_EQ(output.ids.size(), 2u);
  EXPECT_EQ(tern_session_position(session), prompt.size() + 1 + 2u);
}

TEST_F(Generate, EndsWhenTheCacheIsFull) {
  open(byteTokenizer(false));
  ASSERT_EQ(generate("ab"), TERN_STATUS_OK) << tern_error_message();
  EXPECT_EQ(tern_session_position(session), 40u);
  std::erase(output.ids, -1);
  // The token after the last position is known too.
  EXPECT_EQ(output.ids, continuation(idsOf("ab"), 38));
  output = {};
  ASSERT_EQ(tern_session_trim(session, 0), TERN_STATUS_OK);
  options.max_tokens = 100;
  EXPECT_EQ(generate("ab"), TERN_STATUS_CONTEXT_FULL);
  EXPECT_STREQ(tern_error_message(), "all 40 positions are used");
  std::erase(output.ids, -1);
  EXPECT_EQ(output.ids.size(), 38u);
  EXPECT_EQ(generate("ab"), TERN_STATUS_CONTEXT_FULL);
  EXPECT_EQ(generate(std::string(50, 'a').c_str()), TERN_STATUS_CONTEXT_FULL);
}

TEST_F(Generate, CannotBeCalledFromItsOwnCallback) {
  struct State {
    tern_session_t *session;
    tern_status_t inner;
  } state = {session, TERN_STATUS_OK};
  auto nested = [](void *context, const char *, size_t, int32_t) {
    auto *state = static_cast<State *>(context);
    state->inner = tern_decode(state->session, 1);
    return 1;
  };
  EXPECT_EQ(tern_generate(session, "ab", nullptr, nested, &state), TERN_STATUS_CANCELLED);
  EXPECT_EQ(state.inner, TERN_STATUS_INVALID_ARGUMENT);
}

TEST_F(Generate, WorksFromIdsWithoutATokenizer) {
  open("");
  EXPECT_EQ(generate("ab"), TERN_STATUS_NOT_FOUND);
  int32_t ids[] = {4, 5};
  options.max_tokens = 6;
  ASSERT_EQ(tern_generate_ids(session, ids, 2, &options, take, &output), TERN_STATUS_OK);
  EXPECT_EQ(output.ids, continuation({4, 5}, 6));
  EXPECT_EQ(output.text, "");
  EXPECT_EQ(tern_generate_ids(session, nullptr, 0, &options, take, &output), TERN_STATUS_OK);
  EXPECT_EQ(output.ids, continuation({4, 5}, 12));
  const char *stops[] = {"x"};
  options.stop = stops;
  options.stop_count = 1;
  EXPECT_EQ(tern_generate_ids(session, nullptr, 0, &options, take, &output), TERN_STATUS_NOT_FOUND);
}

TEST_F(Generate, ArgumentsAreChecked) {
  EXPECT_EQ(tern_generate(nullptr, "a", &options, take, &output), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generate(session, nullptr, &options, take, &output), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generate(session, "a", &options, nullptr, nullptr), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generate_ids(session, nullptr, 2, &options, take, &output),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_generate_ids(session, nullptr, 0, &options, take, &output),
            TERN_STATUS_INVALID_ARGUMENT);
  options.stop_count = 1;
  EXPECT_EQ(generate("a"), TERN_STATUS_INVALID_ARGUMENT);
  const char *stops[] = {nullptr};
  options.stop = stops;
  EXPECT_EQ(generate("a"), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(), "tern_generate: stop[0] is NULL");
  options.stop_count = 0;
  options.sampler.struct_size = 4096;
  EXPECT_EQ(generate("a"), TERN_STATUS_INVALID_ARGUMENT);
  options.sampler.struct_size = sizeof(options.sampler);
  options.sampler.top_p = 2;
  EXPECT_EQ(generate("a"), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_session_position(session), 0u);
}

TEST_F(Generate, TokenizeCountsBeyondTheRoomGiven) {
  int32_t ids[8] = {-7, -7, -7, -7, -7, -7, -7, -7};
  size_t count = 0;
  ASSERT_EQ(tern_tokenize(model, "abc", 3, TERN_TOKENIZE_ADD_BOS, ids, 2, &count), TERN_STATUS_OK);
  EXPECT_EQ(count, 4u);
  EXPECT_EQ(ids[0], kBegin);
  EXPECT_EQ(ids[1], 'a');
  EXPECT_EQ(ids[2], -7);
  ASSERT_EQ(tern_tokenize(model, "a<257>", 6, TERN_TOKENIZE_PARSE_SPECIAL, ids, 8, &count),
            TERN_STATUS_OK);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(ids[1], kEnd);
  ASSERT_EQ(tern_tokenize(model, nullptr, 0, 0, nullptr, 0, &count), TERN_STATUS_OK);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(tern_tokenize(model, "a", 1, 8, ids, 8, &count), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_tokenize(model, nullptr, 1, 0, ids, 8, &count), TERN_STATUS_INVALID_ARGUMENT);
  char text[4] = "...";
  size_t bytes = 0;
  int32_t all[] = {'h', 'i', kEnd, '!'};
  ASSERT_EQ(tern_detokenize(model, all, 4, 1, text, 2, &bytes), TERN_STATUS_OK);
  EXPECT_EQ(bytes, 3u);
  EXPECT_STREQ(text, "hi.");
  ASSERT_EQ(tern_detokenize(model, all, 4, 0, nullptr, 0, &bytes), TERN_STATUS_OK);
  EXPECT_EQ(bytes, 8u);
  EXPECT_EQ(tern_detokenize(model, nullptr, 4, 0, text, 3, &bytes), TERN_STATUS_INVALID_ARGUMENT);
}

} // namespace
