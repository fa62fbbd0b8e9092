//===- Pages.h - memory of mapped files -------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_PAGES_H
#define TERN_DIALECT_PAGES_H

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"

#include <sys/mman.h>

namespace tern {

/// Gives the pages of a mapped file back to the system, so that streaming a file does not make the
/// process as large as the file. The bytes stay readable. No effect on a buffer that is not mapped.
inline void releasePages(const llvm::MemoryBuffer &buffer) {
  if (buffer.getBufferKind() != llvm::MemoryBuffer::MemoryBuffer_MMap)
    return;
  // posix_madvise, which MemoryBuffer itself offers, does nothing in glibc. The mapping is private
  // and read-only: what is dropped here comes back from the file.
  auto start = reinterpret_cast<uintptr_t>(buffer.getBufferStart());
  uintptr_t page = llvm::sys::Process::getPageSizeEstimate(), first = start / page * page;
  ::madvise(reinterpret_cast<void *>(first), start + buffer.getBufferSize() - first, MADV_DONTNEED);
}

} // namespace tern

#endif // TERN_DIALECT_PAGES_H
