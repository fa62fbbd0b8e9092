//===- TokenizerModel.h - a tokenizer before it becomes a blob --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_TOKENIZERMODEL_H
#define TERN_FRONTENDS_IMPORT_TOKENIZERMODEL_H

#include "tern/tokenizer_blob.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace tern::import {

/// The parts of a tokenizer, whatever file they come from; tern/tokenizer_blob.h says what they
/// mean.
struct TokenizerModel {
  struct Token {
    std::string text; ///< the bytes it stands for
    uint32_t flags = 0;
    uint32_t byte = 0;
    bool known = false; ///< else a hole among the ids
  };
  struct Added {
    std::string text; ///< normalized where its flag says so
    uint32_t id;
    uint32_t flags;
  };
  struct Step {
    uint32_t kind;
    uint32_t behaviour = 0;
    uint32_t invert = 0;
    std::string a = {}, b = {};
  };

  uint32_t flags = 0;
  uint32_t unknown = TERN_TOKENIZER_NONE;
  std::vector<Token> tokens;
  std::vector<tern_tokenizer_merge_t> merges;
  std::vector<Added> added;
  std::vector<Step> normalize, split, decode;
  std::vector<uint32_t> prefix, suffix, end;
};

/// Builds the tables. Fails where a table outgrows the format, or tokens are chosen so that their
/// hashes collide.
llvm::Expected<std::string> writeTokenizerBlob(const TokenizerModel &model);

/// The bytes that a token of a byte-level vocabulary stands for, or nothing where it is not written
/// in the alphabet.
std::optional<std::string> alphabetToBytes(llvm::StringRef text);

/// True for special tokens that end a turn in the chat forms of the families we import.
bool endsTurn(llvm::StringRef text);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_TOKENIZERMODEL_H
