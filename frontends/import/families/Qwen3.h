//===- Qwen3.h - Qwen3 ------------------------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_FAMILIES_QWEN3_H
#define TERN_FRONTENDS_IMPORT_FAMILIES_QWEN3_H

#include "frontends/import/families/Family.h"

namespace tern::import {

/// Ternary Bonsai: weight-only, norms of each head's query and key.
extern const Family kQwen3;

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_FAMILIES_QWEN3_H
