//===- Tokenizer.h - a model folder's tokenizer to a blob -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_TOKENIZER_H
#define TERN_FRONTENDS_IMPORT_TOKENIZER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern::import {

/// The blob (tern/tokenizer_blob.h) of the tokenizer.json in `folder`; empty where there is none.
/// Also read, where they exist: tokenizer_config.json and special_tokens_map.json (begin and end
/// tokens, further added tokens), generation_config.json and config.json (end tokens).
/// `vocabulary`: the model's, which every id must be below; 0: unknown. What is not supported
/// exactly is refused by name.
///
/// Begin and end tokens put around a text come from TemplateProcessing, else from add_bos_token and
/// add_eos_token. Generation ends at the eos tokens of all four files and at special tokens that
/// are known to end a turn (<|eot_id|>, <|im_end|>, ...).
llvm::Expected<std::string> importTokenizer(llvm::StringRef folder, uint64_t vocabulary);

/// The blob of one tokenizer.json, given by its text; `file` names it in messages.
llvm::Expected<std::string> parseTokenizer(llvm::StringRef file, llvm::StringRef text,
                                           uint64_t vocabulary);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_TOKENIZER_H
