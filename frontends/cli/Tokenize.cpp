//===- Tokenize.cpp - tern tokenize ---------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Options.h"
#include "frontends/cli/Verbs.h"

#include "frontends/import/Gguf.h"
#include "frontends/import/GgufTokenizer.h"
#include "frontends/import/Tokenizer.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/text/Tokenizer.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tern::cli {

namespace {
struct TokenizeFlags {
  std::string model, text, file, ids;
  bool hasIds = false, bos = false, special = false, pieces = false, skipSpecial = false;
};
} // namespace

namespace {
/// The tokenizer of a library, or of a checkpoint: nothing has to be compiled for that.
class AnyTokenizer {
public:
  static Expected<AnyTokenizer> open(StringRef path);
  Expected<std::vector<int32_t>> encode(StringRef text, bool bos, bool special) const;
  Expected<std::string> decode(ArrayRef<int32_t> ids, bool skipSpecial) const;

private:
  std::optional<RunningModel> model;
  std::string blob;
  std::unique_ptr<Tokenizer> tokenizer;
};
} // namespace

static Expected<std::string> ggufBlob(StringRef path) {
  auto file = import::GgufFile::open(path);
  if (!file)
    return file.takeError();
  auto tokenizer = import::importGgufTokenizer(path, file->metadata(), 0);
  if (!tokenizer)
    return tokenizer.takeError();
  errs() << tokenizer->warnings;
  return std::move(tokenizer->blob);
}

/// The blob of a checkpoint; empty when it has no tokenizer. A folder's weights are not looked at,
/// a GGUF file may have none.
static Expected<std::string> checkpointBlob(StringRef path) {
  if (import::GgufFile::isGguf(path))
    return ggufBlob(path);
  if (sys::fs::is_directory(path))
    return import::importTokenizer(path, 0);
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto imported = import::importModel(context, path);
  if (!imported)
    return imported.takeError();
  return std::move(imported->tokenizerBlob);
}

Expected<AnyTokenizer> AnyTokenizer::open(StringRef path) {
  AnyTokenizer result;
  if (isCompiledLibrary(path)) {
    RunOptions options;
    options.model = path.str();
    auto model = openForRunning(options);
    if (!model)
      return model.takeError();
    result.model = std::move(*model);
    return result;
  }
  auto blob = checkpointBlob(path);
  if (!blob)
    return blob.takeError();
  if (blob->empty())
    return makeError(path + ": has no tokenizer");
  result.blob = std::move(*blob);
  if (Status status = Tokenizer::load(result.blob, &result.tokenizer); !status.ok())
    return makeError(path + ": " + status.message());
  return result;
}

Expected<std::vector<int32_t>> AnyTokenizer::encode(StringRef text, bool bos, bool special) const {
  if (tokenizer)
    return tokenizer->encode(text, {bos, special});
  uint32_t parse = (bos ? TERN_TOKENIZE_ADD_BOS : 0) | (special ? TERN_TOKENIZE_PARSE_SPECIAL : 0);
  return tokenize(model->get(), text, parse);
}

Expected<std::string> AnyTokenizer::decode(ArrayRef<int32_t> ids, bool skipSpecial) const {
  int64_t size = tokenizer ? tokenizer->size() : 0;
  if (!tokenizer) {
    auto info = modelInfo(model->get());
    if (!info)
      return info.takeError();
    size = info->vocabulary;
  }
  for (int32_t id : ids)
    if (id >= size)
      return makeError("expected ids below " + Twine(size) + ", got " + Twine(id));
  if (!tokenizer)
    return detokenize(model->get(), ids, skipSpecial);
  return tokenizer->decode(ids.data(), ids.size(), skipSpecial);
}

static Error printText(const TokenizeFlags &flags, const AnyTokenizer &tokenizer) {
  auto ids = parseIds(flags.ids);
  if (!ids)
    return ids.takeError();
  auto text = tokenizer.decode(*ids, flags.skipSpecial);
  if (!text)
    return text.takeError();
  outs() << *text << '\n';
  return Error::success();
}

static Error printIds(const TokenizeFlags &flags, const AnyTokenizer &tokenizer) {
  std::string text = flags.text;
  if (!flags.file.empty()) {
    auto contents = readTextFile(flags.file);
    if (!contents)
      return contents.takeError();
    text = std::move(*contents);
  }
  auto ids = tokenizer.encode(text, flags.bos, flags.special);
  if (!ids)
    return ids.takeError();
  if (!flags.pieces) {
    interleave(*ids, outs(), " ");
    outs() << '\n';
    return Error::success();
  }
  for (int32_t id : *ids) {
    auto piece = tokenizer.decode(id, /*skipSpecial=*/false);
    if (!piece)
      return piece.takeError();
    outs() << id << '\t';
    printEscapedString(*piece, outs());
    outs() << '\n';
  }
  return Error::success();
}

static Error runTokenize(const TokenizeFlags &flags) {
  auto tokenizer = AnyTokenizer::open(flags.model);
  if (!tokenizer)
    return tokenizer.takeError();
  return flags.hasIds ? printText(flags, *tokenizer) : printIds(flags, *tokenizer);
}

void addTokenize(CLI::App &app, Action &action) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App *verb = app.add_subcommand("tokenize", "text to token ids, or back");
  verb->add_option("model", flags->model, "checkpoint or library")->required();
  auto *text = verb->add_option("--text", flags->text, "the text");
  auto *file = verb->add_option("--file", flags->file, "a file with the text; - is stdin");
  auto *ids = verb->add_option("--ids", flags->ids, "token ids to turn into text: 1,2,3")
                  ->check(isIdList());
  text->excludes(file)->excludes(ids);
  file->excludes(ids);
  verb->add_flag("--bos", flags->bos, "begin as the tokenizer begins a text");
  verb->add_flag("--special", flags->special, "special tokens in the text are tokens");
  verb->add_flag("--skip-special", flags->skipSpecial, "leave special tokens out of the text");
  verb->add_flag("--pieces", flags->pieces, "a line a token: id and piece");
  verb->callback([flags, ids, text, file, &action] {
    if (text->count() + file->count() + ids->count() == 0)
      throw CLI::RequiredError("one of --text, --file, --ids");
    flags->hasIds = ids->count() > 0;
    action = [flags] { return runTokenize(*flags); };
  });
}

} // namespace tern::cli
