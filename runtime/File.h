//===- File.h - a file open for reading -------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_FILE_H
#define TERN_RUNTIME_FILE_H

#include "runtime/Status.h"

namespace tern {

/// A regular file open for reading. Its size is what it was when it was opened.
class File {
public:
  File() = default;
  File(File &&other) noexcept : fd(other.fd), bytes(other.bytes) { other.fd = -1; }
  File &operator=(File &&other) noexcept {
    std::swap(fd, other.fd);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~File();

  static Status open(const char *path, File *out);

  int descriptor() const { return fd; }
  uint64_t size() const { return bytes; }
  bool holds(uint64_t offset, uint64_t size) const {
    return offset <= bytes && size <= bytes - offset;
  }
  /// Fails when the range does not lie in the file.
  Status read(uint64_t offset, void *out, size_t size, const char *what) const;

private:
  int fd = -1;
  uint64_t bytes = 0;
};

struct FileRange {
  uint64_t offset = 0, bytes = 0;
};

} // namespace tern

#endif // TERN_RUNTIME_FILE_H
