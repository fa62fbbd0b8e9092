//===- Arena.h - large zeroed memory ----------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_ARENA_H
#define TERN_RUNTIME_ARENA_H

#include "runtime/Status.h"

namespace tern {

/// One region of zeroed memory straight from the system: a session's planned arena, cache and
/// scratch. Pages nobody has touched cost nothing. Large regions ask for huge pages.
class Arena {
public:
  Arena() = default;
  Arena(Arena &&other) noexcept : base(other.base), bytes(other.bytes) {
    other.base = nullptr;
    other.bytes = 0;
  }
  Arena &operator=(Arena &&other) noexcept {
    std::swap(base, other.base);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~Arena();

  /// `what` names the region in the error: "cache".
  static Status create(uint64_t bytes, const char *what, Arena *out);

  uint8_t *data() const { return base; }
  uint64_t size() const { return bytes; }

private:
  uint8_t *base = nullptr; ///< page aligned; null when bytes is 0
  uint64_t bytes = 0;
};

/// False when the product does not fit.
[[nodiscard]] inline bool multiply(uint64_t a, uint64_t b, uint64_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}

} // namespace tern

#endif // TERN_RUNTIME_ARENA_H
