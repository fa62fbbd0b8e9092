//===- tokenizer_test.cpp - tokenizer.json files, good and bad ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tern/tokenizer_blob.h"
#include "tests/support/SmallTokenizer.h"
#include "tests/support/TokenizerFolder.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

using Ids = std::vector<int32_t>;
constexpr Tokenizer::EncodeOptions kBos = {true, false};
constexpr Tokenizer::EncodeOptions kSpecial = {false, true};

/// The error of a tokenizer.json; empty where it imports.
std::string importError(StringRef text, uint64_t vocabulary = 0) {
  Folder folder;
  folder.write("tokenizer.json", text);
  Expected<std::string> blob = import::importTokenizer(folder.path, vocabulary);
  return blob ? "" : toString(blob.takeError());
}

void expectError(StringRef text, StringRef words) {
  std::string error = importError(text);
  EXPECT_TRUE(StringRef(error).contains(words))
      << "expected: " << words.str() << "\nfound: " << error;
}

std::string decode(const Loaded &loaded, const Ids &ids, bool skip = false,
                   Tokenizer::Place place = Tokenizer::Place::Start) {
  return loaded->decode(ids.data(), ids.size(), skip, place);
}

/// A byte-level tokenizer without merges, its pieces visible as runs that merged: for splits.
std::vector<std::string> piecesOf(const std::string &preTokenizers, const std::string &text) {
  // With ignore_merges and every wanted piece a token, each piece is one id.
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::string> found;
  Loaded loaded = loadText(byteLevelJson({}, preTokenizers));
  if (!loaded)
    return {};
  // Without merges ids are bytes; a second tokenizer that has the substrings as tokens shows the
  // cuts.
  std::vector<std::string> tokens;
  for (size_t from = 0; from < text.size(); ++from)
    for (size_t count = 2; from + count <= text.size(); ++count)
      if (std::string token = text.substr(from, count); !is_contained(tokens, token)) {
        tokens.push_back(token);
        merges.push_back({token.substr(0, 1), token.substr(1)});
      }
  sort(merges, [](const auto &a, const auto &b) { return a.second.size() < b.second.size(); });
  loaded = loadText(byteLevelJson(merges, preTokenizers, true));
  if (loaded)
    for (int32_t id : loaded->encode(text, {}))
      found.push_back(loaded->decode(&id, 1, false));
  return found;
}

using Pieces = std::vector<std::string>;

TEST(TokenizerImport, FolderWithoutTokenizerGivesNoBlob) {
  Folder folder;
  Expected<std::string> blob = import::importTokenizer(folder.path, 0);
  ASSERT_TRUE(static_cast<bool>(blob));
  EXPECT_EQ(*blob, "");
}

TEST(TokenizerImport, SameFileGivesTheSameBlob) {
  EXPECT_EQ(loadText(kPieceJson).blob, loadText(kPieceJson).blob);
}

TEST(TokenizerPieces, NormalizesMergesAndFallsBackToBytes) {
  Loaded loaded = loadText(kPieceJson);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("", {}), Ids());
  EXPECT_EQ(loaded->encode("", kBos), Ids({1}));
  EXPECT_EQ(loaded->encode("ab ab", {}), Ids({8, 8}));
  EXPECT_EQ(loaded->encode("abb", kBos), Ids({1, 8, 6}));
  EXPECT_EQ(loaded->encode("\u00E9", {}), Ids({4, 2, 3}));
  EXPECT_EQ(loaded->encode("xyza", {}), Ids({4, 0, 5})) << "unknown characters are fused";
  EXPECT_EQ(loaded->encode("<s>ab", kSpecial), Ids({1, 8}));
  EXPECT_EQ(loaded->endTokens(), Ids());
}

TEST(TokenizerPieces, DecodesBytesAndOneLeadingSpace) {
  Loaded loaded = loadText(kPieceJson);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(decode(loaded, {8, 8}), "ab ab");
  EXPECT_EQ(decode(loaded, {8, 8}, false, Tokenizer::Place::Continuation), " ab ab");
  EXPECT_EQ(decode(loaded, {4, 4, 5}), " a");
  EXPECT_EQ(decode(loaded, {2, 3}), "\u00E9");
  EXPECT_EQ(decode(loaded, {1, 8, 1}, true), "ab");
  EXPECT_EQ(decode(loaded, {1, 5}), "<s>a");
  EXPECT_EQ(decode(loaded, {-1, 5, 10, INT32_MAX}), "a") << "ids out of range are skipped";
}

TEST(TokenizerPieces, UnknownCharactersVanishWithoutUnknownToken) {
  std::string text = replaced(kPieceJson, R"("unk_token": "<unk>")", R"("unk_token": null)");
  Loaded loaded = loadText(replaced(text, R"("byte_fallback": true)", R"("byte_fallback": false)"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("xa\u00E9", {}), Ids({4, 5}));
}

TEST(TokenizerPieces, UnfusedUnknownCharactersCountEach) {
  Loaded loaded = loadText(replaced(kPieceJson, R"("fuse_unk": true)", R"("fuse_unk": false)"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("xya", {}), Ids({4, 0, 0, 5}));
}

TEST(TokenizerBytes, MergesLowestRankFirst) {
  Loaded loaded = loadText(byteLevelJson({{"b", "c"}, {"a", "b"}, {"a", "bc"}}, ""));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("abc", {}), Ids({258}));
  EXPECT_EQ(loaded->encode("ab abc", {}), Ids({257, ' ', 258}));
  EXPECT_EQ(decode(loaded, {258, 259, 260}), "abc<s></s>");
  EXPECT_EQ(decode(loaded, {258, 259, 260}, true), "abc");
}

TEST(TokenizerBytes, IgnoreMergesTakesWholePieces) {
  // "xy" cannot be merged: its merge wants "x" + "y", which the later one does not give.
  std::string text = byteLevelJson({{"a", "b"}, {"b", "c"}, {"ab", "c"}}, "", false);
  std::string without = replaced(text, R"(,["ab","c"])", "");
  EXPECT_EQ(loadText(without)->encode("abc", {}), Ids({256, 'c'}));
  std::string ignoring = replaced(without, R"("ignore_merges":false)", R"("ignore_merges":true)");
  EXPECT_EQ(loadText(ignoring)->encode("abc", {}), Ids({258}));
}

TEST(TokenizerBytes, IllformedInputIsReadAsReplacement) {
  Loaded loaded = loadText(byteLevelJson({}, ""));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("a\xFFz", {}), Ids({'a', 0xEF, 0xBF, 0xBD, 'z'}));
  EXPECT_EQ(loaded->encode(StringRef("\0", 1), {}), Ids({0}));
}

TEST(TokenizerAdded, SpecialTokensCountOnlyWhenAsked) {
  Loaded loaded = loadText(byteLevelJson({}, ""));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("<s>", {}), Ids({'<', 's', '>'}));
  EXPECT_EQ(loaded->encode("a<s></s>b", kSpecial), Ids({'a', 256, 257, 'b'}));
}

std::string withAdded(const std::string &content, const std::string &flags) {
  std::string token =
      R"("added_tokens":[{"id":300,"content":")" + content +
      R"(","special":false,"normalized":false,"lstrip":false,"rstrip":false,"single_word":false},)";
  for (size_t at = 0; at < flags.size();) {
    size_t end = std::min(flags.find(' ', at), flags.size());
    std::string name = flags.substr(at, end - at);
    token = replaced(token, "\"" + name + "\":false", "\"" + name + "\":true");
    at = end + 1;
  }
  return replaced(byteLevelJson({}, ""), R"("added_tokens":[)", token);
}

TEST(TokenizerAdded, LongestOfThoseThatStartTogetherWins) {
  Loaded loaded =
      loadText(replaced(withAdded("<s>!", ""), R"("content":"</s>")", R"("content":"<s>!?")"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("<s><s>!<s>!?<s>!", kSpecial), Ids({256, 300, 257, 300}));
}

TEST(TokenizerAdded, StripsWhiteSpaceWhereItsFlagsSay) {
  EXPECT_EQ(loadText(withAdded("[M]", "lstrip"))->encode("a \n[M] b", {}),
            Ids({'a', 300, ' ', 'b'}));
  EXPECT_EQ(loadText(withAdded("[M]", "rstrip"))->encode("a [M]\u3000 b", {}),
            Ids({'a', ' ', 300, 'b'}));
  EXPECT_EQ(loadText(withAdded("[M]", "lstrip rstrip"))->encode(" [M] [M] ", {}), Ids({300, 300}));
}

TEST(TokenizerAdded, SingleWordsStandAlone) {
  Loaded loaded = loadText(withAdded("of", "single_word"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("of.of", {}), Ids({300, '.', 300}));
  EXPECT_EQ(loaded->encode("off", {}), Ids({'o', 'f', 'f'}));
  EXPECT_EQ(loaded->encode("\u00E9of", {}), Ids({0xC3, 0xA9, 'o', 'f'}));
}

TEST(TokenizerAdded, NormalizedOnesAreSearchedInNormalizedText) {
  std::string text = withAdded("\u00E9!", "normalized");
  text = replaced(text, R"("normalizer":null)", R"("normalizer":{"type":"NFC"})");
  Loaded loaded = loadText(text);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("e\u0301!", {}), Ids({300}));
  loaded = loadText(replaced(text, R"("special":false,"normalized":true)",
                             R"("special":false,"normalized":false)"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("e\u0301!", {}), Ids({0xC3, 0xA9, '!'}));
}

std::string splitJson(const std::string &pattern, const std::string &behavior,
                      bool invert = false) {
  return R"({"type":"Split","pattern":)" + pattern + R"(,"behavior":")" + behavior +
         R"(","invert":)" + (invert ? "true" : "false") + "},";
}

TEST(TokenizerSplit, EveryBehaviour) {
  // The examples of the tokenizers library's documentation.
  std::string dash = R"({"String":"-"})", text = "the-final--countdown";
  EXPECT_EQ(piecesOf(splitJson(dash, "Isolated"), text),
            Pieces({"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(piecesOf(splitJson(dash, "Removed"), text), Pieces({"the", "final", "countdown"}));
  EXPECT_EQ(piecesOf(splitJson(dash, "MergedWithPrevious"), text),
            Pieces({"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(piecesOf(splitJson(dash, "MergedWithNext"), text),
            Pieces({"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(piecesOf(splitJson(dash, "Contiguous"), text),
            Pieces({"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(piecesOf(splitJson(R"({"Regex":"[a-z]+"})", "Removed", true), text),
            Pieces({"the", "final", "countdown"}));
}

TEST(TokenizerSplit, DigitsAndPunctuation) {
  EXPECT_EQ(piecesOf(R"({"type":"Digits","individual_digits":true},)", "ab12c"),
            Pieces({"ab", "1", "2", "c"}));
  EXPECT_EQ(piecesOf(R"({"type":"Digits","individual_digits":false},)", "ab12c"),
            Pieces({"ab", "12", "c"}));
  EXPECT_EQ(piecesOf(R"({"type":"Punctuation","behavior":"Contiguous"},)", "a+=b."),
            Pieces({"a", "+=", "b", "."}));
  EXPECT_EQ(piecesOf(R"({"type":"Punctuation"},)", "a+=b"), Pieces({"a", "+", "=", "b"}));
}

TEST(TokenizerSplit, ByteLevelSplitsAndPrefixes) {
  std::string json = byteLevelJson({{" ", "a"}, {"a", "a"}}, "");
  std::string plain = R"("add_prefix_space":false,"use_regex":false)";
  Loaded loaded = loadText(replaced(json, plain, R"("add_prefix_space":true,"use_regex":false)"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("ab", {}), Ids({256, 'b'}));
  EXPECT_EQ(loaded->encode(" ab", {}), Ids({256, 'b'}));
  loaded = loadText(replaced(json, plain, R"("add_prefix_space":false,"use_regex":true)"));
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("a a", {}), Ids({'a', 256}));
}

TEST(TokenizerSplit, StepsBehindByteLevelSeeTheAlphabet) {
  // U+00B2 is a digit in the alphabet, and byte 0xB2 of another character in the text.
  std::string json = byteLevelJson({{"\xC3", "\xB2"}}, "");
  std::string digits = R"("use_regex":false},{"type":"Digits","individual_digits":false})";
  EXPECT_EQ(loadText(json)->encode("\u00F2", {}), Ids({256}));
  EXPECT_EQ(loadText(replaced(json, R"("use_regex":false})", digits))->encode("\u00F2", {}),
            Ids({0xC3, 0xB2}));
}

TEST(TokenizerSplit, WhiteSpaceIsUnicodes) {
  // U+180E has been none since Unicode 6.3, whatever PCRE2's \s says; U+0085 and U+00A0 are.
  std::string split = splitJson(R"({"Regex":"\\s+"})", "Isolated");
  EXPECT_EQ(piecesOf(split, "a\u180Eb"), Pieces({"a\u180Eb"}));
  EXPECT_EQ(piecesOf(split, "a\u0085\u00A0 b"), Pieces({"a", "\u0085\u00A0 ", "b"}));
  EXPECT_EQ(piecesOf(splitJson(R"({"Regex":"[^\\s]+"})", "Removed", true), "a\u2028b c"),
            Pieces({"a", "b", "c"}));
  EXPECT_EQ(piecesOf(splitJson(R"({"Regex":"\\S"})", "Isolated"), "ab c"),
            Pieces({"a", "b", " ", "c"}));
}

TEST(TokenizerSplit, EmptyMatchesCutNothingAway) {
  EXPECT_EQ(piecesOf(splitJson(R"({"Regex":"x*"})", "Removed"), "axb"), Pieces({"a", "b"}));
  EXPECT_EQ(piecesOf(splitJson(R"({"Regex":"\\b"})", "Isolated"), "ab cd"),
            Pieces({"ab", " ", "cd"}));
}

TEST(TokenizerSplit, RunawayExpressionsEnd) {
  std::string split = splitJson(R"({"Regex":"(a+)+$"})", "Isolated");
  Loaded loaded = loadText(byteLevelJson({}, split));
  ASSERT_TRUE(loaded);
  std::string text(40, 'a');
  EXPECT_EQ(loaded->encode(text + "b", {}).size(), 41u);
}

TEST(TokenizerFiles, BeginAndEndTokensComeFromTheConfigs) {
  Folder folder;
  folder.write("tokenizer.json", byteLevelJson({}, ""));
  folder.write(
      "tokenizer_config.json",
      R"({"add_bos_token": true, "add_eos_token": true, "bos_token": {"content": "<s>"}, "eos_token": "</s>"})");
  Loaded loaded = loadFolder(folder.path);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->encode("a", kBos), Ids({256, 'a', 257}));
  EXPECT_EQ(loaded->endTokens(), Ids({257}));
  folder.write("generation_config.json", R"({"eos_token_id": [65, 257]})");
  folder.write("config.json", R"({"eos_token_id": 66})");
  folder.write("special_tokens_map.json", R"({"eos_token": {"content": "</s>"}})");
  EXPECT_EQ(loadFolder(folder.path)->endTokens(), Ids({257, 65, 66}));
}

TEST(TokenizerFiles, TemplateDecidesOverTheConfig) {
  Folder folder;
  folder.write("tokenizer.json", kPieceJson);
  folder.write("tokenizer_config.json",
               R"({"add_bos_token": false, "add_eos_token": true, "bos_token": "<s>"})");
  EXPECT_EQ(loadFolder(folder.path)->encode("ab", kBos), Ids({1, 8}));
}

TEST(TokenizerFiles, ConfigAddsTokensThatTheTokenizerLacks) {
  Folder folder;
  folder.write("tokenizer.json", byteLevelJson({}, ""));
  std::string flags =
      R"("special":true,"normalized":false,"lstrip":false,"rstrip":false,"single_word":false)";
  auto config = [&](const std::string &id, const std::string &content) {
    folder.write("tokenizer_config.json", R"({"added_tokens_decoder":{")" + id +
                                              R"(":{"content":")" + content + "\"," + flags +
                                              "}}}");
    Expected<std::string> blob = import::importTokenizer(folder.path, 0);
    return blob ? std::move(*blob) : "error: " + toString(blob.takeError());
  };
  EXPECT_EQ(loadBlob(config("258", "<|im_end|>"))->endTokens(), Ids({258}));
  EXPECT_TRUE(StringRef(config("256", "<s>")).starts_with(TERN_TOKENIZER_MAGIC));
  EXPECT_TRUE(StringRef(config("258", "<s>")).contains("another id"));
  EXPECT_TRUE(StringRef(config("65", "<x>")).contains("both have the id 65"));
  EXPECT_TRUE(StringRef(config("x", "<x>")).contains("expected an id as key"));
  EXPECT_TRUE(StringRef(config("-1", "<x>")).contains("expected an id as key"));
}

struct BadConfig {
  const char *file, *text, *words;
};

TEST(TokenizerFiles, BadConfigsAreRefused) {
  const BadConfig cases[] = {
      {"tokenizer_config.json", "[]", "expected an object, found an array"},
      {"tokenizer_config.json", "{", "not valid JSON"},
      {"tokenizer_config.json", R"({"add_bos_token": 1})", "add_bos_token: expected a boolean"},
      {"tokenizer_config.json", R"({"add_bos_token": true})", "bos_token names no token"},
      {"tokenizer_config.json", R"({"add_eos_token": true, "eos_token": "?!"})",
       "eos_token names no token"},
      {"tokenizer_config.json", R"({"eos_token": 5})", "eos_token: expected a string"},
      {"tokenizer_config.json", R"({"eos_token": {"text": ""}})", "missing key \"content\""},
      {"tokenizer_config.json", R"({"added_tokens_decoder": []})", "expected an object"},
      {"special_tokens_map.json", R"({"eos_token": ["</s>"]})", "eos_token: expected a string"},
      {"config.json", R"({"eos_token_id": "2"})", "eos_token_id: expected an integer"},
      {"config.json", R"({"eos_token_id": 258})", "no token of tokenizer.json has the id 258"},
      {"config.json", R"({"eos_token_id": -1})", "found -1"},
      {"generation_config.json", R"({"eos_token_id": [0, 9999999999]})",
       "eos_token_id[1]: expected an integer"},
  };
  for (const BadConfig &bad : cases) {
    Folder folder;
    folder.write("tokenizer.json", byteLevelJson({}, ""));
    folder.write(bad.file, bad.text);
    Expected<std::string> blob = import::importTokenizer(folder.path, 0);
    std::string error = blob ? "" : toString(blob.takeError());
    EXPECT_TRUE(StringRef(error).contains(bad.words)) << bad.text << "\nfound: " << error;
    EXPECT_TRUE(StringRef(error).contains(bad.file)) << error;
  }
}

TEST(TokenizerImport, IdsStayBelowTheModelsVocabulary) {
  EXPECT_EQ(importError(kPieceJson, 10), "");
  EXPECT_TRUE(
      StringRef(importError(kPieceJson, 9))
          .contains("token \"bb\": expected an id below 9 (the model's vocabulary), found 9"));
}

struct Bad {
  const char *from, *to, *words;
};

TEST(TokenizerImport, BadFilesAreRefusedInWords) {
  const Bad cases[] = {
      {R"("model": {)", R"("modell": {)", "missing key \"model\""},
      {R"("type": "BPE")", R"("type": "Unigram")", "unsupported model \"Unigram\""},
      {R"("type": "BPE")", R"("type": "WordPiece")", "unsupported model \"WordPiece\""},
      {R"("type": "BPE")", R"("type": 3)", "model.type: expected a string, found an integer"},
      {R"("type": "BPE", )", "", "missing key \"type\""},
      {R"("vocab": {)", R"("vocabulary": {)", "missing key \"vocab\""},
      {R"("vocab": {)", R"("vocab": 5, "x": {)", "model.vocab: expected an object"},
      {R"("merges": [)", R"("mergers": [)", "missing key \"merges\""},
      {R"("merges": [)", R"("merges": {}, "x": [)", "model.merges: expected an array"},
      {R"("a b",)", R"("ab",)", "model.merges[0]: expected two tokens and one space"},
      {R"("a b",)", R"("a b b",)", "expected two tokens and one space"},
      {R"("a b",)", R"("a  b",)", "expected two tokens and one space"},
      {R"("a b",)", R"(" ",)", "expected two tokens and one space"},
      {R"("a b",)", R"(["a"],)", "model.merges[0]: expected 2 tokens, found 1"},
      {R"("a b",)", R"(["a", "b", "b"],)", "expected 2 tokens, found 3"},
      {R"("a b",)", R"(["a", 2],)", "model.merges[0][1]: expected a string"},
      {R"("a b",)", R"(7,)", "model.merges[0]: expected an array"},
      {R"("a b",)", R"("a c",)", "\"c\" is not in the vocabulary"},
      {R"("a b",)", R"("c a",)", "\"c\" is not in the vocabulary"},
      {R"("a b",)", R"("b a",)", "\"ba\" is not in the vocabulary"},
      {R"("a b",)", R"("a b", ["a", "b"],)", "model.merges[1]: a second merge of \"a\" and \"b\""},
      {R"("bb": 9)", R"("bb": 8)", "both have the id 8"},
      {R"("bb": 9)", R"("bb": -1)", "model.vocab.bb: expected an integer"},
      {R"("bb": 9)", R"("bb": 16777216)", "expected an id below"},
      {R"("bb": 9)", R"("bb": 4294967296)", "expected an id below"},
      {R"("bb": 9)", R"("bb": 18446744073709551615)", "model.vocab.bb: expected an integer"},
      {R"("bb": 9)", R"("bb": 9.0)", "model.vocab.bb: expected an integer, found a number"},
      {R"("bb": 9)", R"("bb": "9")", "expected an integer, found a string"},
      {R"("bb": 9)", R"("bb": null)", "expected an integer, found null"},
      {R"("bb": 9)", R"("bb": 9, "a": 11)", "duplicate key \"a\""},
      {R"("bb": 9)", R"("bb": 99999)", "expected an id below"},
      {R"("dropout": null)", R"("dropout": 0.1)", "unsupported dropout"},
      {R"("dropout": null)", R"("continuing_subword_prefix": "##")",
       "unsupported continuing_subword_prefix \"##\""},
      {R"("dropout": null)", R"("end_of_word_suffix": "</w>")", "unsupported end_of_word_suffix"},
      {R"("fuse_unk": true)", R"("fuse_unk": "yes")", "fuse_unk: expected a boolean"},
      {R"("unk_token": "<unk>")", R"("unk_token": "<?>")",
       "unk_token: \"<?>\" is not in the vocabulary"},
      {R"("unk_token": "<unk>")", R"("unk_token": 0)", "unk_token: expected a string"},
      {R"("added_tokens": [)", R"("added_tokens": {}, "x": [)", "added_tokens: expected an array"},
      {R"("content": "<s>")", R"("content": "")",
       "added_tokens[1]: content: expected a text of 1 to"},
      {R"("content": "<s>")", R"("content": null)", "content: expected a value, found null"},
      {R"("content": "<s>")", R"("content": "a")", "has the id 1, and the vocabulary gives it 5"},
      {R"("content": "<s>")", R"("content": "<unk>")", "is there twice"},
      {R"("content": "<s>")", R"("content": "<new>")", "both have the id 1"},
      {R"("id": 1)", R"("id": -5)", "expected an integer"},
      {R"("id": 1,)", R"("id": 4000000000,)", "expected an integer"},
      {R"("id": 1,)", "", "missing key \"id\""},
      {R"("lstrip": false,)", "", "missing key \"lstrip\""},
      {R"("special": true)", R"("special": 1)", "special: expected a boolean"},
      {R"("normalizer": {"type": "Sequence")", R"("normalizer": {"type": "Lowercase")",
       "unsupported normalizer \"Lowercase\""},
      {R"("normalizer": {"type": "Sequence")", R"("normalizer": {"kind": "Sequence")",
       "missing key \"type\""},
      {R"("normalizer": {)", R"("normalizer": 3, "x": {)", "normalizer: expected an object"},
      {R"({"type": "Prepend", "prepend": "_"})", R"({"type": "Precompiled"})",
       "normalizer.normalizers[0]: unsupported normalizer \"Precompiled\""},
      {R"("prepend": "_")", R"("prepend": "")", "prepend: expected a text that is not empty"},
      {R"({"String": " "}, "content": "_")", R"({"Regex": " "}, "content": "_")",
       "unsupported pattern \"Regex\""},
      {R"({"String": " "}, "content": "_")", R"({"String": ""}, "content": "_")",
       "expected a text that is not empty"},
      {R"({"String": " "}, "content": "_")",
       R"({"String": " "}, "content": "________________________________________________________________________")",
       "more than 64 times as long"},
      {R"("pre_tokenizer": null)", R"("pre_tokenizer": {"type": "Whitespace"})",
       "unsupported pre-tokenizer \"Whitespace\""},
      {R"("pre_tokenizer": null)", R"("pre_tokenizer": {"type": "Metaspace"})",
       "unsupported pre-tokenizer \"Metaspace\""},
      {R"("pre_tokenizer": null)", R"("pre_tokenizer": {"type": "Sequence"})",
       "missing key \"pretokenizers\""},
      {R"("pre_tokenizer": null)", R"("pre_tokenizer": {"type": "Digits"})",
       "missing key \"individual_digits\""},
      {R"("pre_tokenizer": null)", R"("pre_tokenizer": {"type": "ByteLevel"})",
       "missing key \"add_prefix_space\""},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false})",
       "unsupported decoder \"Replace\" beside a ByteLevel pre-tokenizer"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"})",
       "the expression does not compile: missing closing parenthesis"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\p{Foo}"}, "behavior": "Isolated"})",
       "the expression does not compile"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a{1,3}+"}, "behavior": "Isolated"})",
       "unsupported \"+\" behind an interval"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a&&b]"}, "behavior": "Isolated"})",
       "unsupported operation on character classes"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\Ka"}, "behavior": "Isolated"})",
       "unsupported escape \"\\K\""},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(*LIMIT_MATCH=1)a"}, "behavior": "Isolated"})",
       "unsupported group \"(*\""},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?m)a"}, "behavior": "Isolated"})",
       "unsupported group \"(?m)\""},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a"}, "behavior": "Isolated"})",
       "a character class without its end"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": ""}, "behavior": "Isolated"})",
       "expected an expression of 1 to"},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Kept"})",
       "unsupported behavior \"Kept\""},
      {R"("pre_tokenizer": null)",
       R"("pre_tokenizer": {"type": "Split", "pattern": {}, "behavior": "Isolated"})",
       "missing key \"String\""},
      {R"("type": "TemplateProcessing")", R"("type": "BertProcessing")",
       "unsupported post-processor \"BertProcessing\""},
      {R"("single": [)", R"("double": [)", "missing key \"single\""},
      {R"({"Sequence": {"id": "A", "type_id": 0}})", R"({"SpecialToken": {"id": "<s>"}})",
       "single: expected a Sequence"},
      {R"({"Sequence": {"id": "A", "type_id": 0}})", R"({"Sequence": {"id": "B"}})",
       "expected the text once, as sequence A"},
      {R"("ids": [1])", R"("ids": [77])", "no token has the id 77"},
      {R"("ids": [1])", R"("ids": ["1"])", "expected an integer"},
      {R"("special_tokens": {"<s>")", R"("special_tokens": {"<t>")", "missing key \"<s>\""},
      {R"("decoder": {"type": "Sequence")", R"("decoder": {"type": "WordPiece")",
       "unsupported decoder \"WordPiece\""},
      {R"("decoder": {"type": "Sequence")", R"("decoder": {"type": "ByteLevel")",
       "a ByteLevel decoder without its pre-tokenizer"},
      {R"("decoder": {)", R"("recoder": {)", "decoder: expected ByteLevel or Sequence, found none"},
      {R"({"type": "Fuse"},)", "", "unsupported order: Strip before Fuse"},
      {R"({"type": "ByteFallback"},)", R"({"type": "Fuse"}, {"type": "ByteFallback"},)",
       "unsupported order: ByteFallback behind Fuse"},
      {R"("start": 1, "stop": 0)", R"("start": 1, "stop": 1)", "unsupported stop"},
      {R"("start": 1, "stop": 0)", R"("start": -1, "stop": 0)",
       "start: expected an integer from 0"},
  };
  for (const Bad &bad : cases) {
    SCOPED_TRACE(std::string(bad.from) + " -> " + bad.to);
    ASSERT_TRUE(StringRef(kPieceJson).contains(bad.from));
    expectError(replaced(kPieceJson, bad.from, bad.to), bad.words);
  }
}

TEST(TokenizerImport, ErrorsBeginWithTheFile) {
  Folder folder;
  folder.write("tokenizer.json", "{}");
  std::string error = toString(import::importTokenizer(folder.path, 0).takeError());
  EXPECT_EQ(error, folder.inside("tokenizer.json") + ": missing key \"model\"");
}

TEST(TokenizerImport, DeepNestingAndOtherTextsAreRefused) {
  expectError(std::string(100000, '['), "nested more than 64 levels");
  std::string nested = "null";
  for (int i = 0; i < 1000; ++i)
    nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
  expectError(R"({"normalizer":)" + nested + "}", "nested more than 64 levels");
  expectError("", "not valid JSON");
  expectError("\xEF\xBB\xBF", "not valid JSON");
  expectError("[1, 2]", "expected an object, found an array");
  expectError("{\"a\": \"\xFF\"}", "not valid JSON");
  expectError("{} x", "not valid JSON");
}

TEST(TokenizerImport, NoChangedByteCrashes) {
  const std::string seed = kPieceJson;
  size_t good = 0;
  for (size_t i = 0; i < seed.size(); ++i)
    for (unsigned char value : {0x00, 0x22, 0x2c, 0x39, 0x7b, 0x7f, 0x80, 0xff, seed[i] ^ 1}) {
      std::string changed = seed;
      changed[i] = static_cast<char>(value);
      Expected<std::string> blob = import::parseTokenizer("t.json", changed, 0);
      if (blob)
        good += loadBlob(std::move(*blob)).tokenizer != nullptr;
      else
        EXPECT_TRUE(StringRef(toString(blob.takeError())).starts_with("t.json: "));
    }
  EXPECT_GT(good, 0u);
}

TEST(TokenizerImport, EveryTruncationIsRefused) {
  std::string whole =
      byteLevelJson({{"a", "b"}, {"ab", "c"}}, splitJson(R"({"Regex":"\\p{L}+"})", "Isolated"));
  auto refused = [](StringRef text) {
    Expected<std::string> blob = import::parseTokenizer("t.json", text, 0);
    bool bad = !blob;
    consumeError(blob.takeError());
    return bad;
  };
  for (size_t bytes = 0; bytes < whole.size(); ++bytes)
    EXPECT_TRUE(refused(StringRef(whole).take_front(bytes))) << bytes;
  std::string model = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet/tokenizer.json";
  auto buffer = MemoryBuffer::getFile(model);
  ASSERT_TRUE(static_cast<bool>(buffer));
  for (size_t bytes = 0; bytes < (*buffer)->getBufferSize(); bytes += 1000)
    EXPECT_NE(importError((*buffer)->getBuffer().take_front(bytes)), "") << bytes;
}

} // namespace
