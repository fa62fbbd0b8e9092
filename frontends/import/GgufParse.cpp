//===- GgufParse.cpp - the header of a GGUF file --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace tern::import {

namespace {
constexpr uint64_t kMaxEntries = 65536;
constexpr uint64_t kMaxTensors = 65536;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxNameBytes = 63;
constexpr uint64_t kMaxStringBytes = UINT64_C(1) << 30;
constexpr uint64_t kMaxAlignment = UINT64_C(1) << 20;
constexpr uint32_t kMaxRank = 4;
/// The smallest records: a key of one byte with a u8; a name of one byte with one dimension.
constexpr uint64_t kLeastEntry = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensor = 8 + 1 + 4 + 8 + 4 + 8;
} // namespace

class GgufParser {
public:
  GgufParser(StringRef file, ArrayRef<uint8_t> bytes)
      : file(file), size(bytes.size()), reader(bytes, file) {}

  Expected<GgufHeader> parse() {
    header.metadata.file = file.str();
    uint64_t entries = 0, tensors = 0;
    if (Error error = parseStart(tensors, entries))
      return error;
    for (uint64_t i = 0; i < entries; ++i)
      if (Error error = parseEntry())
        return error;
    if (Error error = findAlignment())
      return error;
    for (uint64_t i = 0; i < tensors; ++i)
      if (Error error = parseTensor())
        return error;
    if (Error error = placeTensors())
      return error;
    return std::move(header);
  }

private:
  Error parseStart(uint64_t &tensors, uint64_t &entries);
  Error parseCount(StringRef what, uint64_t least, uint64_t most, uint64_t &count);
  Error parseText(StringRef what, uint64_t most, StringRef &text);
  Error parseEntry();
  Error parseType(StringRef key, GgufValueType &type);
  Error parseValue(GgufMetadata::Entry &entry);
  Error skipStrings(const GgufMetadata::Entry &entry);
  Error checkBools(const GgufMetadata::Entry &entry);
  Error findAlignment();
  Error parseTensor();
  Error placeTensors();

  Error error(const GgufTensor &tensor, const Twine &message) const {
    return fileError(file, "tensor \"" + tensor.name + "\": " + message);
  }

  StringRef file;
  uint64_t size;
  Reader reader;
  GgufHeader header;
  StringSet<> names;
};

Error GgufParser::parseStart(uint64_t &tensors, uint64_t &entries) {
  Expected<ArrayRef<uint8_t>> magic = reader.take(4, "magic");
  if (!magic)
    return magic.takeError();
  if (toStringRef(*magic) != "GGUF")
    return fileError(file, "expected the magic \"GGUF\"; is this a GGUF file?");
  Expected<uint32_t> version = reader.readU32("version");
  if (!version)
    return version.takeError();
  if (*version == 1)
    return fileError(file, "GGUF version 1 is not read: convert the original model again with a "
                           "current llama.cpp");
  if (*version != 0 && *version % 65536 == 0)
    return fileError(file, "the file is big-endian: convert it with gguf-py's "
                           "gguf_convert_endian.py to little-endian");
  if (*version < 2 || *version > 3)
    return fileError(file, "expected GGUF version 2 or 3, found " + Twine(*version));
  if (Error error = parseCount("tensors", kLeastTensor, kMaxTensors, tensors))
    return error;
  return parseCount("metadata entries", kLeastEntry, kMaxEntries, entries);
}

Error GgufParser::parseCount(StringRef what, uint64_t least, uint64_t most, uint64_t &count) {
  Expected<uint64_t> value = reader.readU64("number of " + what.str());
  if (!value)
    return value.takeError();
  most = std::min(most, reader.remaining() / least);
  if (*value > most)
    return reader.error("expected at most " + Twine(most) + " " + what + ", found " +
                        Twine(*value));
  count = *value;
  return Error::success();
}

/// A name: short, not empty, UTF-8, without control characters.
Error GgufParser::parseText(StringRef what, uint64_t most, StringRef &text) {
  Expected<uint64_t> length = reader.readU64("length of " + what.str());
  if (!length)
    return length.takeError();
  if (*length == 0 || *length > most)
    return reader.error("expected " + what + " of 1 to " + Twine(most) + " bytes, found " +
                        Twine(*length));
  Expected<ArrayRef<uint8_t>> bytes = reader.take(*length, what);
  if (!bytes)
    return bytes.takeError();
  const UTF8 *start = bytes->begin();
  if (!isLegalUTF8String(&start, bytes->end()))
    return reader.error("expected " + what + " in UTF-8");
  if (any_of(*bytes, [](uint8_t byte) { return byte < 0x20 || byte == 0x7f; }))
    return reader.error("expected " + what + " without control characters");
  text = toStringRef(*bytes);
  return Error::success();
}

Error GgufParser::parseType(StringRef key, GgufValueType &type) {
  Expected<uint32_t> value = reader.readU32("value type");
  if (!value)
    return value.takeError();
  if (*value > static_cast<uint32_t>(GgufValueType::F64))
    return reader.error("key \"" + key + "\": expected a value type of at most 12, found " +
                        Twine(*value));
  type = static_cast<GgufValueType>(*value);
  return Error::success();
}

Error GgufParser::parseEntry() {
  GgufMetadata::Entry entry{{}, GgufValueType::U8, GgufValueType::U8, 1, {}};
  if (Error error = parseText("metadata key", kMaxKeyBytes, entry.key))
    return error;
  if (Error error = parseType(entry.key, entry.type))
    return error;
  if (Error error = parseValue(entry))
    return error;
  GgufMetadata &metadata = header.metadata;
  if (!metadata.byKey.try_emplace(entry.key, metadata.list.size()).second)
    return metadata.error(entry.key, "the key occurs twice");
  metadata.list.push_back(entry);
  return Error::success();
}

Error GgufParser::parseValue(GgufMetadata::Entry &entry) {
  GgufValueType scalar = entry.type;
  if (entry.type == GgufValueType::Array) {
    if (Error error = parseType(entry.key, entry.element))
      return error;
    scalar = entry.element;
    if (scalar == GgufValueType::Array)
      return reader.error("key \"" + entry.key + "\": arrays of arrays are not read");
    uint64_t least = std::max(valueBytes(scalar), 1u);
    if (Error error =
            parseCount("elements of " + entry.key.str(),
                       scalar == GgufValueType::String ? 8 : least, UINT64_MAX, entry.count))
      return error;
  }
  if (scalar == GgufValueType::String) {
    uint64_t start = reader.offset();
    if (Error error = skipStrings(entry))
      return error;
    bool array = entry.type == GgufValueType::Array;
    entry.bytes = reader.since(array ? start : start + 8);
    return Error::success();
  }
  // The count was checked against what is left, so the product is within it.
  Expected<ArrayRef<uint8_t>> bytes =
      reader.take(entry.count * valueBytes(scalar), "value of " + entry.key.str());
  if (!bytes)
    return bytes.takeError();
  entry.bytes = *bytes;
  return scalar == GgufValueType::Bool ? checkBools(entry) : Error::success();
}

Error GgufParser::skipStrings(const GgufMetadata::Entry &entry) {
  for (uint64_t i = 0; i < entry.count; ++i) {
    Expected<uint64_t> length = reader.readU64("string length");
    if (!length)
      return length.takeError();
    if (*length > kMaxStringBytes)
      return reader.error("key \"" + entry.key + "\": expected a string of at most " +
                          Twine(kMaxStringBytes) + " bytes, found " + Twine(*length));
    if (Expected<ArrayRef<uint8_t>> text = reader.take(*length, "string"); !text)
      return text.takeError();
  }
  return Error::success();
}

Error GgufParser::checkBools(const GgufMetadata::Entry &entry) {
  for (uint8_t byte : entry.bytes)
    if (byte > 1)
      return header.metadata.error(entry.key, "expected a bool of 0 or 1, found " + Twine(byte));
  return Error::success();
}

Error GgufParser::findAlignment() {
  Expected<int64_t> alignment =
      header.metadata.getIntegerOr("general.alignment", 32, 1, kMaxAlignment);
  if (!alignment)
    return alignment.takeError();
  if (!isPowerOf2_64(*alignment))
    return header.metadata.error("general.alignment",
                                 "expected a power of two, found " + Twine(*alignment));
  if (*alignment < 8)
    header.notes.push_back(("general.alignment is " + Twine(*alignment) +
                            ", though the format asks for a multiple of 8")
                               .str());
  header.alignment = *alignment;
  return Error::success();
}

Error GgufParser::parseTensor() {
  GgufTensor tensor;
  if (Error error = parseText("tensor name", kMaxNameBytes, tensor.name))
    return error;
  if (!names.insert(tensor.name).second)
    return error(tensor, "the name occurs twice");
  Expected<uint32_t> rank = reader.readU32("number of dimensions");
  if (!rank)
    return rank.takeError();
  if (*rank < 1 || *rank > kMaxRank)
    return error(tensor, "expected 1 to " + Twine(kMaxRank) + " dimensions, found " + Twine(*rank));
  std::optional<uint64_t> elements = 1;
  for (uint32_t i = 0; i < *rank; ++i) {
    Expected<uint64_t> dimension = reader.readU64("dimension");
    if (!dimension)
      return dimension.takeError();
    tensor.dims.push_back(*dimension);
    if (*dimension == 0)
      return error(tensor, "expected dimensions of at least 1, found 0");
    elements = elements ? checkedMul(*elements, *dimension) : std::nullopt;
  }
  if (!elements)
    return error(tensor, "the number of elements does not fit in 63 bits");
  Expected<uint32_t> type = reader.readU32("tensor type");
  if (!type)
    return type.takeError();
  tensor.type = *type;
  Expected<uint64_t> offset = reader.readU64("tensor offset");
  if (!offset)
    return offset.takeError();
  if (*offset % header.alignment)
    return error(tensor, "expected an offset that is a multiple of " + Twine(header.alignment) +
                             ", found " + Twine(*offset));
  tensor.offset = *offset;
  header.tensors.push_back(std::move(tensor));
  return Error::success();
}

/// Offsets from the start of the file, and the room of each tensor.
Error GgufParser::placeTensors() {
  if (header.tensors.empty())
    return Error::success();
  uint64_t start = alignTo(reader.offset(), header.alignment);
  if (start > size)
    return fileError(file, "expected tensor data at byte " + Twine(start) +
                               ", but the file ends at " + Twine(size));
  std::vector<GgufTensor *> order;
  for (GgufTensor &tensor : header.tensors) {
    if (tensor.offset > size - start)
      return error(tensor, "data begin " + Twine(tensor.offset) +
                               " bytes into the data, but the file has " + Twine(size - start) +
                               " bytes of data");
    tensor.offset += start;
    order.push_back(&tensor);
  }
  sort(order, [](const GgufTensor *a, const GgufTensor *b) {
    return std::pair(a->offset, a) < std::pair(b->offset, b);
  });
  for (size_t i = 0; i < order.size(); ++i) {
    order[i]->room = (i + 1 < order.size() ? order[i + 1]->offset : size) - order[i]->offset;
    if (order[i]->room == 0)
      return error(*order[i], i + 1 < order.size()
                                  ? "data overlap those of \"" + order[i + 1]->name + "\""
                                  : Twine("data begin at the end of the file"));
  }
  return Error::success();
}

Expected<GgufHeader> parseGguf(StringRef file, ArrayRef<uint8_t> bytes) {
  return GgufParser(file, bytes).parse();
}

} // namespace tern::import
