//===- tokenizer_blob_test.cpp - hostile blobs and random texts -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/TokenizerModel.h"
#include "runtime/text/BlobView.h"
#include "tests/support/SmallTokenizer.h"
#include "tests/support/TokenizerFolder.h"

#include <chrono>
#include <random>
#include <thread>

using namespace tern;
using namespace tern::test;

namespace {

constexpr const char *kModel = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";

/// A small blob with a step of every kind.
std::string variedBlob() {
  import::TokenizerModel model;
  auto token = [&](const char *text, uint32_t flags, uint32_t byte = 0) {
    model.tokens.push_back({text, flags, byte, true});
  };
  token("<unk>", TERN_TOKENIZER_TOKEN_MODEL | TERN_TOKENIZER_TOKEN_SPECIAL);
  token("_", TERN_TOKENIZER_TOKEN_MODEL);
  token("a", TERN_TOKENIZER_TOKEN_MODEL);
  token("b", TERN_TOKENIZER_TOKEN_MODEL);
  token("ab", TERN_TOKENIZER_TOKEN_MODEL);
  token("_ab", TERN_TOKENIZER_TOKEN_MODEL);
  token("<0x41>", TERN_TOKENIZER_TOKEN_MODEL | TERN_TOKENIZER_TOKEN_BYTE, 0x41);
  token("", 0);
  token("<s>", TERN_TOKENIZER_TOKEN_SPECIAL);
  token("[M]", 0);
  model.merges = {{2, 3, 0, 4}, {1, 4, 1, 5}};
  model.added = {{"<s>", 8, TERN_TOKENIZER_ADDED_SPECIAL},
                 {"[M]", 9,
                  TERN_TOKENIZER_ADDED_NORMALIZED | TERN_TOKENIZER_ADDED_LSTRIP |
                      TERN_TOKENIZER_ADDED_RSTRIP | TERN_TOKENIZER_ADDED_SINGLE_WORD}};
  model.flags =
      TERN_TOKENIZER_BYTE_FALLBACK | TERN_TOKENIZER_FUSE_UNKNOWN | TERN_TOKENIZER_IGNORE_MERGES;
  model.unknown = 0;
  model.normalize = {{TERN_TOKENIZER_NFC},
                     {TERN_TOKENIZER_PREPEND, 0, 0, "_"},
                     {TERN_TOKENIZER_REPLACE, 0, 0, " ", "_"}};
  model.split = {{TERN_TOKENIZER_SPLIT_REGEX, TERN_TOKENIZER_MERGED_WITH_NEXT, 0, "_+|\\d"},
                 {TERN_TOKENIZER_SPLIT_LITERAL, TERN_TOKENIZER_CONTIGUOUS, 1, "b"},
                 {TERN_TOKENIZER_SPLIT_DIGITS, TERN_TOKENIZER_ISOLATED},
                 {TERN_TOKENIZER_SPLIT_PUNCTUATION, TERN_TOKENIZER_CONTIGUOUS},
                 {TERN_TOKENIZER_PREFIX_SPACE},
                 {TERN_TOKENIZER_BYTE_ALPHABET}};
  model.decode = {{TERN_TOKENIZER_REPLACE, 0, 0, "_", " "},
                  {TERN_TOKENIZER_BYTES},
                  {TERN_TOKENIZER_STRIP, 1, 0, " "}};
  model.prefix = {8};
  model.suffix = {8};
  model.end = {8};
  return llvm::cantFail(import::writeTokenizerBlob(model));
}

/// Everything that reads a blob, on a copy of exactly its size.
void exercise(const std::string &bytes, bool mustFail) {
  std::vector<char> exact(bytes.begin(), bytes.end());
  std::unique_ptr<Tokenizer> tokenizer;
  Status status = Tokenizer::load({exact.data(), exact.size()}, &tokenizer);
  if (!status.ok()) {
    EXPECT_EQ(status.code(), TERN_STATUS_CORRUPT);
    EXPECT_EQ(status.message().rfind("tokenizer: ", 0), 0u) << status.message();
    return;
  }
  EXPECT_FALSE(mustFail);
  for (const char *text :
       {"", "ab ab 12 [M] <s>!?", "A\u00E9\u0301\u4E16\xFF", "    bbbb", "of[M]"})
    for (bool flag : {false, true}) {
      std::vector<int32_t> ids = tokenizer->encode(text, {flag, flag});
      for (int32_t id : ids)
        EXPECT_TRUE(id >= 0 && id < tokenizer->size());
      tokenizer->decode(ids.data(), ids.size(), flag);
    }
  std::vector<int32_t> all;
  for (int32_t id = -1; id <= std::min(tokenizer->size(), 100); ++id)
    all.push_back(id);
  tokenizer->decode(all.data(), all.size(), false);
}

TEST(TokenizerBlob, EveryTruncationIsCorrupt) {
  std::string blob = variedBlob();
  exercise(blob, false);
  for (size_t bytes = 0; bytes < blob.size(); ++bytes)
    exercise(blob.substr(0, bytes), true);
  exercise(blob + '\0', true);
}

TEST(TokenizerBlob, NoChangedByteCrashes) {
  std::string blob = variedBlob();
  for (size_t at = 0; at < blob.size(); ++at)
    for (unsigned change : {0x01u, 0x02u, 0x10u, 0x80u, 0xFFu, 0x100u}) {
      std::string changed = blob;
      // The last one sets the byte to zero.
      changed[at] =
          change == 0x100 ? '\0' : static_cast<char>(changed[at] ^ static_cast<int>(change));
      exercise(changed, false);
    }
}

TEST(TokenizerBlob, NoChangedWordCrashes) {
  constexpr unsigned kSeed = 3;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  std::string blob = variedBlob();
  const uint32_t values[] = {0,          1,          9,          10,       0x7FFFFFFF,
                             0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x0500000};
  for (int round = 0; round < 3000; ++round) {
    std::string changed = blob;
    for (unsigned n = 1 + random() % 3; n > 0; --n) {
      uint32_t value = values[random() % std::size(values)];
      size_t at = random() % (blob.size() / 4) * 4;
      std::memcpy(changed.data() + at, &value, std::min<size_t>(4, blob.size() - at));
    }
    exercise(changed, false);
  }
}

TEST(TokenizerBlob, CorruptionIsNamed) {
  std::string blob = variedBlob();
  auto message = [&](auto change) {
    std::string changed = blob;
    tern_tokenizer_header_t header;
    std::memcpy(&header, changed.data(), sizeof(header));
    change(header, changed);
    std::memcpy(changed.data(), &header, sizeof(header));
    std::unique_ptr<Tokenizer> tokenizer;
    Status status = Tokenizer::load(changed, &tokenizer);
    return status.ok() ? std::string() : status.message();
  };
  using Header = tern_tokenizer_header_t;
  auto expect = [&](const char *words, auto change) {
    std::string found = message(change);
    EXPECT_NE(found.find(words), std::string::npos)
        << "expected: " << words << "\nfound: " << found;
  };
  auto put = [](std::string &bytes, size_t at, uint32_t value) {
    std::memcpy(bytes.data() + at, &value, 4);
  };
  EXPECT_EQ(message([](Header &, std::string &) {}), "");
  expect("expected it to begin with TERNTOK1", [](Header &h, auto &) { h.magic[7] = '2'; });
  expect("expected a header of", [](Header &h, auto &) { ++h.header_bytes; });
  expect("unknown flags", [](Header &h, auto &) { h.flags = 16; });
  expect("merges does not lie within", [](Header &h, auto &) { h.merges.count = 0x5000001; });
  expect("texts does not lie within", [](Header &h, auto &) { h.texts.offset = UINT32_MAX; });
  expect("tokens: expected at most", [](Header &h, auto &) { h.tokens.count = 1u << 25; });
  expect("unknown token's id 10", [](Header &h, auto &) { h.unknown_id = 10; });
  expect("expected at most 1024 probes", [](Header &h, auto &) { h.max_probes = 1025; });
  expect("tokens[1]: its text",
         [&](Header &h, auto &b) { put(b, h.tokens.offset + 16, 1u << 30); });
  expect("tokens[0]: unknown flags", [&](Header &h, auto &b) { put(b, h.tokens.offset + 8, 64); });
  expect("added[1]: not in order", [&](Header &h, auto &b) {
    put(b, h.added.offset + 12, TERN_TOKENIZER_ADDED_NORMALIZED);
    put(b, h.added.offset + 28, 0);
  });
  expect("added[0]: its id", [&](Header &h, auto &b) { put(b, h.added.offset + 8, 10); });
  expect("normalize[0]: a kind", [&](Header &h, auto &b) { put(b, h.normalize.offset, 7); });
  expect("split[2]: unknown behaviour",
         [&](Header &h, auto &b) { put(b, h.split.offset + 68, 5); });
  expect("decode[2]: an empty text", [&](Header &h, auto &b) { put(b, h.decode.offset + 84, 0); });
  expect("split[0]: the expression", [&](Header &h, auto &b) {
    tern_tokenizer_step_t step;
    std::memcpy(&step, b.data() + h.split.offset, sizeof(step));
    b[h.texts.offset + step.a.offset] = '(';
  });
  expect("prefix[0]: an id", [&](Header &h, auto &b) { put(b, h.prefix.offset, 10); });
  expect("slots[0]: an id", [&](Header &h, auto &b) { put(b, h.slots.offset, 10); });
}

TEST(TokenizerBlob, NeedsNoAlignment) {
  std::string blob = "x" + variedBlob();
  std::unique_ptr<Tokenizer> tokenizer;
  ASSERT_TRUE(Tokenizer::load(std::string_view(blob).substr(1), &tokenizer).ok());
  EXPECT_EQ(tokenizer->encode("<s>", {false, true}), std::vector<int32_t>{8});
}

/// Merges one after the other, by the definition, in quadratic time.
std::vector<std::string>
mergeNaively(const std::string &text,
             const std::vector<std::pair<std::string, std::string>> &merges) {
  std::vector<std::string> symbols;
  for (char c : text)
    symbols.emplace_back(1, c);
  while (true) {
    size_t best = merges.size(), at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      size_t rank = std::find(merges.begin(), merges.end(), std::pair(symbols[i], symbols[i + 1])) -
                    merges.begin();
      if (rank < best) {
        best = rank;
        at = i;
      }
    }
    if (best == merges.size())
      return symbols;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

TEST(Tokenizer, MergesAsTheDefinitionSays) {
  constexpr unsigned kSeed = 17;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  for (int round = 0; round < 40; ++round) {
    std::vector<std::string> tokens = {"a", "b", "c"};
    std::vector<std::pair<std::string, std::string>> merges;
    for (int i = 0; i < 25; ++i) {
      std::pair merge(tokens[random() % tokens.size()], tokens[random() % tokens.size()]);
      if (std::find(merges.begin(), merges.end(), merge) != merges.end())
        continue;
      merges.push_back(merge);
      tokens.push_back(merge.first + merge.second);
    }
    Loaded loaded = loadText(byteLevelJson(merges, ""));
    ASSERT_TRUE(loaded);
    for (size_t length : {1, 2, 7, 47, 48, 49, 50, 300}) {
      std::string text;
      for (size_t i = 0; i < length; ++i)
        text += static_cast<char>('a' + random() % 3);
      std::vector<std::string> found;
      for (int32_t id : loaded->encode(text, {}))
        found.push_back(loaded->decode(&id, 1, false));
      EXPECT_EQ(found, mergeNaively(text, merges)) << "round " << round << ": " << text;
    }
  }
}

std::string randomText(std::mt19937 &random) {
  std::string text;
  for (unsigned n = random() % 60; n > 0; --n)
    switch (random() % 6) {
    case 0:
      text += " \n\t\r'"[random() % 5];
      break;
    case 1:
    case 2:
      text += static_cast<char>(random() % 128);
      break;
    case 3:
      appendUtf8(text, 0x80 + random() % 0x700);
      break;
    case 4:
      appendUtf8(text, 0x800 + random() % 0xD000);
      break;
    default:
      appendUtf8(text, 0x10000 + random() % 0x100000);
    }
  return text;
}

TEST(Tokenizer, TextSurvivesTheWayThereAndBack) {
  constexpr unsigned kSeed = 23;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  Loaded loaded = loadFolder(kModel);
  ASSERT_TRUE(loaded);
  for (int round = 0; round < 5000; ++round) {
    std::string text = randomText(random);
    std::vector<int32_t> ids = loaded->encode(text, {false, random() % 2 == 0});
    EXPECT_EQ(loaded->decode(ids.data(), ids.size(), false), text) << "round " << round;
    std::string joined;
    for (int32_t id : ids)
      joined += loaded->decode(&id, 1, false, Tokenizer::Place::Continuation);
    EXPECT_EQ(joined, text) << "token by token";
  }
}

TEST(Tokenizer, LongTextsTakeNoQuadraticTime) {
  Loaded loaded = loadFolder(kModel);
  ASSERT_TRUE(loaded);
  std::mt19937 random(29);
  std::string letters, marks = "a", digits(500000, '1'), mixed;
  while (letters.size() < 500000)
    letters += static_cast<char>('a' + random() % 26);
  while (marks.size() < 500000)
    marks += "\u0301\u0316";
  while (mixed.size() < 500000)
    mixed += "<|<|begin_of_text|";
  auto begin = std::chrono::steady_clock::now();
  for (const std::string &text :
       {letters, std::string(500000, 'a'), std::string(500000, ' '), std::string(500000, '\n'),
        std::string(499999, ' ') + "x", std::string(500000, '\''), marks, digits, mixed}) {
    std::vector<int32_t> ids = loaded->encode(text, {false, true});
    EXPECT_TRUE(loaded->decode(ids.data(), ids.size(), false) == text);
  }
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  // A few seconds with sanitizers; a quadratic step would take hours.
  EXPECT_LT(seconds.count(), 120);
}

TEST(Tokenizer, ThreadsShareOne) {
  Loaded loaded = loadFolder(kModel);
  ASSERT_TRUE(loaded);
  std::string text = "Once upon a time, there was a little girl named Lily. She loved 123 cakes!";
  std::vector<int32_t> expected = loaded->encode(text, {});
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int &count : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i)
        count += loaded->encode(text, {}) != expected;
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

} // namespace
