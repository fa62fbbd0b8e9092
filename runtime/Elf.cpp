//===- Elf.cpp - what is checked before a library is loaded ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Elf.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <elf.h>

using namespace tern;

#if defined(__x86_64__)
static constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
static constexpr uint16_t kMachine = EM_AARCH64;
#else
static constexpr uint16_t kMachine = EM_NONE;
#endif

static Status corrupt(std::string text) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, std::move(text));
}

static Status readHeader(const File &file, bool programs, Elf64_Ehdr *header) {
  if (file.size() == 0)
    return corrupt("expected a compiled model, found an empty file");
  unsigned char magic[SELFMAG] = {};
  if (Status status = file.read(0, magic, std::min<uint64_t>(sizeof(magic), file.size()), "magic");
      !status.ok())
    return status;
  if (std::memcmp(magic, ELFMAG, SELFMAG) != 0)
    return corrupt(format("expected a compiled model (an ELF library), found a file that starts "
                          "with bytes %02x %02x %02x %02x",
                          magic[0], magic[1], magic[2], magic[3]));
  if (Status status = file.read(0, header, sizeof(*header), "ELF header"); !status.ok())
    return status;
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
    return corrupt("expected a little-endian 64-bit ELF file");
  if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
    return corrupt(format("expected ELF version 1, found %u", header->e_version));
  if (header->e_machine != kMachine)
    return Status::error(TERN_STATUS_CPU, TERN_CATEGORY_DEVICE,
                         format("compiled for another kind of processor: ELF machine %u, this one "
                                "is %u",
                                header->e_machine, kMachine));
  if (header->e_type != ET_DYN && !(programs && header->e_type == ET_EXEC))
    return corrupt(
        format("expected a shared library (ELF type 3), found ELF type %u", header->e_type));
  return {};
}

Status tern::checkElf(const File &file, bool programs) {
  Elf64_Ehdr header;
  if (Status status = readHeader(file, programs, &header); !status.ok())
    return status;
  if (header.e_phentsize != sizeof(Elf64_Phdr))
    return corrupt(format("expected program headers of %zu bytes, found %u", sizeof(Elf64_Phdr),
                          header.e_phentsize));
  bool dynamic = false, load = false;
  uint64_t end = 0; // of the addresses so far: load segments must ascend
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (Status status = file.read(header.e_phoff + uint64_t(i) * sizeof(segment), &segment,
                                  sizeof(segment), "program header");
        !status.ok())
      return status;
    if (segment.p_type == PT_NULL)
      continue;
    if (!file.holds(segment.p_offset, segment.p_filesz))
      return corrupt(format("truncated: segment %u needs %" PRIu64 " bytes at %" PRIu64
                            ", the file has %" PRIu64,
                            i, segment.p_filesz, segment.p_offset, file.size()));
    dynamic |= segment.p_type == PT_DYNAMIC;
    if (segment.p_type != PT_LOAD)
      continue;
    load = true;
    uint64_t last;
    if (segment.p_memsz < segment.p_filesz || segment.p_vaddr < end ||
        __builtin_add_overflow(segment.p_vaddr, segment.p_memsz, &last) || last > uint64_t(1) << 46)
      return corrupt(format("segment %u has implausible addresses", i));
    end = last;
  }
  if (!load || !dynamic)
    return corrupt("not a shared library: no loadable or no dynamic segment");
  return {};
}

Status tern::findElfSection(const File &file, const char *name, FileRange *out) {
  Elf64_Ehdr header;
  if (Status status = readHeader(file, true, &header); !status.ok())
    return status;
  *out = {};
  if (header.e_shnum == 0)
    return {};
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum)
    return corrupt("the section table is damaged");
  auto read = [&](unsigned index, Elf64_Shdr *section) {
    uint64_t offset;
    if (__builtin_add_overflow(header.e_shoff, uint64_t(index) * sizeof(*section), &offset))
      return corrupt("the section table is damaged");
    return file.read(offset, section, sizeof(*section), "section table");
  };
  Elf64_Shdr names;
  if (Status status = read(header.e_shstrndx, &names); !status.ok())
    return status;
  size_t size = std::strlen(name) + 1;
  for (unsigned i = 1; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    if (Status status = read(i, &section); !status.ok())
      return status;
    if (section.sh_name >= names.sh_size || size > names.sh_size - section.sh_name)
      continue;
    char found[64] = {};
    uint64_t offset;
    if (size > sizeof(found) || __builtin_add_overflow(names.sh_offset, section.sh_name, &offset))
      return corrupt("the section table is damaged");
    if (Status status = file.read(offset, found, size, "section names"); !status.ok())
      return status;
    if (std::memcmp(found, name, size) != 0)
      continue;
    if (section.sh_type == SHT_NOBITS || !file.holds(section.sh_offset, section.sh_size))
      return corrupt(format("truncated: section %s needs %" PRIu64 " bytes at %" PRIu64
                            ", the file has %" PRIu64,
                            name, section.sh_size, section.sh_offset, file.size()));
    *out = {section.sh_offset, section.sh_size};
    return {};
  }
  return {};
}
