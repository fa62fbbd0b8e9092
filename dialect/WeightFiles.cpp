//===- WeightFiles.cpp - the files a module's weights come from -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/WeightReader.h"

#include "dialect/Pages.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

/// A name from a module may not reach outside the folder the caller chose.
static Error checkName(llvm::StringRef name) {
  bool plain = !name.empty() && !llvm::sys::path::is_absolute(name) && !name.contains('\0') &&
               !name.contains('\\');
  for (auto part = llvm::sys::path::begin(name); part != llvm::sys::path::end(name); ++part)
    plain &= *part != "..";
  if (plain)
    return Error::success();
  return llvm::createStringError(
      formatv("ternary.files: expected a file name inside the model's folder, got '{0}'", name)
          .str());
}

static Expected<std::unique_ptr<llvm::MemoryBuffer>> mapFile(llvm::StringRef path) {
  // Opening a pipe or a device could block for ever.
  llvm::sys::fs::file_status status;
  if (std::error_code code = llvm::sys::fs::status(path, status))
    return llvm::createStringError(code, formatv("{0}: {1}", path, code.message()).str());
  if (status.type() != llvm::sys::fs::file_type::regular_file)
    return llvm::createStringError(formatv("{0}: expected a regular file", path).str());
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false,
                                            /*IsVolatile=*/false);
  if (!buffer)
    return llvm::createStringError(buffer.getError(),
                                   formatv("{0}: {1}", path, buffer.getError().message()).str());
  return std::move(*buffer);
}

Expected<WeightFiles> WeightFiles::open(ModuleOp module, llvm::StringRef folder) {
  WeightFiles files;
  Attribute attribute = module->getAttr("ternary.files");
  if (!attribute)
    return files;
  auto list = dyn_cast<ArrayAttr>(attribute);
  if (!list)
    return llvm::createStringError("ternary.files: expected an array of strings");
  for (Attribute entry : list) {
    auto name = dyn_cast<StringAttr>(entry);
    if (!name)
      return llvm::createStringError("ternary.files: expected an array of strings");
    if (Error failed = checkName(name.getValue()))
      return std::move(failed);
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, name.getValue());
    auto buffer = mapFile(path);
    if (!buffer)
      return buffer.takeError();
    files.names.push_back(name.getValue().str());
    files.buffers.push_back(std::move(*buffer));
  }
  return files;
}

llvm::StringRef WeightFiles::name(SourceAttr source) const {
  if (source.getEncoding() == Encoding::Random ||
      source.getFile() >= static_cast<int64_t>(names.size()))
    return "random";
  return names[source.getFile()];
}

Expected<llvm::ArrayRef<uint8_t>> WeightFiles::bytes(SourceAttr source) const {
  if (source.getEncoding() == Encoding::Random)
    return llvm::ArrayRef<uint8_t>();
  int64_t file = source.getFile(), offset = source.getOffset(), size = source.getBytes();
  if (file < 0 || file >= static_cast<int64_t>(names.size()))
    return llvm::createStringError(
        formatv("expected one of the {0} files of ternary.files, got file {1}", names.size(), file)
            .str());
  int64_t end = static_cast<int64_t>(buffers[file]->getBufferSize());
  if (offset < 0 || size < 0 || offset > end || size > end - offset)
    return llvm::createStringError(
        formatv("{0}: expected {1} bytes at offset {2}, but the file ends at {3}", names[file],
                size, offset, end)
            .str());
  auto *start = reinterpret_cast<const uint8_t *>(buffers[file]->getBufferStart());
  return llvm::ArrayRef<uint8_t>(start + offset, size);
}

void WeightFiles::release() const {
  for (const std::unique_ptr<llvm::MemoryBuffer> &buffer : buffers)
    releasePages(*buffer);
}
