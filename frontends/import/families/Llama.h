//===- Llama.h - Llama and what shares its block ----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_FAMILIES_LLAMA_H
#define TERN_FRONTENDS_IMPORT_FAMILIES_LLAMA_H

#include "frontends/import/families/Family.h"

namespace tern::import {

/// Llama3-8B-1.58, Falcon3-1.58 and Falcon-E (8-bit activations), TriLM and BitCPM (weight-only).
extern const Family kLlama;

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_FAMILIES_LLAMA_H
