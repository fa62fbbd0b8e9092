//===- ModelCache.h - compiled models kept between runs ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_JIT_MODELCACHE_H
#define TERN_FRONTENDS_JIT_MODELCACHE_H

#include "codegen/Compiler.h"
#include "frontends/import/Import.h"

#include <string>
#include <vector>

namespace tern {

/// A folder of compiled libraries. An entry's name is a digest of all it was made from: this build
/// of the compiler, the options, and name, size, time and first bytes of the checkpoint's files.
/// Entries appear whole or not at all, so that any number of processes may use a folder at once.
class ModelCache {
public:
  struct Entry {
    std::string path;
    uint64_t bytes;
    int64_t used; ///< seconds since 1970
  };

  /// `least`: checkpoints below this size are compiled faster than kept. `most`: when the folder
  /// has more bytes, entries unused for longest go.
  explicit ModelCache(std::string folder, uint64_t least = uint64_t(64) << 20,
                      uint64_t most = uint64_t(16) << 30)
      : folder(std::move(folder)), least(least), most(most) {}
  /// Where the XDG base directories have it; empty where there is no home.
  static std::string userFolder();

  /// Where the checkpoint at `path`, compiled with these options, has its place, there or not;
  /// empty where it cannot or need not be kept.
  std::string entryFor(llvm::StringRef path, const import::ImportOptions &import,
                       const CompileOptions &compile) const;
  /// Whether there is such a file; notes its use.
  static bool has(const std::string &entry);
  /// Compiles to `entry`. False where that fails, for lack of space above all: a cache that cannot
  /// be written is no reason not to run.
  bool add(const std::string &entry, const CompileInput &input, CompileOptions options);
  /// Of an entry that was found to be damaged.
  static void drop(const std::string &entry);

  std::vector<Entry> list() const; ///< last used first
  uint64_t clear();                ///< number of entries that are gone

private:
  void trim(llvm::StringRef keep);

  std::string folder;
  uint64_t least, most;
};

} // namespace tern

#endif // TERN_FRONTENDS_JIT_MODELCACHE_H
