//===- Explain.cpp - what a checkpoint is, before any work ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Explain.h"

#include "frontends/cli/ChatTemplate.h"
#include "frontends/cli/Support.h"
#include "frontends/import/ChatTemplate.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/Json.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

#include <map>

using namespace llvm;

namespace tern::cli {

namespace {
/// Tensors of one class and encoding.
struct Group {
  uint64_t tensors = 0, weights = 0, bytes = 0;
};
using Groups = std::map<std::pair<std::string, std::string>, Group>;
} // namespace

static StringRef classOf(StringRef name, size_t rank) {
  if (name.ends_with("scale") || name.ends_with(".scales") || name.ends_with(".biases"))
    return "scales and others";
  if (name.contains("embd") || name.contains("embed_tokens"))
    return "embedding";
  if (name.starts_with("output.") || name.contains("lm_head"))
    return "head";
  if (name.contains("norm") || name.contains("layernorm") || name.contains("_ln."))
    return "norms";
  if (rank < 2)
    return "scales and others";
  if (name.contains("ffn") || name.contains("mlp"))
    return "feed forward";
  return "attention";
}

/// Weights a stored element stands for.
static uint64_t weightsPerElement(StringRef dtype) {
  return dtype == "U8" ? 4 : dtype == "U32" ? 16 : 1;
}

static void addTensor(Groups &groups, StringRef name, StringRef dtype, ArrayRef<int64_t> shape,
                      uint64_t bytes) {
  uint64_t elements = 1;
  for (int64_t size : shape)
    elements *= static_cast<uint64_t>(size);
  Group &group = groups[{classOf(name, shape.size()).str(), dtype.str()}];
  ++group.tensors;
  group.weights += elements * weightsPerElement(dtype);
  group.bytes += bytes;
}

static void printGroup(StringRef name, StringRef type, const Group &group, raw_ostream &out) {
  out << "  " << left_justify(name, 19) << left_justify(type, 9)
      << right_justify(std::to_string(group.tensors), 5) << " tensors "
      << right_justify(formatBytes(group.bytes), 11);
  if (group.weights)
    out << format("  %.4g bits a weight",
                  8.0 * static_cast<double>(group.bytes) / static_cast<double>(group.weights));
  out << '\n';
}

static void printGroups(const Groups &groups, raw_ostream &out) {
  Group all;
  for (const auto &[key, group] : groups) {
    printGroup(key.first, key.second, group, out);
    all.tensors += group.tensors, all.bytes += group.bytes;
    // What scales a matrix is no weight of its own.
    all.weights += key.first == "scales and others" ? 0 : group.weights;
  }
  if (all.weights)
    printGroup("all", "", all, out);
}

static void printTemplate(StringRef text, raw_ostream &out) {
  out << "chat template: ";
  auto known = recogniseChatTemplate(text);
  if (known)
    out << (*known)->name << '\n';
  else
    out << (text.empty() ? "none" : "not known; tern chat needs --template") << '\n';
  if (!known)
    consumeError(known.takeError());
}

static StringRef textOf(const import::GgufMetadata &metadata, StringRef key) {
  auto text = metadata.getStringOr(key, "none");
  if (text)
    return *text;
  consumeError(text.takeError());
  return "not a text";
}

static void printMetadata(const import::GgufMetadata &metadata, raw_ostream &out) {
  out << "architecture: " << textOf(metadata, "general.architecture") << '\n';
  if (metadata.has("general.name"))
    out << "name: " << textOf(metadata, "general.name") << '\n';
  out << "tokenizer: " << textOf(metadata, "tokenizer.ggml.model");
  if (metadata.has("tokenizer.ggml.pre"))
    out << ", pre " << textOf(metadata, "tokenizer.ggml.pre");
  if (const auto *tokens = metadata.find("tokenizer.ggml.tokens"))
    out << ", " << tokens->count << " tokens";
  out << '\n';
  bool has = metadata.has("tokenizer.chat_template");
  printTemplate(has ? textOf(metadata, "tokenizer.chat_template") : "", out);
}

/// The header alone, for files whose tensors are not understood.
static void explainHeader(StringRef path, raw_ostream &out) {
  auto file = import::MappedFile::open(path);
  if (!file)
    return consumeError(file.takeError());
  auto header = import::parseGguf(path, file->bytes());
  if (!header)
    return consumeError(header.takeError());
  printMetadata(header->metadata, out);
  std::map<uint32_t, uint64_t> types;
  for (const import::GgufTensor &tensor : header->tensors)
    ++types[tensor.type];
  for (auto [type, count] : types)
    out << "  type " << type << ": " << count << " tensors\n";
}

static bool explainGguf(StringRef path, raw_ostream &out) {
  auto file = import::GgufFile::open(path);
  if (!file) {
    consumeError(file.takeError());
    explainHeader(path, out);
    return true;
  }
  printMetadata(file->metadata(), out);
  Groups groups;
  for (const import::TensorInfo &tensor : file->checkpoint().tensors())
    addTensor(groups, tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  if (groups.empty())
    out << "no tensors: a vocabulary, for tern tokenize\n";
  printGroups(groups, out);
  for (const std::string &warning : file->warnings())
    out << "warning: " << warning << '\n';
  return !groups.empty();
}

static void explainFolder(StringRef folder, raw_ostream &out) {
  SmallString<256> config = folder;
  sys::path::append(config, "config.json");
  if (auto document = import::JsonDocument::read(config)) {
    const import::Json *list =
        document->root().isObject() ? document->root().find("architectures") : nullptr;
    if (list && list->isArray())
      for (const import::Json &name : cantFail(list->array()))
        if (name.isString())
          out << "architecture: " << cantFail(name.string()) << '\n';
  } else {
    consumeError(document.takeError());
  }
  SmallString<256> tokenizer = folder;
  sys::path::append(tokenizer, "tokenizer.json");
  out << "tokenizer: " << (sys::fs::exists(tokenizer) ? "tokenizer.json" : "none") << '\n';
  if (auto text = import::readChatTemplate(folder))
    printTemplate(*text, out);
  else
    consumeError(text.takeError());
  auto checkpoint = import::Checkpoint::open(folder);
  if (!checkpoint)
    return consumeError(checkpoint.takeError());
  Groups groups;
  for (const import::TensorInfo &tensor : checkpoint->tensors())
    addTensor(groups, tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
  printGroups(groups, out);
}

bool explainCheckpoint(StringRef path, raw_ostream &out) {
  if (import::GgufFile::isGguf(path)) {
    bool hasModel = explainGguf(path, out);
    out.flush();
    return hasModel;
  }
  StringRef parent = sys::path::parent_path(path);
  StringRef folder = sys::fs::is_directory(path) ? path : parent.empty() ? "." : parent;
  // Without a configuration there is no checkpoint to explain; the importer says what it expected.
  SmallString<256> configuration(folder);
  sys::path::append(configuration, "config.json");
  if (!sys::fs::exists(configuration))
    return true;
  explainFolder(folder, out);
  out.flush();
  return true;
}

void explainPrecision(StringRef card, raw_ostream &out) {
  auto value = json::parse(card);
  if (!value)
    return consumeError(value.takeError());
  const json::Object *object = value->getAsObject();
  StringRef mode = object ? object->getString("activations").value_or("") : "";
  if (mode.empty())
    return;
  out << "linear layers: ternary weights, ";
  if (mode == "float")
    out << "float activations";
  else if (mode == "int8_per_token")
    out << "int8 activations with a scale a token";
  else
    out << "int8 activations with a scale for each " << mode.substr(mode.rfind('_') + 1)
        << " columns of a token";
  const StringRef head = object->getString("head").value_or("float");
  out << "; embedding, norms and attention: float; head: " << head << '\n';
  if (auto approximation = object->getString("approximation"))
    out << "an approximation: " << *approximation << '\n';
  out << '\n';
}

} // namespace tern::cli
