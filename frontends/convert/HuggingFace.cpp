//===- HuggingFace.cpp - a source to a packed folder ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Tokenizer.h"
#include "frontends/convert/Writers.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"

#include <cstring>

#include <nlohmann/json.hpp>

using namespace llvm;
using Ordered = nlohmann::ordered_json;
namespace fs = llvm::sys::fs;

namespace tern::convert {

/// The module of a weight, as checkpoints of these families name it.
static std::string moduleName(StringRef weight) {
  if (weight == "embed")
    return "model.embed_tokens";
  if (weight == "output_norm")
    return "model.norm";
  if (weight == "output")
    return "lm_head";
  auto [layer, part] = weight.drop_front(strlen("blk.")).split('.');
  StringRef name = StringSwitch<StringRef>(part)
                       .Case("attn_norm", "input_layernorm")
                       .Case("attn_q", "self_attn.q_proj")
                       .Case("attn_k", "self_attn.k_proj")
                       .Case("attn_v", "self_attn.v_proj")
                       .Case("attn_q_norm", "self_attn.q_norm")
                       .Case("attn_k_norm", "self_attn.k_norm")
                       .Case("attn_sub_norm", "self_attn.attn_sub_norm")
                       .Case("attn_output", "self_attn.o_proj")
                       .Case("ffn_norm", "post_attention_layernorm")
                       .Case("ffn_gate", "mlp.gate_proj")
                       .Case("ffn_up", "mlp.up_proj")
                       .Case("ffn_sub_norm", "mlp.ffn_sub_norm")
                       .Case("ffn_down", "mlp.down_proj")
                       .Default(part);
  return ("model.layers." + layer + "." + name).str();
}

static Expected<std::vector<OutTensor>> listTensors(const Source &source) {
  std::vector<OutTensor> tensors;
  for (const std::string &weight : source.order) {
    if (StringRef(weight).ends_with(".scale"))
      continue;
    std::string name = moduleName(weight) + ".weight";
    if (!source.isTrits(weight)) {
      Expected<OutTensor> tensor = floatTensor(source, weight, name);
      if (!tensor)
        return tensor.takeError();
      tensors.push_back(std::move(*tensor));
      continue;
    }
    ArrayRef<int64_t> shape = source.shape(weight);
    OutTensor packed;
    packed.name = name;
    packed.dtype = "U8";
    packed.shape = {(shape[0] + 3) / 4, shape[1]};
    packed.bytes = static_cast<uint64_t>(packed.shape[0] * packed.shape[1]);
    packed.make = [&source, weight]() -> Expected<std::vector<uint8_t>> {
      Expected<Matrix> matrix = readMatrix(source, weight);
      if (!matrix)
        return matrix.takeError();
      return packMatrix(*matrix);
    };
    OutTensor scale;
    scale.name = name + "_scale";
    scale.dtype = "F32";
    scale.shape = {1};
    scale.bytes = sizeof(float);
    scale.make = [&source, weight]() -> Expected<std::vector<uint8_t>> {
      Expected<Matrix> matrix = readMatrix(source, weight);
      if (!matrix)
        return matrix.takeError();
      std::vector<uint8_t> bytes(sizeof(float));
      std::memcpy(bytes.data(), matrix->scales.data(), sizeof(float));
      return bytes;
    };
    tensors.push_back(std::move(scale));
    tensors.push_back(std::move(packed));
  }
  return tensors;
}

static Error writeSafetensors(ArrayRef<OutTensor> tensors, StringRef path) {
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
  return writeToOutput(path, [&](raw_ostream &out) -> Error {
    uint64_t size = header.size();
    out.write(reinterpret_cast<const char *>(&size), sizeof size);
    out << header;
    for (const OutTensor &tensor : tensors) {
      Expected<std::vector<uint8_t>> bytes = tensor.make();
      if (!bytes) {
        out.flush(); // writeToOutput closes the file under a stream that still has bytes
        return bytes.takeError();
      }
      out.write(reinterpret_cast<const char *>(bytes->data()), bytes->size());
    }
    return Error::success();
  });
}

static std::string configJson(const Source &source, const Extras &extras) {
  Ordered eos;
  if (extras.eos.size() == 1)
    eos = extras.eos.front();
  else
    eos = extras.eos;
  Ordered config = {
      {"architectures", {source.family == "bitnet" ? "BitNetForCausalLM" : "LlamaForCausalLM"}},
      {"model_type", source.family},
      {"hidden_act", source.relu2 ? "relu2" : "silu"},
      {"hidden_size", source.hidden},
      {"intermediate_size", source.feedForward},
      {"max_position_embeddings", source.maxPositions},
      {"num_attention_heads", source.heads},
      {"num_hidden_layers", source.layers},
      {"num_key_value_heads", source.kvHeads},
      {"head_dim", source.headSize},
      {"rms_norm_eps", source.epsilon},
      {"rope_theta", source.ropeTheta},
      {"attention_bias", false},
      {"tie_word_embeddings", !source.weights.contains("output")},
      {"vocab_size", source.vocabulary},
      {"torch_dtype", "bfloat16"},
      {"quantization_config",
       {{"quant_method", "bitnet"},
        {"linear_class", "autobitlinear"},
        {"quantization_mode", "offline"}}},
  };
  if (extras.bos)
    config["bos_token_id"] = *extras.bos;
  if (!extras.eos.empty())
    config["eos_token_id"] = eos;
  return config.dump(2) + "\n";
}

static Error writeText(StringRef folder, StringRef name, StringRef text) {
  SmallString<256> path = folder;
  sys::path::append(path, name);
  return writeToOutput(path, [&](raw_ostream &out) {
    out << text;
    return Error::success();
  });
}

/// The tokenizer's files: as they are where the model came from a folder.
static Error writeTokenizer(const Extras &extras, StringRef folder) {
  bool copied = false;
  StringRef from = fs::is_directory(extras.in) ? extras.in : sys::path::parent_path(extras.in);
  bool isFolder = fs::is_directory(extras.in) || !extras.in.ends_with(".gguf");
  for (StringRef name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                         "generation_config.json", "chat_template.jinja"}) {
    SmallString<256> source = from, target = folder;
    sys::path::append(source, name);
    sys::path::append(target, name);
    if (!isFolder || !fs::exists(source))
      continue;
    if (std::error_code code = fs::copy_file(source, target))
      return createStringError(code, "%s: %s", target.c_str(), code.message().c_str());
    copied = true;
  }
  if (copied || extras.tokenizerBlob.empty())
    return Error::success();
  Expected<std::string> text = tokenizerJson(extras.tokenizerBlob);
  if (!text)
    return text.takeError();
  if (Error error = writeText(folder, "tokenizer.json", *text))
    return error;
  return writeText(folder, "tokenizer_config.json",
                   tokenizerConfig(extras.tokenizerBlob, extras.chatTemplate));
}

Error writeHuggingFace(const Source &source, const Extras &extras, StringRef out) {
  if (source.floatActivations || (source.family != "bitnet" && source.family != "llama"))
    return createStringError(
        "a packed Hugging Face folder means 8-bit activations, and this model's family (" +
        source.family + ") " + (source.floatActivations ? "has float ones" : "has none") +
        "; --type tq2_0 or tq1_0 write GGUF files of it");
  Expected<std::vector<OutTensor>> tensors = listTensors(source);
  if (!tensors)
    return tensors.takeError();
  if (fs::exists(out))
    return createStringError(out + ": exists already");
  SmallString<256> temporary;
  fs::createUniquePath(out + ".tmp-%%%%%%", temporary, /*MakeAbsolute=*/false);
  if (std::error_code code = fs::create_directory(temporary, /*IgnoreExisting=*/false))
    return createStringError(code, "%s: %s", temporary.c_str(), code.message().c_str());
  scope_exit cleanup([&] { fs::remove_directories(temporary); });
  if (Error error = writeText(temporary, "config.json", configJson(source, extras)))
    return error;
  if (Error error = writeTokenizer(extras, temporary))
    return error;
  SmallString<256> file = temporary;
  sys::path::append(file, "model.safetensors");
  if (Error error = writeSafetensors(*tensors, file))
    return error;
  if (std::error_code code = fs::rename(temporary, out))
    return createStringError(code, "%s: %s", out.str().c_str(), code.message().c_str());
  cleanup.release();
  return Error::success();
}

} // namespace tern::convert
