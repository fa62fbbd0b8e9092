//===- AllocationMeter.cpp - how much a piece of code allocates -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/AllocationMeter.h"

#include <atomic>
#include <cstddef>

static std::atomic<uint64_t> allocated;

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) ||                           \
    __has_feature(thread_sanitizer)

#include <sanitizer/allocator_interface.h>

/// The sanitizers call this after each allocation.
extern "C" void __sanitizer_malloc_hook(const volatile void *, size_t size) {
  allocated.fetch_add(size, std::memory_order_relaxed);
}

#else

// These stand before glibc's, which has the same functions under other names.
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

void *malloc(size_t size) {
  allocated.fetch_add(size, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  uint64_t bytes = 0;
  allocated.fetch_add(__builtin_mul_overflow(count, size, &bytes) ? UINT64_MAX / 2 : bytes,
                      std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void *realloc(void *old, size_t size) {
  allocated.fetch_add(size, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
}

#endif

namespace tern::test {

AllocationMeter::AllocationMeter() : before(allocated.load()) {}
uint64_t AllocationMeter::bytes() const { return allocated.load() - before; }

} // namespace tern::test
