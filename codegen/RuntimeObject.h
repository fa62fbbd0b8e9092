//===- RuntimeObject.h - the runtime, to be linked into models --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_RUNTIMEOBJECT_H
#define TERN_CODEGEN_RUNTIMEOBJECT_H

#include <cstddef>

namespace tern {

struct Bytes {
  const unsigned char *data;
  size_t size;
};

/// The relocatable ELF object that holds the whole runtime of the host's architecture. A library
/// made with it needs libc.so.6 and libm.so.6, `--eh-frame-hdr`, and a version script that exports
/// only tern_ symbols.
Bytes runtimeObject();

} // namespace tern

#endif // TERN_CODEGEN_RUNTIMEOBJECT_H
