//===- Bitnet.cpp - BitNet b1.58 ------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Bitnet.h"

using namespace llvm;

namespace tern::import {

static constexpr StringLiteral kArchitectures[] = {"BitNetForCausalLM"};
static constexpr GateFunction kGates[] = {GateFunction::Relu2, GateFunction::Silu};

static constexpr TensorNames makeNames(StringLiteral attentionSubNorm,
                                       StringLiteral feedForwardSubNorm) {
  return {"model.embed_tokens",
          "model.norm",
          "lm_head",
          "model.layers",
          "input_layernorm",
          "self_attn.q_proj",
          "self_attn.k_proj",
          "self_attn.v_proj",
          attentionSubNorm,
          "self_attn.o_proj",
          "post_attention_layernorm",
          "mlp.gate_proj",
          "mlp.up_proj",
          feedForwardSubNorm,
          "mlp.down_proj"};
}
static constexpr TensorNames kNames[] = {
    makeNames("self_attn.attn_sub_norm", "mlp.ffn_sub_norm"),
    makeNames("self_attn.inner_attn_ln", "mlp.ffn_layernorm"),
};

/// The 1bitLLM models came before quantization_config: they state weight_bits and input_bits, and
/// hold masters.
static Expected<WeightForm> formWithoutQuantization(const Json &config) {
  if (!config.find("weight_bits") && !config.find("input_bits"))
    return WeightForm::Unstated;
  if (Expected<int64_t> bits = config.getInteger("weight_bits", 1, 1); !bits)
    return bits.takeError();
  if (Expected<int64_t> bits = config.getInteger("input_bits", 8, 8); !bits)
    return bits.takeError();
  return WeightForm::Masters;
}

constexpr Family kBitnet = {"bitnet", kArchitectures, kGates, kNames, formWithoutQuantization};

} // namespace tern::import
