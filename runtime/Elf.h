//===- Elf.h - libraries of Linux -------------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_ELF_H
#define TERN_RUNTIME_ELF_H

#include "runtime/File.h"

namespace tern {

/// That `file` is an ELF64 library (or, with `programs`, an executable) of this machine, and that
/// everything the dynamic linker will map lies inside it: mapping past the end would crash.
Status checkElf(const File &file, bool programs);
/// The section called `name`; bytes is 0 when there is none.
Status findElfSection(const File &file, const char *name, FileRange *out);

} // namespace tern

#endif // TERN_RUNTIME_ELF_H
