//===- Linker.cpp - what linking for all systems shares -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Linker.h"

#include "lld/Common/Driver.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)
LLD_HAS_DRIVER(macho)

using namespace tern;

llvm::Error tern::systemError(int code, llvm::StringRef action, llvm::StringRef path) {
  std::error_code error(code, std::generic_category());
  return llvm::createStringError(error, "%s %s: %s", action.str().c_str(), path.str().c_str(),
                                 error.message().c_str());
}

llvm::Expected<OutputFile> OutputFile::create(llvm::StringRef target) {
  // The rename at the end would put a file in the place of a device, too.
  llvm::sys::fs::file_status status;
  if (!llvm::sys::fs::status(target, status) &&
      status.type() != llvm::sys::fs::file_type::regular_file)
    return llvm::createStringError("%s: expected a regular file or none", target.str().c_str());
  OutputFile file;
  file.target = target.str();
  llvm::SmallString<128> path;
  int fd;
  if (std::error_code error = llvm::sys::fs::createUniqueFile(
          target + ".%%%%%%%%.tmp", fd, path, llvm::sys::fs::OF_None,
          llvm::sys::fs::all_read | llvm::sys::fs::owner_write))
    return systemError(error.value(), "cannot write", target);
  file.temporary = std::string(path);
  file.fd = fd;
  return file;
}

OutputFile &OutputFile::operator=(OutputFile &&other) noexcept {
  std::swap(target, other.target);
  std::swap(temporary, other.temporary);
  std::swap(fd, other.fd);
  std::swap(pending, other.pending);
  std::swap(pendingOffset, other.pendingOffset);
  std::swap(screenedFrom, other.screenedFrom);
  return *this;
}

OutputFile::~OutputFile() {
  if (fd >= 0)
    ::close(fd);
  if (!temporary.empty())
    llvm::sys::fs::remove(temporary);
}

static constexpr uint64_t kBlock = uint64_t(2) << 20, kScreenedBlock = uint64_t(64) << 10;

uint64_t OutputFile::blockAt(uint64_t offset) const {
  return offset < screenedFrom ? kBlock : kScreenedBlock;
}

llvm::Error OutputFile::write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes) {
  while (!bytes.empty()) {
    const uint64_t block = blockAt(offset);
    if (offset != pendingOffset + pending.size())
      if (llvm::Error error = drain())
        return error;
    if (pending.empty())
      pendingOffset = offset;
    uint64_t left = block - offset % block;
    auto taken = bytes.take_front(std::min<uint64_t>(left, bytes.size()));
    pending.append(taken.begin(), taken.end());
    offset += taken.size();
    bytes = bytes.drop_front(taken.size());
    if (offset % block == 0)
      if (llvm::Error error = drain())
        return error;
  }
  return llvm::Error::success();
}

llvm::Error OutputFile::drain() {
  llvm::ArrayRef<uint8_t> bytes = pending;
  uint64_t offset = pendingOffset;
  while (!bytes.empty()) {
    ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return systemError(done < 0 ? errno : ENOSPC, "cannot write", target);
    offset += static_cast<uint64_t>(done);
    bytes = bytes.drop_front(static_cast<size_t>(done));
  }
  pending.clear();
  return llvm::Error::success();
}

llvm::Error OutputFile::write(uint64_t offset, const PayloadInfo &payload) {
  if (::ftruncate(fd, static_cast<off_t>(offset + payload.totalBytes())))
    return systemError(errno, "cannot write", target);
  if (payload.screenedBytes)
    screenedFrom = llvm::alignTo(offset + payload.totalBytes() - payload.screenedBytes, kBlock);
  return writePayload(payload, [&](uint64_t at, llvm::ArrayRef<uint8_t> bytes) {
    return write(offset + at, bytes);
  });
}

llvm::Expected<OutputFile> OutputFile::holding(const PayloadInfo &payload, llvm::StringRef target) {
  auto file = create(target);
  if (!file)
    return file.takeError();
  if (llvm::Error error = file->write(0, payload))
    return error;
  if (llvm::Error error = file->flush(/*executable=*/false))
    return error;
  return file;
}

llvm::Error OutputFile::flush(bool executable) {
  if (llvm::Error error = drain())
    return error;
  mode_t mask = ::umask(0);
  ::umask(mask);
  if (::fchmod(fd, (executable ? 0777 : 0666) & ~mask) || ::fsync(fd))
    return systemError(errno, "cannot write", target);
  return llvm::Error::success();
}

llvm::Error OutputFile::publish() {
  if (std::error_code error = llvm::sys::fs::rename(temporary, target))
    return systemError(error.value(), "cannot rename the new file to", target);
  temporary.clear();
  return llvm::Error::success();
}

llvm::Error OutputFile::reopen() {
  const int opened = ::open(temporary.c_str(), O_RDWR | O_CLOEXEC);
  if (opened < 0)
    return systemError(errno, "cannot write", target);
  ::close(fd);
  fd = opened;
  return llvm::Error::success();
}

llvm::Error tern::writeFile(const llvm::Twine &path, llvm::StringRef bytes) {
  std::error_code error;
  llvm::raw_fd_ostream out(path.str(), error);
  if (!error) {
    out << bytes;
    out.close();
    error = out.error();
    out.clear_error();
  }
  if (error)
    return systemError(error.value(), "cannot write", path.str());
  return llvm::Error::success();
}

llvm::Error tern::runLinker(llvm::ArrayRef<std::string> arguments) {
  // lld keeps its state in globals.
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable)
    return llvm::createStringError("the linker cannot run again after its earlier failure");
  std::vector<const char *> argv;
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  std::string text;
  llvm::raw_string_ostream out(text);
  lld::Result result =
      lld::lldMain(argv, out, out, {{lld::Gnu, &lld::elf::link}, {lld::Darwin, &lld::macho::link}});
  usable = result.canRunAgain;
  if (result.retCode != 0)
    return llvm::createStringError("linking the library failed: %s",
                                   llvm::StringRef(text).trim().str().c_str());
  return llvm::Error::success();
}
