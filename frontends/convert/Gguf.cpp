//===- Gguf.cpp - a source to a GGUF file ---------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"
#include "frontends/convert/Matrices.h"
#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/Writers.h"
#include "frontends/import/GgufModel.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace tern::convert {

constexpr uint64_t kAlignment = 32;

/// The number of a tensor's type.
static uint32_t typeNumber(blocks::Format format) {
  switch (format) {
  case blocks::Format::TQ1_0:
    return 34;
  case blocks::Format::TQ2_0:
    return 35;
  case blocks::Format::I2S:
    return 36;
  case blocks::Format::Q2_0:
    return 42;
  default:
    llvm_unreachable("not a format that is written");
  }
}

/// general.file_type, as the programs that read the type number it.
static uint32_t fileType(Target target) {
  return target == Target::TQ1_0 ? 36 : target == Target::TQ2_0 ? 37 : 40;
}

/// The `general.architecture` of a family and what it says.
static const import::GgufArchitecture &architecture(const import::Config &config) {
  return *find_if(config.family->ggufArchitectures,
                  [&](const auto &known) { return known.gate == config.gate; });
}

static void addSizes(GgufKeys &keys, const import::Config &config) {
  std::string arch = architecture(config).name.str() + ".";
  keys.number(arch + "context_length", config.maxPositions);
  keys.number(arch + "embedding_length", config.hidden);
  keys.number(arch + "block_count", config.layers);
  keys.number(arch + "feed_forward_length", config.feedForward);
  keys.number(arch + "attention.head_count", config.heads);
  keys.number(arch + "attention.head_count_kv", config.kvHeads);
  keys.number(arch + "attention.key_length", config.headSize);
  keys.number(arch + "attention.value_length", config.headSize);
  keys.real(arch + "attention.layer_norm_rms_epsilon", config.epsilon);
  keys.number(arch + "rope.dimension_count", config.headSize);
  keys.real(arch + "rope.freq_base", static_cast<float>(config.ropeTheta));
  if (config.ropeScaling.kind == import::RopeScaling::Kind::Linear) {
    keys.string(arch + "rope.scaling.type", "linear");
    keys.real(arch + "rope.scaling.factor", static_cast<float>(config.ropeScaling.factor));
  }
  keys.number(arch + "vocab_size", config.vocabulary);
}

/// Copies keys of another GGUF file as it has them.
static void copyKeys(GgufKeys &keys, const import::GgufMetadata &metadata, StringRef prefix,
                     ArrayRef<StringRef> except) {
  for (const auto &entry : metadata.entries()) {
    if (!entry.key.starts_with(prefix) || is_contained(except, entry.key))
      continue;
    StringRef bytes(reinterpret_cast<const char *>(entry.bytes.data()), entry.bytes.size());
    if (entry.type == import::GgufValueType::Array)
      keys.rawArray(entry.key, static_cast<uint32_t>(entry.element), entry.count, bytes);
    else if (entry.type == import::GgufValueType::String)
      // The bytes of an entry may or may not hold the text's length.
      keys.string(entry.key, cantFail(metadata.getString(entry.key)));
    else
      keys.raw(entry.key, static_cast<uint32_t>(entry.type), bytes);
  }
}

/// Keys that say what the file is, which another file says of itself.
static constexpr StringRef kOwnKeys[] = {"general.architecture", "general.alignment",
                                         "general.quantization_version", "general.file_type"};

static Error copyFile(GgufKeys &keys, const Extras &extras) {
  Expected<import::GgufFile> file = import::GgufFile::open(extras.in);
  if (!file)
    return file.takeError();
  if (!file->metadata().has("general.name"))
    keys.string("general.name", extras.name);
  copyKeys(keys, file->metadata(), "general.", kOwnKeys);
  copyKeys(keys, file->metadata(), "tokenizer.", {});
  return Error::success();
}

static Error describeFolder(GgufKeys &keys, const Source &source, Extras &extras) {
  keys.string("general.name", extras.name);
  if (!extras.licence.empty())
    keys.string("general.license", extras.licence);
  if (extras.samples)
    extras.notes.push_back("GGUF has no place for the sampling defaults of generation_config.json");
  if (!extras.chatTemplate.empty())
    keys.string("tokenizer.chat_template", extras.chatTemplate);
  if (!extras.tokenizerBlob.empty()) {
    Expected<std::string> lost =
        addTokenizerKeys(keys, extras.tokenizerBlob, source.config.vocabulary, extras.bos);
    if (lost && !lost->empty())
      extras.notes.push_back("GGUF does not say all of the tokenizer (" + *lost +
                             "), so some texts may become other tokens; --type hf keeps it");
    return lost.takeError();
  }
  if (extras.bos)
    keys.number("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*extras.bos));
  constexpr StringLiteral kEnds[] = {"eos", "eot"};
  for (auto [id, name] : zip(extras.eos, kEnds))
    keys.number(("tokenizer.ggml." + name + "_token_id").str(), static_cast<uint32_t>(id));
  if (extras.eos.size() > 2)
    extras.notes.push_back("GGUF has room for two ids that end a text, and the model has " +
                           std::to_string(extras.eos.size()));
  return Error::success();
}

static std::string tensorName(StringRef weight) {
  return (weight == "embed" ? "token_embd" : weight.str()) + ".weight";
}

/// Heads whose rows the architecture's readers expect interleaved.
static int64_t interleavedHeads(const import::Config &config, StringRef weight) {
  if (!architecture(config).interleavedRope)
    return 0;
  return weight.ends_with(".attn_q")   ? config.heads
         : weight.ends_with(".attn_k") ? config.kvHeads
                                       : 0;
}

static Expected<OutTensor> matrixTensor(const Source &source, StringRef weight,
                                        const Options &options) {
  Expected<Matrix> matrix = readMatrix(source, weight);
  if (!matrix)
    return matrix.takeError();
  Expected<Fit> fits = requireFit(source, *matrix, options);
  if (!fits)
    return fits.takeError();
  source.files.release();
  blocks::Format format = fits->format;
  OutTensor tensor;
  tensor.name = tensorName(weight);
  tensor.shape = {matrix->rows, matrix->columns};
  tensor.type = typeNumber(format);
  tensor.bytes = *blocks::tensorBytes(format, matrix->rows, matrix->columns);
  int64_t heads = interleavedHeads(source.config, weight);
  // Scales of groups are read again when it is their turn: those of all matrices may be many.
  auto kept = std::make_shared<Matrix>(std::move(*matrix));
  bool keeps = kept->group == kept->columns;
  if (!keeps)
    kept->scales.clear();
  tensor.write = [&source, kept, keeps, format, heads](raw_ostream &out) -> Error {
    Expected<Matrix> matrix = keeps ? Expected<Matrix>(*kept) : readMatrix(source, kept->name);
    if (!matrix)
      return matrix.takeError();
    Expected<std::vector<uint8_t>> bytes = encodeMatrix(source, *matrix, format, heads);
    if (!bytes)
      return bytes.takeError();
    out.write(reinterpret_cast<const char *>(bytes->data()), bytes->size());
    return Error::success();
  };
  return tensor;
}

/// What the keys cannot say of the rotary frequencies is divisors.
static Error addDivisors(std::vector<OutTensor> &tensors, const Source &source) {
  // As a reader sees the keys.
  import::Config stated = source.config;
  stated.ropeTheta = static_cast<float>(stated.ropeTheta);
  stated.ropeScaling.factor = static_cast<float>(stated.ropeScaling.factor);
  if (stated.ropeScaling.kind == import::RopeScaling::Kind::Llama3)
    stated.ropeScaling = {};
  Expected<std::vector<float>> divisors = ropeDivisors(source, stated);
  if (!divisors)
    return createStringError(toString(divisors.takeError()) +
                             ", so GGUF cannot say it; --type hf can");
  if (divisors->empty())
    return Error::success();
  OutTensor &tensor = tensors.emplace_back();
  tensor.name = "rope_freqs.weight";
  tensor.shape = {static_cast<int64_t>(divisors->size())};
  tensor.bytes = divisors->size() * sizeof(float);
  tensor.write = [values = std::move(*divisors)](raw_ostream &out) {
    out.write(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
    return Error::success();
  };
  return Error::success();
}

static Expected<std::vector<OutTensor>> listTensors(const Source &source, const Options &options) {
  std::vector<OutTensor> tensors;
  if (Error error = addDivisors(tensors, source))
    return std::move(error);
  for (const std::string &weight : source.order) {
    if (StringRef(weight).ends_with(".scale"))
      continue;
    Expected<OutTensor> tensor = source.isTrits(weight)
                                     ? matrixTensor(source, weight, options)
                                     : floatTensor(source, weight, tensorName(weight));
    if (!tensor)
      return tensor.takeError();
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

template <typename T> static void put(raw_ostream &out, T value) {
  out.write(reinterpret_cast<const char *>(&value), sizeof value);
}

/// Everything before the data.
static std::string headOf(ArrayRef<OutTensor> tensors, const GgufKeys &keys) {
  std::string head("GGUF");
  raw_string_ostream stream(head);
  put(stream, uint32_t(3));
  put(stream, uint64_t(tensors.size()));
  put(stream, keys.count);
  stream << keys.bytes;
  uint64_t offset = 0;
  for (const OutTensor &tensor : tensors) {
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
  return head;
}

/// Where the importer's rules would take the file for something else.
static Error checkReadable(const Source &source) {
  const import::Config &config = source.config;
  if (architecture(config).name == "bitnet" && config.kvHeads == 5 && config.hidden == 2560)
    return createStringError("a model of these sizes and architecture \"bitnet\" is taken for one "
                             "with the gate function relu2, and this one has silu; " +
                             StringRef("--type hf can hold it"));
  return Error::success();
}

Error writeGguf(const Source &source, Extras &extras, const Options &options, StringRef path) {
  if (Error error = checkReadable(source))
    return error;
  Expected<std::vector<OutTensor>> tensors = listTensors(source, options);
  if (!tensors)
    return tensors.takeError();
  GgufKeys keys;
  keys.string("general.architecture", architecture(source.config).name);
  keys.number("general.quantization_version", 2);
  keys.number("general.file_type", fileType(options.target));
  addSizes(keys, source.config);
  keys.string(import::kActivationsKey, import::describe(source.config.activations));
  if (Error error = import::GgufFile::isGguf(extras.in) ? copyFile(keys, extras)
                                                        : describeFolder(keys, source, extras))
    return error;
  if (options.target == Target::I2S && source.floatActivations())
    extras.notes.push_back(
        "the activations of this model are floats, which Tern sees from the key " +
        import::kActivationsKey.str() +
        "; other programs take them for 8-bit ones in files of i2_s");
  return writeOutput(path, [&](raw_ostream &out) -> Error {
    out << headOf(*tensors, keys);
    for (const OutTensor &tensor : *tensors) {
      if (Error error = writeTensor(source, tensor, out))
        return error;
      out.write_zeros(alignTo(tensor.bytes, kAlignment) - tensor.bytes);
    }
    return Error::success();
  });
}

} // namespace tern::convert
