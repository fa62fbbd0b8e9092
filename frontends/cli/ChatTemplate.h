//===- ChatTemplate.h - conversations as the text of a prompt ---*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_CHATTEMPLATE_H
#define TERN_FRONTENDS_CLI_CHATTEMPLATE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace tern::cli {

enum class Role { System, User, Assistant };

struct ChatMessage {
  Role role;
  std::string text;
};

/// A stretch of a prompt. Special ones are tokens of the template; what people typed is never one,
/// whatever it spells.
struct ChatPiece {
  std::string text;
  bool special;
};

/// A form of conversation that is known exactly.
struct ChatTemplate {
  llvm::StringLiteral name;
  /// Special tokens that end an answer, besides the tokenizer's own.
  llvm::ArrayRef<llvm::StringLiteral> ends;
  /// Texts that end an answer, for models whose turns end without a token.
  llvm::ArrayRef<llvm::StringLiteral> stops;
  bool hasThinking; ///< the thinking switch means something
  /// The prompt of a conversation, up to where the answer begins; without the token that begins a
  /// text. Texts next to one another are one text.
  std::vector<ChatPiece> (*render)(llvm::ArrayRef<ChatMessage> messages, bool thinking);
};

/// By name, or an error that lists the names.
llvm::Expected<const ChatTemplate *> findChatTemplate(llvm::StringRef name);
/// By the text of a Jinja template, told by the strings that mark each form. An error where it is
/// none of those, or `text` is empty.
llvm::Expected<const ChatTemplate *> recogniseChatTemplate(llvm::StringRef text);
/// "bitnet, llama3, ...".
std::string chatTemplateNames();

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_CHATTEMPLATE_H
