//===- chat_template_test.cpp - known forms of conversations --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/ChatTemplate.h"

#include <gtest/gtest.h>

using namespace llvm;
using namespace tern;
using namespace tern::cli;

namespace {

const std::vector<ChatMessage> kTalk = {{Role::System, "Be brief."},
                                        {Role::User, " Hi <|eot_id|> "},
                                        {Role::Assistant, "<think>\nhm\n</think>\n\nHello."},
                                        {Role::User, "Bye"}};

/// Special pieces in brackets.
std::string render(StringRef name, bool thinking = true) {
  const ChatTemplate *form = cantFail(findChatTemplate(name));
  std::string text;
  for (const ChatPiece &piece : form->render(kTalk, thinking))
    text += piece.special ? "[" + piece.text + "]" : piece.text;
  return text;
}

TEST(ChatTemplate, Renders) {
  EXPECT_EQ(render("bitnet"), "System: Be brief.[<|eot_id|>]User: Hi <|eot_id|>[<|eot_id|>]"
                              "Assistant: <think>\nhm\n</think>\n\nHello.[<|eot_id|>]"
                              "User: Bye[<|eot_id|>]Assistant: ");
  EXPECT_TRUE(StringRef(render("llama3"))
                  .starts_with("[<|start_header_id|>]system[<|end_header_id|>]\n\nBe brief."
                               "[<|eot_id|>][<|start_header_id|>]user[<|end_header_id|>]\n\nHi"));
  EXPECT_TRUE(
      StringRef(render("llama3"))
          .ends_with("Bye[<|eot_id|>][<|start_header_id|>]assistant[<|end_header_id|>]\n\n"));
  EXPECT_TRUE(StringRef(render("falcon3")).starts_with("[<|system|>]\nBe brief.\n[<|user|>]\n Hi"));
  EXPECT_TRUE(StringRef(render("falcon3")).ends_with("[<|user|>]\nBye\n[<|assistant|>]\n"));
}

TEST(ChatTemplate, ThoughtsLeaveTheHistory) {
  std::string text = render("qwen3");
  EXPECT_TRUE(StringRef(text).contains("[<|im_start|>]assistant\nHello.[<|im_end|>]\n")) << text;
  EXPECT_TRUE(StringRef(text).ends_with("Bye[<|im_end|>]\n[<|im_start|>]assistant\n")) << text;
  EXPECT_TRUE(StringRef(render("qwen3", false))
                  .ends_with("[<|im_start|>]assistant\n[<think>]\n\n[</think>]\n\n"));
  EXPECT_TRUE(StringRef(render("chatml")).contains("assistant\n<think>\nhm"));
}

std::string recognised(StringRef text) {
  auto form = recogniseChatTemplate(text);
  return form ? (*form)->name.str() : toString(form.takeError());
}

TEST(ChatTemplate, RecognisesByMarks) {
  EXPECT_EQ(recognised("{% set loop_messages = messages %}{% for message in loop_messages %}"
                       "{% set content = message['role'] | capitalize + ': '+ "
                       "message['content'] | trim + '<|eot_id|>' %}{% endfor %}"
                       "{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"),
            "bitnet");
  EXPECT_EQ(recognised("{% set content = '<|start_header_id|>' + message['role'] + "
                       "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}"
                       "{% if loop.index0 == 0 %}{% set content = bos_token + content %}"),
            "llama3");
  EXPECT_EQ(recognised("{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
                       "'<|im_end|>' + '\n'}}{% if add_generation_prompt %}"),
            "chatml");
}

/// The loop of the Falcon 3 models; newer files have it in the else of a branch about tools.
const std::string kFalconLoop =
    R"({%- for message in messages %}{%- if message['role'] == 'system' %})"
    R"({{- '<|system|>\n' + message['content'] + '\n' }}{%- elif message['role'] == 'user' %})"
    R"({{- '<|user|>\n' + message['content'] + '\n' }}{%- elif message['role'] == 'assistant' %})"
    R"({{- '<|assistant|>\n' + message['content'] + eos_token + '\n' }}{%- endif %}{%- endfor %})"
    R"({{- '<|assistant|>\n' if add_generation_prompt }})";

std::string besideTools(const std::string &loop) {
  return "{%- if tools %}{{- 'You are an assistant that calls functions' }}{% for t in tools %}"
         "{% if t %}{{ t }}{% else %}-{% endif %}{% endfor %}\n{%- else %}" +
         loop + "{%- endif %}";
}

TEST(ChatTemplate, RecognisesFalcon3) {
  EXPECT_EQ(recognised(kFalconLoop), "falcon3");
  EXPECT_EQ(recognised(besideTools(kFalconLoop)), "falcon3");
  EXPECT_EQ(render("falcon3"), "[<|system|>]\nBe brief.\n[<|user|>]\n Hi <|eot_id|> \n"
                               "[<|assistant|>]\n<think>\nhm\n</think>\n\nHello.[<|endoftext|>]\n"
                               "[<|user|>]\nBye\n[<|assistant|>]\n");
}

TEST(ChatTemplate, ABranchForToolsIsNotLookedAt) {
  std::string turn = R"({{'<|im_start|>' + message['role'] + '\n' + message['content'] + )"
                     R"('<|im_end|>\n'}}{% if add_generation_prompt %}{{ 'x' }}{% endif %})";
  EXPECT_EQ(recognised(turn), "chatml");
  EXPECT_EQ(recognised(besideTools(turn)), "chatml");
  EXPECT_EQ(recognised(besideTools(turn + "{{ '<think></think>' if enable_thinking }}")), "qwen3");
  // The same words where no tools are asked for.
  EXPECT_NE(recognised(turn + "{% if tools %}You are an assistant{% endif %}"), "chatml");
  EXPECT_NE(recognised(besideTools("You are here " + turn)), "chatml");
  for (StringRef broken : {"{% if tools %}", "{% if tools %}{% else %}", "{% if tools", "{%"})
    EXPECT_TRUE(StringRef(recognised(broken)).contains("none of those known")) << broken.str();
}

TEST(ChatTemplate, TheWrongFormInFilesOf2B4TMeansTheRightOne) {
  EXPECT_EQ(recognised("{% if message['role'] == 'user' %}{{ 'Human: ' + message['content'] + "
                       "'\n\nBITNETAssistant: ' + eos_token }}{% endif %}"),
            "bitnet");
}

TEST(ChatTemplate, RefusesWhatIsNotKnownExactly) {
  for (StringRef text :
       {"{{ messages }}", "[INST] <|user|> <|assistant|>",
        // A token after each message: Zephyr, not Falcon.
        "{{ '<|system|>\\n' + message['content'] + eos_token }}"
        "{{ '<|user|>\\n' + message['content'] + eos_token }}"
        "{{ '<|assistant|>\\n' + message['content'] + eos_token }}",
        "<|im_start|><|im_end|>add_generation_prompt You are Qwen, created by",
        "<|start_header_id|><|end_header_id|><|eot_id|>| trim bos_token Cutting Knowledge"})
    EXPECT_TRUE(StringRef(recognised(text)).contains("none of those known exactly")) << text.str();
  EXPECT_TRUE(StringRef(recognised("")).contains("has no chat template"));
}

} // namespace
