//===- Gguf.cpp - a source to a GGUF file ---------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"
#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/Writers.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace tern::convert {

constexpr uint64_t kAlignment = 32;

namespace {
struct TargetType {
  blocks::Format format;
  uint32_t type;     ///< of a tensor
  uint32_t fileType; ///< general.file_type, as the programs that read it number it
};
} // namespace

static TargetType describe(Target target) {
  switch (target) {
  case Target::TQ1_0:
    return {blocks::Format::TQ1_0, 34, 36};
  case Target::TQ2_0:
    return {blocks::Format::TQ2_0, 35, 37};
  default:
    return {blocks::Format::I2S, 36, 40};
  }
}

/// Rows that are no whole number of TQ blocks take Q2_0, the ternary type of smaller ones.
static TargetType ofMatrix(Target target, int64_t columns) {
  if (target == Target::I2S || columns % 256 == 0)
    return describe(target);
  return {blocks::Format::Q2_0, 42, 0};
}

/// The `general.architecture` of a family.
static std::string architecture(const Source &source) {
  if (source.family == "bitnet")
    return source.relu2 ? "bitnet-b1.58" : "bitnet";
  return source.family;
}

static void addSizes(GgufKeys &keys, const Source &source) {
  std::string arch = architecture(source) + ".";
  keys.number(arch + "context_length", source.maxPositions);
  keys.number(arch + "embedding_length", source.hidden);
  keys.number(arch + "block_count", source.layers);
  keys.number(arch + "feed_forward_length", source.feedForward);
  keys.number(arch + "attention.head_count", source.heads);
  keys.number(arch + "attention.head_count_kv", source.kvHeads);
  keys.number(arch + "attention.key_length", source.headSize);
  keys.number(arch + "attention.value_length", source.headSize);
  keys.real(arch + "attention.layer_norm_rms_epsilon", source.epsilon);
  keys.number(arch + "rope.dimension_count", source.headSize);
  keys.real(arch + "rope.freq_base", static_cast<float>(source.ropeTheta));
  keys.number(arch + "vocab_size", source.vocabulary);
}

/// Copies what another GGUF file says about its tokenizer, as it says it.
static Error copyTokenizer(GgufKeys &keys, StringRef in) {
  Expected<import::GgufFile> file = import::GgufFile::open(in);
  if (!file)
    return file.takeError();
  for (const auto &entry : file->metadata().entries()) {
    if (!entry.key.starts_with("tokenizer."))
      continue;
    StringRef bytes(reinterpret_cast<const char *>(entry.bytes.data()), entry.bytes.size());
    if (entry.type == import::GgufValueType::Array)
      keys.rawArray(entry.key, static_cast<uint32_t>(entry.element), entry.count, bytes);
    else if (entry.type == import::GgufValueType::String)
      // The bytes of an entry may or may not hold the text's length.
      keys.string(entry.key, cantFail(file->metadata().getString(entry.key)));
    else
      keys.raw(entry.key, static_cast<uint32_t>(entry.type), bytes);
  }
  return Error::success();
}

static std::string tensorName(StringRef weight) {
  return (weight == "embed" ? "token_embd" : weight.str()) + ".weight";
}

static Expected<std::vector<OutTensor>> listTensors(const Source &source, const Options &options) {
  std::vector<OutTensor> tensors;
  for (const std::string &weight : source.order) {
    if (StringRef(weight).ends_with(".scale"))
      continue;
    if (!source.isTrits(weight)) {
      Expected<OutTensor> tensor = floatTensor(source, weight, tensorName(weight));
      if (!tensor)
        return tensor.takeError();
      tensors.push_back(std::move(*tensor));
      continue;
    }
    OutTensor &tensor = tensors.emplace_back();
    tensor.name = tensorName(weight);
    tensor.shape = source.shape(weight).vec();
    TargetType target = ofMatrix(options.target, tensor.shape[1]);
    tensor.type = target.type;
    // What does not fit says so when it is encoded.
    tensor.bytes = blocks::tensorBytes(target.format, tensor.shape[0], tensor.shape[1]).value_or(0);
    int64_t heads = 0;
    if (source.family == "llama" && StringRef(weight).ends_with(".attn_q"))
      heads = source.heads;
    if (source.family == "llama" && StringRef(weight).ends_with(".attn_k"))
      heads = source.kvHeads;
    bool round = options.roundScales;
    tensor.make = [&source, weight, heads, target, round]() -> Expected<std::vector<uint8_t>> {
      Expected<Matrix> matrix = readMatrix(source, weight);
      if (!matrix)
        return matrix.takeError();
      if (heads)
        interleaveRows(*matrix, heads);
      return encodeMatrix(*matrix, target.format, round);
    };
  }
  return tensors;
}

template <typename T> static void put(raw_ostream &out, T value) {
  out.write(reinterpret_cast<const char *>(&value), sizeof value);
}

static Error writeTensors(raw_ostream &out, ArrayRef<OutTensor> tensors) {
  for (const OutTensor &tensor : tensors) {
    Expected<std::vector<uint8_t>> bytes = tensor.make();
    if (!bytes) {
      out.flush(); // writeToOutput closes the file under a stream that still has bytes
      return bytes.takeError();
    }
    assert(bytes->size() == tensor.bytes && "the header says where the next tensor is");
    out.write(reinterpret_cast<const char *>(bytes->data()), bytes->size());
    out.write_zeros(alignTo(bytes->size(), kAlignment) - bytes->size());
  }
  return Error::success();
}

Error writeGguf(const Source &source, const Extras &extras, const Options &options,
                StringRef path) {
  Expected<std::vector<OutTensor>> tensors = listTensors(source, options);
  if (!tensors)
    return tensors.takeError();
  GgufKeys keys;
  keys.string("general.architecture", architecture(source));
  keys.string("general.name", extras.name);
  keys.number("general.quantization_version", 2);
  keys.number("general.file_type", describe(options.target).fileType);
  addSizes(keys, source);
  if (import::GgufFile::isGguf(extras.in)) {
    if (Error error = copyTokenizer(keys, extras.in))
      return error;
  } else {
    if (Error error = addTokenizerKeys(keys, extras.tokenizerBlob, source.vocabulary))
      return error;
    if (!extras.chatTemplate.empty())
      keys.string("tokenizer.chat_template", extras.chatTemplate);
  }
  std::string head("GGUF");
  raw_string_ostream stream(head);
  put(stream, uint32_t(3));
  put(stream, uint64_t(tensors->size()));
  put(stream, keys.count);
  stream << keys.bytes;
  uint64_t offset = 0;
  for (const OutTensor &tensor : *tensors) {
    put(stream, uint64_t(tensor.name.size()));
    stream << tensor.name;
    put(stream, uint32_t(tensor.shape.size()));
    for (int64_t size : reverse(tensor.shape))
      put(stream, uint64_t(size));
    put(stream, tensor.type);
    put(stream, offset);
    offset += alignTo(tensor.bytes, kAlignment);
  }
  stream.write_zeros(alignTo(head.size(), kAlignment) - head.size());
  return writeToOutput(path, [&](raw_ostream &out) -> Error {
    out << head;
    return writeTensors(out, *tensors);
  });
}

} // namespace tern::convert
