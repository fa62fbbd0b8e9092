//===- ChatTemplate.cpp - conversations as the text of a prompt -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/ChatTemplate.h"

#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace tern::cli {

static Error refuse(const Twine &message) {
  return createStringError(inconvertibleErrorCode(), message);
}

namespace {

/// What Jinja's trim takes away.
constexpr StringLiteral kSpaces = " \t\n\r\v\f";

StringRef name(Role role) {
  return role == Role::System ? "system" : role == Role::User ? "user" : "assistant";
}

class Prompt {
public:
  Prompt &special(StringRef text) {
    pieces.push_back({text.str(), true});
    return *this;
  }
  Prompt &text(const Twine &text) {
    if (pieces.empty() || pieces.back().special)
      pieces.push_back({"", false});
    pieces.back().text += text.str();
    return *this;
  }
  std::vector<ChatPiece> take() { return std::move(pieces); }

private:
  std::vector<ChatPiece> pieces;
};

/// BitNet b1.58 2B4T: "User: hello<|eot_id|>Assistant: ".
std::vector<ChatPiece> renderBitnet(ArrayRef<ChatMessage> messages, bool) {
  Prompt prompt;
  for (const ChatMessage &message : messages) {
    StringRef role = name(message.role);
    prompt.text(Twine(toUpper(role.front())) + role.drop_front() + ": " +
                StringRef(message.text).trim(kSpaces));
    prompt.special("<|eot_id|>");
  }
  return prompt.text("Assistant: ").take();
}

std::vector<ChatPiece> renderLlama3(ArrayRef<ChatMessage> messages, bool) {
  Prompt prompt;
  auto header = [&](Role role) {
    prompt.special("<|start_header_id|>").text(name(role));
    prompt.special("<|end_header_id|>").text("\n\n");
  };
  for (const ChatMessage &message : messages) {
    header(message.role);
    prompt.text(StringRef(message.text).trim(kSpaces)).special("<|eot_id|>");
  }
  header(Role::Assistant);
  return prompt.take();
}

/// Answers end with the token that ends a text, questions do not.
std::vector<ChatPiece> renderFalcon3(ArrayRef<ChatMessage> messages, bool) {
  Prompt prompt;
  for (const ChatMessage &message : messages) {
    prompt.special(("<|" + name(message.role) + "|>").str()).text("\n" + Twine(message.text));
    if (message.role == Role::Assistant)
      prompt.special("<|endoftext|>");
    prompt.text("\n");
  }
  return prompt.special("<|assistant|>").text("\n").take();
}

/// An answer without the thoughts before it, which the next turns do not see.
StringRef withoutThoughts(StringRef text) {
  constexpr StringLiteral kEnd = "</think>";
  size_t end = text.rfind(kEnd);
  return end == StringRef::npos ? text : text.substr(end + kEnd.size()).ltrim('\n');
}

std::vector<ChatPiece> renderTurns(ArrayRef<ChatMessage> messages, Prompt &prompt, bool thoughts) {
  for (const ChatMessage &message : messages) {
    StringRef text = message.text;
    if (!thoughts && message.role == Role::Assistant)
      text = withoutThoughts(text);
    prompt.special("<|im_start|>").text(name(message.role) + "\n" + text);
    prompt.special("<|im_end|>").text("\n");
  }
  return prompt.special("<|im_start|>").text("assistant\n").take();
}

std::vector<ChatPiece> renderChatML(ArrayRef<ChatMessage> messages, bool) {
  Prompt prompt;
  return renderTurns(messages, prompt, /*thoughts=*/true);
}

/// ChatML with thoughts in answers, as Qwen 3 and Bonsai have it.
std::vector<ChatPiece> renderQwen3(ArrayRef<ChatMessage> messages, bool thinking) {
  Prompt prompt;
  std::vector<ChatPiece> pieces = renderTurns(messages, prompt, /*thoughts=*/false);
  if (!thinking) {
    pieces.push_back({"<think>", true});
    pieces.push_back({"\n\n", false});
    pieces.push_back({"</think>", true});
    pieces.push_back({"\n\n", false});
  }
  return pieces;
}

/// Plain text, for models that know no special tokens: "User: hello\nAssistant:".
std::vector<ChatPiece> renderPlain(ArrayRef<ChatMessage> messages, bool) {
  Prompt prompt;
  for (const ChatMessage &message : messages) {
    StringRef role = name(message.role);
    if (message.role == Role::System)
      prompt.text(StringRef(message.text).trim(kSpaces) + "\n");
    else
      prompt.text(Twine(toUpper(role.front())) + role.drop_front() + ": " +
                  StringRef(message.text).trim(kSpaces) + "\n");
  }
  return prompt.text("Assistant:").take();
}

constexpr StringLiteral kEot[] = {"<|eot_id|>", "<|end_of_text|>"};
constexpr StringLiteral kEndOfText[] = {"<|endoftext|>"};
constexpr StringLiteral kIm[] = {"<|im_end|>", "<|endoftext|>"};
constexpr StringLiteral kFalconStops[] = {"<|user|>"};
constexpr StringLiteral kPlainStops[] = {"\nUser:"};

const ChatTemplate kTemplates[] = {
    {"bitnet", kEot, {}, false, renderBitnet},
    {"llama3", kEot, {}, false, renderLlama3},
    {"falcon3", kEndOfText, kFalconStops, false, renderFalcon3},
    {"qwen3", kIm, {}, true, renderQwen3},
    {"chatml", kIm, {}, false, renderChatML},
    {"plain", {}, kPlainStops, false, renderPlain},
};

/// Strings that the Jinja text of a form has, and strings that would make it another form.
struct Marks {
  StringLiteral name;
  ArrayRef<StringLiteral> has, hasNot;
};

constexpr StringLiteral kBitnetHas[] = {"capitalize", "': '", "<|eot_id|>", "Assistant: "};
constexpr StringLiteral kBitnetNot[] = {"<|start_header_id|>", "<|im_start|>", "tools"};
constexpr StringLiteral kLlama3Has[] = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
                                        "| trim", "bos_token"};
constexpr StringLiteral kLlama3Not[] = {"Cutting Knowledge", "date_string", "tools", "You are"};
// Not the related forms that end each message with a token.
constexpr StringLiteral kFalcon3Has[] = {"<|system|>\\n' + message['content'] + '\\n'",
                                         "<|user|>\\n' + message['content'] + '\\n'",
                                         "<|assistant|>\\n' + message['content'] + eos_token"};
constexpr StringLiteral kFalcon3Not[] = {"<|im_start|>", "<|end|>", "<|eot_id|>",
                                         "You are",      "</s>",    "[INST]"};
constexpr StringLiteral kQwen3Has[] = {"<|im_start|>", "<|im_end|>", "enable_thinking", "</think>",
                                       "add_generation_prompt"};
constexpr StringLiteral kQwen3Not[] = {"You are Qwen", "You are a helpful"};
constexpr StringLiteral kChatMLHas[] = {"<|im_start|>", "<|im_end|>", "add_generation_prompt"};
constexpr StringLiteral kChatMLNot[] = {"You are", "think", "tools", "trim", "strip"};

// The official GGUF file of 2B4T has a form that the model was never trained on, and that leads it
// astray: its own is meant.
constexpr StringLiteral kWrongBitnetHas[] = {"Human: ", "BITNETAssistant: "};

const Marks kMarks[] = {
    {"bitnet", kBitnetHas, kBitnetNot}, {"bitnet", kWrongBitnetHas, {}},
    {"llama3", kLlama3Has, kLlama3Not}, {"falcon3", kFalcon3Has, kFalcon3Not},
    {"qwen3", kQwen3Has, kQwen3Not},    {"chatml", kChatMLHas, kChatMLNot},
};

} // namespace

std::string chatTemplateNames() {
  std::string text;
  for (const ChatTemplate &known : kTemplates)
    text += (text.empty() ? "" : ", ") + known.name.str();
  return text;
}

Expected<const ChatTemplate *> findChatTemplate(StringRef name) {
  for (const ChatTemplate &known : kTemplates)
    if (known.name == name)
      return &known;
  return refuse("unknown chat template '" + name + "', expected one of " + chatTemplateNames());
}

/// The next "{% ... %}" of `text` from `at` on: its first two words; `at` moves behind it.
static std::optional<std::pair<StringRef, StringRef>> nextTag(StringRef text, size_t &at) {
  size_t begin = text.find("{%", at), end = text.find("%}", begin);
  if (begin == StringRef::npos || end == StringRef::npos)
    return std::nullopt;
  at = end + 2;
  auto [word, rest] = text.slice(begin + 2, end).trim("-+ \t\r\n").split(' ');
  return std::make_pair(word, rest.trim());
}

/// What is left of a template that begins with "if tools" when there are none: its "else" and what
/// follows the "endif".
static std::string withoutTools(StringRef text) {
  size_t at = 0, elseEnd = 0;
  auto first = nextTag(text, at);
  if (!first || first->first != "if" || first->second != "tools")
    return text.str();
  for (unsigned depth = 1; auto tag = nextTag(text, at);) {
    StringRef word = tag->first;
    if (word == "else" && depth == 1)
      elseEnd = at;
    depth += word == "if" || word == "for";
    depth -= word == "endif" || word == "endfor";
    if (depth)
      continue;
    size_t endif = text.take_front(at).rfind("{%");
    return (elseEnd ? text.slice(elseEnd, endif) : "").str() + text.substr(at).str();
  }
  return text.str();
}

Expected<const ChatTemplate *> recogniseChatTemplate(StringRef whole) {
  if (whole.empty())
    return refuse("the model has no chat template; --template NAME chooses one of " +
                  chatTemplateNames());
  std::string text = withoutTools(whole);
  auto inText = [&](StringRef mark) { return StringRef(text).contains(mark); };
  for (const Marks &marks : kMarks)
    if (all_of(marks.has, inText) && none_of(marks.hasNot, inText))
      return findChatTemplate(marks.name);
  return refuse("the model's chat template is none of those known exactly (" + chatTemplateNames() +
                "); --template NAME takes one of them all the same");
}

} // namespace tern::cli
