//===- MachO.cpp - libraries of macOS -------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/MachO.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

using namespace tern;

namespace {

// The parts of the format that are read here; all fields little-endian. The system's own header is
// not used, so that the reader can be tested everywhere.
struct Header {
  uint32_t magic, processor, subtype, fileType, commands, commandBytes, flags, reserved;
};
struct Command {
  uint32_t kind, bytes;
};
struct Segment {
  Command command;
  char name[16];
  uint64_t address, memoryBytes, offset, fileBytes;
  uint32_t most, initial, sections, flags;
};
struct Section {
  char name[16], segment[16];
  uint64_t address, bytes;
  uint32_t offset, alignment, relocations, relocationCount, flags, reserved[3];
};
static_assert(sizeof(Header) == 32 && sizeof(Segment) == 72 && sizeof(Section) == 80);

constexpr uint32_t kMagic = 0xfeedfacf, kExecutable = 2, kDylib = 6, kBundle = 8;
constexpr uint32_t kSegment = 0x19;
/// Above what any linker writes.
constexpr uint32_t kMostCommandBytes = 1 << 20;
/// Sections of these types (the lowest byte of the flags) have no bytes in the file.
constexpr uint32_t kZeroFill = 1, kLargeZeroFill = 0xc, kThreadZeroFill = 0x12;

Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text));
}

Status readHeader(const File &file, bool programs, uint32_t processor, Header *header) {
  if (file.size() == 0)
    return corrupt("expected a compiled model, found an empty file");
  unsigned char magic[4] = {};
  if (Status status = file.read(0, magic, std::min<uint64_t>(sizeof(magic), file.size()), "magic");
      !status.ok())
    return status;
  uint32_t found;
  std::memcpy(&found, magic, sizeof(found));
  if (found != kMagic)
    return corrupt(format("expected a compiled model (a 64-bit Mach-O library), found a file that "
                          "starts with bytes %02x %02x %02x %02x",
                          magic[0], magic[1], magic[2], magic[3]));
  if (Status status = file.read(0, header, sizeof(*header), "Mach-O header"); !status.ok())
    return status;
  if (header->processor != processor)
    return Status::error(TERN_STATUS_CPU, TERN_CATEGORY_DEVICE,
                         format("compiled for another kind of processor: Mach-O type 0x%x, this "
                                "one is 0x%x",
                                header->processor, processor));
  const uint32_t type = header->fileType;
  if (type != kDylib && type != kBundle && !(programs && type == kExecutable))
    return corrupt(format("expected a library (Mach-O file type 6), found type %u", type));
  if (header->commandBytes > kMostCommandBytes)
    return corrupt(format("expected up to %u bytes of load commands, found %u", kMostCommandBytes,
                          header->commandBytes));
  return {};
}

/// Calls `take(segment, place of its sections)` for every segment until one fails.
template <typename Take> Status eachSegment(const File &file, const Header &header, Take take) {
  uint64_t place = sizeof(Header), end = place + header.commandBytes;
  for (uint32_t i = 0; i < header.commands; ++i) {
    Command command;
    if (Status status = file.read(place, &command, sizeof(command), "load command"); !status.ok())
      return status;
    if (command.bytes < sizeof(command) || command.bytes % 8 != 0 || command.bytes > end - place)
      return corrupt(
          format("load command %u has an implausible size of %u bytes", i, command.bytes));
    if (command.kind == kSegment) {
      Segment segment;
      if (command.bytes < sizeof(segment))
        return corrupt(format("load command %u is too short for a segment", i));
      if (Status status = file.read(place, &segment, sizeof(segment), "segment"); !status.ok())
        return status;
      if (segment.sections > (command.bytes - sizeof(segment)) / sizeof(Section))
        return corrupt(format("load command %u is too short for %u sections", i, segment.sections));
      if (!file.holds(segment.offset, segment.fileBytes))
        return corrupt(format("truncated: segment %u needs %" PRIu64 " bytes at %" PRIu64
                              ", the file has %" PRIu64,
                              i, segment.fileBytes, segment.offset, file.size()));
      if (Status status = take(segment, place + sizeof(segment)); !status.ok())
        return status;
    }
    place += command.bytes;
  }
  return {};
}

bool isNamed(const char (&field)[16], const char *name, size_t length) {
  return length <= sizeof(field) && !std::memcmp(field, name, length) &&
         (length == sizeof(field) || field[length] == 0);
}

} // namespace

Status tern::checkMachO(const File &file, bool programs, uint32_t processor) {
  Header header;
  if (Status status = readHeader(file, programs, processor, &header); !status.ok())
    return status;
  bool any = false;
  uint64_t end = 0; // of the addresses so far: segments must ascend
  Status status = eachSegment(file, header, [&](const Segment &segment, uint64_t) -> Status {
    any = true;
    uint64_t last;
    if (segment.memoryBytes < segment.fileBytes || segment.address < end ||
        __builtin_add_overflow(segment.address, segment.memoryBytes, &last) ||
        last > uint64_t(1) << 47)
      return corrupt(format("segment %.16s has implausible addresses", segment.name));
    end = last;
    return {};
  });
  if (status.ok() && !any)
    return corrupt("not a library: no segment");
  return status;
}

Status tern::findMachOSection(const File &file, const char *name, uint32_t processor,
                              FileRange *out) {
  Header header;
  if (Status status = readHeader(file, true, processor, &header); !status.ok())
    return status;
  *out = {};
  const char *comma = std::strchr(name, ',');
  const size_t segmentLength = size_t(comma - name);
  return eachSegment(file, header, [&](const Segment &segment, uint64_t place) -> Status {
    for (uint32_t i = 0; i < segment.sections; ++i) {
      Section section;
      if (Status status = file.read(place + uint64_t(i) * sizeof(section), &section,
                                    sizeof(section), "section");
          !status.ok())
        return status;
      if (!isNamed(section.segment, name, segmentLength) ||
          !isNamed(section.name, comma + 1, std::strlen(comma + 1)))
        continue;
      const uint32_t type = section.flags & 0xff;
      if (type == kZeroFill || type == kLargeZeroFill || type == kThreadZeroFill ||
          !file.holds(section.offset, section.bytes))
        return corrupt(format("truncated: section %s needs %" PRIu64 " bytes at %u, the file has "
                              "%" PRIu64,
                              name, section.bytes, section.offset, file.size()));
      *out = {section.offset, section.bytes};
    }
    return {};
  });
}
