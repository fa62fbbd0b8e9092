//===- Tokenize.cpp - tern tokenize ---------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

namespace {
struct TokenizeFlags {
  RunOptions run;
  std::string text, file, ids;
  bool hasIds = false, bos = false, special = false, pieces = false, skipSpecial = false;
};
} // namespace

static Error printText(const TokenizeFlags &flags, const tern_model_t *model) {
  auto ids = parseIds(flags.ids);
  if (!ids)
    return ids.takeError();
  auto text = detokenize(model, *ids, flags.skipSpecial);
  if (!text)
    return text.takeError();
  outs() << *text << '\n';
  return Error::success();
}

static Error printIds(const TokenizeFlags &flags, const tern_model_t *model) {
  std::string text = flags.text;
  if (!flags.file.empty()) {
    auto contents = readTextFile(flags.file);
    if (!contents)
      return contents.takeError();
    text = *contents;
  }
  uint32_t parse =
      (flags.bos ? TERN_TOKENIZE_ADD_BOS : 0) | (flags.special ? TERN_TOKENIZE_PARSE_SPECIAL : 0);
  auto ids = tokenize(model, text, parse);
  if (!ids)
    return ids.takeError();
  if (!flags.pieces) {
    interleave(*ids, outs(), " ");
    outs() << '\n';
    return Error::success();
  }
  for (int32_t id : *ids) {
    auto piece = detokenize(model, id, /*skipSpecial=*/false);
    if (!piece)
      return piece.takeError();
    outs() << id << '\t';
    printEscapedString(*piece, outs());
    outs() << '\n';
  }
  return Error::success();
}

static Error runTokenize(const TokenizeFlags &flags) {
  auto model = openForRunning(flags.run);
  if (!model)
    return model.takeError();
  return flags.hasIds ? printText(flags, model->get()) : printIds(flags, model->get());
}

void addTokenize(CLI::App &app, Action &action) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App *verb = app.add_subcommand("tokenize", "text to token ids, or back");
  verb->add_option("model", flags->run.model, "checkpoint or library")->required();
  auto *text = verb->add_option("--text", flags->text, "the text");
  auto *file = verb->add_option("--file", flags->file, "a file with the text; - is stdin");
  auto *ids = verb->add_option("--ids", flags->ids, "token ids to turn into text: 1,2,3");
  text->excludes(file)->excludes(ids);
  file->excludes(ids);
  verb->add_flag("--bos", flags->bos, "begin as the tokenizer begins a text");
  verb->add_flag("--special", flags->special, "special tokens in the text are tokens");
  verb->add_flag("--skip-special", flags->skipSpecial, "leave special tokens out of the text");
  verb->add_flag("--pieces", flags->pieces, "a line a token: id and piece");
  verb->callback([flags, ids, text, file, verb, &action] {
    if (text->count() + file->count() + ids->count() == 0)
      throw CLI::RequiredError("one of --text, --file, --ids");
    flags->hasIds = ids->count() > 0;
    action = [flags] { return runTokenize(*flags); };
  });
}

} // namespace tern::cli
