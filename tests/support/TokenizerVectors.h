//===- TokenizerVectors.h - published texts and their ids -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_TOKENIZERVECTORS_H
#define TERN_TESTS_SUPPORT_TOKENIZERVECTORS_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

#include <string>
#include <vector>

namespace tern::test {

// Vocabularies of the published vectors are too large, and not ours, to keep beside the code.
inline const std::string kVectors = TERN_SOURCE_DIR "/../shared/tokenizer-vectors/";

inline std::string readAll(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  EXPECT_TRUE(static_cast<bool>(buffer)) << path;
  return buffer ? (*buffer)->getBuffer().str() : "";
}

/// A text and its ids.
struct TokenizerVector {
  std::string text;
  std::vector<int32_t> ids;
};

/// The pairs of `name`.inp and `name`.out.
inline std::vector<TokenizerVector> tokenizerVectors(const std::string &name) {
  std::string inputs = readAll(kVectors + name + ".inp"),
              outputs = readAll(kVectors + name + ".out");
  llvm::StringRef texts = inputs, lines = outputs;
  std::vector<TokenizerVector> vectors;
  for (constexpr llvm::StringLiteral kMark = "\n__ggml_vocab_test__\n"; texts.contains(kMark);) {
    auto [text, rest] = texts.split(kMark);
    auto [line, more] = lines.split('\n');
    vectors.push_back({text.str(), {}});
    llvm::SmallVector<llvm::StringRef> words;
    line.split(words, ' ', -1, false);
    for (llvm::StringRef word : words)
      vectors.back().ids.push_back(std::stoi(word.str()));
    texts = rest;
    lines = more;
  }
  return vectors;
}

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_TOKENIZERVECTORS_H
