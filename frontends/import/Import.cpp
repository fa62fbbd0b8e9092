//===- Import.cpp - checkpoint to module ----------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Import.h"

#include "frontends/import/Assemble.h"
#include "frontends/import/Card.h"
#include "frontends/import/ChatTemplate.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/Tokenizer.h"
#include "frontends/import/families/Family.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace tern::import {

static JsonLimits configLimits() {
  JsonLimits limits;
  limits.bytes = UINT64_C(1) << 20;
  limits.values = 100'000;
  return limits;
}

static std::string join(StringRef folder, StringRef name) {
  SmallString<256> result(folder);
  path::append(result, name);
  return result.str().str();
}

/// What to do about a file that is no part of a Hugging Face folder.
static Error refuseFile(StringRef file) {
  std::string extension = path::extension(file).lower();
  if (extension == ".gguf") {
    if (Error error = MappedFile::open(file).takeError())
      return error;
    return fileError(file,
                     GgufFile::isGguf(file)
                         ? "expected a Hugging Face folder, found a GGUF file in it; give the "
                           "path of that file"
                         : "expected a GGUF file, found one that does not begin as GGUF");
  }
  if (extension == ".onnx")
    return fileError(file, "ONNX files are not read; give a Hugging Face folder (config.json and "
                           "model.safetensors)");
  if (is_contained({".bin", ".pt", ".pth", ".ckpt", ".pkl"}, extension))
    return fileError(
        file, "PyTorch pickles can run code when they are opened and are never read; save the "
              "model as safetensors (save_pretrained with safe_serialization=True)");
  return fileError(file, "expected a Hugging Face folder, its config.json or its "
                         "model.safetensors, or a GGUF file");
}

/// The folder that `given` stands for.
static Expected<std::string> findFolder(StringRef given) {
  fs::file_status status;
  if (std::error_code code = fs::status(given, status))
    return fileError(given, code.message());
  if (fs::is_directory(status))
    return given.str();
  StringRef name = path::filename(given);
  bool known = name == "config.json" || name == "model.safetensors.index.json" ||
               name.ends_with(".safetensors");
  if (!known || !fs::is_regular_file(status))
    return refuseFile(given);
  StringRef folder = path::parent_path(given);
  return folder.empty() ? std::string(".") : folder.str();
}

/// Says what a folder lacks; names what was found instead.
static Error checkFolder(StringRef folder) {
  bool config = fs::exists(join(folder, "config.json"));
  bool weights = fs::exists(join(folder, "model.safetensors")) ||
                 fs::exists(join(folder, "model.safetensors.index.json"));
  if (config && weights)
    return Error::success();
  std::error_code code;
  constexpr int kMaxEntries = 10000;
  int seen = 0;
  for (fs::directory_iterator entry(folder, code), end; entry != end && !code && seen < kMaxEntries;
       entry.increment(code), ++seen)
    if (is_contained({".gguf", ".bin", ".pt", ".pth", ".onnx"}, path::extension(entry->path())))
      return refuseFile(entry->path());
  return fileError(folder,
                   config ? "expected model.safetensors or model.safetensors.index.json, found "
                            "neither"
                          : "expected a Hugging Face folder with a config.json, found none");
}

static Error withFolder(StringRef folder, Error error) {
  std::string text = toString(std::move(error));
  // Errors about one file already begin with its path.
  return StringRef(text).starts_with(folder)
             ? createStringError(inconvertibleErrorCode(), Twine(text))
             : fileError(folder, text);
}

/// Without quantization_config, nothing says whether weight_scale multiplies or divides.
static Error checkStated(StringRef configPath, const Config &config, const Checkpoint &checkpoint) {
  if (config.form != WeightForm::Unstated)
    return Error::success();
  for (const TensorInfo &tensor : checkpoint.tensors())
    if (StringRef(tensor.name).ends_with(".weight_scale") || tensor.dtype == "U8")
      return fileError(
          configPath,
          "missing key \"quantization_config\": the checkpoint has \"" + tensor.name +
              "\", but whether weight_scale multiplies (linear_class \"autobitlinear\") or "
              "divides (\"bitlinear\") cannot be told from the values");
  return Error::success();
}

static Expected<Generation> readGenerationFile(StringRef folder, int64_t vocabulary) {
  std::string file = join(folder, "generation_config.json");
  if (!fs::exists(file))
    return Generation();
  Expected<JsonDocument> document = JsonDocument::read(file, configLimits());
  if (!document)
    return document.takeError();
  return readGeneration(*document, vocabulary);
}

static std::string findLicence(StringRef folder) {
  constexpr uint64_t kMaxReadme = UINT64_C(1) << 20;
  Expected<MappedFile> readme = MappedFile::open(join(folder, "README.md"), kMaxReadme);
  if (readme)
    return readLicence(readme->text());
  consumeError(readme.takeError());
  return "";
}

static Expected<ImportedModel> importFolder(mlir::MLIRContext &context, StringRef folder,
                                            const ImportOptions &options) {
  if (Error error = checkFolder(folder))
    return error;
  std::string configPath = join(folder, "config.json");
  Expected<JsonDocument> document = JsonDocument::read(configPath, configLimits());
  if (!document)
    return document.takeError();
  Expected<Config> config = readConfig(*document);
  if (!config)
    return config.takeError();
  Expected<Generation> generation = readGenerationFile(folder, config->vocabulary);
  if (!generation)
    return generation.takeError();
  Expected<Checkpoint> checkpoint = Checkpoint::open(folder);
  if (!checkpoint)
    return checkpoint.takeError();
  if (Error error = checkStated(configPath, *config, *checkpoint))
    return error;
  Expected<ImportedModel> model =
      assemble(context, {*checkpoint, *config, *generation, findLicence(folder)}, options);
  if (!model)
    return model.takeError();

  Expected<std::string> tokenizer =
      importTokenizer(folder, static_cast<uint64_t>(config->vocabulary));
  if (!tokenizer)
    return tokenizer.takeError();
  Expected<std::string> chatTemplate = readChatTemplate(folder);
  if (!chatTemplate)
    return chatTemplate.takeError();

  model->folder = folder.str();
  model->tokenizerBlob = std::move(*tokenizer);
  addChatTemplate(model->card, *chatTemplate);
  return model;
}

Expected<ImportedModel> importModel(mlir::MLIRContext &context, StringRef given,
                                    const ImportOptions &options) {
  if (GgufFile::isGguf(given)) {
    Expected<ImportedModel> model = importGguf(context, given, options);
    if (!model)
      return withFolder(given, model.takeError());
    return model;
  }
  Expected<std::string> folder = findFolder(given);
  if (!folder)
    return folder.takeError();
  Expected<ImportedModel> model = importFolder(context, *folder, options);
  if (!model)
    return withFolder(*folder, model.takeError());
  return model;
}

} // namespace tern::import
