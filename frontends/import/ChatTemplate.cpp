//===- ChatTemplate.cpp - a model's chat template as text -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/ChatTemplate.h"

#include "frontends/import/Json.h"
#include "frontends/import/Reader.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tern::import {

constexpr uint64_t kMaxTemplate = UINT64_C(1) << 20;

static Expected<std::string> fromConfig(const Json &root) {
  const Json *value = root.isObject() ? root.find("chat_template") : nullptr;
  if (!value)
    return std::string();
  if (!value->isArray()) {
    Expected<StringRef> text = value->string();
    if (!text)
      return text.takeError();
    return text->str();
  }
  for (const Json &named : cantFail(value->array())) {
    Expected<StringRef> name = named.getString("name");
    if (!name)
      return name.takeError();
    Expected<StringRef> text = named.getString("template");
    if (!text)
      return text.takeError();
    if (*name == "default")
      return text->str();
  }
  return std::string();
}

Expected<std::string> readChatTemplate(StringRef folder) {
  SmallString<128> jinja = folder, config = folder;
  sys::path::append(jinja, "chat_template.jinja");
  sys::path::append(config, "tokenizer_config.json");
  if (sys::fs::exists(jinja)) {
    Expected<MappedFile> file = MappedFile::open(jinja, kMaxTemplate);
    if (!file)
      return file.takeError();
    return file->text().str();
  }
  if (!sys::fs::exists(config))
    return std::string();
  Expected<JsonDocument> document = JsonDocument::read(config);
  if (!document)
    return document.takeError();
  return fromConfig(document->root());
}

void addChatTemplate(std::string &card, StringRef text) {
  if (text.empty())
    return;
  Expected<json::Value> value = json::parse(card);
  json::Object *object = value ? value->getAsObject() : nullptr;
  if (!object) {
    if (!value)
      consumeError(value.takeError());
    return;
  }
  (*object)["chat_template"] = json::isUTF8(text) ? text.str() : json::fixUTF8(text);
  card.clear();
  raw_string_ostream(card) << formatv("{0:2}", *value);
}

} // namespace tern::import
