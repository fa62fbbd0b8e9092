//===- Llama.cpp - Llama and what shares its block ------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Family.h"

using namespace llvm;

namespace tern::import {

static constexpr StringLiteral kArchitectures[] = {"LlamaForCausalLM"};
static constexpr GgufArchitecture kGgufArchitectures[] = {
    {"llama", GateFunction::Silu, /*interleavedRope=*/true},
};
static constexpr GateFunction kGates[] = {GateFunction::Silu};
static constexpr TensorNames kNames[] = {llamaNames()};

/// Llama3-8B-1.58, Falcon3-1.58 and Falcon-E (8-bit activations), TriLM and BitCPM (weight-only).
extern constexpr Family kLlama = {"llama", kArchitectures, kGgufArchitectures, kGates,
                                  kNames,  ggufNames(),    /*weightOnly=*/true};

} // namespace tern::import
