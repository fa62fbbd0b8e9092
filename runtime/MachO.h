//===- MachO.h - libraries of macOS -----------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_MACHO_H
#define TERN_RUNTIME_MACHO_H

#include "runtime/File.h"

namespace tern {

/// Kinds of processor, as Mach-O numbers them.
constexpr uint32_t kMachOX86 = 0x01000007, kMachOArm = 0x0100000c;
#if defined(__x86_64__)
constexpr uint32_t kThisMachO = kMachOX86;
#else
constexpr uint32_t kThisMachO = kMachOArm;
#endif

/// That `file` is a 64-bit Mach-O library (or, with `programs`, an executable) of that processor,
/// and that everything the dynamic linker will map lies inside it. Files for several processors
/// are refused.
Status checkMachO(const File &file, bool programs, uint32_t processor);
/// The section called "SEGMENT,SECTION"; bytes is 0 when there is none.
Status findMachOSection(const File &file, const char *name, uint32_t processor, FileRange *out);

} // namespace tern

#endif // TERN_RUNTIME_MACHO_H
