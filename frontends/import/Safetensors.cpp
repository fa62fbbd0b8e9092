//===- Safetensors.cpp - tensors of a checkpoint, where they lie ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Safetensors.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace tern::import {

namespace {
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr uint64_t kMaxTensors = 65536;
constexpr uint64_t kMaxMetadata = 65536;
constexpr size_t kMaxRank = 4;
constexpr uint64_t kMaxShards = 4096;
constexpr uint64_t kMaxIndexBytes = UINT64_C(16) << 20;
/// A tensor's entry holds 7 values and one a dimension; so memory stays near the header's own size.
constexpr uint64_t kMaxHeaderValues = 800'000;

struct DtypeBits {
  StringLiteral name;
  unsigned bits;
};
constexpr DtypeBits kDtypes[] = {
    {"BOOL", 8},    {"U8", 8},          {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"U16", 16},    {"I16", 16},
    {"F16", 16},    {"BF16", 16},       {"U32", 32},        {"I32", 32},    {"F32", 32},
    {"U64", 64},    {"I64", 64},        {"F64", 64},        {"C64", 64},    {"F4", 4},
    {"F6_E2M3", 6}, {"F6_E3M2", 6},
};
} // namespace

std::string describeShape(ArrayRef<int64_t> shape) {
  return "[" + join(map_range(shape, [](int64_t d) { return std::to_string(d); }), ", ") + "]";
}

std::string TensorInfo::describe() const { return dtype + " " + describeShape(shape); }

/// The size in bytes that dtype and shape ask for.
static Expected<uint64_t> tensorBytes(const Json &entry, const TensorInfo &tensor) {
  const auto *dtype = find_if(kDtypes, [&](const DtypeBits &d) { return d.name == tensor.dtype; });
  if (dtype == std::end(kDtypes))
    return entry.error("unknown dtype \"" + tensor.dtype + "\"");
  std::optional<uint64_t> bits = dtype->bits;
  for (int64_t dimension : tensor.shape)
    if (bits)
      bits = checkedMul(*bits, static_cast<uint64_t>(dimension));
  if (!bits)
    return entry.error("the size of " + tensor.describe() + " does not fit in 63 bits");
  if (*bits % 8)
    return entry.error("expected whole bytes, found " + Twine(*bits) + " bits of " +
                       tensor.describe());
  return *bits / 8;
}

static Error parseShape(const Json &entry, TensorInfo &tensor) {
  Expected<ArrayRef<Json>> shape = entry.getArray("shape");
  if (!shape)
    return shape.takeError();
  if (shape->size() > kMaxRank)
    return entry.error("expected at most " + Twine(kMaxRank) + " dimensions, found " +
                       Twine(shape->size()));
  for (const Json &item : *shape) {
    Expected<int64_t> dimension = item.integer(1);
    if (!dimension)
      return dimension.takeError();
    tensor.shape.push_back(*dimension);
  }
  return Error::success();
}

static Expected<TensorInfo> parseTensor(const Json::Member &member, uint64_t dataBytes) {
  const Json &entry = member.value;
  TensorInfo tensor;
  tensor.name = member.key;
  if (member.key.empty())
    return entry.error("expected a tensor name, found an empty one");
  if (any_of(member.key, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return entry.error("expected a tensor name without control characters");
  Expected<ArrayRef<Json::Member>> fields = entry.object();
  if (!fields)
    return fields.takeError();
  for (const Json::Member &field : *fields)
    if (field.key != "dtype" && field.key != "shape" && field.key != "data_offsets")
      return field.value.error("unknown field; expected dtype, shape and data_offsets");

  Expected<StringRef> dtype = entry.getString("dtype");
  if (!dtype)
    return dtype.takeError();
  tensor.dtype = dtype->str();
  if (Error error = parseShape(entry, tensor))
    return error;
  Expected<uint64_t> size = tensorBytes(entry, tensor);
  if (!size)
    return size.takeError();

  Expected<ArrayRef<Json>> offsets = entry.getArray("data_offsets");
  if (!offsets)
    return offsets.takeError();
  if (offsets->size() != 2)
    return entry.error("expected 2 data_offsets, found " + Twine(offsets->size()));
  Expected<int64_t> begin = (*offsets)[0].integer(0);
  if (!begin)
    return begin.takeError();
  Expected<int64_t> end = (*offsets)[1].integer(0);
  if (!end)
    return end.takeError();
  if (*end < *begin)
    return entry.error("data_offsets end at " + Twine(*end) + ", before they begin at " +
                       Twine(*begin));
  if (static_cast<uint64_t>(*end) > dataBytes)
    return entry.error("data_offsets end at " + Twine(*end) + ", but the file has " +
                       Twine(dataBytes) + " bytes of data");
  if (static_cast<uint64_t>(*end - *begin) != *size)
    return entry.error("expected " + Twine(*size) + " bytes for " + tensor.describe() +
                       ", found data_offsets of " + Twine(*end - *begin));
  tensor.offset = static_cast<uint64_t>(*begin);
  tensor.bytes = *size;
  return tensor;
}

static Error checkMetadata(const Json &metadata) {
  Expected<ArrayRef<Json::Member>> entries = metadata.object();
  if (!entries)
    return entries.takeError();
  if (entries->size() > kMaxMetadata)
    return metadata.error("expected at most " + Twine(kMaxMetadata) + " entries, found " +
                          Twine(entries->size()));
  for (const Json::Member &entry : *entries)
    if (Expected<StringRef> text = entry.value.string(); !text)
      return text.takeError();
  return Error::success();
}

/// Tensors are sorted by offset; each must begin where the one before ends.
static Error checkCoverage(StringRef file, ArrayRef<TensorInfo> tensors, uint64_t dataBytes) {
  uint64_t end = 0;
  for (const TensorInfo &tensor : tensors) {
    if (tensor.offset != end)
      return fileError(file,
                       Twine(tensor.name) + ": data begin at " + Twine(tensor.offset) +
                           (tensor.offset < end ? ", overlapping the tensor before, which ends at "
                                                : ", leaving a hole after ") +
                           Twine(end));
    end = tensor.offset + tensor.bytes;
  }
  if (end != dataBytes)
    return fileError(file, "the tensors end at byte " + Twine(end) +
                               " of the data, but the file has " + Twine(dataBytes) +
                               " bytes of data");
  return Error::success();
}

Expected<std::vector<TensorInfo>> parseSafetensors(StringRef file, ArrayRef<uint8_t> bytes) {
  Reader reader(bytes, file);
  Expected<uint64_t> length = reader.readU64("header length");
  if (!length)
    return length.takeError();
  if (*length > kMaxHeaderBytes)
    return fileError(file, "expected a header of at most " + Twine(kMaxHeaderBytes) +
                               " bytes, found a length of " + Twine(*length) +
                               "; is this a safetensors file?");
  Expected<ArrayRef<uint8_t>> header = reader.take(*length, "header");
  if (!header)
    return header.takeError();
  if (header->empty() || header->front() != '{')
    return fileError(file, "expected a header that begins with '{'");
  JsonLimits limits;
  limits.values = kMaxHeaderValues;
  Expected<JsonDocument> document = JsonDocument::parse(file, toStringRef(*header), limits);
  if (!document)
    return document.takeError();
  Expected<ArrayRef<Json::Member>> members = document->root().object();
  if (!members)
    return members.takeError();
  if (members->size() > kMaxTensors + 1)
    return fileError(file, "expected at most " + Twine(kMaxTensors) + " tensors, found " +
                               Twine(members->size()));

  uint64_t dataBytes = reader.remaining();
  std::vector<TensorInfo> tensors;
  for (const Json::Member &member : *members) {
    if (member.key == "__metadata__") {
      if (Error error = checkMetadata(member.value))
        return error;
      continue;
    }
    Expected<TensorInfo> tensor = parseTensor(member, dataBytes);
    if (!tensor)
      return tensor.takeError();
    tensors.push_back(std::move(*tensor));
  }
  llvm::sort(tensors, [](const TensorInfo &a, const TensorInfo &b) { return a.offset < b.offset; });
  if (Error error = checkCoverage(file, tensors, dataBytes))
    return error;
  for (TensorInfo &tensor : tensors)
    tensor.offset += reader.offset();
  return tensors;
}

Expected<ShardMap> parseShardIndex(StringRef file, StringRef text) {
  JsonLimits limits;
  limits.values = kMaxTensors + 1024;
  Expected<JsonDocument> document = JsonDocument::parse(file, text, limits);
  if (!document)
    return document.takeError();
  Expected<const Json *> map = document->root().get("weight_map");
  if (!map)
    return map.takeError();
  Expected<ArrayRef<Json::Member>> entries = (*map)->object();
  if (!entries)
    return entries.takeError();
  if (entries->empty())
    return (*map)->error("expected at least one tensor");
  ShardMap shards;
  for (const Json::Member &entry : *entries) {
    Expected<StringRef> name = entry.value.string();
    if (!name)
      return name.takeError();
    // A plain name cannot leave the folder.
    bool plain =
        !name->empty() && *name != "." && *name != ".." && all_of(*name, [](unsigned char c) {
          return c > 0x20 && c != 0x7f && c != '/' && c != '\\' && c != ':';
        });
    if (!plain)
      return entry.value.error("expected the plain name of a file in the same folder, found \"" +
                               *name + "\"");
    if (!name->ends_with(".safetensors"))
      return entry.value.error("expected the name of a .safetensors file, found \"" + *name + "\"");
    shards.emplace_back(entry.key, name->str());
  }
  return shards;
}

static std::string inFolder(StringRef folder, StringRef name) {
  SmallString<256> path(folder);
  sys::path::append(path, name);
  return path.str().str();
}

Error Checkpoint::addFile(StringRef inside, StringRef name) {
  std::string path = inFolder(inside, name);
  Expected<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  Expected<std::vector<TensorInfo>> tensors = parseSafetensors(path, file->bytes());
  if (!tensors)
    return tensors.takeError();
  if (Error error = addTensors(path, std::move(*tensors)))
    return error;
  names.push_back(name.str());
  mapped.push_back(std::move(*file));
  return Error::success();
}

/// Tensors of the file that `names` and `mapped` get next.
Error Checkpoint::addTensors(StringRef path, std::vector<TensorInfo> tensors) {
  for (TensorInfo &tensor : tensors) {
    tensor.file = static_cast<unsigned>(names.size());
    auto [entry, isNew] = byName.try_emplace(tensor.name, infos.size());
    if (!isNew)
      return fileError(path, "tensor \"" + tensor.name + "\" is also in " +
                                 names[infos[entry->second].file]);
    infos.push_back(std::move(tensor));
  }
  if (infos.size() > kMaxTensors)
    return fileError(path, "expected at most " + Twine(kMaxTensors) + " tensors in all shards");
  return Error::success();
}

Error Checkpoint::addShards(StringRef inside, StringRef index) {
  Expected<MappedFile> file = MappedFile::open(index, kMaxIndexBytes);
  if (!file)
    return file.takeError();
  Expected<ShardMap> shards = parseShardIndex(index, file->text());
  if (!shards)
    return shards.takeError();
  StringSet<> seen;
  for (const auto &[tensor, shard] : *shards) {
    if (!seen.insert(shard).second)
      continue;
    if (seen.size() > kMaxShards)
      return fileError(index, "expected at most " + Twine(kMaxShards) + " files");
    if (Error error = addFile(inside, shard))
      return error;
  }
  for (const auto &[tensor, shard] : *shards) {
    const TensorInfo *info = find(tensor);
    if (!info || names[info->file] != shard)
      return fileError(index, "weight_map." + tensor + ": no such tensor in " + shard);
  }
  if (shards->size() != infos.size()) {
    StringSet<> mappedNames;
    for (const auto &entry : *shards)
      mappedNames.insert(entry.first);
    for (const TensorInfo &info : infos)
      if (!mappedNames.contains(info.name))
        return error(info, "missing in the weight_map of " + index);
  }
  return Error::success();
}

Expected<Checkpoint> Checkpoint::open(StringRef folder) {
  Checkpoint checkpoint;
  checkpoint.folder = folder.str();
  std::string single = inFolder(folder, "model.safetensors");
  std::string index = inFolder(folder, "model.safetensors.index.json");
  bool sharded = !sys::fs::exists(single) && sys::fs::exists(index);
  if (Error error = sharded ? checkpoint.addShards(folder, index)
                            : checkpoint.addFile(folder, "model.safetensors"))
    return error;
  return checkpoint;
}

const TensorInfo *Checkpoint::find(StringRef name) const {
  auto entry = byName.find(name);
  return entry == byName.end() ? nullptr : &infos[entry->second];
}

Error Checkpoint::error(const TensorInfo &tensor, const Twine &message) const {
  return fileError(inFolder(folder, names[tensor.file]),
                   "tensor \"" + Twine(tensor.name) + "\": " + message);
}

} // namespace tern::import
