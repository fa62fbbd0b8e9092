//===- open_test.cpp - models good and bad, opened ------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstring>
#include <dirent.h>
#include <elf.h>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "FakeModel.h"
#include "ModelFile.h"

using namespace tern::test;

namespace {

struct Result {
  tern_status_t status;
  std::string message;
};

void collect(void *context, const char *text) {
  static_cast<std::vector<std::string> *>(context)->push_back(text);
}

/// Opens and closes.
Result tryFile(const std::string &path, tern_verify_t verify = TERN_VERIFY_AUTO) {
  std::vector<std::string> warnings;
  tern_open_options_t options = {sizeof(options), nullptr,   verify,
                                 collect,         &warnings, TERN_LOAD_AUTO};
  tern_model_t *model = nullptr;
  tern_status_t status = tern_model_open(path.c_str(), &options, &model);
  if (status == TERN_STATUS_OK) {
    tern_model_close(model);
    return {status, ""};
  }
  EXPECT_EQ(model, nullptr);
  return {status, tern_error_message()};
}

Result tryMemory(const std::string &payload, tern_verify_t verify = TERN_VERIFY_AUTO) {
  AlignedPayload aligned(payload);
  tern_open_options_t options = {sizeof(options), nullptr, verify,
                                 nullptr,         nullptr, TERN_LOAD_AUTO};
  tern_model_t *model = nullptr;
  tern_status_t status =
      tern_model_open_linked(fake_query, aligned.data, aligned.size, &options, &model);
  if (status == TERN_STATUS_OK) {
    tern_model_close(model);
    return {status, ""};
  }
  return {status, tern_error_message()};
}

void expectFailure(const Result &result, tern_status_t status, const std::string &words) {
  EXPECT_EQ(tern_status_name(result.status), std::string(tern_status_name(status)))
      << result.message;
  EXPECT_NE(result.message.find(words), std::string::npos)
      << "expected: " << words << "\nfound: " << result.message;
}

class Open : public testing::Test {
protected:
  std::string write(const char *name, std::string_view bytes) {
    std::string path = folder / name;
    writeFile(path, bytes);
    return path;
  }
  TempFolder folder;
  const std::string good = withPayload(fakeLibrary(), fakePayload());
};

TEST_F(Open, ReadsALibraryWithItsPayload) {
  std::string path = write("good.so", good);
  tern_model_t *model = nullptr;
  ASSERT_EQ(tern_model_open(path.c_str(), nullptr, &model), TERN_STATUS_OK) << tern_error_message();
  tern_model_info_t info = {};
  info.struct_size = sizeof(info);
  ASSERT_EQ(tern_model_get_info(model, &info), TERN_STATUS_OK);
  EXPECT_EQ(info.vocabulary, uint32_t(FAKE_VOCABULARY));
  EXPECT_EQ(info.max_rows, uint32_t(FAKE_MAX_ROWS));
  EXPECT_EQ(info.has_tokenizer, 0u);
  EXPECT_EQ(info.weights_bytes, uint64_t(FAKE_WEIGHTS_BYTES));
  EXPECT_STREQ(info.level, "fake");
  EXPECT_STREQ(info.compiler_version, "0.0.fake");
  EXPECT_STREQ(tern_model_card(model), "{\"name\": \"fake\"}");
  tern_session_t *session = nullptr;
  ASSERT_EQ(tern_session_create(model, nullptr, &session), TERN_STATUS_OK);
  ASSERT_EQ(tern_decode(session, 3), TERN_STATUS_OK);
  const float *logits = nullptr;
  ASSERT_EQ(tern_session_logits(session, &logits, nullptr), TERN_STATUS_OK);
  EXPECT_EQ(logits[fakeNext({3})], 100.0f + float(fakeNext({3})) / 512);
  EXPECT_EQ(logits[299], 299.0f / 512);
  tern_session_destroy(session);
  size_t count;
  EXPECT_EQ(tern_tokenize(model, "a", 1, 0, nullptr, 0, &count), TERN_STATUS_NOT_FOUND);
  EXPECT_STREQ(tern_error_message(), "the model was compiled without a tokenizer");
  tern_model_close(model);
}

TEST_F(Open, ReadsASidecar) {
  std::string path = write("side.so", fakeSidecarLibrary());
  expectFailure(tryFile(path), TERN_STATUS_NOT_FOUND, "fake.weights: open failed: No such file");
  write("fake.weights", fakePayload());
  EXPECT_EQ(tryFile(path).status, TERN_STATUS_OK);
  write("fake.weights", fakePayload().substr(0, 5000));
  expectFailure(tryFile(path), TERN_STATUS_CORRUPT, "bytes in all, found 5000");
  write("fake.weights", "");
  expectFailure(tryFile(path), TERN_STATUS_CORRUPT, "expected at least 48 bytes, found 0");
}

TEST_F(Open, FindsALibraryByPlainName) {
  write("plain.so", good);
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof(before)), nullptr);
  ASSERT_EQ(chdir(folder.path().c_str()), 0);
  EXPECT_EQ(tryFile("plain.so").status, TERN_STATUS_OK);
  ASSERT_EQ(chdir(before), 0);
}

TEST_F(Open, RefusesWhatIsNoLibrary) {
  expectFailure(tryFile(folder / "none.so"), TERN_STATUS_NOT_FOUND, "none.so: open failed");
  expectFailure(tryFile(folder.path()), TERN_STATUS_CORRUPT, "expected a file, found a directory");
  std::string fifo = folder / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  expectFailure(tryFile(fifo), TERN_STATUS_CORRUPT, "found a device or pipe");
  expectFailure(tryFile("/dev/null"), TERN_STATUS_CORRUPT, "found a device or pipe");
  expectFailure(tryFile(write("empty", "")), TERN_STATUS_CORRUPT, "found an empty file");
  expectFailure(tryFile(write("text", "hello, world")), TERN_STATUS_CORRUPT,
                "starts with bytes 68 65 6c 6c");
  expectFailure(tryFile(write("short", good.substr(0, 3))), TERN_STATUS_CORRUPT, "7f 45 4c 00");
  expectFailure(tryFile(write("header", good.substr(0, 40))), TERN_STATUS_CORRUPT,
                "ELF header needs bytes 0 to 64, the file has 40");
  expectFailure(tryFile(write("fourth", good.substr(0, good.size() / 64))), TERN_STATUS_CORRUPT,
                "");
  expectFailure(tryFile(write("cut", good.substr(0, good.size() - 8))), TERN_STATUS_CORRUPT,
                "section table needs bytes");
  expectFailure(tryFile(write("bare.so", fakeLibrary())), TERN_STATUS_NOT_FOUND,
                "no section .tern.payload in the file");
}

TEST_F(Open, RefusesDamagedElfHeaders) {
  struct Case {
    const char *name;
    std::function<void(Elf64_Ehdr &)> damage;
    tern_status_t status;
    const char *words;
  } cases[] = {
      {"class", [](auto &h) { h.e_ident[EI_CLASS] = ELFCLASS32; }, TERN_STATUS_CORRUPT, "64-bit"},
      {"endian", [](auto &h) { h.e_ident[EI_DATA] = ELFDATA2MSB; }, TERN_STATUS_CORRUPT,
       "little-endian"},
      {"version", [](auto &h) { h.e_version = 2; }, TERN_STATUS_CORRUPT, "ELF version 1, found 2"},
      {"machine", [](auto &h) { h.e_machine = EM_RISCV; }, TERN_STATUS_CPU,
       "ELF machine 243, this one is"},
      {"type", [](auto &h) { h.e_type = ET_REL; }, TERN_STATUS_CORRUPT,
       "expected a shared library (ELF type 3), found ELF type 1"},
      {"phentsize", [](auto &h) { h.e_phentsize = 0; }, TERN_STATUS_CORRUPT,
       "program headers of 56 bytes, found 0"},
      {"phnum", [](auto &h) { h.e_phnum = 0; }, TERN_STATUS_CORRUPT, "no loadable"},
      {"phoff", [](auto &h) { h.e_phoff = UINT64_MAX - 8; }, TERN_STATUS_CORRUPT, ""},
      {"far", [](auto &h) { h.e_phoff = 1 << 30; }, TERN_STATUS_CORRUPT, "program header needs"},
      {"shentsize", [](auto &h) { h.e_shentsize = 1; }, TERN_STATUS_CORRUPT, "table is damaged"},
      {"shstrndx", [](auto &h) { h.e_shstrndx = 999; }, TERN_STATUS_CORRUPT, "table is damaged"},
      {"shoff", [](auto &h) { h.e_shoff = UINT64_MAX; }, TERN_STATUS_CORRUPT, "section table"},
      {"shnum", [](auto &h) { h.e_shnum = 0; }, TERN_STATUS_NOT_FOUND, "no section"},
      {"more", [](auto &h) { h.e_shnum = 60000; }, TERN_STATUS_OK, ""},
  };
  for (const Case &one : cases) {
    SCOPED_TRACE(one.name);
    std::string file = good;
    one.damage(*reinterpret_cast<Elf64_Ehdr *>(file.data()));
    expectFailure(tryFile(write(one.name, file)), one.status, one.words);
  }
}

TEST_F(Open, RefusesSegmentsPastTheEndBeforeTheyAreMapped) {
  Elf64_Ehdr header;
  std::memcpy(&header, good.data(), sizeof(header));
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    std::string file = good;
    auto *segment = reinterpret_cast<Elf64_Phdr *>(file.data() + header.e_phoff) + i;
    segment->p_filesz = file.size();
    segment->p_offset = 4096;
    segment->p_memsz = segment->p_filesz;
    if (segment->p_type != PT_NULL)
      expectFailure(tryFile(write(("s" + std::to_string(i)).c_str(), file)), TERN_STATUS_CORRUPT,
                    "truncated: segment " + std::to_string(i));
  }
}

/// In a process of its own: a damaged library may hold anything, but must not bring us down.
void expectNoCrash(const std::string &path) {
  pid_t child = fork();
  if (child == 0)
    _exit(tryFile(path).status == TERN_STATUS_INTERNAL ? 1 : 0);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << path << ", wait status " << status;
}

TEST_F(Open, SurvivesAnyByteOfTheElfHeaderChanged) {
  for (size_t i = 0; i < sizeof(Elf64_Ehdr); ++i)
    for (unsigned char flip : {0x01, 0x80, 0xff}) {
      std::string file = good;
      file[i] = char(file[i] ^ flip);
      expectNoCrash(write("byte.so", file));
    }
}

TEST_F(Open, SurvivesTruncationAnywhere) {
  for (size_t size = 0; size < good.size(); size += 1 + size / 24)
    expectFailure(tryFile(write("cut.so", good.substr(0, size))), TERN_STATUS_CORRUPT, "cut.so");
}

TEST_F(Open, RefusesALibraryThatIsNoModel) {
  std::string other = readFile(TERN_PLAIN_LIBRARY);
  expectFailure(tryFile(write("plain.so", other)), TERN_STATUS_CORRUPT, "exports no tern_query");
}

//===----------------------------------------------------------------------===//
// Payloads
//===----------------------------------------------------------------------===//

TEST(Payload, EveryByteOfHeaderAndTableIsGuarded) {
  std::string payload = fakePayload();
  ASSERT_EQ(tryMemory(payload).status, TERN_STATUS_OK);
  size_t bytes = sizeof(tern_payload_header_t) + 2 * sizeof(tern_payload_section_t);
  for (size_t i = 0; i < bytes; ++i)
    for (unsigned char flip : {0x01, 0x10, 0xff}) {
      std::string damaged = payload;
      damaged[i] = char(damaged[i] ^ flip);
      Result result = tryMemory(damaged, TERN_VERIFY_NONE);
      EXPECT_TRUE(result.status == TERN_STATUS_CORRUPT ||
                  (i == 7 && result.status == TERN_STATUS_VERSION))
          << "byte " << i << ": " << result.message;
    }
}

TEST(Payload, EveryLengthButTheRightOneIsRefused) {
  std::string payload = fakePayload();
  for (size_t size = 0; size < payload.size(); size += 1 + size / 16)
    expectFailure(tryMemory(payload.substr(0, size)), TERN_STATUS_CORRUPT, "payload: expected");
  expectFailure(tryMemory(payload + "x"), TERN_STATUS_CORRUPT, "bytes in all");
}

TEST(Payload, RefusesSealedButImplausibleTables) {
  struct Case {
    const char *name;
    std::function<void(tern_payload_header_t &, tern_payload_section_t *)> damage;
    const char *words;
  } cases[] = {
      {"no sections", [](auto &h, auto *) { h.section_count = 0; }, "1 to 64 sections, found 0"},
      {"many sections", [](auto &h, auto *) { h.section_count = 65; }, "found 65"},
      {"header bytes", [](auto &h, auto *) { h.header_bytes += 8; }, "for 2 sections, found 120"},
      {"total", [](auto &h, auto *) { h.total_bytes += 1; }, "bytes in all"},
      {"layout", [](auto &h, auto *) { h.layout_id[3] ^= 1; },
       "made for other code: expected layout 01020304"},
      {"unaligned", [](auto &, auto *s) { s[0].offset += 64; },
       "offset that is a multiple of 4096"},
      {"past the end", [](auto &, auto *s) { s[0].bytes = 1 << 20; },
       "weights section: 1048576 bytes"},
      {"far", [](auto &, auto *s) { s[1].offset = UINT64_MAX - 4; }, "card section:"},
      {"wraps", [](auto &, auto *s) { s[1].bytes = UINT64_MAX - 100; }, "card section:"},
      {"in the header", [](auto &, auto *s) { s[1].offset = 16; }, "do not lie between"},
      {"twice", [](auto &, auto *s) { s[1].kind = TERN_SECTION_WEIGHTS; }, "found twice"},
      {"overlap", [](auto &, auto *s) { s[1].offset = s[0].offset + 100; },
       "card section: overlaps the weights section"},
      {"weights", [](auto &, auto *s) { s[0].bytes -= 1; }, "weights section: expected 1280 bytes"},
      {"no weights", [](auto &, auto *s) { s[0].kind = 77; }, "expected 1280 bytes, found 0"},
      {"checksum", [](auto &, auto *s) { s[0].xxh3 ^= 1; }, "weights section: checksum differs"},
      {"card", [](auto &, auto *s) { s[1].xxh3 ^= 1; }, "card section: checksum differs"},
  };
  for (const Case &one : cases) {
    SCOPED_TRACE(one.name);
    std::string payload = fakePayload();
    auto *header = reinterpret_cast<tern_payload_header_t *>(payload.data());
    one.damage(*header, reinterpret_cast<tern_payload_section_t *>(header + 1));
    sealPayload(payload);
    expectFailure(tryMemory(payload), TERN_STATUS_CORRUPT, one.words);
  }
}

TEST(Payload, ChecksumsAreReadAsAsked) {
  std::string payload = fakePayload();
  payload[4096 + 700] ^= 4;
  expectFailure(tryMemory(payload), TERN_STATUS_CORRUPT,
                "opening a linked model: payload: weights section: checksum differs, expected ");
  expectFailure(tryMemory(payload, TERN_VERIFY_FULL), TERN_STATUS_CORRUPT, "checksum differs");
  EXPECT_EQ(tryMemory(payload, TERN_VERIFY_NONE).status, TERN_STATUS_OK);
  expectFailure(tryMemory(fakePayload(), tern_verify_t(3)), TERN_STATUS_INVALID_ARGUMENT,
                "no verify mode 3");
}

TEST(Payload, UnknownSectionsAreLeftAlone) {
  EXPECT_EQ(tryMemory(fakePayload({{99, "later"}})).status, TERN_STATUS_OK);
  std::string empty = fakePayload({{TERN_SECTION_TOKENIZER, ""}});
  EXPECT_EQ(tryMemory(empty).status, TERN_STATUS_OK);
  expectFailure(tryMemory(fakePayload({{TERN_SECTION_TOKENIZER, "garbage"}})), TERN_STATUS_CORRUPT,
                "tokenizer section: ");
}

TEST(Payload, FormatsOfLaterReleasesAskForRecompiling) {
  std::string payload = fakePayload();
  payload[7] = '2';
  expectFailure(tryMemory(payload), TERN_STATUS_VERSION, "found format '2': recompile the model");
}

TEST(Payload, MemoryMustBeAligned) {
  AlignedPayload payload(fakePayload());
  tern_model_t *model = nullptr;
  EXPECT_EQ(tern_model_open_linked(fake_query, payload.data + 64, payload.size, nullptr, &model),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_model_open_linked(nullptr, payload.data, payload.size, nullptr, &model),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(tern_model_open_linked(fake_query, payload.data, payload.size, nullptr, nullptr),
            TERN_STATUS_INVALID_ARGUMENT);
}

TEST(Payload, IsLookedForInTheProgramThatHoldsTheCode) {
  tern_model_t *model = nullptr;
  EXPECT_EQ(tern_model_open_linked(fake_query, nullptr, 0, nullptr, &model), TERN_STATUS_NOT_FOUND);
  EXPECT_STREQ(tern_error_message(), "opening a linked model: reading /proc/self/exe: no section "
                                     ".tern.payload in the file");
}

//===----------------------------------------------------------------------===//
// Descriptors
//===----------------------------------------------------------------------===//

TEST(Descriptor, ImplausibleOnesAreRefused) {
  struct Case {
    const char *name;
    std::function<void(tern_descriptor_t &)> damage;
    tern_status_t status;
    const char *words;
  } cases[] = {
      {"abi", [](auto &d) { d.abi_version = TERN_ABI_VERSION + 1; }, TERN_STATUS_VERSION,
       "compiled for runtime interface 7, this runtime has 6"},
      {"size", [](auto &d) { d.struct_size = 8; }, TERN_STATUS_CORRUPT, "bytes, found 8"},
      {"huge", [](auto &d) { d.struct_size = 1 << 20; }, TERN_STATUS_CORRUPT, "found 1048576"},
      {"version", [](auto &d) { d.compiler_version = nullptr; }, TERN_STATUS_CORRUPT,
       "no compiler version"},
      {"variants", [](auto &d) { d.variants = nullptr; }, TERN_STATUS_CORRUPT, "list of 3 levels"},
      {"none", [](auto &d) { d.variant_count = 0; }, TERN_STATUS_CORRUPT, "list of 0 levels"},
      {"many", [](auto &d) { d.variant_count = 65; }, TERN_STATUS_CORRUPT, "list of 65 levels"},
      {"rows", [](auto &d) { d.max_rows = 0; }, TERN_STATUS_CORRUPT, "max_rows is 0"},
      {"arena", [](auto &d) { d.arena_bytes = UINT64_MAX; }, TERN_STATUS_CORRUPT, "arena_bytes"},
      {"kv", [](auto &d) { d.kv_bytes_per_position = UINT64_MAX; }, TERN_STATUS_CORRUPT, "kv_"},
      {"scratch", [](auto &d) { d.scratch_bytes_per_position = UINT64_MAX; }, TERN_STATUS_CORRUPT,
       "scratch_bytes"},
      {"weights", [](auto &d) { d.weights_bytes = UINT64_MAX; }, TERN_STATUS_CORRUPT,
       "expected weights_bytes up to 70368744177664"},
      {"vocabulary", [](auto &d) { d.vocabulary = UINT32_MAX; }, TERN_STATUS_CORRUPT,
       "expected vocabulary up to 16777216, found 4294967295"},
      {"positions", [](auto &d) { d.max_positions = UINT32_MAX; }, TERN_STATUS_CORRUPT,
       "max_positions"},
      {"inputs", [](auto &d) { d.input_count = 2; }, TERN_STATUS_CORRUPT,
       "1 input, 2 indices and 1 output, found 2, 2 and 1"},
      {"level", [](auto &) { fakeVariants[1].level = nullptr; }, TERN_STATUS_CORRUPT,
       "level 1 has no name or no code"},
      {"forward", [](auto &) { fakeVariants[2].forward = nullptr; }, TERN_STATUS_CORRUPT,
       "level 2 has no name or no code"},
      {"kernels", [](auto &) { fakeVariants[1].kernels = nullptr; }, TERN_STATUS_CORRUPT,
       "level fake has an implausible list of 2 kernels"},
      {"kernel count", [](auto &) { fakeVariants[1].kernel_count = 1 << 20; }, TERN_STATUS_CORRUPT,
       "list of 1048576 kernels"},
      {"packing", [](auto &) { fakeKernels[0].packing = 5; }, TERN_STATUS_CORRUPT,
       "kernel 0 of level alien is implausible: packing 5"},
      {"kernel rows", [](auto &) { fakeKernels[1].rows = 0; }, TERN_STATUS_CORRUPT, "rows 0"},
      {"kernel k", [](auto &) { fakeKernels[1].k = 16; }, TERN_STATUS_CORRUPT, "k 16"},
      {"kernel run", [](auto &) { fakeKernels[0].run = nullptr; }, TERN_STATUS_CORRUPT, "kernel 0"},
  };
  for (const Case &one : cases) {
    SCOPED_TRACE(one.name);
    tern_descriptor_t descriptor = fakeDescriptor;
    tern_variant_t variants[3];
    tern_kernel_t kernels[3];
    std::memcpy(variants, fakeVariants, sizeof(variants));
    std::memcpy(kernels, fakeKernels, sizeof(kernels));
    one.damage(fakeDescriptor);
    expectFailure(tryMemory(fakePayload()), one.status, one.words);
    fakeDescriptor = descriptor;
    std::memcpy(fakeVariants, variants, sizeof(variants));
    std::memcpy(fakeKernels, kernels, sizeof(kernels));
  }
}

TEST(Descriptor, SidecarMustBeAPlainName) {
  for (const char *name : {"", "..", ".", "a/b", "/etc/passwd"}) {
    fakeDescriptor.sidecar = name;
    tern_model_t *model = nullptr;
    EXPECT_EQ(tern_model_open_linked(fake_query, nullptr, 0, nullptr, &model), TERN_STATUS_CORRUPT);
    EXPECT_NE(std::string(tern_error_message()).find("not a plain file name"), std::string::npos);
  }
  fakeDescriptor.sidecar = nullptr;
}

TEST(Descriptor, ALibraryOfAnotherInterfaceAsksForRecompiling) {
  tern_model_t *model = nullptr;
  auto query = [](uint32_t) -> const tern_descriptor_t * { return nullptr; };
  EXPECT_EQ(tern_model_open_linked(query, nullptr, 0, nullptr, &model), TERN_STATUS_VERSION);
}

//===----------------------------------------------------------------------===//
// Levels
//===----------------------------------------------------------------------===//

std::string levelOf(tern_model_t *model) {
  tern_model_info_t info = {};
  info.struct_size = sizeof(info);
  EXPECT_EQ(tern_model_get_info(model, &info), TERN_STATUS_OK);
  return info.level;
}

TEST(Level, AWrongKernelMakesItFallBackLoudly) {
  fakeVariants[1].kernels = &fakeKernels[1];
  std::vector<std::string> warnings;
  tern_open_options_t options = {sizeof(options), nullptr,   TERN_VERIFY_AUTO,
                                 collect,         &warnings, TERN_LOAD_AUTO};
  tern_model_t *model = openFake(&options);
  EXPECT_EQ(levelOf(model), "spare");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(
      warnings[0].find("level fake is not used, its self-test failed: kernel "
                       "gemv_two_bit_wrong: row 0 of 1, column 31 of 48 (1 groups): expected"),
      std::string::npos)
      << warnings[0];
  std::vector<std::string> lines;
  EXPECT_EQ(tern_model_self_test(model, collect, &lines), TERN_STATUS_INTERNAL);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "fake: gemv_base3_fake: ok");
  EXPECT_EQ(lines[1].substr(0, 36), "fake: gemv_two_bit_wrong: row 0 of 1");
  EXPECT_EQ(lines[2], "spare: gemv_two_bit_fake: ok");
  EXPECT_EQ(tern_model_self_test(model, nullptr, nullptr), TERN_STATUS_INTERNAL);
  tern_model_close(model);
  fakeVariants[1].kernels = fakeKernels;
}

TEST(Level, CanBeForced) {
  tern_open_options_t options = {sizeof(options), "spare", TERN_VERIFY_AUTO,
                                 nullptr,         nullptr, TERN_LOAD_AUTO};
  tern_model_t *model = openFake(&options);
  EXPECT_EQ(levelOf(model), "spare");
  EXPECT_EQ(tern_model_self_test(model, nullptr, nullptr), TERN_STATUS_OK);
  tern_model_close(model);
  AlignedPayload payload(fakePayload());
  options.level = "alien";
  EXPECT_EQ(tern_model_open_linked(fake_query, payload.data, payload.size, &options, &model),
            TERN_STATUS_CPU);
  EXPECT_STREQ(tern_error_message(), "opening a linked model: level alien needs bit 63, which this "
                                     "processor lacks");
  options.level = "x";
  EXPECT_EQ(tern_model_open_linked(fake_query, payload.data, payload.size, &options, &model),
            TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(tern_error_message(),
               "tern_model_open_linked: opening a linked model: no level x in "
               "the model, it has alien, fake, spare");
}

TEST(Level, NoneThatRunsIsAnError) {
  fakeDescriptor.variant_count = 1;
  expectFailure(tryMemory(fakePayload()), TERN_STATUS_CPU,
                "no code for this processor: level alien needs bit 63");
  fakeDescriptor.variant_count = 3;
}

//===----------------------------------------------------------------------===//
// Leaks
//===----------------------------------------------------------------------===//

size_t openFiles() {
  size_t count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder))
    ++count;
  closedir(folder);
  return count;
}

size_t mappings(const std::string &name) {
  std::string maps = readFile("/proc/self/maps");
  size_t count = 0;
  for (size_t at = 0; (at = maps.find(name, at)) != std::string::npos; ++at)
    ++count;
  return count;
}

TEST_F(Open, CyclesLeaveNothingBehind) {
  std::string path = write("cycle.so", good), bad = write("bad.so", fakeLibrary());
  size_t files = openFiles();
  for (int round = 0; round < 200; ++round) {
    tern_model_t *model = nullptr;
    tern_session_t *session = nullptr;
    ASSERT_EQ(tern_model_open(path.c_str(), nullptr, &model), TERN_STATUS_OK);
    tern_session_options_t options = {sizeof(options), 2, 8};
    ASSERT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OK);
    ASSERT_EQ(tern_decode(session, round), TERN_STATUS_OK);
    tern_session_destroy(session);
    tern_model_close(model);
    ASSERT_NE(tryFile(bad).status, TERN_STATUS_OK);
  }
  EXPECT_EQ(openFiles(), files);
  EXPECT_EQ(mappings(path), 0u);
  EXPECT_EQ(mappings(bad), 0u);
}

} // namespace
