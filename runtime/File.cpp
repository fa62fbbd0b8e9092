//===- File.cpp - a file open for reading ---------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/File.h"

#include <cerrno>
#include <cinttypes>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tern;

static Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text));
}

static Status systemError(const char *what, int error) {
  tern_status_t code = error == ENOENT || error == ENOTDIR ? TERN_STATUS_NOT_FOUND : TERN_STATUS_IO;
  return Status::error(code, TERN_CATEGORY_IO,
                       format("%s failed: %s", what, systemText(error).c_str()));
}

File::~File() {
  if (fd >= 0)
    close(fd);
}

Status File::open(const char *path, File *out) {
  File file;
  // Not to hang on a pipe nobody writes to.
  file.fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file.fd < 0)
    return systemError("open", errno);
  struct stat info;
  if (fstat(file.fd, &info) != 0)
    return systemError("stat", errno);
  if (!S_ISREG(info.st_mode))
    return corrupt(S_ISDIR(info.st_mode) ? "expected a file, found a directory"
                                         : "expected a regular file, found a device or pipe");
  file.bytes = uint64_t(info.st_size);
  *out = std::move(file);
  return {};
}

Status File::read(uint64_t offset, void *out, size_t size, const char *what) const {
  if (!holds(offset, size))
    return corrupt(format("%s needs bytes %" PRIu64 " to %" PRIu64 ", the file has %" PRIu64, what,
                          offset, offset + size, bytes));
  for (size_t done = 0; done < size;) {
    ssize_t count = pread(fd, static_cast<char *>(out) + done, size - done, off_t(offset + done));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError("read", errno);
    if (count == 0)
      return corrupt(format("%s ends early: the file has become shorter", what));
    done += size_t(count);
  }
  return {};
}
