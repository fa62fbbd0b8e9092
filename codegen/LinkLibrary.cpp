//===- LinkLibrary.cpp - objects and payload to a shared library ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/LinkLibrary.h"

#include "codegen/Linker.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <link.h>
#include <optional>

using namespace tern;

static constexpr uint64_t kPayloadAlignment = 4096;

static std::string exportScript(llvm::ArrayRef<std::string> exports) {
  std::string text = "{\nglobal:\n";
  for (const std::string &symbol : exports)
    text += "  " + symbol + ";\n";
  return text + "local:\n  *;\n};\n";
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

llvm::Error tern::writePayloadFile(const PayloadInfo &payload, llvm::StringRef path) {
  auto file = OutputFile::holding(payload, path);
  return file ? file->publish() : file.takeError();
}

llvm::Error tern::linkLibrary(const LinkInput &input, const PayloadInfo &payload, bool sidecar,
                              llvm::StringRef path) {
  if (input.machO)
    return linkMachO(input, payload, sidecar, path);
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
    auto file = OutputFile::holding(payload, (path + ".weights").str());
    if (!file)
      return file.takeError();
    weights = std::move(*file);
  } else {
    uint64_t base = (image.size() + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment;
    if (llvm::Error error = pointSectionAt(image, base, payload.totalBytes()))
      return error;
    if (llvm::Error error = library->write(base, payload))
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
