//===- HuggingFace.cpp - a source to a packed folder ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Semantics.h"
#include "frontends/convert/Matrices.h"
#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/TokenizerTables.h"
#include "frontends/convert/Writers.h"
#include "frontends/import/Gguf.h"
#include "frontends/import/Tokenizer.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include <nlohmann/json.hpp>

using namespace llvm;
using Ordered = nlohmann::ordered_json;
namespace fs = llvm::sys::fs;

namespace tern::convert {

/// The module of a weight, as checkpoints of its family name it.
static std::string moduleName(const import::Family &family, StringRef weight) {
  const import::TensorNames &ours = family.ggufNames, &theirs = family.names.front();
  if (weight == "embed")
    return theirs.embedding.str();
  if (weight == "output_norm")
    return theirs.outputNorm.str();
  if (weight == "output")
    return theirs.head.str();
  using Names = import::TensorNames;
  auto [layer, part] = weight.drop_front(strlen("blk.")).split('.');
  for (auto name :
       {&Names::attentionNorm, &Names::query, &Names::key, &Names::value, &Names::queryNorm,
        &Names::keyNorm, &Names::attentionSubNorm, &Names::output, &Names::feedForwardNorm,
        &Names::gate, &Names::up, &Names::feedForwardSubNorm, &Names::down})
    if (ours.*name == part)
      return (theirs.layer + "." + layer + "." + theirs.*name).str();
  llvm_unreachable("weights have the names of GGUF files");
}

/// The type that gains, scales and `torch_dtype` have: that of the tables where it holds them
/// exactly, as other programs turn everything into it.
class FolderType {
public:
  FolderType(const Source &source) {
    for (StringRef name : {"embed", "output"})
      if (source.weights.contains(name))
        tables.insert(source.element(name));
    mlir::Type table = source.element("embed");
    // Squared gates overflow float16.
    bool overflows = table.isF16() && source.config.gate == import::GateFunction::Relu2;
    dtype = tables.size() > 1 || overflows ? "F32"
            : table.isBF16()               ? "BF16"
            : table.isF16()                ? "F16"
                                           : "F32";
  }
  void add(ArrayRef<float> values) {
    if (any_of(values, [&](float value) { return rounded(value) != value; }))
      dtype = "F32";
  }
  StringRef name() const { return dtype; }
  StringRef torchName() const {
    return dtype == "F32" ? "float32" : dtype == "F16" ? "float16" : "bfloat16";
  }
  uint64_t bytes() const { return dtype == "F32" ? 4 : 2; }
  void write(ArrayRef<float> values, raw_ostream &out) const {
    for (float value : values) {
      uint32_t bits = dtype == "F32"   ? llvm::bit_cast<uint32_t>(value)
                      : dtype == "F16" ? semantics::toF16(value)
                                       : semantics::toBF16(value);
      out.write(reinterpret_cast<const char *>(&bits), bytes());
    }
  }

private:
  float rounded(float value) const {
    return dtype == "F32"   ? value
           : dtype == "F16" ? semantics::fromF16(semantics::toF16(value))
                            : semantics::fromBF16(semantics::toBF16(value));
  }

  DenseSet<mlir::Type> tables;
  StringRef dtype;
};

namespace {
/// What the folder holds, planned: values of gains and scales, and matrices to come.
struct Plan {
  FolderType type;
  std::vector<OutTensor> tensors;
};
} // namespace

/// A short tensor, whose values are known.
static OutTensor valuesTensor(const Plan &plan, std::string name, std::vector<float> values) {
  OutTensor tensor;
  tensor.name = std::move(name);
  tensor.shape = {static_cast<int64_t>(values.size())};
  tensor.write = [&plan, values = std::move(values)](raw_ostream &out) {
    plan.type.write(values, out);
    return Error::success();
  };
  return tensor;
}

static Error addMatrix(Plan &plan, const Source &source, StringRef weight,
                       const std::string &name) {
  Expected<Matrix> matrix = readMatrix(source, weight);
  if (!matrix)
    return matrix.takeError();
  source.files.release();
  Options options;
  options.target = Target::HuggingFace;
  if (Expected<Fit> fits = requireFit(source, *matrix, options); !fits)
    return fits.takeError();
  plan.type.add(matrix->scales.front());
  plan.tensors.push_back(valuesTensor(plan, name + "_scale", {matrix->scales.front()}));
  OutTensor &packed = plan.tensors.emplace_back();
  packed.name = name;
  packed.dtype = "U8";
  packed.shape = {matrix->rows / 4, matrix->columns};
  packed.bytes = static_cast<uint64_t>(matrix->rows / 4 * matrix->columns);
  auto kept = std::make_shared<Matrix>(std::move(*matrix));
  packed.write = [&source, kept](raw_ostream &out) -> Error {
    Expected<std::vector<uint8_t>> bytes = packMatrix(source, *kept);
    if (!bytes)
      return bytes.takeError();
    out.write(reinterpret_cast<const char *>(bytes->data()), bytes->size());
    return Error::success();
  };
  return Error::success();
}

static Error addFloats(Plan &plan, const Source &source, StringRef weight,
                       const std::string &name) {
  if (source.shape(weight).size() == 2) {
    Expected<OutTensor> table = floatTensor(source, weight, name);
    if (table)
      plan.tensors.push_back(std::move(*table));
    return table.takeError();
  }
  Expected<WeightReader> reader = source.reader(weight);
  if (!reader)
    return reader.takeError();
  std::vector<float> values(reader->columns());
  if (Error error = reader->readFloats(0, 1, values.data()))
    return error;
  plan.type.add(values);
  plan.tensors.push_back(valuesTensor(plan, name, std::move(values)));
  return Error::success();
}

static Error fillPlan(Plan &plan, const Source &source) {
  for (const std::string &weight : source.order) {
    if (StringRef(weight).ends_with(".scale"))
      continue;
    std::string name = moduleName(*source.config.family, weight) + ".weight";
    if (Error error = source.isTrits(weight) ? addMatrix(plan, source, weight, name)
                                             : addFloats(plan, source, weight, name))
      return error;
  }
  for (OutTensor &tensor : plan.tensors)
    if (tensor.dtype.empty()) {
      tensor.dtype = plan.type.name();
      tensor.bytes = static_cast<uint64_t>(tensor.shape[0]) * plan.type.bytes();
    }
  return Error::success();
}

static Error writeSafetensors(const Source &source, ArrayRef<OutTensor> tensors, StringRef path) {
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}";
  uint64_t offset = 0;
  for (const OutTensor &tensor : tensors) {
    Ordered entry = {{"dtype", tensor.dtype},
                     {"shape", tensor.shape},
                     {"data_offsets", {offset, offset + tensor.bytes}}};
    header += "," + Ordered(tensor.name).dump() + ":" + entry.dump();
    offset += tensor.bytes;
  }
  header += "}";
  header.append(alignTo(header.size(), 8) - header.size(), ' ');
  return writeOutput(path, [&](raw_ostream &out) -> Error {
    uint64_t size = header.size();
    out.write(reinterpret_cast<const char *>(&size), sizeof size);
    out << header;
    for (const OutTensor &tensor : tensors)
      if (Error error = writeTensor(source, tensor, out))
        return error;
    return Error::success();
  });
}

static void addScaling(Ordered &config, const import::RopeScaling &scaling) {
  if (scaling.kind == import::RopeScaling::Kind::Linear)
    config["rope_scaling"] = {{"rope_type", "linear"}, {"factor", scaling.factor}};
  if (scaling.kind == import::RopeScaling::Kind::Llama3)
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", scaling.factor},
                              {"low_freq_factor", scaling.lowFactor},
                              {"high_freq_factor", scaling.highFactor},
                              {"original_max_position_embeddings", scaling.original}};
}

/// The shortest number that is this float: 1e-05, not 9.99999975e-06.
static double shortest(float value) {
  char text[32] = {};
  std::to_chars(text, text + sizeof text - 1, value);
  return std::strtod(text, nullptr);
}

static std::string configJson(const Source &source, const Extras &extras, StringRef dtype) {
  const import::Config &from = source.config;
  Ordered config = {
      {"architectures", {from.family->architectures.front().str()}},
      {"model_type", from.family->name.str()},
      {"hidden_act", from.gate == import::GateFunction::Relu2 ? "relu2" : "silu"},
      {"hidden_size", from.hidden},
      {"intermediate_size", from.feedForward},
      {"max_position_embeddings", from.maxPositions},
      {"num_attention_heads", from.heads},
      {"num_hidden_layers", from.layers},
      {"num_key_value_heads", from.kvHeads},
      {"head_dim", from.headSize},
      {"rms_norm_eps", shortest(from.epsilon)},
      {"rope_theta", from.ropeTheta},
      {"attention_bias", false},
      {"tie_word_embeddings", !source.weights.contains("output")},
      {"vocab_size", from.vocabulary},
      {"torch_dtype", dtype.str()},
      {"quantization_config",
       {{"quant_method", "bitnet"},
        {"linear_class", "autobitlinear"},
        {"quantization_mode", "offline"}}},
  };
  addScaling(config, from.ropeScaling);
  if (extras.bos)
    config["bos_token_id"] = *extras.bos;
  if (extras.eos.size() == 1)
    config["eos_token_id"] = extras.eos.front();
  else if (!extras.eos.empty())
    config["eos_token_id"] = extras.eos;
  return config.dump(2) + "\n";
}

static Error writeText(StringRef folder, StringRef name, StringRef text) {
  SmallString<256> path = folder;
  sys::path::append(path, name);
  return writeOutput(path, [&](raw_ostream &out) {
    out << text;
    return Error::success();
  });
}

/// The files beside config.json and the weights, as they are where the model came from a folder.
static Error copyFolder(const Extras &extras, StringRef folder) {
  StringRef from = fs::is_directory(extras.in) ? extras.in : sys::path::parent_path(extras.in);
  for (StringRef name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                         "generation_config.json", "chat_template.jinja", "README.md", "LICENSE"}) {
    SmallString<256> source = from, target = folder;
    sys::path::append(source, name);
    sys::path::append(target, name);
    if (!fs::exists(source))
      continue;
    if (std::error_code code = fs::copy_file(source, target))
      return createStringError(code, "%s: %s", target.c_str(), code.message().c_str());
  }
  return Error::success();
}

/// The same files, made; needs config.json, where end tokens are looked for.
static Error makeFolder(const Source &source, Extras &extras, StringRef folder) {
  if (!extras.licence.empty())
    if (Error error = writeText(folder, "README.md", "---\nlicense: " + extras.licence + "\n---\n"))
      return error;
  if (extras.tokenizerBlob.empty())
    return Error::success();
  Expected<std::string> text = tokenizerJson(extras.tokenizerBlob);
  if (!text)
    return createStringError(toString(text.takeError()) + "; --type i2_s and the other types of "
                                                          "GGUF keep the tokenizer");
  if (Error error = writeText(folder, "tokenizer.json", *text))
    return error;
  if (Error error = writeText(folder, "tokenizer_config.json",
                              tokenizerConfig(extras.tokenizerBlob, extras.chatTemplate)))
    return error;
  // What a reader makes of the files shows what they cannot say.
  Expected<std::string> again = import::importTokenizer(folder, source.config.vocabulary);
  if (!again)
    return again.takeError();
  std::string lost = difference(TokenizerTables(extras.tokenizerBlob), TokenizerTables(*again));
  if (!lost.empty())
    extras.notes.push_back("tokenizer.json does not say all of the tokenizer (" + lost +
                           "), so some texts may become other tokens; a GGUF file keeps it");
  return Error::success();
}

/// What the form cannot say at all.
static Error checkForm(const Source &source) {
  if (source.floatActivations())
    return createStringError("a packed Hugging Face folder means 8-bit activations, and those of "
                             "this model are floats; " +
                             whatHolds(source, /*folder=*/false));
  if (import::ropeFrequencies(source.config) != source.frequencies)
    return createStringError("the rotary frequencies are divided by rope_freqs, and config.json "
                             "has no place for that; " +
                             whatHolds(source, /*folder=*/false));
  return Error::success();
}

Error writeHuggingFace(const Source &source, Extras &extras, StringRef out) {
  if (Error error = checkForm(source))
    return error;
  if (fs::exists(out))
    return createStringError(out + ": exists already");
  Plan plan{FolderType(source), {}};
  if (Error error = fillPlan(plan, source))
    return error;
  SmallString<256> temporary;
  fs::createUniquePath(out.rtrim('/') + ".tmp-%%%%%%", temporary, /*MakeAbsolute=*/false);
  if (std::error_code code = fs::create_directory(temporary, /*IgnoreExisting=*/false))
    return createStringError(code, "%s: %s", temporary.c_str(), code.message().c_str());
  scope_exit cleanup([&] { fs::remove_directories(temporary); });
  if (Error error =
          writeText(temporary, "config.json", configJson(source, extras, plan.type.torchName())))
    return error;
  if (Error error = import::GgufFile::isGguf(extras.in) ? makeFolder(source, extras, temporary)
                                                        : copyFolder(extras, temporary))
    return error;
  SmallString<256> file = temporary;
  sys::path::append(file, "model.safetensors");
  if (Error error = writeSafetensors(source, plan.tensors, file))
    return error;
  if (std::error_code code = fs::rename(temporary, out))
    return createStringError(code, "%s: %s", out.str().c_str(), code.message().c_str());
  cleanup.release();
  return Error::success();
}

} // namespace tern::convert
