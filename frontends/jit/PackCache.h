//===- PackCache.h - packed models kept between runs ------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_JIT_PACKCACHE_H
#define TERN_FRONTENDS_JIT_PACKCACHE_H

#include "codegen/Payload.h"

#include <string>
#include <vector>

namespace tern {

/// A folder of payloads. An entry's name says all it was made from: the compiler, the weights' form
/// and places, and size, time and first bytes of the files they come from. Entries appear whole or
/// not at all, so that any number of processes may use a folder at once.
class PackCache {
public:
  struct Entry {
    std::string path;
    uint64_t bytes;
    int64_t used; ///< seconds since 1970
  };

  /// `least`: payloads below this size are not worth a file. `most`: when the folder has more
  /// bytes, entries unused for longest go.
  PackCache(std::string folder, uint64_t least = uint64_t(64) << 20,
            uint64_t most = uint64_t(16) << 30)
      : folder(std::move(folder)), least(least), most(most) {}
  /// Where the XDG base directories have it; empty where there is no home.
  static std::string userFolder();

  /// The file that holds `payload`, made if there is none; empty where it cannot or need not be
  /// kept. `packed`'s files lie in `modelFolder`.
  std::string find(mlir::ModuleOp packed, llvm::StringRef modelFolder, const PayloadInfo &payload);
  /// After a file was found to be damaged.
  static void drop(const std::string &path);

  std::vector<Entry> list() const; ///< last used first
  uint64_t clear();                ///< number of entries that are gone

private:
  void trim(llvm::StringRef keep);

  std::string folder;
  uint64_t least, most;
};

} // namespace tern

#endif // TERN_FRONTENDS_JIT_PACKCACHE_H
