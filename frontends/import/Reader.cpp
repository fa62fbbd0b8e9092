//===- Reader.cpp - bounded access to outside bytes -----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Reader.h"

#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"

using namespace llvm;

namespace tern::import {

Error fileError(StringRef file, const Twine &message) {
  return createStringError(inconvertibleErrorCode(), file + ": " + message);
}

std::optional<uint64_t> checkedMul(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_mul_overflow(a, b, &result) || result > static_cast<uint64_t>(INT64_MAX))
    return std::nullopt;
  return result;
}

std::optional<uint64_t> checkedAdd(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_add_overflow(a, b, &result) || result > static_cast<uint64_t>(INT64_MAX))
    return std::nullopt;
  return result;
}

static StringRef typeName(sys::fs::file_type type) {
  switch (type) {
  case sys::fs::file_type::directory_file:
    return "a folder";
  case sys::fs::file_type::fifo_file:
    return "a pipe";
  case sys::fs::file_type::socket_file:
    return "a socket";
  case sys::fs::file_type::character_file:
  case sys::fs::file_type::block_file:
    return "a device";
  default:
    return "something else";
  }
}

Expected<MappedFile> MappedFile::open(StringRef path, uint64_t most) {
  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(path, status))
    return fileError(path, code.message());
  if (status.type() != sys::fs::file_type::regular_file)
    return fileError(path, "expected a file, found " + typeName(status.type()));
  if (status.getSize() > most)
    return fileError(path, "expected at most " + Twine(most) + " bytes, found " +
                               Twine(status.getSize()));
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return fileError(path, buffer.getError().message());
  MappedFile file;
  file.buffer = std::move(*buffer);
  if (file.buffer->getBufferSize() > most)
    return fileError(path, "the file grew while it was opened");
  return file;
}

Expected<uint32_t> Reader::readU32(StringRef what) {
  Expected<ArrayRef<uint8_t>> field = take(4, what);
  if (!field)
    return field.takeError();
  return support::endian::read32le(field->data());
}

Expected<uint64_t> Reader::readU64(StringRef what) {
  Expected<ArrayRef<uint8_t>> field = take(8, what);
  if (!field)
    return field.takeError();
  return support::endian::read64le(field->data());
}

Expected<ArrayRef<uint8_t>> Reader::take(uint64_t count, StringRef what) {
  if (count > remaining())
    return error("expected " + Twine(count) + " bytes of " + what + ", found " +
                 Twine(remaining()));
  ArrayRef<uint8_t> result = bytes.slice(position, count);
  position += count;
  return result;
}

Error Reader::error(const Twine &message) const {
  return fileError(file, "at byte " + Twine(position) + ": " + message);
}

} // namespace tern::import
