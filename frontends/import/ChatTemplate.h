//===- ChatTemplate.h - a model's chat template as text ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CHATTEMPLATE_H
#define TERN_FRONTENDS_IMPORT_CHATTEMPLATE_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern::import {

/// The template of a Hugging Face folder: chat_template.jinja, else `chat_template` of
/// tokenizer_config.json (of several, the one named "default"). Empty where there is none. It is
/// only ever compared with templates that are known, never run.
llvm::Expected<std::string> readChatTemplate(llvm::StringRef folder);

/// Adds `text` to a model card as its key `chat_template`; nothing where it is empty.
void addChatTemplate(std::string &card, llvm::StringRef text);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_CHATTEMPLATE_H
