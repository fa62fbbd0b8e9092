//===- PackCache.cpp - packed models kept between runs --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/jit/PackCache.h"

#include "codegen/LinkLibrary.h"
#include "dialect/TernaryDialect.h"
#include "tern/tern.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace llvm;
using namespace tern;

static constexpr StringLiteral kSuffix = ".pack";
/// A container's header, or most of it.
static constexpr uint64_t kHashedBytes = uint64_t(1) << 20;

static std::string digest(StringRef bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return toHex(ArrayRef<uint8_t>(canonical.digest, sizeof canonical.digest), /*LowerCase=*/true);
}

/// False where the file cannot be read.
static bool addFile(const std::string &path, bool withBytes, raw_ostream &out) {
  struct stat status;
  if (::stat(path.c_str(), &status) || !S_ISREG(status.st_mode))
    return false;
  out << status.st_dev << ' ' << status.st_ino << ' ' << status.st_size << ' '
      << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec;
  if (withBytes) {
    uint64_t bytes = std::min(kHashedBytes, static_cast<uint64_t>(status.st_size));
    auto start = MemoryBuffer::getFileSlice(path, bytes, 0);
    if (!start)
      return false;
    out << ' ' << digest((*start)->getBuffer());
  }
  out << '\n';
  return true;
}

/// All that decides over the payload's bytes; empty where that cannot be told.
static std::string sourceText(mlir::ModuleOp packed, StringRef modelFolder,
                              const PayloadInfo &payload) {
  std::string text;
  raw_string_ostream out(text);
  out << tern_version() << '\n';
  // Another build of the same release may pack differently.
  if (!addFile("/proc/self/exe", /*withBytes=*/false, out))
    return "";
  out << toHex(payload.layoutId) << ' ' << digest(payload.tokenizer) << ' ' << digest(payload.card)
      << '\n';
  auto files = packed->getAttrOfType<mlir::ArrayAttr>("ternary.files");
  if (!files || files.empty())
    return "";
  for (mlir::Attribute file : files) {
    auto name = dyn_cast<mlir::StringAttr>(file);
    SmallString<128> path(modelFolder);
    if (!name)
      return "";
    sys::path::append(path, name.getValue());
    out << name.getValue() << ' ';
    if (!addFile(path.str().str(), /*withBytes=*/true, out))
      return "";
  }
  for (ternary::WeightOp weight : packed.getOps<ternary::WeightOp>())
    out << *weight.getOperation() << '\n';
  return text;
}

std::string PackCache::userFolder() {
  SmallString<128> path;
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && sys::path::is_absolute(cache))
    path = cache;
  else if (home && sys::path::is_absolute(home))
    sys::path::append(path, home, ".cache");
  else
    return "";
  sys::path::append(path, "tern");
  return path.str().str();
}

std::string PackCache::find(mlir::ModuleOp packed, StringRef modelFolder,
                            const PayloadInfo &payload) {
  const uint64_t bytes = payload.totalBytes();
  if (folder.empty() || bytes < least || bytes > most)
    return "";
  std::string text = sourceText(packed, modelFolder, payload);
  if (text.empty())
    return "";
  std::string path = folder + "/" + digest(text) + kSuffix.str();
  struct stat status;
  if (!::stat(path.c_str(), &status)) {
    // Unfinished files have other names; another size means that somebody else wrote here.
    if (S_ISREG(status.st_mode) && static_cast<uint64_t>(status.st_size) == bytes) {
      (void)::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
      return path;
    }
    drop(path);
  }
  ErrorOr<sys::fs::space_info> space(std::error_code{});
  if (sys::fs::create_directories(folder, /*IgnoreExisting=*/true, sys::fs::owner_all) ||
      !(space = sys::fs::disk_space(folder)) || space->available / 2 < bytes)
    return "";
  // A cache that cannot be written is no reason not to run: the caller packs into memory.
  if (Error error = writePayloadFile(payload, path)) {
    consumeError(std::move(error));
    return "";
  }
  trim(path);
  return path;
}

void PackCache::drop(const std::string &path) { (void)sys::fs::remove(path); }

std::vector<PackCache::Entry> PackCache::list() const {
  std::vector<Entry> entries;
  std::error_code error;
  for (sys::fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    struct stat status;
    if (!StringRef(at->path()).ends_with(kSuffix) || ::stat(at->path().c_str(), &status) ||
        !S_ISREG(status.st_mode))
      continue;
    entries.push_back({at->path(), static_cast<uint64_t>(status.st_size), status.st_mtim.tv_sec});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry &a, const Entry &b) {
    return a.used != b.used ? a.used > b.used : a.path < b.path;
  });
  return entries;
}

uint64_t PackCache::clear() {
  uint64_t gone = 0;
  for (const Entry &entry : list())
    gone += !sys::fs::remove(entry.path, /*IgnoreNonExisting=*/false);
  return gone;
}

void PackCache::trim(StringRef keep) {
  uint64_t total = 0;
  for (const Entry &entry : list()) {
    total += entry.bytes;
    if (total > most && entry.path != keep)
      drop(entry.path);
  }
}
