//===- RuntimeObject.cpp - the runtime, to be linked into models ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/RuntimeObject.h"

extern "C" {
[[gnu::visibility("hidden")]] extern const unsigned char ternRuntimeObjectBegin[];
[[gnu::visibility("hidden")]] extern const unsigned char ternRuntimeObjectEnd[];
}

tern::Bytes tern::runtimeObject() {
  return {ternRuntimeObjectBegin, size_t(ternRuntimeObjectEnd - ternRuntimeObjectBegin)};
}
