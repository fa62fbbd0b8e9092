//===- GgufMetadata.cpp - the key-value pairs of a GGUF file --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/GgufMetadata.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"

#include <cmath>

using namespace llvm;

namespace tern::import {

using Entry = GgufMetadata::Entry;

namespace {
struct TypeText {
  StringLiteral name;
  unsigned bytes;
};
constexpr TypeText kTypes[] = {
    {"u8", 1},     {"i8", 1},       {"u16", 2},      {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"a bool", 1}, {"a string", 0}, {"an array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8}};

bool isInteger(GgufValueType type) {
  return type <= GgufValueType::I32 || type == GgufValueType::U64 || type == GgufValueType::I64;
}
bool isNumber(GgufValueType type) {
  return type == GgufValueType::F32 || type == GgufValueType::F64;
}

template <typename T> T load(const uint8_t *at) {
  return support::endian::read<T, endianness::little>(at);
}

/// Nothing where a u64 leaves int64.
std::optional<int64_t> loadInteger(GgufValueType type, const uint8_t *at) {
  switch (type) {
  case GgufValueType::U8:
    return *at;
  case GgufValueType::I8:
    return static_cast<int8_t>(*at);
  case GgufValueType::U16:
    return load<uint16_t>(at);
  case GgufValueType::I16:
    return load<int16_t>(at);
  case GgufValueType::U32:
    return load<uint32_t>(at);
  case GgufValueType::I32:
    return load<int32_t>(at);
  case GgufValueType::I64:
    return load<int64_t>(at);
  default:
    break;
  }
  auto value = load<uint64_t>(at);
  return value <= INT64_MAX ? std::optional(static_cast<int64_t>(value)) : std::nullopt;
}

double loadNumber(GgufValueType type, const uint8_t *at) {
  return type == GgufValueType::F32 ? bit_cast<float>(load<uint32_t>(at))
                                    : bit_cast<double>(load<uint64_t>(at));
}
} // namespace

unsigned valueBytes(GgufValueType type) { return kTypes[static_cast<uint32_t>(type)].bytes; }
StringRef valueName(GgufValueType type) { return kTypes[static_cast<uint32_t>(type)].name; }

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

const Entry *GgufMetadata::find(StringRef key) const {
  auto found = byKey.find(key);
  return found == byKey.end() ? nullptr : &list[found->second];
}

Error GgufMetadata::error(StringRef key, const Twine &message) const {
  return fileError(file, key + ": " + message);
}

Error GgufMetadata::expected(const Entry &entry, const Twine &what) const {
  bool array = entry.type == GgufValueType::Array;
  return error(entry.key, "expected " + what + ", found " + valueName(entry.type) +
                              (array ? " of " + Twine(entry.count) + " elements of type " +
                                           valueName(entry.element)
                                     : Twine()));
}

Expected<const Entry *> GgufMetadata::need(StringRef key) const {
  if (const Entry *entry = find(key))
    return entry;
  return error(key, "this metadata key is missing");
}

static Error rangeError(const GgufMetadata &metadata, StringRef key, int64_t least, int64_t most,
                        const Twine &found) {
  return metadata.error(key, "expected an integer from " + Twine(least) + " to " + Twine(most) +
                                 ", found " + found);
}

Expected<int64_t> GgufMetadata::getInteger(StringRef key, int64_t least, int64_t most) const {
  Expected<const Entry *> entry = need(key);
  if (!entry)
    return entry.takeError();
  if (!isInteger((*entry)->type))
    return expected(**entry, "an integer");
  const uint8_t *at = (*entry)->bytes.data();
  std::optional<int64_t> value = loadInteger((*entry)->type, at);
  if (!value)
    return rangeError(*this, key, least, most, Twine(load<uint64_t>(at)));
  if (*value < least || *value > most)
    return rangeError(*this, key, least, most, Twine(*value));
  return *value;
}

Expected<double> GgufMetadata::getNumber(StringRef key) const {
  Expected<const Entry *> entry = need(key);
  if (!entry)
    return entry.takeError();
  if (!isNumber((*entry)->type))
    return expected(**entry, "f32 or f64");
  double value = loadNumber((*entry)->type, (*entry)->bytes.data());
  if (!std::isfinite(value))
    return error(key, "expected a finite number");
  return value;
}

Expected<bool> GgufMetadata::getBoolean(StringRef key) const {
  Expected<const Entry *> entry = need(key);
  if (!entry)
    return entry.takeError();
  if ((*entry)->type != GgufValueType::Bool)
    return expected(**entry, "a bool");
  return (*entry)->bytes.front() != 0;
}

Expected<StringRef> GgufMetadata::getString(StringRef key) const {
  Expected<const Entry *> entry = need(key);
  if (!entry)
    return entry.takeError();
  if ((*entry)->type != GgufValueType::String)
    return expected(**entry, "a string");
  return toStringRef((*entry)->bytes);
}

Expected<int64_t> GgufMetadata::getIntegerOr(StringRef key, int64_t otherwise, int64_t least,
                                             int64_t most) const {
  return has(key) ? getInteger(key, least, most) : Expected<int64_t>(otherwise);
}
Expected<double> GgufMetadata::getNumberOr(StringRef key, double otherwise) const {
  return has(key) ? getNumber(key) : Expected<double>(otherwise);
}
Expected<bool> GgufMetadata::getBooleanOr(StringRef key, bool otherwise) const {
  return has(key) ? getBoolean(key) : Expected<bool>(otherwise);
}
Expected<StringRef> GgufMetadata::getStringOr(StringRef key, StringRef otherwise) const {
  return has(key) ? getString(key) : Expected<StringRef>(otherwise);
}

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

Expected<const Entry *> GgufMetadata::needArray(StringRef key, StringRef elements,
                                                function_ref<bool(GgufValueType)> suits) const {
  Expected<const Entry *> entry = need(key);
  if (!entry)
    return entry.takeError();
  if ((*entry)->type != GgufValueType::Array || !suits((*entry)->element))
    return expected(**entry, "an array of " + elements);
  return *entry;
}

Expected<std::vector<StringRef>> GgufMetadata::getStrings(StringRef key) const {
  Expected<const Entry *> entry =
      needArray(key, "strings", [](GgufValueType type) { return type == GgufValueType::String; });
  if (!entry)
    return entry.takeError();
  std::vector<StringRef> strings;
  strings.reserve((*entry)->count);
  // The parser walked over the same lengths.
  for (StringRef rest = toStringRef((*entry)->bytes); !rest.empty();) {
    uint64_t length = support::endian::read64le(rest.data());
    strings.push_back(rest.substr(8, length));
    rest = rest.drop_front(8 + length);
  }
  return strings;
}

Expected<std::vector<int64_t>> GgufMetadata::getIntegers(StringRef key, int64_t least,
                                                         int64_t most) const {
  Expected<const Entry *> entry = needArray(key, "integers", isInteger);
  if (!entry)
    return entry.takeError();
  std::vector<int64_t> values;
  values.reserve((*entry)->count);
  const uint8_t *at = (*entry)->bytes.data();
  unsigned size = valueBytes((*entry)->element);
  for (uint64_t i = 0; i < (*entry)->count; ++i, at += size) {
    std::optional<int64_t> value = loadInteger((*entry)->element, at);
    if (!value || *value < least || *value > most)
      return rangeError(*this, (key + "[" + Twine(i) + "]").str(), least, most,
                        value ? Twine(*value) : Twine(load<uint64_t>(at)));
    values.push_back(*value);
  }
  return values;
}

Expected<std::vector<float>> GgufMetadata::getNumbers(StringRef key) const {
  Expected<const Entry *> entry = needArray(key, "f32 or f64", isNumber);
  if (!entry)
    return entry.takeError();
  std::vector<float> values;
  values.reserve((*entry)->count);
  const uint8_t *at = (*entry)->bytes.data();
  unsigned size = valueBytes((*entry)->element);
  for (uint64_t i = 0; i < (*entry)->count; ++i, at += size) {
    values.push_back(static_cast<float>(loadNumber((*entry)->element, at)));
    if (!std::isfinite(values.back()))
      return error((key + "[" + Twine(i) + "]").str(), "expected a finite number");
  }
  return values;
}

} // namespace tern::import
