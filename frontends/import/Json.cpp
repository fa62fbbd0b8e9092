//===- Json.cpp - JSON with checked access --------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Json.h"
#include "frontends/import/Reader.h"

#define JSON_NOEXCEPTION 1
#include <nlohmann/json.hpp>

#include <algorithm>

using namespace llvm;

namespace tern::import {

namespace {
/// Bounds the recursion of every walk over a document.
constexpr size_t kMaxDepth = 64;
} // namespace

/// Builds values from nlohmann's event parser, which does not recurse. Returning false from an
/// event ends the parse.
class JsonBuilder {
public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  explicit JsonBuilder(const JsonLimits &limits) : limits(limits) {}

  bool null() { return put(Json()); }
  bool boolean(bool b) { return putValue(b); }
  bool number_integer(number_integer_t n) { return putValue<int64_t>(n); }
  bool number_unsigned(number_unsigned_t n) {
    return n <= static_cast<uint64_t>(INT64_MAX) ? putValue(static_cast<int64_t>(n))
                                                 : putValue<uint64_t>(n);
  }
  bool number_float(number_float_t n, const string_t &) { return putValue<double>(n); }
  bool string(string_t &s) { return checkString(s) && putValue(std::move(s)); }
  bool binary(binary_t &) { return false; }
  bool key(string_t &k) {
    if (!checkString(k))
      return false;
    stack.back().key = std::move(k);
    return true;
  }
  bool start_object(size_t) { return open(Json::Object()); }
  bool start_array(size_t) { return open(std::vector<Json>()); }
  bool end_array() { return close(); }
  bool end_object() {
    auto &object = std::get<Json::Object>(stack.back().json.value);
    auto &members = object.members;
    object.sorted.resize(members.size());
    for (size_t i = 0; i < members.size(); ++i)
      object.sorted[i] = static_cast<uint32_t>(i);
    llvm::sort(object.sorted,
               [&](uint32_t a, uint32_t b) { return members[a].key < members[b].key; });
    for (size_t i = 1; i < members.size(); ++i)
      if (members[object.sorted[i]].key == members[object.sorted[i - 1]].key) {
        failure = "duplicate key \"" + members[object.sorted[i]].key + "\"";
        return false;
      }
    return close();
  }
  template <typename Exception>
  bool parse_error(size_t position, const std::string &, const Exception &exception) {
    StringRef what = exception.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    if (what.starts_with("["))
      what = what.split("] ").second;
    failure = ("not valid JSON at byte " + Twine(position) + ": " + what).str();
    return false;
  }

  std::string failure;
  Json root;

private:
  struct Level {
    Json json;
    std::string key;
  };

  template <typename T> bool putValue(T value) {
    Json json;
    json.value = std::move(value);
    return put(std::move(json));
  }
  bool checkString(const string_t &s) {
    if (s.size() <= limits.stringBytes)
      return true;
    failure = ("expected strings of at most " + Twine(limits.stringBytes) +
               " bytes, found one of " + Twine(s.size()))
                  .str();
    return false;
  }
  bool put(Json json) {
    if (++count > limits.values) {
      failure = ("expected at most " + Twine(limits.values) + " values").str();
      return false;
    }
    if (stack.empty()) {
      root = std::move(json);
      return true;
    }
    Level &level = stack.back();
    if (auto *array = std::get_if<std::vector<Json>>(&level.json.value))
      array->push_back(std::move(json));
    else
      std::get<Json::Object>(level.json.value)
          .members.push_back({std::move(level.key), std::move(json)});
    return true;
  }
  template <typename T> bool open(T container) {
    if (stack.size() == kMaxDepth) {
      failure = ("nested more than " + Twine(kMaxDepth) + " levels deep").str();
      return false;
    }
    stack.emplace_back();
    stack.back().json.value = std::move(container);
    return true;
  }
  bool close() {
    Json json = std::move(stack.back().json);
    stack.pop_back();
    return put(std::move(json));
  }

  const JsonLimits &limits;
  uint64_t count = 0;
  std::vector<Level> stack;
};

Expected<JsonDocument> JsonDocument::parse(StringRef file, StringRef text,
                                           const JsonLimits &limits) {
  // The parser would take a NUL for the end of the text and leave the rest unread.
  if (size_t nul = text.find('\0'); nul != StringRef::npos)
    return fileError(file, "not valid JSON at byte " + Twine(nul) + ": a NUL byte");
  JsonBuilder builder(limits);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
    return fileError(file, builder.failure);
  JsonDocument document;
  document.state = std::make_unique<State>();
  document.state->file = file.str();
  document.state->root = std::move(builder.root);
  document.state->root.file = &document.state->file;

  // Values moved while they were collected; only now do parents keep their addresses.
  std::vector<Json *> open = {&document.state->root};
  while (!open.empty()) {
    Json *json = open.back();
    open.pop_back();
    auto adopt = [&](Json &child) {
      child.parent = json;
      if (child.isArray() || child.isObject())
        open.push_back(&child);
    };
    if (auto *array = std::get_if<std::vector<Json>>(&json->value))
      for (Json &child : *array)
        adopt(child);
    else if (auto *object = std::get_if<Json::Object>(&json->value))
      for (Json::Member &member : object->members)
        adopt(member.value);
  }
  return document;
}

Expected<JsonDocument> JsonDocument::read(StringRef path, const JsonLimits &limits) {
  Expected<MappedFile> file = MappedFile::open(path, limits.bytes);
  if (!file)
    return file.takeError();
  return parse(path, file->text(), limits);
}

StringRef Json::kind() const {
  static constexpr StringRef kNames[] = {"null",     "a boolean", "an integer", "an integer",
                                         "a number", "a string",  "an array",   "an object"};
  return kNames[value.index()];
}

std::string Json::place() const {
  if (!parent)
    return "";
  std::string outer = parent->place();
  if (auto *array = std::get_if<std::vector<Json>>(&parent->value))
    return outer + "[" + std::to_string(this - array->data()) + "]";
  for (const Member &member : std::get<Object>(parent->value).members)
    if (&member.value == this)
      return outer.empty() ? member.key : outer + "." + member.key;
  llvm_unreachable("a value is among its parent's members");
}

Error Json::error(const Twine &message) const {
  const Json *root = this;
  while (root->parent)
    root = root->parent;
  std::string text = *root->file + ": ";
  if (std::string where = place(); !where.empty())
    text += where + ": ";
  return createStringError(inconvertibleErrorCode(), Twine(text) + message);
}

Error Json::expected(StringRef what) const {
  return error("expected " + what + ", found " + kind());
}

Expected<bool> Json::boolean() const {
  if (auto *b = std::get_if<bool>(&value))
    return *b;
  return expected("a boolean");
}

Expected<int64_t> Json::integer(int64_t least, int64_t most) const {
  if (!isInteger())
    return expected("an integer");
  auto *n = std::get_if<int64_t>(&value);
  if (n && *n >= least && *n <= most)
    return *n;
  std::string found = n ? std::to_string(*n) : std::to_string(std::get<uint64_t>(value));
  return error("expected an integer from " + Twine(least) + " to " + Twine(most) + ", found " +
               found);
}

Expected<double> Json::number() const {
  if (auto *n = std::get_if<int64_t>(&value))
    return static_cast<double>(*n);
  if (auto *n = std::get_if<uint64_t>(&value))
    return static_cast<double>(*n);
  if (auto *n = std::get_if<double>(&value))
    return *n;
  return expected("a number");
}

Expected<StringRef> Json::string() const {
  if (auto *s = std::get_if<std::string>(&value))
    return StringRef(*s);
  return expected("a string");
}

Expected<ArrayRef<Json>> Json::array() const {
  if (auto *a = std::get_if<std::vector<Json>>(&value))
    return ArrayRef<Json>(*a);
  return expected("an array");
}

Expected<ArrayRef<Json::Member>> Json::object() const {
  if (auto *o = std::get_if<Object>(&value))
    return ArrayRef<Member>(o->members);
  return expected("an object");
}

const Json::Member *Json::lookup(StringRef key) const {
  auto *object = std::get_if<Object>(&value);
  if (!object)
    return nullptr;
  auto it = llvm::lower_bound(object->sorted, key, [&](uint32_t index, StringRef k) {
    return StringRef(object->members[index].key) < k;
  });
  if (it == object->sorted.end() || object->members[*it].key != key)
    return nullptr;
  return &object->members[*it];
}

const Json *Json::find(StringRef key) const {
  const Member *member = lookup(key);
  return member && !member->value.isNull() ? &member->value : nullptr;
}

Expected<const Json *> Json::get(StringRef key) const {
  if (!isObject())
    return expected("an object");
  const Member *member = lookup(key);
  if (!member)
    return error("missing key \"" + key + "\"");
  if (member->value.isNull())
    return member->value.error("expected a value, found null");
  return &member->value;
}

Expected<bool> Json::getBoolean(StringRef key) const {
  Expected<const Json *> member = get(key);
  return member ? (*member)->boolean() : Expected<bool>(member.takeError());
}

Expected<int64_t> Json::getInteger(StringRef key, int64_t least, int64_t most) const {
  Expected<const Json *> member = get(key);
  return member ? (*member)->integer(least, most) : Expected<int64_t>(member.takeError());
}

Expected<double> Json::getNumber(StringRef key) const {
  Expected<const Json *> member = get(key);
  return member ? (*member)->number() : Expected<double>(member.takeError());
}

Expected<StringRef> Json::getString(StringRef key) const {
  Expected<const Json *> member = get(key);
  return member ? (*member)->string() : Expected<StringRef>(member.takeError());
}

Expected<ArrayRef<Json>> Json::getArray(StringRef key) const {
  Expected<const Json *> member = get(key);
  return member ? (*member)->array() : Expected<ArrayRef<Json>>(member.takeError());
}

Expected<bool> Json::getBooleanOr(StringRef key, bool otherwise) const {
  const Json *member = find(key);
  return member ? member->boolean() : otherwise;
}

Expected<int64_t> Json::getIntegerOr(StringRef key, int64_t otherwise, int64_t least,
                                     int64_t most) const {
  const Json *member = find(key);
  return member ? member->integer(least, most) : otherwise;
}

Expected<double> Json::getNumberOr(StringRef key, double otherwise) const {
  const Json *member = find(key);
  return member ? member->number() : otherwise;
}

Expected<StringRef> Json::getStringOr(StringRef key, StringRef otherwise) const {
  const Json *member = find(key);
  return member ? member->string() : otherwise;
}

} // namespace tern::import
