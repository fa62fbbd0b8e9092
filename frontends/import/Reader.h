//===- Reader.h - bounded access to outside bytes ---------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_READER_H
#define TERN_FRONTENDS_IMPORT_READER_H

#include "dialect/Pages.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace tern::import {

/// An error "file: message".
llvm::Error fileError(llvm::StringRef file, const llvm::Twine &message);

/// a * b and a + b, or nothing where the result leaves 63 bits.
std::optional<uint64_t> checkedMul(uint64_t a, uint64_t b);
std::optional<uint64_t> checkedAdd(uint64_t a, uint64_t b);

/// A regular file, mapped read-only (small files are copied). Folders, pipes and devices are
/// refused before they are opened, since opening a pipe can wait for ever.
class MappedFile {
public:
  /// `most`: a longer file is an error.
  static llvm::Expected<MappedFile> open(llvm::StringRef path, uint64_t most = UINT64_MAX);

  llvm::ArrayRef<uint8_t> bytes() const {
    return {reinterpret_cast<const uint8_t *>(buffer->getBufferStart()), buffer->getBufferSize()};
  }
  llvm::StringRef text() const { return buffer->getBuffer(); }
  /// Gives mapped pages back to the system; bytes stay readable.
  void release() const { releasePages(*buffer); }

private:
  std::unique_ptr<llvm::MemoryBuffer> buffer;
};

/// A cursor over the bytes of a file. Every read is checked against what is left; errors name the
/// file, the field and its offset.
class Reader {
public:
  Reader(llvm::ArrayRef<uint8_t> bytes, llvm::StringRef file) : bytes(bytes), file(file.str()) {}

  uint64_t offset() const { return position; }
  uint64_t remaining() const { return bytes.size() - position; }

  /// Little-endian integers.
  llvm::Expected<uint32_t> readU32(llvm::StringRef what);
  llvm::Expected<uint64_t> readU64(llvm::StringRef what);
  llvm::Expected<llvm::ArrayRef<uint8_t>> take(uint64_t count, llvm::StringRef what);
  /// The bytes read since `start`.
  llvm::ArrayRef<uint8_t> since(uint64_t start) const {
    return bytes.slice(start, position - start);
  }

  /// file: at byte N: message
  llvm::Error error(const llvm::Twine &message) const;

private:
  llvm::ArrayRef<uint8_t> bytes;
  std::string file;
  uint64_t position = 0;
};

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_READER_H
