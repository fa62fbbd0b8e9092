//===- Payload.cpp - weights, tokenizer and card of a model ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Payload.h"

#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

using namespace tern;

namespace {

constexpr uint64_t kAlignment = 4096;
/// A multiple of the page size of every system.
constexpr uint64_t kHugePage = uint64_t(2) << 20;
/// One weights, one tokenizer, one card, and room for kinds of later releases.
constexpr uint32_t kMostSections = 64;
/// Weights up to this size are hashed by default: it takes a few milliseconds.
constexpr uint64_t kAutoWeights = uint64_t(64) << 20;

Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text));
}

std::string sectionName(uint32_t kind) {
  switch (kind) {
  case TERN_SECTION_WEIGHTS:
    return "weights section";
  case TERN_SECTION_TOKENIZER:
    return "tokenizer section";
  case TERN_SECTION_CARD:
    return "card section";
  }
  return format("section of kind %u", kind);
}

std::string hex(const uint8_t *id) {
  std::string text;
  for (int i = 0; i < 16; ++i)
    text += format("%02x", id[i]);
  return text;
}

uint64_t hashHeader(const uint8_t *data, uint32_t bytes) {
  static constexpr uint8_t zeros[sizeof(uint64_t)] = {};
  constexpr size_t at = offsetof(tern_payload_header_t, header_xxh3);
  constexpr size_t after = at + sizeof(zeros);
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, data, at);
  XXH3_64bits_update(&state, zeros, sizeof(zeros));
  XXH3_64bits_update(&state, data + after, bytes - after);
  return XXH3_64bits_digest(&state);
}

} // namespace

Payload &Payload::operator=(Payload &&other) noexcept {
  std::swap(data, other.data);
  std::swap(bytes, other.bytes);
  std::swap(mapping, other.mapping);
  std::swap(mappedBytes, other.mappedBytes);
  std::swap(copied, other.copied);
  std::swap(rare, other.rare);
  return *this;
}

Payload::~Payload() {
  if (mapping)
    munmap(mapping, mappedBytes);
  if (copied.mapping)
    munmap(copied.mapping, copied.mappedBytes);
}

Status Payload::map(const File &file, FileRange range, Payload *out) {
  if (range.bytes < sizeof(tern_payload_header_t))
    return corrupt(format("expected at least %zu bytes, found %" PRIu64,
                          sizeof(tern_payload_header_t), range.bytes));
  if (range.offset % kAlignment != 0)
    return corrupt(format("expected an offset that is a multiple of %" PRIu64 ", found %" PRIu64,
                          kAlignment, range.offset));
  auto failed = [&](int error) {
    return Status::error(
        error == ENOMEM ? TERN_STATUS_OUT_OF_MEMORY : TERN_STATUS_IO,
        error == ENOMEM ? TERN_CATEGORY_MEMORY : TERN_CATEGORY_IO,
        format("cannot map %" PRIu64 " bytes: %s", range.bytes, systemText(error).c_str()));
  };
  // Huge pages of the page cache can only be mapped where address and offset agree modulo their
  // size: room for that is reserved first, and the file mapped into it.
  uint64_t slack = range.offset % kHugePage;
  uint64_t fileBytes = range.bytes + slack, room;
  if (range.bytes > UINT64_MAX - 2 * kHugePage)
    return failed(ENOMEM);
  room = fileBytes + kHugePage;
  Payload payload;
  void *reserved =
      mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED)
    return failed(errno);
  payload.mapping = reserved;
  payload.mappedBytes = room;
  auto start = reinterpret_cast<uintptr_t>(reserved);
  auto *begin = static_cast<uint8_t *>(reserved) + (kHugePage - start % kHugePage) % kHugePage;
  if (mmap(begin, fileBytes, PROT_READ, MAP_PRIVATE | MAP_FIXED, file.descriptor(),
           off_t(range.offset - slack)) == MAP_FAILED)
    return failed(errno);
  // A wish: file systems without large folios, and pages already cached as small ones, stay so.
#ifdef MADV_HUGEPAGE
  madvise(begin, fileBytes, MADV_HUGEPAGE);
#endif
  payload.data = begin + slack;
  payload.bytes = range.bytes;
  *out = std::move(payload);
  return {};
}

Status Payload::borrow(const void *data, uint64_t bytes, Payload *out) {
  if (reinterpret_cast<uintptr_t>(data) % kAlignment != 0)
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_MEMORY,
                         "the payload's memory is not 4096-aligned");
  if (bytes < sizeof(tern_payload_header_t))
    return corrupt(format("expected at least %zu bytes, found %" PRIu64,
                          sizeof(tern_payload_header_t), bytes));
  Payload payload;
  payload.data = static_cast<const uint8_t *>(data);
  payload.bytes = bytes;
  *out = std::move(payload);
  return {};
}

const tern_payload_header_t &Payload::header() const {
  return *reinterpret_cast<const tern_payload_header_t *>(data);
}

const tern_payload_section_t *Payload::table() const {
  return reinterpret_cast<const tern_payload_section_t *>(data + sizeof(tern_payload_header_t));
}

Status Payload::checkHeader() const {
  const tern_payload_header_t &head = header();
  if (std::memcmp(head.magic, TERN_PAYLOAD_MAGIC, sizeof(head.magic)) != 0) {
    if (std::memcmp(head.magic, TERN_PAYLOAD_MAGIC, sizeof(head.magic) - 1) == 0)
      return Status::error(
          TERN_STATUS_VERSION, TERN_CATEGORY_IO,
          format("expected payload format 1, found format '%c': recompile the "
                 "model with this release",
                 head.magic[7] >= ' ' && head.magic[7] <= '~' ? head.magic[7] : '?'));
    return corrupt("expected the magic " TERN_PAYLOAD_MAGIC ", found something else");
  }
  if (head.section_count == 0 || head.section_count > kMostSections)
    return corrupt(
        format("expected 1 to %u sections, found %u", kMostSections, head.section_count));
  uint64_t expected = sizeof(head) + head.section_count * sizeof(tern_payload_section_t);
  if (head.header_bytes != expected)
    return corrupt(format("expected a header of %" PRIu64 " bytes for %u sections, found %u",
                          expected, head.section_count, head.header_bytes));
  if (head.total_bytes != bytes || expected > bytes)
    return corrupt(
        format("expected %" PRIu64 " bytes in all, found %" PRIu64, head.total_bytes, bytes));
  if (uint64_t found = hashHeader(data, head.header_bytes); found != head.header_xxh3)
    return corrupt(format("header checksum differs, expected %016" PRIx64 ", found %016" PRIx64,
                          head.header_xxh3, found));
  return {};
}

Status Payload::checkTable() const {
  uint64_t seen = 0; // kinds below 64, as bits
  for (uint32_t i = 0; i < header().section_count; ++i) {
    const tern_payload_section_t &one = table()[i];
    std::string name = sectionName(one.kind);
    if (one.offset < header().header_bytes || one.offset > bytes || one.bytes > bytes - one.offset)
      return corrupt(format("%s: %" PRIu64 " bytes at %" PRIu64 " do not lie between the header "
                            "(%u bytes) and the end (%" PRIu64 ")",
                            name.c_str(), one.bytes, one.offset, header().header_bytes, bytes));
    if (one.kind == TERN_SECTION_WEIGHTS && one.offset % kAlignment != 0)
      return corrupt(format("%s: expected an offset that is a multiple of %" PRIu64
                            ", found %" PRIu64,
                            name.c_str(), kAlignment, one.offset));
    if (one.kind < 64 && (seen >> one.kind & 1))
      return corrupt(format("%s: found twice", name.c_str()));
    seen |= one.kind < 64 ? uint64_t(1) << one.kind : 0;
    for (uint32_t j = 0; j < i; ++j) {
      const tern_payload_section_t &other = table()[j];
      if (one.offset < other.offset + other.bytes && other.offset < one.offset + one.bytes)
        return corrupt(
            format("%s: overlaps the %s", name.c_str(), sectionName(other.kind).c_str()));
    }
  }
  return {};
}

Status Payload::checkStructure() const {
  Status status = checkHeader();
  return status.ok() ? checkTable() : std::move(status);
}

Status Payload::check(const tern_descriptor_t &code, tern_verify_t verify) const {
  if (Status status = checkHeader(); !status.ok())
    return status;
  if (std::memcmp(header().layout_id, code.layout_id, sizeof(code.layout_id)) != 0)
    return corrupt(format("made for other code: expected layout %s, found %s",
                          hex(code.layout_id).c_str(), hex(header().layout_id).c_str()));
  if (Status status = checkTable(); !status.ok())
    return status;
  // A module without constants has no weights section, or an empty one.
  if (uint64_t found = section(TERN_SECTION_WEIGHTS).size(); found != code.weights_bytes)
    return corrupt(format("weights section: expected %" PRIu64 " bytes, found %" PRIu64,
                          code.weights_bytes, found));
  for (uint32_t i = 0; i < header().section_count; ++i) {
    const tern_payload_section_t &one = table()[i];
    bool large = one.kind == TERN_SECTION_WEIGHTS && one.bytes > kAutoWeights;
    if (verify == TERN_VERIFY_NONE || (verify == TERN_VERIFY_AUTO && large))
      continue;
    if (uint64_t found = XXH3_64bits(data + one.offset, one.bytes); found != one.xxh3)
      return corrupt(format("checksum differs, expected %016" PRIx64 ", found %016" PRIx64,
                            one.xxh3, found))
          .within(sectionName(one.kind));
  }
  return {};
}

std::string_view Payload::section(uint32_t kind) const {
  for (uint32_t i = 0; i < header().section_count; ++i)
    if (table()[i].kind == TERN_SECTION_WEIGHTS && kind == TERN_SECTION_WEIGHTS && copied.weights)
      return {copied.weights, table()[i].bytes};
    else if (table()[i].kind == kind)
      return {reinterpret_cast<const char *>(data) + table()[i].offset, table()[i].bytes};
  return {};
}
