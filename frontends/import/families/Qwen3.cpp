//===- Qwen3.cpp - Qwen3 --------------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Family.h"

using namespace llvm;

namespace tern::import {

static constexpr StringLiteral kArchitectures[] = {"Qwen3ForCausalLM"};
static constexpr GgufArchitecture kGgufArchitectures[] = {{"qwen3", GateFunction::Silu}};
static constexpr GateFunction kGates[] = {GateFunction::Silu};
static constexpr TensorNames kNames[] = {llamaNames({"self_attn.q_norm", "self_attn.k_norm"})};

/// Ternary Bonsai: weight-only, norms of each head's query and key.
extern constexpr Family kQwen3 = {"qwen3",
                                  kArchitectures,
                                  kGgufArchitectures,
                                  kGates,
                                  kNames,
                                  ggufNames({"attn_q_norm", "attn_k_norm"}),
                                  /*weightOnly=*/true};

} // namespace tern::import
