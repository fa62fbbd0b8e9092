//===- LinkLibrary.h - objects and payload to a shared library --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_LINKLIBRARY_H
#define TERN_CODEGEN_LINKLIBRARY_H

#include "codegen/Payload.h"
#include "llvm/ADT/SmallVector.h"

#include <string>
#include <vector>

namespace tern {

struct LinkInput {
  std::vector<llvm::SmallVector<char, 0>> objects; ///< relocatables, in link order
  std::vector<std::string> exports;                ///< symbols, or patterns of them
  std::vector<std::string> libraries;              ///< paths of shared libraries to link against
  std::string machine;                             ///< lld's ELF emulation: "elf_x86_64"
  bool machO = false;                              ///< a macOS library of 64-bit ARM
};

/// Links a library with soname `path`'s file name and writes it, together with the payload, to
/// `path`: to a temporary file beside it first, so `path` is either the old file or the whole new
/// one. With `sidecar`, the payload goes to `<path>.weights` in the same way.
llvm::Error linkLibrary(const LinkInput &input, const PayloadInfo &payload, bool sidecar,
                        llvm::StringRef path);

/// Writes the payload alone to `path`, in the same way.
llvm::Error writePayloadFile(const PayloadInfo &payload, llvm::StringRef path);

/// Paths of the C library, maths library and loader this process runs on, for standalone libraries.
llvm::Expected<std::vector<std::string>> hostSystemLibraries();

} // namespace tern

#endif // TERN_CODEGEN_LINKLIBRARY_H
