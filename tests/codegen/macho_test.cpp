//===- macho_test.cpp - libraries for macOS, read back --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The runtime's reader of Mach-O, on a library that the compiler wrote.

#include "ModelCase.h"

#include "runtime/MachO.h"
#include "runtime/Payload.h"
#include "tests/support/RandomModules.h"
#include "tests/support/TempFolder.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

using namespace tern;
using namespace tern::test;

namespace {

constexpr char kSection[] = "__TERN,__payload";

class MachO : public testing::Test {
protected:
  std::string path(const std::string &name) { return folder.path() + "/" + name; }

  /// The same model for every target.
  void compile(const std::string &target, const std::string &name) {
    ModelCase model(randomMlp(3));
    auto copy = model.copy();
    CompileOptions options;
    options.maxRows = 16;
    options.targets = llvm::cantFail(parseTargets(target));
    ASSERT_EQ(llvm::toString(compileLibrary(CompileInput{*copy, nullptr, "tokens", "{}"}, options,
                                            path(name))),
              "");
  }
  std::string read(const std::string &name) {
    std::ostringstream text;
    text << std::ifstream(path(name), std::ios::binary).rdbuf();
    return text.str();
  }
  File write(const std::string &bytes) {
    std::ofstream(path("changed"), std::ios::binary) << bytes;
    File file;
    EXPECT_TRUE(File::open(path("changed").c_str(), &file).ok());
    return file;
  }

  TempFolder folder;
};

std::string messageOf(const Status &status) { return status.ok() ? "" : status.message(); }

} // namespace

TEST_F(MachO, PayloadIsFoundAndEqualsThatOfLinux) {
  compile("apple-m1", "model.dylib");
  compile("aarch64-dotprod", "model.so");
  File library;
  ASSERT_TRUE(File::open(path("model.dylib").c_str(), &library).ok());
  EXPECT_EQ(messageOf(checkMachO(library, false, kMachOArm)), "");
  FileRange range;
  ASSERT_EQ(messageOf(findMachOSection(library, kSection, kMachOArm, &range)), "");
  ASSERT_NE(range.bytes, 0u);
  // Pages of this kind of CPU have 16 KiB.
  EXPECT_EQ(range.offset % 16384, 0u);
  Payload payload;
  ASSERT_EQ(messageOf(Payload::map(library, range, &payload)), "");
  EXPECT_EQ(messageOf(payload.checkStructure()), "");
  EXPECT_EQ(payload.section(TERN_SECTION_TOKENIZER), "tokens");

  std::string bytes = read("model.dylib"), elf = read("model.so");
  EXPECT_NE(elf.find(bytes.substr(range.offset, range.bytes)), std::string::npos);

  FileRange none;
  EXPECT_EQ(messageOf(findMachOSection(library, "__TERN,__other", kMachOArm, &none)), "");
  EXPECT_EQ(none.bytes, 0u);
}

TEST_F(MachO, RefusesOtherFiles) {
  compile("apple-m1", "model.dylib");
  compile("aarch64-dotprod", "model.so");
  File library, elf;
  ASSERT_TRUE(File::open(path("model.dylib").c_str(), &library).ok());
  ASSERT_TRUE(File::open(path("model.so").c_str(), &elf).ok());
  EXPECT_EQ(messageOf(checkMachO(library, false, kMachOX86)),
            "compiled for another kind of processor: Mach-O type 0x100000c, this one is 0x1000007");
  EXPECT_EQ(messageOf(checkMachO(elf, false, kMachOArm)),
            "expected a compiled model (a 64-bit Mach-O library), found a file that starts with "
            "bytes 7f 45 4c 46");
  EXPECT_EQ(messageOf(checkMachO(write(""), false, kMachOArm)),
            "expected a compiled model, found an empty file");
  std::string program = read("model.dylib");
  program[12] = 2; // the file's type: an executable
  File changed = write(program);
  EXPECT_EQ(messageOf(checkMachO(changed, false, kMachOArm)),
            "expected a library (Mach-O file type 6), found type 2");
  EXPECT_EQ(messageOf(checkMachO(changed, true, kMachOArm)), "");
}

TEST_F(MachO, NoDamageIsRead) {
  compile("apple-m1", "model.dylib");
  const std::string whole = read("model.dylib");
  const std::string place = path("changed");
  std::mt19937 random(20260401);
  // Cut anywhere: what is missing is a segment's, the last of which ends with the file.
  write(whole);
  for (size_t size = whole.size() - 1; size > 0;
       size -= std::min<size_t>(size, 1 + random() % (size < 4096 ? 16 : 4096))) {
    std::filesystem::resize_file(place, size);
    File file;
    ASSERT_TRUE(File::open(place.c_str(), &file).ok());
    EXPECT_NE(messageOf(checkMachO(file, false, kMachOArm)), "") << size;
  }
  // Changed words of header and commands are refused, or the section found lies in the file.
  File file = write(whole);
  std::fstream changed(place, std::ios::binary | std::ios::in | std::ios::out);
  auto put = [&](size_t at, const void *bytes) {
    changed.seekp(static_cast<std::streamoff>(at));
    changed.write(static_cast<const char *>(bytes), 4).flush();
  };
  uint32_t commandBytes;
  std::memcpy(&commandBytes, &whole[20], sizeof(commandBytes));
  for (size_t at = 0; at < 32 + commandBytes; at += 4) {
    for (uint32_t word : {0u, 1u, 7u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      put(at, &word);
      FileRange range;
      if (checkMachO(file, false, kMachOArm).ok() &&
          findMachOSection(file, kSection, kMachOArm, &range).ok()) {
        EXPECT_TRUE(file.holds(range.offset, range.bytes)) << at << " " << word;
      }
    }
    put(at, &whole[at]);
  }
  EXPECT_EQ(messageOf(checkMachO(file, false, kMachOArm)), "");
}
