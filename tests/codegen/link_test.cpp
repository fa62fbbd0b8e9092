//===- link_test.cpp - what a compiled library looks like -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelCase.h"

#include "codegen/RuntimeObject.h"
#include "tests/support/RandomModules.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

#include <dlfcn.h>

#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace tern;
using namespace tern::test;
using ELF = llvm::object::ELF64LE;

namespace {
class Link : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("tern-link-test", folder));
  }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string path(llvm::StringRef name) { return (folder + "/" + name).str(); }

  /// Compiles a copy of the model; the error's text, empty on success.
  std::string compile(ModelCase &model, llvm::StringRef name, CompileOptions options = {},
                      llvm::StringRef tokenizer = "tokens", llvm::StringRef card = "{}") {
    auto copy = model.copy();
    options.maxRows = 16;
    return llvm::toString(
        compileLibrary(CompileInput{*copy, nullptr, tokenizer, card}, options, path(name)));
  }
  std::string read(llvm::StringRef name) {
    auto buffer = llvm::MemoryBuffer::getFile(path(name));
    return buffer ? (*buffer)->getBuffer().str() : "";
  }
  std::vector<std::string> files() {
    std::vector<std::string> names;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator it(folder, error), end; it != end && !error;
         it.increment(error))
      names.push_back(llvm::sys::path::filename(it->path()).str());
    llvm::sort(names);
    return names;
  }

  llvm::SmallString<128> folder;
};

/// A library file, parsed.
struct Library {
  explicit Library(const std::string &bytes)
      : file(llvm::cantFail(llvm::object::ELFFile<ELF>::create(bytes))) {}

  const ELF::Shdr *section(llvm::StringRef name) {
    for (const ELF::Shdr &section : llvm::cantFail(file.sections()))
      if (llvm::cantFail(file.getSectionName(section)) == name)
        return &section;
    return nullptr;
  }
  /// Names of dynamic symbols that are defined or not.
  std::vector<std::string> dynamicSymbols(bool defined) {
    std::vector<std::string> names;
    const ELF::Shdr *table = section(".dynsym");
    llvm::StringRef strings = llvm::cantFail(file.getStringTableForSymtab(*table));
    for (const ELF::Sym &symbol : llvm::cantFail(file.symbols(table)).drop_front())
      if ((symbol.st_shndx != 0) == defined)
        names.push_back(llvm::cantFail(symbol.getName(strings)).str());
    return names;
  }

  llvm::object::ELFFile<ELF> file;
};

std::string soname(Library &library) {
  const ELF::Shdr *strings = library.section(".dynstr");
  llvm::StringRef table =
      llvm::toStringRef(llvm::cantFail(library.file.getSectionContents(*strings)));
  for (const ELF::Dyn &entry : llvm::cantFail(library.file.dynamicEntries()))
    if (entry.getTag() == llvm::ELF::DT_SONAME)
      return table.drop_front(entry.getVal()).split('\0').first.str();
  return "";
}
} // namespace

// A new file is renamed over the old one, which must not put a file in a device's place.
TEST_F(Link, RefusesPipesAndFoldersAsOutput) {
  ModelCase model(randomMlp(3));
  ASSERT_EQ(::mkfifo(path("a.so").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(path("b.so.weights").c_str(), 0600), 0);
  ASSERT_FALSE(llvm::sys::fs::create_directory(path("c.so")));
  EXPECT_EQ(compile(model, "a.so"), path("a.so") + ": expected a regular file or none");
  CompileOptions sidecar;
  sidecar.sidecar = true;
  EXPECT_EQ(compile(model, "b.so", sidecar),
            path("b.so.weights") + ": expected a regular file or none");
  EXPECT_EQ(compile(model, "c.so"), path("c.so") + ": expected a regular file or none");
  EXPECT_EQ(files(), (std::vector<std::string>{"a.so", "b.so.weights", "c.so"}));
}

TEST_F(Link, LibraryEqualsTheInterpreterOnEveryVariantOfThisCpu) {
  ModelCase model(randomDecoder(5, 3));
  ASSERT_EQ(compile(model, "model.so"), "");
  void *handle = ::dlopen(path("model.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(handle) << ::dlerror();
  auto query = reinterpret_cast<tern_query_fn>(::dlsym(handle, "tern_query"));
  ASSERT_TRUE(query);
  EXPECT_EQ(query(TERN_ABI_VERSION + 1), nullptr);
  const tern_descriptor_t *descriptor = query(TERN_ABI_VERSION);
  ASSERT_TRUE(descriptor);
  auto levels = parseTargets("all");
  ASSERT_TRUE(bool(levels)) << llvm::toString(levels.takeError());
  EXPECT_EQ(descriptor->variant_count, levels->size());
  EXPECT_EQ(descriptor->max_rows, 16u);

  std::string bytes = read("model.so");
  Library library(bytes);
  const ELF::Shdr *payload = library.section(".tern.payload");
  std::vector<CallArguments> calls = {model.arguments(1, 4, 0, 2), model.arguments(2, 1, 4, 1)};
  std::vector<CallResults> expected = model.interpret(calls);
  std::unique_ptr<void, decltype(&std::free)> aligned(
      std::aligned_alloc(4096, (payload->sh_size + 4095) / 4096 * 4096), &std::free);
  std::memcpy(aligned.get(), bytes.data() + payload->sh_offset, payload->sh_size);
  for (uint32_t variant = 0; variant < descriptor->variant_count; ++variant) {
    if (!hostCanRun(descriptor->variants[variant].cpu_features))
      continue;
    auto found = model.run(descriptor, static_cast<uint8_t *>(aligned.get()), variant, 2, calls);
    EXPECT_EQ(difference(expected, found), "") << descriptor->variants[variant].level;
  }
  ::dlclose(handle);
}

TEST_F(Link, LibraryExportsOneSymbolAndNeedsNone) {
  ModelCase model(randomDecoder(6, 2));
  ASSERT_EQ(compile(model, "some name.so"), "");
  std::string bytes = read("some name.so");
  Library library(bytes);
  EXPECT_EQ(library.dynamicSymbols(true), std::vector<std::string>{"tern_query"});
  EXPECT_EQ(library.dynamicSymbols(false), std::vector<std::string>{});
  EXPECT_EQ(soname(library), "some name.so");
  for (const ELF::Dyn &entry : llvm::cantFail(library.file.dynamicEntries()))
    EXPECT_NE(entry.getTag(), llvm::ELF::DT_NEEDED);
}

TEST_F(Link, PayloadIsAlignedNotLoadedAndHashed) {
  ModelCase model(randomMlp(3));
  ASSERT_EQ(compile(model, "model.so", {}, "some tokens", "{\"a\": 1}"), "");
  std::string bytes = read("model.so");
  Library library(bytes);
  const ELF::Shdr *section = library.section(".tern.payload");
  ASSERT_TRUE(section);
  EXPECT_EQ(section->sh_offset % 4096, 0u);
  EXPECT_EQ(section->sh_flags & llvm::ELF::SHF_ALLOC, 0u);
  ASSERT_EQ(section->sh_offset + section->sh_size, bytes.size());
  std::string payload = bytes.substr(section->sh_offset);
  auto *data = reinterpret_cast<const uint8_t *>(payload.data());
  tern_payload_header_t header;
  std::memcpy(&header, data, sizeof(header));
  EXPECT_EQ(std::memcmp(header.magic, TERN_PAYLOAD_MAGIC, 8), 0);
  EXPECT_EQ(header.total_bytes, payload.size());
  EXPECT_EQ(header.section_count, 3u);
  for (uint32_t kind : {TERN_SECTION_TOKENIZER, TERN_SECTION_CARD, TERN_SECTION_WEIGHTS}) {
    const tern_payload_section_t *entry = findSection(data, kind);
    ASSERT_TRUE(entry);
    ASSERT_LE(entry->offset + entry->bytes, payload.size());
    EXPECT_EQ(XXH3_64bits(data + entry->offset, entry->bytes), entry->xxh3) << "section " << kind;
  }
  const tern_payload_section_t *card = findSection(data, TERN_SECTION_CARD);
  EXPECT_EQ(payload.substr(card->offset, card->bytes), "{\"a\": 1}");
  EXPECT_EQ(findSection(data, TERN_SECTION_WEIGHTS)->offset % 4096, 0u);
  std::string head = payload.substr(0, header.header_bytes);
  std::memset(head.data() + offsetof(tern_payload_header_t, header_xxh3), 0, 8);
  EXPECT_EQ(XXH3_64bits(head.data(), head.size()), header.header_xxh3);
}

TEST_F(Link, SameInputGivesTheSameBytes) {
  ModelCase model(randomDecoder(7, 2));
  ASSERT_TRUE(llvm::sys::fs::create_directory(path("other")) == std::error_code());
  ASSERT_EQ(compile(model, "model.so"), "");
  ASSERT_EQ(compile(model, "other/model.so"), "");
  EXPECT_TRUE(read("model.so") == read("other/model.so"));
}

TEST_F(Link, CodeSizeDoesNotDependOnTheNumberOfLayers) {
  uint64_t sizes[2];
  for (int i = 0; i < 2; ++i) {
    ModelCase model(randomDecoder(8, i ? 20 : 2));
    ASSERT_EQ(compile(model, "model.so"), "");
    std::string bytes = read("model.so");
    sizes[i] = Library(bytes).section(".text")->sh_size;
  }
  // A layer's code would be kilobytes; the distance between blocks of the cache, a constant that
  // grows with the layers, is multiplied with in one instruction or several.
  EXPECT_NEAR(static_cast<double>(sizes[0]), static_cast<double>(sizes[1]), 256);
}

TEST_F(Link, SidecarHoldsThePayloadAndTheLayoutId) {
  ModelCase model(randomMlp(4));
  CompileOptions options;
  options.sidecar = true;
  ASSERT_EQ(compile(model, "model.so", options), "");
  EXPECT_EQ(files(), (std::vector<std::string>{"model.so", "model.so.weights"}));
  std::string payload = read("model.so.weights");
  ASSERT_GE(payload.size(), sizeof(tern_payload_header_t));
  tern_payload_header_t header;
  std::memcpy(&header, payload.data(), sizeof(header));
  EXPECT_EQ(header.total_bytes, payload.size());
  void *handle = ::dlopen(path("model.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(handle) << ::dlerror();
  auto query = reinterpret_cast<tern_query_fn>(::dlsym(handle, "tern_query"));
  const tern_descriptor_t *descriptor = query(TERN_ABI_VERSION);
  EXPECT_STREQ(descriptor->sidecar, "model.so.weights");
  EXPECT_EQ(std::memcmp(descriptor->layout_id, header.layout_id, 16), 0);
  ::dlclose(handle);
}

TEST_F(Link, FailedCompilationLeavesTheOldLibrary) {
  ModelCase good(randomMlp(5));
  ASSERT_EQ(compile(good, "model.so"), "");
  std::string before = read("model.so");
  ModelCase missing(
      "module attributes {ternary.files = [\"absent\"]} {\n"
      "  ternary.weight @w : tensor<16x64x!ternary.trit> from [#ternary.source<file = 0, "
      "offset = 0, bytes = 256, shape = [16, 64], encoding = hf_u8>]\n"
      "  ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 256, "
      "bytes = 4, shape = [1], encoding = f32>]\n"
      "  func.func @main(%x: tensor<?x64xf32>) -> tensor<?x16xf32> attributes {ternary.entry} {\n"
      "    %w = ternary.load @w : tensor<16x64x!ternary.trit>\n"
      "    %s = ternary.load @s : tensor<1xf32>\n"
      "    %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x64xf32>, "
      "tensor<16x64x!ternary.trit>, tensor<1xf32> -> tensor<?x16xf32>\n"
      "    return %y : tensor<?x16xf32>\n  }\n}\n");
  ASSERT_TRUE(missing.module());
  EXPECT_NE(compile(missing, "model.so"), "");
  EXPECT_TRUE(read("model.so") == before);
  EXPECT_EQ(files(), std::vector<std::string>{"model.so"});
}

TEST_F(Link, UnwritablePlaceIsAnError) {
  ModelCase model(randomMlp(5));
  std::string error = compile(model, "absent/model.so");
  EXPECT_NE(error.find("absent/model.so"), std::string::npos) << error;
}

TEST_F(Link, StandaloneLibraryBringsTheRuntime) {
  ModelCase model(randomDecoder(9, 2));
  CompileOptions options;
  options.standalone = true;
  Bytes runtime = runtimeObject();
  options.runtimeObject = {runtime.data, runtime.size};
  ASSERT_EQ(compile(model, "model.so", options), "");
  std::string bytes = read("model.so");
  Library library(bytes);
  std::vector<std::string> symbols = library.dynamicSymbols(true);
  EXPECT_TRUE(llvm::is_contained(symbols, "tern_query"));
  EXPECT_TRUE(llvm::is_contained(symbols, "tern_model_open"));
  for (const std::string &symbol : symbols)
    EXPECT_EQ(symbol.substr(0, 5), "tern_") << symbol;
  const ELF::Shdr *payload = library.section(".tern.payload");
  ASSERT_TRUE(payload) << "the section must survive";
  EXPECT_EQ(payload->sh_offset + payload->sh_size, bytes.size());
  void *handle = ::dlopen(path("model.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  EXPECT_TRUE(handle) << ::dlerror();
  if (handle)
    ::dlclose(handle);
}

TEST_F(Link, StandaloneWithoutARuntimeIsAnError) {
  ModelCase model(randomMlp(5));
  CompileOptions options;
  options.standalone = true;
  EXPECT_NE(compile(model, "model.so", options).find("no runtime"), std::string::npos);
  EXPECT_EQ(files(), std::vector<std::string>{});
}
