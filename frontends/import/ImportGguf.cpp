//===- ImportGguf.cpp - a GGUF file to a module ---------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Assemble.h"
#include "frontends/import/ChatTemplate.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/GgufModel.h"
#include "frontends/import/GgufTokenizer.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace tern::import {

Expected<ImportedModel> importGguf(mlir::MLIRContext &context, StringRef path,
                                   const ImportOptions &options) {
  Expected<GgufFile> file = GgufFile::open(path);
  if (!file)
    return file.takeError();
  const GgufMetadata &metadata = file->metadata();
  if (file->checkpoint().tensors().empty())
    return fileError(path, "a vocabulary without tensors: tern tokenize reads it, there is no "
                           "model to run");
  Expected<Config> config = readGgufConfig(*file);
  if (!config)
    return config.takeError();
  Expected<StringRef> licence = metadata.getStringOr("general.license", "");
  if (!licence)
    return licence.takeError();
  Expected<StringRef> chatTemplate = metadata.getStringOr("tokenizer.chat_template", "");
  if (!chatTemplate)
    return chatTemplate.takeError();
  Generation none;
  Expected<ImportedModel> model =
      assemble(context, {file->checkpoint(), *config, none, *licence}, options);
  if (!model)
    return model.takeError();
  Expected<GgufTokenizer> tokenizer =
      importGgufTokenizer(path, metadata, static_cast<uint64_t>(config->vocabulary));
  if (!tokenizer)
    return tokenizer.takeError();

  StringRef folder = sys::path::parent_path(path);
  model->folder = folder.empty() ? "." : folder.str();
  model->tokenizerBlob = std::move(tokenizer->blob);
  model->warnings.assign(file->warnings().begin(), file->warnings().end());
  SmallVector<StringRef> lines;
  StringRef(tokenizer->warnings).split(lines, '\n', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (StringRef line : lines)
    model->warnings.push_back(line.str());
  addChatTemplate(model->card, *chatTemplate);
  return model;
}

} // namespace tern::import
