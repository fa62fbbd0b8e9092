//===- ModelCache.cpp - compiled models kept between runs -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/jit/ModelCache.h"

#include "tern/tern.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace llvm;
using namespace tern;

static constexpr StringLiteral kSuffix = ".model.so";
/// A container's header, or most of it.
static constexpr uint64_t kHashedBytes = uint64_t(1) << 20;

static std::string digest(StringRef bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return toHex(ArrayRef<uint8_t>(canonical.digest, sizeof canonical.digest), /*LowerCase=*/true);
}

/// What tells a file from an earlier one in its place, and its size; empty where it cannot be read.
static std::optional<uint64_t> addFile(const std::string &path, bool withBytes, raw_ostream &out) {
  struct stat status;
  if (::stat(path.c_str(), &status) || !S_ISREG(status.st_mode))
    return std::nullopt;
  out << path << ' ' << status.st_dev << ' ' << status.st_ino << ' ' << status.st_size << ' '
      << status.st_mtim.tv_sec << '.' << status.st_mtim.tv_nsec;
  const auto bytes = static_cast<uint64_t>(status.st_size);
  if (withBytes) {
    auto start = MemoryBuffer::getFileSlice(path, std::min(kHashedBytes, bytes), 0);
    if (!start)
      return std::nullopt;
    out << ' ' << digest((*start)->getBuffer());
  }
  out << '\n';
  return bytes;
}

/// The files of a checkpoint: one, or those of a folder. Empty where there is something unexpected.
static std::vector<std::string> filesOf(StringRef path) {
  constexpr size_t kMostFiles = 1000;
  SmallString<256> real;
  if (sys::fs::real_path(path, real))
    return {};
  // A file of a folder stands for the folder.
  if (!sys::fs::is_directory(real) && !real.str().ends_with(".gguf"))
    sys::path::remove_filename(real);
  if (!sys::fs::is_directory(real))
    return {real.str().str()};
  std::vector<std::string> files;
  std::error_code error;
  for (sys::fs::directory_iterator at(real, error), end; !error && at != end; at.increment(error)) {
    if (sys::fs::is_regular_file(at->path()))
      files.push_back(at->path());
    if (files.size() > kMostFiles)
      return {};
  }
  if (error)
    return {};
  std::sort(files.begin(), files.end());
  return files;
}

static void addOptions(const import::ImportOptions &import, const CompileOptions &compile,
                       raw_ostream &out) {
  auto number = [](auto value) { return value ? static_cast<int>(*value) : -1; };
  out << number(import.activations) << ' ' << number(import.gate) << ' '
      << static_cast<int>(import.i2sLayout) << ' ' << static_cast<int>(import.cache) << ' '
      << static_cast<int>(import.head) << '\n';
  for (const Target &target : compile.targets)
    out << target.name << ' ';
  out << compile.maxRows << ' ' << compile.packing << ' ' << compile.head << ' ' << compile.sparse
      << '\n';
  for (const std::string &shape : compile.shapes)
    out << shape << '\n';
}

std::string ModelCache::userFolder() {
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

/// Entries are code that is run: nobody else may write them. True as well where there is no folder.
static bool belongsToUser(const std::string &folder) {
  struct stat status;
  if (::stat(folder.c_str(), &status))
    return errno == ENOENT;
  return S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() &&
         !(status.st_mode & (S_IWGRP | S_IWOTH));
}

std::string ModelCache::entryFor(StringRef path, const import::ImportOptions &import,
                                 const CompileOptions &compile) const {
  // A module in text may name weights anywhere.
  if (folder.empty() || compile.probes || import.activity || path.ends_with(".mlir") ||
      !belongsToUser(folder))
    return "";
  std::string text;
  raw_string_ostream out(text);
  out << tern_version() << '\n';
  // Another build of the same release may compile differently.
  if (!addFile("/proc/self/exe", /*withBytes=*/false, out))
    return "";
  uint64_t bytes = 0;
  for (const std::string &file : filesOf(path)) {
    std::optional<uint64_t> size = addFile(file, /*withBytes=*/true, out);
    if (!size)
      return "";
    bytes += *size;
  }
  if (bytes == 0 || bytes < least || bytes > most)
    return "";
  addOptions(import, compile, out);
  return folder + "/" + digest(text) + kSuffix.str();
}

bool ModelCache::has(const std::string &entry) {
  struct stat status;
  if (::stat(entry.c_str(), &status) || !S_ISREG(status.st_mode))
    return false;
  (void)::utimensat(AT_FDCWD, entry.c_str(), nullptr, 0);
  return true;
}

bool ModelCache::add(const std::string &entry, const CompileInput &input, CompileOptions options) {
  if (sys::fs::create_directories(folder, /*IgnoreExisting=*/true, sys::fs::owner_all))
    return false;
  if (Error error = compileLibrary(input, options, entry)) {
    consumeError(std::move(error));
    return false;
  }
  trim(entry);
  return true;
}

void ModelCache::drop(const std::string &entry) { (void)sys::fs::remove(entry); }

std::vector<ModelCache::Entry> ModelCache::list() const {
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

uint64_t ModelCache::clear() {
  uint64_t gone = 0;
  for (const Entry &entry : list())
    gone += !sys::fs::remove(entry.path, /*IgnoreNonExisting=*/false);
  return gone;
}

void ModelCache::trim(StringRef keep) {
  uint64_t total = 0;
  for (const Entry &entry : list()) {
    total += entry.bytes;
    if (total > most && entry.path != keep)
      drop(entry.path);
  }
}
