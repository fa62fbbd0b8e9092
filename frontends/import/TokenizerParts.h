//===- TokenizerParts.h - components of a tokenizer.json --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_TOKENIZERPARTS_H
#define TERN_FRONTENDS_IMPORT_TOKENIZERPARTS_H

#include "frontends/import/Json.h"
#include "frontends/import/TokenizerModel.h"

namespace tern::import {

/// Each appends the steps of one component to the model; `part` is null where the file has none.
llvm::Error readNormalizer(const Json *part, TokenizerModel &model);
/// Sets the byte-level flag where a ByteLevel pre-tokenizer is met.
llvm::Error readPreTokenizer(const Json *part, TokenizerModel &model);
/// The pre-tokenizer must have been read.
llvm::Error readDecoder(const Json *part, TokenizerModel &model);
/// The ids around a text. `hasTemplate` tells whether a TemplateProcessing was met.
llvm::Error readPostProcessor(const Json *part, TokenizerModel &model, bool &hasTemplate);

/// What the model's normalizer makes of a text.
std::string normalized(const TokenizerModel &model, llvm::StringRef text);

/// An Oniguruma expression, as tokenizer.json files have them, in PCRE2's syntax with the same
/// meaning; it compiles. Fails with what PCRE2 says, or with the construct whose meaning differs.
/// `place`: for the error.
llvm::Expected<std::string> translateExpression(const Json &place, llvm::StringRef expression);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_TOKENIZERPARTS_H
