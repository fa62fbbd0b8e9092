//===- Bitnet.cpp - BitNet b1.58 ------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Family.h"

using namespace llvm;

namespace tern::import {

static constexpr StringLiteral kArchitectures[] = {"BitNetForCausalLM"};
static constexpr GgufArchitecture kGgufArchitectures[] = {
    {"bitnet-b1.58", GateFunction::Relu2},
    {"bitnet-25", GateFunction::Relu2},
    {"bitnet", GateFunction::Silu},
};
static constexpr GateFunction kGates[] = {GateFunction::Relu2, GateFunction::Silu};
static constexpr TensorNames kNames[] = {
    llamaNames({"", "", "self_attn.attn_sub_norm", "mlp.ffn_sub_norm"}),
    llamaNames({"", "", "self_attn.inner_attn_ln", "mlp.ffn_layernorm"}),
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

/// BitNet b1.58 2B4T (relu2, `attn_sub_norm`) and the earlier 1bitLLM models (silu,
/// `inner_attn_ln`).
extern constexpr Family kBitnet = {"bitnet",
                                   kArchitectures,
                                   kGgufArchitectures,
                                   kGates,
                                   kNames,
                                   ggufNames({"", "", "attn_sub_norm", "ffn_sub_norm"}),
                                   /*weightOnly=*/false,
                                   formWithoutQuantization};

} // namespace tern::import
