//===- GgufPreTokenizer.h - how named vocabularies cut a text ---*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_GGUFPRETOKENIZER_H
#define TERN_FRONTENDS_IMPORT_GGUFPRETOKENIZER_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern::import {

/// What a `tokenizer.ggml.pre` stands for. Each expression cuts the pieces of the one before.
struct PreTokenizer {
  llvm::ArrayRef<llvm::StringLiteral> names; ///< the first is what we write
  llvm::ArrayRef<llvm::StringLiteral> expressions;
  bool composes;      ///< NFC first
  bool ignoresMerges; ///< a piece that is a token is that token
  bool addsBos;       ///< where the file does not say
};

/// Null where `name` is not known.
const PreTokenizer *preTokenizerNamed(llvm::StringRef name);

/// An expression of the table in PCRE2's syntax, as blobs have it.
llvm::Expected<std::string> translatePreTokenizer(llvm::StringRef expression);

/// The `tokenizer.ggml.pre` names of a `gpt2` vocabulary that are known.
std::string knownPreTokenizers();

/// The name whose splitting expressions are exactly `expressions`, as a blob has them; empty where
/// there is none.
llvm::StringRef findPreTokenizer(llvm::ArrayRef<llvm::StringRef> expressions, bool ignoresMerges);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_GGUFPRETOKENIZER_H
