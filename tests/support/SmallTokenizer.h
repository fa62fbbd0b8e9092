//===- SmallTokenizer.h - tokenizer.json texts for tests --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_SMALLTOKENIZER_H
#define TERN_TESTS_SUPPORT_SMALLTOKENIZER_H

#include "runtime/text/Utf8.h"
#include "tern/tokenizer_blob.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tern::test {

/// `text` with its first `from` replaced.
inline std::string replaced(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  return at == std::string::npos ? "no " + from : text.replace(at, from.size(), to);
}

inline std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text)
    out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

/// Bytes as the byte-level alphabet writes them.
inline std::string inAlphabet(const std::string &bytes) {
  std::string out;
  for (char c : bytes)
    appendUtf8(out, tern_tokenizer_byte_to_alphabet(static_cast<uint8_t>(c)));
  return out;
}

/// A byte-level tokenizer: token `b` is byte b, tokens from 256 on are what merges make; then the
/// special "<s>" and "</s>".
inline std::string byteLevelJson(const std::vector<std::pair<std::string, std::string>> &merges,
                                 const std::string &preTokenizers, bool ignoreMerges = false) {
  std::string vocabulary, list;
  for (int b = 0; b < 256; ++b)
    vocabulary += (b ? "," : "") + quoted(inAlphabet(std::string(1, static_cast<char>(b)))) + ":" +
                  std::to_string(b);
  size_t id = 256;
  std::set<std::string> tokens;
  for (const auto &[left, right] : merges) {
    if (tokens.insert(left + right).second)
      vocabulary += "," + quoted(inAlphabet(left + right)) + ":" + std::to_string(id++);
    list += (list.empty() ? "[" : ",[") + quoted(inAlphabet(left)) + "," +
            quoted(inAlphabet(right)) + "]";
  }
  auto special = [](const char *content, size_t at) {
    return R"({"id":)" + std::to_string(at) + R"(,"content":")" + content +
           R"(","special":true,"normalized":false,"lstrip":false,"rstrip":false,"single_word":false})";
  };
  return R"({"added_tokens":[)" + special("<s>", id) + "," + special("</s>", id + 1) +
         R"(],"normalizer":null,"pre_tokenizer":{"type":"Sequence","pretokenizers":[)" +
         preTokenizers +
         R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},)"
         R"("post_processor":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},)"
         R"("model":{"type":"BPE","ignore_merges":)" +
         (ignoreMerges ? "true" : "false") + R"(,"vocab":{)" + vocabulary + R"(},"merges":[)" +
         list + "]}}";
}

/// A SentencePiece-like tokenizer over a few letters, with every component that family uses.
inline const char *const kPieceJson = R"({
  "version": "1.0",
  "added_tokens": [
    {"id": 0, "content": "<unk>", "special": true, "normalized": false, "lstrip": false, "rstrip": false, "single_word": false},
    {"id": 1, "content": "<s>", "special": true, "normalized": false, "lstrip": false, "rstrip": false, "single_word": false}
  ],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "_"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "_"}
  ]},
  "pre_tokenizer": null,
  "post_processor": {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
  },
  "decoder": {"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "_"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}
  ]},
  "model": {
    "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "dropout": null,
    "vocab": {"<unk>": 0, "<s>": 1, "<0xC3>": 2, "<0xA9>": 3, "_": 4, "a": 5, "b": 6, "ab": 7, "_ab": 8, "bb": 9},
    "merges": ["a b", "_ ab", "b b"]
  }
})";

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_SMALLTOKENIZER_H
