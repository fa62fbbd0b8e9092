//===- LinkLibrary.cpp - objects and payload to a shared library ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/LinkLibrary.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <fcntl.h>
#include <link.h>
#include <mutex>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

using namespace tern;

static constexpr uint64_t kPayloadAlignment = 4096;

static llvm::Error systemError(int code, llvm::StringRef action, llvm::StringRef path) {
  std::error_code error(code, std::generic_category());
  return llvm::createStringError(error, "%s %s: %s", action.str().c_str(), path.str().c_str(),
                                 error.message().c_str());
}

namespace {
/// A file that is removed unless it is kept: the place beside `target` it will be renamed from.
class OutputFile {
public:
  static llvm::Expected<OutputFile> create(llvm::StringRef target) {
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
  OutputFile() = default;
  OutputFile(OutputFile &&other) noexcept { *this = std::move(other); }
  OutputFile &operator=(OutputFile &&other) noexcept {
    std::swap(target, other.target);
    std::swap(temporary, other.temporary);
    std::swap(fd, other.fd);
    std::swap(pending, other.pending);
    std::swap(pendingOffset, other.pendingOffset);
    return *this;
  }
  ~OutputFile() {
    if (fd >= 0)
      ::close(fd);
    if (!temporary.empty())
      llvm::sys::fs::remove(temporary);
  }

  /// Bytes that follow one another are written in blocks of 2 MiB at multiples of that: file
  /// systems that can then cache them in huge pages, from which the library runs faster.
  llvm::Error write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes) {
    constexpr uint64_t block = uint64_t(2) << 20;
    while (!bytes.empty()) {
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
  llvm::Error resize(uint64_t bytes) {
    if (::ftruncate(fd, static_cast<off_t>(bytes)))
      return systemError(errno, "cannot write", target);
    return llvm::Error::success();
  }
  llvm::Error flush(bool executable) {
    if (llvm::Error error = drain())
      return error;
    mode_t mask = ::umask(0);
    ::umask(mask);
    if (::fchmod(fd, (executable ? 0777 : 0666) & ~mask) || ::fsync(fd))
      return systemError(errno, "cannot write", target);
    return llvm::Error::success();
  }
  llvm::Error publish() {
    if (std::error_code error = llvm::sys::fs::rename(temporary, target))
      return systemError(error.value(), "cannot rename the new file to", target);
    temporary.clear();
    return llvm::Error::success();
  }

private:
  llvm::Error drain() {
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

  std::string target, temporary;
  int fd = -1;
  llvm::SmallVector<uint8_t, 0> pending; ///< bytes not yet written, of one block
  uint64_t pendingOffset = 0;
};
} // namespace

static llvm::Error writeFile(const llvm::Twine &path, llvm::StringRef bytes) {
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

static std::string exportScript(llvm::ArrayRef<std::string> exports) {
  std::string text = "{\nglobal:\n";
  for (const std::string &symbol : exports)
    text += "  " + symbol + ";\n";
  return text + "local:\n  *;\n};\n";
}

static llvm::Error runLinker(llvm::ArrayRef<std::string> arguments) {
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
  lld::Result result = lld::lldMain(argv, out, out, {{lld::Gnu, &lld::elf::link}});
  usable = result.canRunAgain;
  if (result.retCode != 0)
    return llvm::createStringError("linking the library failed: %s",
                                   llvm::StringRef(text).trim().str().c_str());
  return llvm::Error::success();
}

/// Links into a private folder and returns the library's bytes.
static llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>> linkObjects(const LinkInput &input,
                                                                       llvm::StringRef soname) {
  llvm::SmallString<128> folder;
  if (std::error_code error = llvm::sys::fs::createUniqueDirectory("tern-link", folder))
    return systemError(error.value(), "cannot make a temporary folder for", soname);
  llvm::scope_exit cleanup([&] { llvm::sys::fs::remove_directories(folder); });
  std::string base = std::string(folder) + "/", output = base + "out.so";
  std::vector<std::string> arguments = {"ld.lld",
                                        "-shared",
                                        "-m",
                                        input.machine,
                                        "-soname",
                                        soname.str(),
                                        "-o",
                                        output,
                                        "-nostdlib",
                                        "--no-undefined",
                                        "--eh-frame-hdr",
                                        "--build-id=none",
                                        "--hash-style=gnu",
                                        "-z",
                                        "now",
                                        "-z",
                                        "relro",
                                        "-z",
                                        "noexecstack",
                                        "--threads=1",
                                        "--version-script",
                                        base + "exports"};
  if (llvm::Error error = writeFile(base + "exports", exportScript(input.exports)))
    return error;
  for (auto [i, object] : llvm::enumerate(input.objects)) {
    std::string name = base + std::to_string(i) + ".o";
    if (llvm::Error error = writeFile(name, llvm::StringRef(object.data(), object.size())))
      return error;
    arguments.push_back(name);
  }
  if (!input.libraries.empty())
    arguments.insert(arguments.end(), {"--gc-sections", "--as-needed"});
  arguments.insert(arguments.end(), input.libraries.begin(), input.libraries.end());
  if (llvm::Error error = runLinker(arguments))
    return error;
  auto buffer = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false,
                                            /*IsVolatile=*/true);
  if (!buffer)
    return systemError(buffer.getError().value(), "cannot read", output);
  return std::move(*buffer);
}

/// Makes the section header of `.tern.payload` in `image` describe `bytes` bytes at `offset`.
static llvm::Error pointSectionAt(llvm::MutableArrayRef<uint8_t> image, uint64_t offset,
                                  uint64_t bytes) {
  using ELF = llvm::object::ELF64LE;
  auto file = llvm::object::ELFFile<ELF>::create(
      llvm::StringRef(reinterpret_cast<char *>(image.data()), image.size()));
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  if (!sections)
    return sections.takeError();
  for (const ELF::Shdr &section : *sections) {
    auto name = file->getSectionName(section);
    if (!name)
      return name.takeError();
    if (*name != ".tern.payload")
      continue;
    // The image is ours and writable; ELFFile only offers a read-only view of it.
    auto &header = const_cast<ELF::Shdr &>(section);
    header.sh_offset = offset;
    header.sh_size = bytes;
    header.sh_addralign = kPayloadAlignment;
    return llvm::Error::success();
  }
  return llvm::createStringError("the linked library has no section .tern.payload");
}

static llvm::Error writeAt(OutputFile &file, uint64_t base, const PayloadInfo &payload) {
  if (llvm::Error error = file.resize(base + payload.totalBytes()))
    return error;
  return writePayload(payload, [&](uint64_t offset, llvm::ArrayRef<uint8_t> bytes) {
    return file.write(base + offset, bytes);
  });
}

llvm::Error tern::writePayloadFile(const PayloadInfo &payload, llvm::StringRef path) {
  auto file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  if (llvm::Error error = writeAt(*file, 0, payload))
    return error;
  if (llvm::Error error = file->flush(/*executable=*/false))
    return error;
  return file->publish();
}

llvm::Error tern::linkLibrary(const LinkInput &input, const PayloadInfo &payload, bool sidecar,
                              llvm::StringRef path) {
  auto linked = linkObjects(input, llvm::sys::path::filename(path));
  if (!linked)
    return linked.takeError();
  llvm::SmallVector<uint8_t, 0> image((*linked)->getBuffer().bytes_begin(),
                                      (*linked)->getBuffer().bytes_end());
  auto library = OutputFile::create(path);
  if (!library)
    return library.takeError();
  std::optional<OutputFile> weights;
  if (sidecar) {
    auto file = OutputFile::create((path + ".weights").str());
    if (!file)
      return file.takeError();
    weights = std::move(*file);
    if (llvm::Error error = writeAt(*weights, 0, payload))
      return error;
    if (llvm::Error error = weights->flush(/*executable=*/false))
      return error;
  } else {
    uint64_t base = (image.size() + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment;
    if (llvm::Error error = pointSectionAt(image, base, payload.totalBytes()))
      return error;
    if (llvm::Error error = writeAt(*library, base, payload))
      return error;
  }
  if (llvm::Error error = library->write(0, image))
    return error;
  if (llvm::Error error = library->flush(/*executable=*/true))
    return error;
  // Payload first: a reader in between finds the old library with the new payload, which the
  // layout id refuses unless the old code may use it.
  if (weights)
    if (llvm::Error error = weights->publish())
      return error;
  return library->publish();
}

llvm::Expected<std::vector<std::string>> tern::hostSystemLibraries() {
  std::vector<std::string> found;
  auto visit = [](dl_phdr_info *info, size_t, void *context) {
    llvm::StringRef name = llvm::sys::path::filename(info->dlpi_name);
    if (name == "libc.so.6" || name == "libm.so.6" || name == "ld-linux-x86-64.so.2")
      static_cast<std::vector<std::string> *>(context)->push_back(info->dlpi_name);
    return 0;
  };
  ::dl_iterate_phdr(visit, &found);
  // By name, as their order ends up in the library.
  llvm::sort(found, [](llvm::StringRef a, llvm::StringRef b) {
    return llvm::sys::path::filename(a) < llvm::sys::path::filename(b);
  });
  if (found.empty())
    return llvm::createStringError("a standalone library needs libc.so.6 of an x86-64 Linux, and "
                                   "this process does not use it");
  return found;
}
