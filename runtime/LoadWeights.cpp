//===- LoadWeights.cpp - weights as a mapping or as a copy ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Payload.h"
#include "runtime/Residency.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__linux__) && !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

using namespace tern;

namespace {

constexpr uint64_t kHugePage = uint64_t(2) << 20;
/// Smaller weights are read from caches, and with few pages.
constexpr uint64_t kCopyFrom = uint64_t(64) << 20;
/// What is looked at to learn whether a mapping gets huge pages.
constexpr uint64_t kSample = uint64_t(32) << 20;
constexpr uint64_t kPiece = uint64_t(8) << 20; ///< of a copy, read at once

/// Bytes that can be had without taking them from anybody.
uint64_t availableMemory() {
  uint64_t kilobytes = 0;
  if (std::FILE *file = std::fopen("/proc/meminfo", "re")) {
    char line[128];
    while (std::fgets(line, sizeof line, file))
      if (std::sscanf(line, "MemAvailable: %" SCNu64 " kB", &kilobytes) == 1)
        break;
    std::fclose(file);
  }
  return kilobytes * 1024;
}

/// Whether pages in the middle of the weights, once read, are mapped as huge ones. True where the
/// system does not say: sharing is the better guess.
bool mapsHugePages(const char *weights, uint64_t bytes) {
#ifdef MADV_POPULATE_READ
  auto begin = reinterpret_cast<uintptr_t>(weights) + bytes / 2;
  begin = (begin + kHugePage - 1) / kHugePage * kHugePage;
  auto *sample = reinterpret_cast<void *>(begin);
  if (madvise(sample, kSample, MADV_POPULATE_READ) == 0)
    return residencyOf(weights, bytes).huge >= kSample / 2;
#endif
  return true;
}

/// Of the whole pages in [begin, begin + bytes).
void advise(const void *begin, uint64_t bytes, int advice) {
  auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t from = (reinterpret_cast<uintptr_t>(begin) + page - 1) / page * page;
  const uint64_t to = (reinterpret_cast<uintptr_t>(begin) + bytes) / page * page;
  if (from < to)
    madvise(reinterpret_cast<void *>(from), to - from, advice);
}

/// A wish: not every system and file system can fulfil it.
void wishHugePages(const void *begin, uint64_t bytes, bool wanted) {
#ifdef MADV_HUGEPAGE
  advise(begin, bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
}

/// Of a mapping that nobody writes to: nothing is lost.
void givePagesBack(const void *begin, uint64_t bytes) { advise(begin, bytes, MADV_DONTNEED); }

/// Reads `bytes` bytes at `offset` of `file`; 0 or an error number.
int readAll(int file, uint8_t *out, uint64_t bytes, uint64_t offset) {
  while (bytes) {
    ssize_t got = pread(file, out, std::min(bytes, kPiece), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return got < 0 ? errno : EIO;
    out += got, offset += uint64_t(got), bytes -= uint64_t(got);
  }
  return 0;
}

/// What a thread of its own reads.
struct Piece {
  int file;
  uint8_t *out;
  uint64_t bytes, offset;
  int error = 0;

  static void *read(void *piece) {
    auto *self = static_cast<Piece *>(piece);
    self->error = readAll(self->file, self->out, self->bytes, self->offset);
    return nullptr;
  }
};

/// The same by two threads: one does not use up the memory's speed. Plain pthreads: std::thread
/// would bring exit handlers into libraries that bundle the runtime.
int readByTwo(int file, uint8_t *out, uint64_t bytes, uint64_t offset) {
  const uint64_t half = bytes / 2 / kHugePage * kHugePage;
  Piece first{file, out, half, offset}, second{file, out + half, bytes - half, offset + half};
  pthread_t helper;
  const bool helped = !pthread_create(&helper, nullptr, Piece::read, &first);
  Piece::read(&second);
  if (helped)
    pthread_join(helper, nullptr);
  else
    Piece::read(&first);
  return first.error ? first.error : second.error;
}

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

/// Puts the file's pages in the place of [begin, begin + bytes), all of them multiples of a page.
static bool mapOver(void *begin, uint64_t bytes, const File &file, uint64_t offset) {
  if (mmap(begin, bytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, file.descriptor(),
           static_cast<off_t>(offset)) == MAP_FAILED)
    return false;
  wishHugePages(begin, bytes, false);
  return true;
}

Status Payload::copyWeights(const File &file, uint64_t fileOffset, uint64_t copiedBytes) {
  std::string_view weights = section(TERN_SECTION_WEIGHTS);
  auto failed = [&](int error) {
    return Status::error(error == ENOMEM ? TERN_STATUS_OUT_OF_MEMORY : TERN_STATUS_IO,
                         error == ENOMEM ? TERN_CATEGORY_MEMORY : TERN_CATEGORY_IO,
                         format("cannot copy %" PRIu64 " bytes of weights: %s", copiedBytes,
                                systemText(error).c_str()));
  };
  const uint64_t room = weights.size() + 2 * kHugePage;
  void *reserved = mmap(nullptr, room, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED)
    return failed(ENOMEM);
  copied.mapping = reserved;
  copied.mappedBytes = room;
  auto start = reinterpret_cast<uintptr_t>(reserved);
  auto *begin = static_cast<uint8_t *>(reserved) + (kHugePage - start % kHugePage) % kHugePage;
  const auto *at = reinterpret_cast<const uint8_t *>(weights.data());
  const uint64_t offset = fileOffset + static_cast<uint64_t>(at - data);
  // Where sections are not aligned to pages, all is copied.
  if (copiedBytes < weights.size() &&
      !mapOver(begin + copiedBytes, weights.size() - copiedBytes, file, offset + copiedBytes))
    copiedBytes = weights.size();
  else
    rare = {reinterpret_cast<const char *>(begin) + copiedBytes, weights.size() - copiedBytes};
  wishHugePages(begin, copiedBytes, true);
  if (int error = readByTwo(file.descriptor(), begin, copiedBytes, offset))
    return failed(error);
  // Nothing writes to weights.
  mprotect(reserved, room, PROT_READ);
  copied.weights = reinterpret_cast<const char *>(begin);
  // Pages that a checksum or a sample has touched.
  givePagesBack(at, weights.size());
  return {};
}

Status Payload::loadWeights(const File &file, uint64_t fileOffset, tern_load_t load,
                            uint64_t rarelyRead) {
  std::string_view weights = section(TERN_SECTION_WEIGHTS);
  if (weights.empty())
    return {};
  // A multiple of a huge page, so that the rest of a mapping keeps its own.
  uint64_t often = weights.size() - std::min<uint64_t>(rarelyRead, weights.size());
  often = std::min<uint64_t>(roundUp(often, kHugePage), weights.size());
  if (load == TERN_LOAD_AUTO && often >= std::max(kCopyFrom, 2 * kSample + kHugePage) &&
      !mapsHugePages(weights.data(), often) && availableMemory() / 2 >= often)
    load = TERN_LOAD_COPY;
  if (load == TERN_LOAD_COPY)
    return copyWeights(file, fileOffset, often);
  // Huge pages would bring in hundreds of rows with each that is read.
  rare = {weights.data() + often, weights.size() - often};
  wishHugePages(rare.begin, rare.bytes, false);
  return {};
}

void Payload::releaseRare() const { givePagesBack(rare.begin, rare.bytes); }
