//===- LinkMachO.cpp - objects and payload to a macOS library -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Linker.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <optional>

using namespace tern;

/// The first macOS of 64-bit ARM.
static constexpr char kMinimumMacOs[] = "11.0";

/// What the linker is told of macOS's system library. Nothing is taken from it, but every library
/// there needs it at least.
static constexpr char kSystemLibrary[] = R"(--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos ]
install-name: '/usr/lib/libSystem.B.dylib'
...
)";

/// lld signs the library ad hoc, without which such a CPU runs no code. Identifier and signature
/// are made of the final name, not of the temporary file's.
static std::vector<std::string> arguments(const LinkInput &input, llvm::StringRef name,
                                          llvm::StringRef output) {
  std::vector<std::string> words = {
      "ld64.lld",      "-dylib",      "-arch",       "arm64",         "-platform_version",
      "macos",         kMinimumMacOs, kMinimumMacOs, "-install_name", ("@rpath/" + name).str(),
      "-final_output", name.str(),    "-undefined",  "error",         "-o",
      output.str()};
  for (const std::string &symbol : input.exports)
    words.insert(words.end(), {"-exported_symbol", "_" + symbol});
  return words;
}

llvm::Error tern::linkMachO(const LinkInput &input, const PayloadInfo &payload, bool sidecar,
                            llvm::StringRef path) {
  llvm::SmallString<128> folder;
  if (std::error_code error = llvm::sys::fs::createUniqueDirectory("tern-link", folder))
    return systemError(error.value(), "cannot make a temporary folder for", path);
  llvm::scope_exit cleanup([&] { llvm::sys::fs::remove_directories(folder); });
  auto library = OutputFile::create(path);
  if (!library)
    return library.takeError();
  // The linker copies it from file to file; in memory it never is as a whole.
  auto weights = OutputFile::holding(payload, (path + ".weights").str());
  if (!weights)
    return weights.takeError();
  std::vector<std::string> words =
      arguments(input, llvm::sys::path::filename(path), library->path());
  if (!sidecar)
    words.insert(words.end(), {"-sectcreate", "__TERN", "__payload", weights->path().str(),
                               "-segprot", "__TERN", "r", "r"});
  std::string system = (folder + "/libSystem.tbd").str();
  if (llvm::Error error = writeFile(system, kSystemLibrary))
    return error;
  words.push_back(system);
  for (auto [i, object] : llvm::enumerate(input.objects)) {
    std::string name = (folder + "/" + llvm::Twine(i) + ".o").str();
    if (llvm::Error error = writeFile(name, llvm::StringRef(object.data(), object.size())))
      return error;
    words.push_back(name);
  }
  if (llvm::Error error = runLinker(words))
    return error;
  if (llvm::Error error = library->reopen())
    return error;
  if (llvm::Error error = library->flush(/*executable=*/true))
    return error;
  // Payload first, as for ELF.
  if (sidecar)
    if (llvm::Error error = weights->publish())
      return error;
  return library->publish();
}
