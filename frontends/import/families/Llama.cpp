//===- Llama.cpp - Llama and what shares its block ------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Llama.h"

using namespace llvm;

namespace tern::import {

static constexpr StringLiteral kArchitectures[] = {"LlamaForCausalLM"};
static constexpr GgufArchitecture kGgufArchitectures[] = {
    {"llama", GateFunction::Silu, /*interleavedRope=*/true},
};
static constexpr GateFunction kGates[] = {GateFunction::Silu};
static constexpr TensorNames kNames[] = {llamaNames()};

constexpr Family kLlama = {"llama", kArchitectures, kGgufArchitectures, kGates,
                           kNames,  ggufNames(),    /*weightOnly=*/true};

} // namespace tern::import
