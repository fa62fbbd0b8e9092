//===- Bitnet.h - BitNet b1.58 ----------------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_FAMILIES_BITNET_H
#define TERN_FRONTENDS_IMPORT_FAMILIES_BITNET_H

#include "frontends/import/families/Family.h"

namespace tern::import {

/// BitNet b1.58 2B4T (relu2, `attn_sub_norm`) and the earlier 1bitLLM models (silu,
/// `inner_attn_ln`).
extern const Family kBitnet;

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_FAMILIES_BITNET_H
