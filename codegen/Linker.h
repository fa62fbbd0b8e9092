//===- Linker.h - what linking for all systems shares -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_LINKER_H
#define TERN_CODEGEN_LINKER_H

#include "codegen/LinkLibrary.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern {

/// "ACTION PATH: reason".
llvm::Error systemError(int code, llvm::StringRef action, llvm::StringRef path);
llvm::Error writeFile(const llvm::Twine &path, llvm::StringRef bytes);

/// A file that is removed unless it is kept: the place beside `target` it will be renamed from.
class OutputFile {
public:
  static llvm::Expected<OutputFile> create(llvm::StringRef target);
  /// A file that holds `payload` and nothing else, ready to be published.
  static llvm::Expected<OutputFile> holding(const PayloadInfo &payload, llvm::StringRef target);
  OutputFile() = default;
  OutputFile(OutputFile &&other) noexcept { *this = std::move(other); }
  OutputFile &operator=(OutputFile &&other) noexcept;
  ~OutputFile();

  /// Bytes that follow one another are written in blocks of 2 MiB at multiples of that: file
  /// systems that can then cache them in huge pages, from which the library runs faster. Of
  /// screened bytes a fault maps as much as was written at once, so those go in blocks of 64 KiB.
  llvm::Error write(uint64_t offset, llvm::ArrayRef<uint8_t> bytes);
  llvm::Error write(uint64_t offset, const PayloadInfo &payload);
  llvm::Error flush(bool executable);
  llvm::Error publish();
  llvm::StringRef path() const { return temporary; }
  /// After somebody else has replaced the file at `path`.
  llvm::Error reopen();

private:
  llvm::Error drain();
  uint64_t blockAt(uint64_t offset) const;

  std::string target, temporary;
  int fd = -1;
  llvm::SmallVector<uint8_t, 0> pending; ///< bytes not yet written, of one block
  uint64_t pendingOffset = 0;
  uint64_t screenedFrom = UINT64_MAX; ///< offset of screened bytes, a multiple of 2 MiB
};

/// Runs lld on a command line whose first word names its driver: ld.lld or ld64.lld.
llvm::Error runLinker(llvm::ArrayRef<std::string> arguments);

/// linkLibrary for Mach-O: the payload is section __TERN,__payload.
llvm::Error linkMachO(const LinkInput &input, const PayloadInfo &payload, bool sidecar,
                      llvm::StringRef path);

} // namespace tern

#endif // TERN_CODEGEN_LINKER_H
