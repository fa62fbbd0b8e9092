//===- Tokenize.cpp - tern tokenize ---------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"
#include "frontends/import/Tokenizer.h"
#include "runtime/text/Tokenizer.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <optional>

using namespace llvm;

namespace tern::cli {

namespace {
struct TokenizeFlags {
  RunOptions run;
  std::string text, file, ids;
  bool hasIds = false, bos = false, special = false, pieces = false, skipSpecial = false;
};
} // namespace

namespace {
/// A tokenizer: of a checkpoint, whose weights are then not looked at, or of a compiled library.
class Words {
public:
  static Expected<Words> open(const TokenizeFlags &flags);
  Expected<std::vector<int32_t>> ids(StringRef text, uint32_t parse) const;
  Expected<std::string> text(ArrayRef<int32_t> ids, bool skipSpecial) const;

private:
  std::optional<RunningModel> model;
  std::unique_ptr<std::string> blob; ///< the tokenizer reads it in place
  std::unique_ptr<Tokenizer> tokenizer;
};
} // namespace

/// The blob of a checkpoint that has a tokenizer; empty for everything else.
static Expected<std::string> checkpointBlob(StringRef path) {
  if (!import::GgufFile::isGguf(path))
    return sys::fs::is_directory(path) ? import::importTokenizer(path, 0) : std::string();
  auto file = import::GgufFile::open(path);
  if (!file)
    return file.takeError();
  auto tokenizer = import::importGgufTokenizer(path, file->metadata(), 0);
  if (!tokenizer)
    return tokenizer.takeError();
  if (tokenizer->blob.empty())
    return makeError(path + ": the file has no tokenizer (tokenizer.ggml.model)");
  errs() << tokenizer->warnings;
  return std::move(tokenizer->blob);
}

Expected<Words> Words::open(const TokenizeFlags &flags) {
  Words words;
  auto blob = checkpointBlob(flags.run.model);
  if (!blob)
    return blob.takeError();
  if (blob->empty()) {
    auto model = openForRunning(flags.run);
    if (!model)
      return model.takeError();
    words.model = std::move(*model);
    return words;
  }
  words.blob = std::make_unique<std::string>(std::move(*blob));
  if (Status status = Tokenizer::load(*words.blob, &words.tokenizer); !status.ok())
    return makeError(flags.run.model + ": " + status.message());
  return words;
}

Expected<std::vector<int32_t>> Words::ids(StringRef text, uint32_t parse) const {
  if (model)
    return tokenize(model->get(), text, parse);
  Tokenizer::EncodeOptions options;
  options.addBos = parse & TERN_TOKENIZE_ADD_BOS;
  options.parseSpecial = parse & TERN_TOKENIZE_PARSE_SPECIAL;
  return tokenizer->encode(text, options);
}

Expected<std::string> Words::text(ArrayRef<int32_t> ids, bool skipSpecial) const {
  if (model)
    return detokenize(model->get(), ids, skipSpecial);
  return tokenizer->decode(ids.data(), ids.size(), skipSpecial);
}

static Error printText(const TokenizeFlags &flags, const Words &words) {
  auto ids = parseIds(flags.ids);
  if (!ids)
    return ids.takeError();
  auto text = words.text(*ids, flags.skipSpecial);
  if (!text)
    return text.takeError();
  outs() << *text << '\n';
  return Error::success();
}

static Error printIds(const TokenizeFlags &flags, const Words &words) {
  std::string text = flags.text;
  if (!flags.file.empty()) {
    auto contents = readTextFile(flags.file);
    if (!contents)
      return contents.takeError();
    text = *contents;
  }
  uint32_t parse =
      (flags.bos ? TERN_TOKENIZE_ADD_BOS : 0) | (flags.special ? TERN_TOKENIZE_PARSE_SPECIAL : 0);
  auto ids = words.ids(text, parse);
  if (!ids)
    return ids.takeError();
  if (!flags.pieces) {
    interleave(*ids, outs(), " ");
    outs() << '\n';
    return Error::success();
  }
  for (int32_t id : *ids) {
    auto piece = words.text(id, /*skipSpecial=*/false);
    if (!piece)
      return piece.takeError();
    outs() << id << '\t';
    printEscapedString(*piece, outs());
    outs() << '\n';
  }
  return Error::success();
}

static Error runTokenize(const TokenizeFlags &flags) {
  auto words = Words::open(flags);
  if (!words)
    return words.takeError();
  return flags.hasIds ? printText(flags, *words) : printIds(flags, *words);
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
  addCheckpointFlags(*verb, flags->run.checkpoint);
  verb->callback([flags, ids, text, file, verb, &action] {
    if (text->count() + file->count() + ids->count() == 0)
      throw CLI::RequiredError("one of --text, --file, --ids");
    flags->hasIds = ids->count() > 0;
    action = [flags] { return runTokenize(*flags); };
  });
}

} // namespace tern::cli
