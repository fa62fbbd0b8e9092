//===- Family.h - what tells one family of models from another --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_FAMILIES_FAMILY_H
#define TERN_FRONTENDS_IMPORT_FAMILIES_FAMILY_H

#include "frontends/import/Config.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace tern::import {

/// Tensor names of a pre-norm decoder, without ".weight". Those of a layer follow `layer` and its
/// number. A norm without a name is not part of the block.
struct TensorNames {
  llvm::StringLiteral embedding, outputNorm, head, layer;
  llvm::StringLiteral attentionNorm, query, key, value, queryNorm, keyNorm, attentionSubNorm,
      output;
  llvm::StringLiteral feedForwardNorm, gate, up, feedForwardSubNorm, down;
};

/// Norms that some families have and others do not: their names, or nothing.
struct ExtraNorms {
  llvm::StringLiteral query = "", key = "", attentionSub = "", feedForwardSub = "";
};
/// The names that most Hugging Face checkpoints of decoders share.
constexpr TensorNames llamaNames(const ExtraNorms &norms = {}) {
  return {"model.embed_tokens",
          "model.norm",
          "lm_head",
          "model.layers",
          "input_layernorm",
          "self_attn.q_proj",
          "self_attn.k_proj",
          "self_attn.v_proj",
          norms.query,
          norms.key,
          norms.attentionSub,
          "self_attn.o_proj",
          "post_attention_layernorm",
          "mlp.gate_proj",
          "mlp.up_proj",
          norms.feedForwardSub,
          "mlp.down_proj"};
}
/// The names of GGUF files.
constexpr TensorNames ggufNames(const ExtraNorms &norms = {}) {
  return {"token_embd", "output_norm", "output",           "blk",
          "attn_norm",  "attn_q",      "attn_k",           "attn_v",
          norms.query,  norms.key,     norms.attentionSub, "attn_output",
          "ffn_norm",   "ffn_gate",    "ffn_up",           norms.feedForwardSub,
          "ffn_down"};
}

/// What the metadata of a GGUF file may tell about its gate function.
struct GgufArchitecture {
  llvm::StringLiteral name; ///< `general.architecture`
  GateFunction gate;
  /// Rows of q and k are permuted so that rotary pairs are neighbours.
  bool interleavedRope = false;
};

/// A family is this data. A new one is a file in this folder and its line in Families.cpp.
struct Family {
  llvm::StringLiteral name;
  /// Class names of config.json's `architectures`, compared without case.
  llvm::ArrayRef<llvm::StringLiteral> architectures;
  llvm::ArrayRef<GgufArchitecture> ggufArchitectures;
  llvm::ArrayRef<GateFunction> gates;
  /// Spellings in use; a checkpoint follows the first whose attentionSubNorm its layer 0 has.
  llvm::ArrayRef<TensorNames> names;
  TensorNames ggufNames;
  /// Where nothing says that activations were quantized in training, they are floats.
  bool weightOnly = false;
  /// The weight form of a config without quantization_config; may be null (then it is Unstated).
  llvm::Expected<WeightForm> (*formWithoutQuantization)(const Json &config) = nullptr;
};

/// Null where no family knows the class.
const Family *findFamily(llvm::StringRef architecture);
/// The family of that name; null where there is none.
const Family *familyNamed(llvm::StringRef name);
/// The family of a `general.architecture`, and its entry there; nulls where no family knows it.
std::pair<const Family *, const GgufArchitecture *> findGgufFamily(llvm::StringRef architecture);
/// Why models of this class or GGUF architecture cannot be imported and what would help; empty for
/// all others.
llvm::StringRef whyRefused(llvm::StringRef architecture);
/// "BitNetForCausalLM, ..." for messages.
std::string knownArchitectures();
std::string knownGgufArchitectures();

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_FAMILIES_FAMILY_H
