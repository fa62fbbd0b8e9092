//===- Arena.cpp - large zeroed memory ------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Arena.h"

#include <cinttypes>
#include <sys/mman.h>

using namespace tern;

/// Smaller regions would waste most of a huge page.
[[maybe_unused]] static constexpr uint64_t kHugePages = uint64_t(4) << 20;

Arena::~Arena() {
  if (base)
    munmap(base, bytes);
}

Status Arena::create(uint64_t bytes, const char *what, Arena *out) {
  Arena arena;
  if (bytes != 0) {
    // mmap itself refuses sizes beyond the address space.
    void *base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
      return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                           format("cannot allocate %" PRIu64 " bytes for the %s", bytes, what));
    arena.base = static_cast<uint8_t *>(base);
    arena.bytes = bytes;
#ifdef MADV_HUGEPAGE
    if (bytes >= kHugePages)
      madvise(base, bytes, MADV_HUGEPAGE);
#endif
  }
  *out = std::move(arena);
  return {};
}
