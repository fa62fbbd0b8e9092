//===- Gguf.cpp - models in GGUF files ------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace tern::import {

namespace {
/// The format numbers parts with five digits; models have a few dozen.
constexpr int64_t kMaxParts = 4096;

/// One file of a model.
struct Part {
  std::string name, path;
  MappedFile file;
  GgufHeader header;
};

Expected<Part> openPart(StringRef folder, StringRef name) {
  SmallString<256> path(folder);
  sys::path::append(path, name);
  Expected<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.takeError();
  Expected<GgufHeader> header = parseGguf(path, file->bytes());
  if (!header)
    return header.takeError();
  return Part{name.str(), path.str().str(), std::move(*file), std::move(*header)};
}

/// "-00001-of-00003.gguf"
std::string partSuffix(int64_t part, int64_t parts) {
  return formatv("-{0,0+5}-of-{1,0+5}.gguf", part + 1, parts).str();
}

/// The other parts, where `parts` has the first one of several.
Error openOthers(StringRef folder, std::vector<Part> &parts) {
  const GgufMetadata &first = parts.front().header.metadata;
  Expected<int64_t> count = first.getIntegerOr("split.count", 1, 0, kMaxParts);
  if (!count)
    return count.takeError();
  if (*count <= 1)
    return Error::success();
  Expected<int64_t> number = first.getInteger("split.no", 0, *count - 1);
  if (!number)
    return number.takeError();
  StringRef prefix = parts.front().name;
  std::string path = parts.front().path;
  if (!prefix.consume_back(partSuffix(*number, *count)))
    return fileError(path, "expected a name that ends with " + partSuffix(*number, *count) +
                               ", since this is part " + Twine(*number + 1) + " of " +
                               Twine(*count));
  std::string stem = prefix.str();
  if (*number != 0)
    return fileError(path, "this is part " + Twine(*number + 1) + " of " + Twine(*count) +
                               ": open the first one, " + stem + partSuffix(0, *count));
  for (int64_t i = 1; i < *count; ++i) {
    Expected<Part> part = openPart(folder, stem + partSuffix(i, *count));
    if (!part)
      return part.takeError();
    if (Expected<int64_t> own = part->header.metadata.getInteger("split.no", i, i); !own)
      return own.takeError();
    if (Expected<int64_t> all = part->header.metadata.getInteger("split.count", *count, *count);
        !all)
      return all.takeError();
    parts.push_back(std::move(*part));
  }
  int64_t found = 0;
  for (const Part &part : parts)
    found += static_cast<int64_t>(part.header.tensors.size());
  return parts.front()
      .header.metadata.getIntegerOr("split.tensors.count", found, found, found)
      .takeError();
}

/// A warning where bytes follow the last tensor and its padding.
void noteSurplus(const Part &part, ArrayRef<TensorInfo> tensors, std::vector<std::string> &notes) {
  uint64_t end = 0, size = part.file.bytes().size();
  for (const TensorInfo &tensor : tensors)
    end = std::max(end, tensor.offset + tensor.bytes);
  end = alignTo(end, part.header.alignment);
  if (end != 0 && end < size)
    notes.push_back(part.name + ": " + std::to_string(size - end) +
                    " bytes follow the last tensor and are not read");
}

GgufSpan spanOf(const GgufTensor &tensor, uint64_t alignment) {
  return {tensor.name, tensor.type, tensor.dims, tensor.room, alignment};
}
} // namespace

Expected<std::vector<TensorInfo>> resolveTensors(StringRef file, const GgufHeader &header,
                                                 Q2Group group) {
  std::vector<TensorInfo> tensors;
  tensors.reserve(header.tensors.size());
  for (const GgufTensor &tensor : header.tensors) {
    Expected<const GgufType *> type = resolveType(file, spanOf(tensor, header.alignment), group);
    if (!type)
      return type.takeError();
    TensorInfo info;
    info.name = tensor.name.str();
    info.dtype = (*type)->name.str();
    info.shape.assign(tensor.dims.rbegin(), tensor.dims.rend());
    info.offset = tensor.offset;
    std::optional<uint64_t> bytes = (*type)->size(tensor.dims);
    auto error = [&](const Twine &message) {
      return fileError(file, "tensor \"" + info.name + "\": " + info.describe() + ": " + message);
    };
    if (!bytes)
      return error((*type)->flat ? "expected elements that are a multiple of " +
                                       Twine((*type)->block) + ", or too many"
                                 : "expected rows of a multiple of " + Twine((*type)->block) +
                                       " elements, or too many");
    if (*bytes > tensor.room)
      return error("expected " + Twine(*bytes) + " bytes at offset " + Twine(tensor.offset) +
                   ", found " + Twine(tensor.room) + " to the next tensor or the end of the file");
    info.bytes = *bytes;
    tensors.push_back(std::move(info));
  }
  return tensors;
}

bool GgufFile::isGguf(StringRef path) {
  Expected<MappedFile> file = MappedFile::open(path);
  if (file)
    return file->text().starts_with("GGUF");
  consumeError(file.takeError());
  return false;
}

Expected<GgufFile> GgufFile::open(StringRef path) {
  StringRef folder = sys::path::parent_path(path);
  std::vector<Part> parts;
  Expected<Part> first = openPart(folder, sys::path::filename(path));
  if (!first)
    return first.takeError();
  parts.push_back(std::move(*first));
  if (Error error = openOthers(folder, parts))
    return error;

  std::vector<GgufSpan> spans;
  for (const Part &part : parts)
    for (const GgufTensor &tensor : part.header.tensors)
      spans.push_back(spanOf(tensor, part.header.alignment));
  Expected<Q2Group> group = decideQ2Group(parts.front().path, spans);
  if (!group)
    return group.takeError();

  GgufFile model;
  model.tensors.folder = folder.str();
  for (Part &part : parts) {
    Expected<std::vector<TensorInfo>> tensors = resolveTensors(part.path, part.header, *group);
    if (!tensors)
      return tensors.takeError();
    append_range(model.notes, part.header.notes);
    noteSurplus(part, *tensors, model.notes);
    if (Error error = model.tensors.addTensors(part.path, std::move(*tensors)))
      return error;
    model.tensors.names.push_back(part.name);
    model.tensors.mapped.push_back(std::move(part.file));
  }
  model.keys = std::move(parts.front().header.metadata);
  return model;
}

} // namespace tern::import
