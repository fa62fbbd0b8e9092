//===- GuardedBuffer.h - memory that ends where it ends ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_GUARDEDBUFFER_H
#define TERN_TESTS_SUPPORT_GUARDEDBUFFER_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace tern::test {

/// Pages between two inaccessible pages. Objects laid at either end fault on the first byte read
/// or written past that end.
class GuardedBuffer {
public:
  explicit GuardedBuffer(size_t capacity) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes = (capacity + page - 1) / page * page;
    mapped = bytes + 2 * page;
    void *memory = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED ||
        mprotect(static_cast<uint8_t *>(memory) + page, bytes, PROT_READ | PROT_WRITE) != 0) {
      perror("GuardedBuffer");
      abort();
    }
    base = static_cast<uint8_t *>(memory);
    first = base + page;
  }
  ~GuardedBuffer() { munmap(base, mapped); }
  GuardedBuffer(const GuardedBuffer &) = delete;
  GuardedBuffer &operator=(const GuardedBuffer &) = delete;

  /// Room for `count` objects that begin right behind the first guard page.
  template <typename T> T *head(size_t count) { return place<T>(count, first); }
  /// Room for `count` objects that end right before the second guard page.
  template <typename T> T *tail(size_t count) {
    return place<T>(count, first + bytes - count * sizeof(T));
  }

private:
  template <typename T> T *place(size_t count, uint8_t *at) {
    if (count * sizeof(T) > bytes) {
      fprintf(stderr, "GuardedBuffer: %zu bytes wanted, %zu there\n", count * sizeof(T), bytes);
      abort();
    }
    return reinterpret_cast<T *>(at);
  }

  uint8_t *base = nullptr, *first = nullptr;
  size_t bytes = 0, mapped = 0;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_GUARDEDBUFFER_H
