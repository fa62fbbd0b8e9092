//===- ModelFile.cpp - payloads and model files for tests -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelFile.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <xxhash.h>

#include "FakeModel.h"

using namespace tern::test;

static size_t roundUp(size_t value) { return (value + 4095) / 4096 * 4096; }

void tern::test::sealPayload(std::string &payload) {
  auto *header = reinterpret_cast<tern_payload_header_t *>(payload.data());
  header->header_xxh3 = 0;
  size_t bytes = std::min<size_t>(header->header_bytes, payload.size());
  header->header_xxh3 = XXH3_64bits(payload.data(), bytes);
}

std::string tern::test::makePayload(const std::vector<Section> &sections) {
  size_t headerBytes =
      sizeof(tern_payload_header_t) + sections.size() * sizeof(tern_payload_section_t);
  std::string payload(headerBytes, 0);
  std::vector<tern_payload_section_t> table;
  for (const Section &section : sections) {
    payload.resize(roundUp(payload.size()));
    table.push_back({section.kind, 0, payload.size(), section.bytes.size(),
                     XXH3_64bits(section.bytes.data(), section.bytes.size())});
    payload += section.bytes;
  }
  tern_payload_header_t header = {};
  std::memcpy(header.magic, TERN_PAYLOAD_MAGIC, sizeof(header.magic));
  header.header_bytes = uint32_t(headerBytes);
  header.section_count = uint32_t(sections.size());
  const uint8_t id[16] = FAKE_LAYOUT_ID;
  std::memcpy(header.layout_id, id, sizeof(id));
  header.total_bytes = payload.size();
  std::memcpy(payload.data(), &header, sizeof(header));
  std::memcpy(payload.data() + sizeof(header), table.data(),
              table.size() * sizeof(tern_payload_section_t));
  sealPayload(payload);
  return payload;
}

std::string tern::test::fakePayload(const std::vector<Section> &more) {
  std::string weights(FAKE_WEIGHTS_BYTES, 0);
  for (size_t i = 0; i < FAKE_VOCABULARY; ++i) {
    float bias = float(i) / 512;
    std::memcpy(weights.data() + i * sizeof(float), &bias, sizeof(bias));
  }
  std::vector<Section> sections = {{TERN_SECTION_WEIGHTS, weights},
                                   {TERN_SECTION_CARD, "{\"name\": \"fake\"}"}};
  sections.insert(sections.end(), more.begin(), more.end());
  return makePayload(sections);
}

std::string tern::test::fakePayload() { return fakePayload({}); }

std::string tern::test::withPayload(std::string_view library, std::string_view payload) {
  std::string file(library);
  Elf64_Ehdr header;
  std::memcpy(&header, file.data(), sizeof(header));
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  std::memcpy(sections.data(), file.data() + header.e_shoff, sections.size() * sizeof(Elf64_Shdr));
  Elf64_Shdr &names = sections[header.e_shstrndx];
  std::string text = file.substr(names.sh_offset, names.sh_size);
  Elf64_Shdr added = {};
  added.sh_name = Elf64_Word(text.size());
  added.sh_type = SHT_PROGBITS;
  added.sh_addralign = 4096;
  text += std::string(".tern.payload") + '\0';
  names.sh_offset = file.size();
  names.sh_size = text.size();
  file += text;
  file.resize(roundUp(file.size()));
  added.sh_offset = file.size();
  added.sh_size = payload.size();
  file += payload;
  file.resize((file.size() + 7) / 8 * 8);
  sections.push_back(added);
  header.e_shoff = file.size();
  header.e_shnum = Elf64_Half(sections.size());
  std::memcpy(file.data(), &header, sizeof(header));
  file.append(reinterpret_cast<const char *>(sections.data()),
              sections.size() * sizeof(Elf64_Shdr));
  return file;
}

std::string tern::test::readFile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void tern::test::writeFile(const std::string &path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
}

std::string tern::test::fakeLibrary() { return readFile(TERN_FAKE_MODEL); }
std::string tern::test::fakeSidecarLibrary() { return readFile(TERN_FAKE_SIDECAR_MODEL); }

AlignedPayload::AlignedPayload(std::string_view bytes)
    : data(static_cast<uint8_t *>(std::aligned_alloc(4096, roundUp(bytes.size() + 1)))),
      size(bytes.size()) {
  std::memcpy(data, bytes.data(), bytes.size());
}

AlignedPayload::~AlignedPayload() { std::free(data); }

tern_model_t *tern::test::openFake(const tern_open_options_t *options) {
  static const AlignedPayload payload(fakePayload());
  tern_model_t *model = nullptr;
  if (tern_model_open_linked(fake_query, payload.data, payload.size, options, &model) !=
      TERN_STATUS_OK) {
    std::fprintf(stderr, "%s\n", tern_error_message());
    std::abort();
  }
  return model;
}

int32_t tern::test::fakeNext(const std::vector<int32_t> &ids) {
  uint32_t sum = 0;
  for (size_t p = 0; p < ids.size(); ++p)
    sum += uint32_t(ids[p] + 1) * uint32_t(p + 1);
  return int32_t(sum % FAKE_VOCABULARY);
}
