//===- text_stream_test.cpp - bytes to text that can be shown -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/TextStream.h"
#include "runtime/text/Utf8.h"
#include "tern/tokenizer_blob.h"

#include <gtest/gtest.h>

#include <random>

using namespace tern;

namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

TEST(Utf8, EveryCodePointReadsBackAsItself) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000)
      continue;
    std::string text;
    appendUtf8(text, code);
    Utf8Character c = readUtf8(text, 0);
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.bytes, text.size());
    ASSERT_EQ(c.kind, Utf8Character::Whole);
  }
}

TEST(Utf8, IllformedPartsBecomeOneReplacementEach) {
  // The examples of the Unicode standard, chapter 3.9.
  EXPECT_EQ(repairUtf8("a\xF1\x80\x80\xE1\x80\xC2"
                       "b\x80"
                       "c\x80\xBF"
                       "d"),
            "a" + kReplacement + kReplacement + kReplacement + "b" + kReplacement + "c" +
                kReplacement + kReplacement + "d");
  EXPECT_EQ(repairUtf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                       "A"),
            kReplacement + kReplacement + kReplacement + kReplacement + kReplacement +
                kReplacement + kReplacement + kReplacement + "A");
  EXPECT_EQ(repairUtf8("\xED\xA0\x80"), kReplacement + kReplacement + kReplacement);
  EXPECT_EQ(repairUtf8("\xF4\x91\x92\x93\xFF"
                       "A\x80\xBF"
                       "B"),
            kReplacement + kReplacement + kReplacement + kReplacement + kReplacement + "A" +
                kReplacement + kReplacement + "B");
}

TEST(Utf8, AlphabetIsABijection) {
  for (int byte = 0; byte < 256; ++byte)
    EXPECT_EQ(tern_tokenizer_alphabet_to_byte(
                  tern_tokenizer_byte_to_alphabet(static_cast<uint8_t>(byte))),
              byte);
  EXPECT_EQ(tern_tokenizer_byte_to_alphabet(' '), U'\u0120');
  EXPECT_EQ(tern_tokenizer_byte_to_alphabet('\n'), U'\u010A');
  EXPECT_EQ(tern_tokenizer_byte_to_alphabet(0xAD), U'\u0143');
  EXPECT_EQ(tern_tokenizer_alphabet_to_byte(U' '), -1);
  EXPECT_EQ(tern_tokenizer_alphabet_to_byte(U'\u0144'), -1);
  EXPECT_EQ(tern_tokenizer_alphabet_to_byte(0x10FFFF), -1);
}

TEST(Utf8, NormalizesComposedAndReorderedMarks) {
  EXPECT_EQ(normalize("e\u0301", Normalization::Nfc), "\u00E9");
  EXPECT_EQ(normalize("\u00E9", Normalization::Nfd), "e\u0301");
  EXPECT_EQ(normalize("a\u0315\u0300", Normalization::Nfc), "\u00E0\u0315");
  EXPECT_EQ(normalize("\u1100\u1161\u11A8", Normalization::Nfc), "\uAC01");
  EXPECT_EQ(normalize("\uFB01", Normalization::Nfkc), "fi");
  EXPECT_EQ(normalize("plain", Normalization::Nfkd), "plain");
  EXPECT_EQ(normalize("", Normalization::Nfc), "");
}

TEST(Utf8, NormalizesAMegabyteOfMarksInTime) {
  // Worst order for an insertion sort: classes 230 and 220 in turn.
  std::string text = "a";
  while (text.size() < 1000000)
    text += "\u0301\u0316";
  EXPECT_EQ(normalize(text, Normalization::Nfd).size(), text.size());
}

TEST(Utf8Assembler, HoldsBackASequenceUntilItIsWhole) {
  Utf8Assembler assembler;
  EXPECT_EQ(assembler.push("a\xF0\x9F"), "a");
  EXPECT_EQ(assembler.push("\x98"), "");
  EXPECT_EQ(assembler.push("\x80z"), "\xF0\x9F\x98\x80z");
  EXPECT_EQ(assembler.push("\xE2\x82"), "");
  EXPECT_EQ(assembler.finish(), kReplacement);
  EXPECT_EQ(assembler.finish(), "");
}

TEST(Utf8Assembler, DoesNotWaitForWhatCannotBecomeWhole) {
  Utf8Assembler assembler;
  EXPECT_EQ(assembler.push("\xFF"), kReplacement);
  EXPECT_EQ(assembler.push("\xE2"), "");
  EXPECT_EQ(assembler.push("A"), kReplacement + "A");
}

TEST(Utf8Assembler, CutsDoNotMatter) {
  constexpr unsigned kSeed = 5;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const uint8_t interesting[] = {'a', 0x80, 0xBF, 0xC2, 0xE0, 0xED, 0xA0, 0xF0, 0x90, 0xF4, 0xFF};
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (unsigned i = random() % 20; i > 0; --i)
      bytes += static_cast<char>(interesting[random() % std::size(interesting)]);
    Utf8Assembler assembler;
    std::string out;
    for (size_t at = 0; at < bytes.size();) {
      size_t count = 1 + random() % 4;
      out += assembler.push(std::string_view(bytes).substr(at, count));
      at += count;
    }
    out += assembler.finish();
    EXPECT_EQ(out, repairUtf8(bytes));
  }
}

TEST(StopMatcher, PassesEverythingOnWithoutStops) {
  StopMatcher matcher;
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.finish(), "");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, HoldsBackWhatMayBecomeAStop) {
  StopMatcher matcher({"User:"});
  EXPECT_EQ(matcher.push("Hello Us"), "Hello ");
  EXPECT_EQ(matcher.push("ual U"), "Usual ");
  EXPECT_EQ(matcher.push("ser"), "");
  EXPECT_EQ(matcher.push(": more"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("x"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, GivesBackAnUnfinishedStopAtTheEnd) {
  StopMatcher matcher({"###"});
  EXPECT_EQ(matcher.push("a##"), "a");
  EXPECT_EQ(matcher.finish(), "##");
}

TEST(StopMatcher, FindsStopsThatOverlapThemselves) {
  StopMatcher matcher({"aab"});
  EXPECT_EQ(matcher.push("aaab"), "a");
  EXPECT_TRUE(matcher.stopped());
  StopMatcher second({"abab", "", "b!"});
  EXPECT_EQ(second.push("aba") + second.push("b!"), "");
  EXPECT_TRUE(second.stopped());
}

TEST(StopMatcher, TakesTheLongestOfThoseThatEndTogether) {
  StopMatcher matcher({"b", "ab"});
  EXPECT_EQ(matcher.push("xab"), "x");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcher, AgreesWithSearchingTheWholeText) {
  constexpr unsigned kSeed = 11;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  auto word = [&](unsigned most) {
    std::string text;
    for (unsigned i = random() % (most + 1); i > 0; --i)
      text += static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::string> stops = {word(5), word(5), word(3)};
    std::string text = word(24);
    size_t cut = text.size();
    bool expected = false;
    for (size_t end = 1; end <= text.size() && !expected; ++end)
      for (const std::string &stop : stops)
        if (!stop.empty() && stop.size() <= end &&
            text.compare(end - stop.size(), stop.size(), stop) == 0) {
          cut = std::min(cut, end - stop.size());
          expected = true;
        }
    TextStream stream(stops);
    std::string out;
    for (size_t at = 0; at < text.size(); at += 3)
      out += stream.push(std::string_view(text).substr(at, 3));
    out += stream.finish();
    EXPECT_EQ(out, text.substr(0, cut));
    EXPECT_EQ(stream.stopped(), expected);
  }
}

TEST(TextStream, StopsInTextThatArrivedInBytes) {
  TextStream stream({"\u00E9!"});
  EXPECT_EQ(stream.push("caf\xC3"), "caf");
  EXPECT_EQ(stream.push("\xA9"), "");
  EXPECT_EQ(stream.push("! no more"), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.finish(), "");
}

} // namespace
