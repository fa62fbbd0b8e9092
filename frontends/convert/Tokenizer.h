//===- Tokenizer.h - a tokenizer blob as other programs want it -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_TOKENIZER_H
#define TERN_FRONTENDS_CONVERT_TOKENIZER_H

#include "frontends/convert/GgufKeys.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>

namespace tern::convert {

/// Adds `tokenizer.ggml.*`, padded to `vocabulary` tokens. An error where GGUF has no name for the
/// way the tokenizer cuts texts. Returns what else the keys cannot say: "normalization, ...".
llvm::Expected<std::string> addTokenizerKeys(GgufKeys &keys, llvm::StringRef blob,
                                             int64_t vocabulary, std::optional<int64_t> bos);

/// The tokenizer.json of a blob.
llvm::Expected<std::string> tokenizerJson(llvm::StringRef blob);
/// Its tokenizer_config.json: the tokens that begin and end a text, and the chat template.
std::string tokenizerConfig(llvm::StringRef blob, llvm::StringRef chatTemplate);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_TOKENIZER_H
