//===- gguf_test.cpp - reading GGUF files ---------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Gguf.h"
#include "tests/support/TestCheckpoint.h"
#include "tests/support/TestGguf.h"

#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>

using namespace tern::import;
using namespace tern::test;
using llvm::ArrayRef;
using llvm::StringRef;

namespace {
template <typename T> std::string raw(T value) { return TestGguf::raw(value); }

template <typename T> std::string message(llvm::Expected<T> value) {
  return value ? "no error" : llvm::toString(value.takeError());
}

/// An empty file, for tests of one thing.
TestGguf empty() { return {}; }

void addTensor(TestGguf &file, std::string name, std::vector<uint64_t> dims, uint32_t type,
               size_t bytes) {
  file.tensors.push_back({std::move(name), std::move(dims), type, std::string(bytes, '\0')});
}

/// The types of a model's tensors, or the error of opening it.
std::string open(const TestGguf &file) {
  TempFolder folder;
  folder.write("m.gguf", file.bytes());
  llvm::Expected<GgufFile> model = GgufFile::open(folder / "m.gguf");
  if (!model) {
    std::string text = llvm::toString(model.takeError()), prefix = folder / "m.gguf: ";
    return StringRef(text).starts_with(prefix) ? text.substr(prefix.size()) : text;
  }
  std::string types;
  for (const TensorInfo &tensor : model->checkpoint().tensors())
    types += tensor.dtype + " ";
  return types;
}

/// The error or dtype of one matrix of 64 rows of 256 with so many bytes, followed by another.
std::string openOne(uint32_t type, size_t bytes) {
  TestGguf file = empty();
  addTensor(file, "w", {256, 64}, type, bytes);
  addTensor(file, "end", {8}, 0, 32);
  return open(file);
}
} // namespace

//===----------------------------------------------------------------------===//
// Metadata
//===----------------------------------------------------------------------===//

TEST(GgufMetadata, ReadsEveryValueType) {
  TestGguf file = empty();
  file.set("u8", 0, raw<uint8_t>(200));
  file.set("i8", 1, raw<int8_t>(-3));
  file.set("u16", 2, raw<uint16_t>(65535));
  file.set("i16", 3, raw<int16_t>(-300));
  file.set("u32", 4, raw<uint32_t>(4000000000));
  file.set("i32", 5, raw<int32_t>(-70000));
  file.set("f32", 6, raw(0.5f));
  file.set("bool", 7, raw<uint8_t>(1));
  file.setString("string", "text");
  file.set("u64", 10, raw<uint64_t>(INT64_MAX));
  file.set("i64", 11, raw<int64_t>(INT64_MIN));
  file.set("f64", 12, raw(0.25));
  std::string bytes = file.bytes();
  GgufHeader header = llvm::cantFail(parseGguf("f", llvm::arrayRefFromStringRef(bytes)));
  const GgufMetadata &keys = header.metadata;
  const std::pair<const char *, int64_t> integers[] = {
      {"u8", 200},         {"i8", -3},      {"u16", 65535},     {"i16", -300},
      {"u32", 4000000000}, {"i32", -70000}, {"u64", INT64_MAX}, {"i64", INT64_MIN}};
  for (auto [key, value] : integers)
    EXPECT_EQ(llvm::cantFail(keys.getInteger(key)), value) << key;
  EXPECT_EQ(llvm::cantFail(keys.getNumber("f32")), 0.5);
  EXPECT_EQ(llvm::cantFail(keys.getNumber("f64")), 0.25);
  EXPECT_TRUE(llvm::cantFail(keys.getBoolean("bool")));
  EXPECT_EQ(llvm::cantFail(keys.getString("string")), "text");
  EXPECT_EQ(llvm::cantFail(keys.getIntegerOr("none", 7)), 7);
  EXPECT_EQ(llvm::cantFail(keys.getNumberOr("none", 7.5)), 7.5);
  EXPECT_TRUE(llvm::cantFail(keys.getBooleanOr("none", true)));
  EXPECT_EQ(llvm::cantFail(keys.getStringOr("none", "x")), "x");
  EXPECT_EQ(keys.entries().size(), 12u);
  EXPECT_EQ(keys.entries().front().key, "u8");
}

TEST(GgufMetadata, ReadsArraysWithoutCopyingStrings) {
  TestGguf file = empty();
  std::string odd = "\xff\x00z";
  file.set("strings", 9, TestGguf::strings({"", "ab", odd}));
  file.set("none", 9, TestGguf::strings({}));
  file.set("integers", 9, TestGguf::numbers<int32_t>(5, {1, -2, 3}));
  file.set("bytes", 9, TestGguf::numbers<uint8_t>(0, {9, 8}));
  file.set("numbers", 9, TestGguf::numbers<float>(6, {0.5f, -1.0f}));
  std::string bytes = file.bytes();
  GgufHeader header = llvm::cantFail(parseGguf("f", llvm::arrayRefFromStringRef(bytes)));
  const GgufMetadata &keys = header.metadata;
  std::vector<StringRef> strings = llvm::cantFail(keys.getStrings("strings"));
  EXPECT_EQ(strings, (std::vector<StringRef>{"", "ab", odd}));
  EXPECT_TRUE(strings[1].data() > bytes.data() && strings[1].data() < bytes.data() + bytes.size());
  EXPECT_TRUE(llvm::cantFail(keys.getStrings("none")).empty());
  EXPECT_EQ(llvm::cantFail(keys.getIntegers("integers")), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(llvm::cantFail(keys.getIntegers("bytes")), (std::vector<int64_t>{9, 8}));
  EXPECT_EQ(llvm::cantFail(keys.getNumbers("numbers")), (std::vector<float>{0.5f, -1.0f}));
  EXPECT_EQ(message(keys.getIntegers("integers", 0)),
            "f: integers[1]: expected an integer from 0 to 9223372036854775807, found -2");
  EXPECT_EQ(message(keys.getStrings("integers")),
            "f: integers: expected an array of strings, found an array of 3 elements of type i32");
}

TEST(GgufMetadata, NamesWhatIsWrong) {
  TestGguf file = empty();
  file.setNumber("u", 7);
  file.set("big", 10, raw<uint64_t>(UINT64_MAX));
  file.setReal("nan", NAN);
  file.set("nans", 9, TestGguf::numbers<float>(6, {0.0f, INFINITY}));
  file.set("wide", 9, TestGguf::numbers<double>(12, {1e300}));
  std::string bytes = file.bytes();
  GgufHeader header = llvm::cantFail(parseGguf("f", llvm::arrayRefFromStringRef(bytes)));
  const GgufMetadata &keys = header.metadata;
  EXPECT_EQ(message(keys.getInteger("none")), "f: none: this metadata key is missing");
  EXPECT_EQ(message(keys.getInteger("u", 8, 9)), "f: u: expected an integer from 8 to 9, found 7");
  EXPECT_EQ(message(keys.getInteger("big", 0, 9)),
            "f: big: expected an integer from 0 to 9, found 18446744073709551615");
  EXPECT_EQ(message(keys.getString("u")), "f: u: expected a string, found u32");
  EXPECT_EQ(message(keys.getBoolean("u")), "f: u: expected a bool, found u32");
  EXPECT_EQ(message(keys.getNumber("u")), "f: u: expected f32 or f64, found u32");
  EXPECT_EQ(message(keys.getInteger("nan")), "f: nan: expected an integer, found f32");
  EXPECT_EQ(message(keys.getNumber("nan")), "f: nan: expected a finite number");
  EXPECT_EQ(message(keys.getNumbers("nans")), "f: nans[1]: expected a finite number");
  EXPECT_EQ(message(keys.getNumbers("wide")), "f: wide[0]: expected a finite number");
  EXPECT_EQ(message(keys.getStringOr("u", "")), "f: u: expected a string, found u32");
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

TEST(Gguf, ListsTensorsOfEveryTypeWithTheirSizes) {
  struct Case {
    uint32_t type;
    const char *name;
    uint64_t bytes; ///< of 64 rows of 256
  };
  const Case cases[] = {{0, "F32", 65536},        {1, "F16", 32768},       {30, "BF16", 32768},
                        {2, "Q4_0", 9216},        {3, "Q4_1", 10240},      {6, "Q5_0", 11264},
                        {8, "Q8_0", 17408},       {12, "Q4_K", 9216},      {13, "Q5_K", 11264},
                        {14, "Q6_K", 13440},      {34, "TQ1_0", 3456},     {35, "TQ2_0", 4224},
                        {36, "I2_S", 4128},       {142, "PQ2_0", 4352},    {143, "PTQ1_0", 3584},
                        {134, "IQ1_BN", 54 * 64}, {135, "IQ2_BN", 68 * 64}};
  for (uint32_t version : {2, 3}) {
    TestGguf file = empty();
    file.version = version;
    file.alignment = 64;
    file.setNumber("general.alignment", 64);
    for (const Case &c : cases)
      addTensor(file, c.name, {256, 64}, c.type, c.bytes);
    TempFolder folder;
    folder.write("m.gguf", file.bytes());
    llvm::Expected<GgufFile> model = GgufFile::open(folder / "m.gguf");
    ASSERT_TRUE(static_cast<bool>(model)) << llvm::toString(model.takeError());
    const Checkpoint &checkpoint = model->checkpoint();
    EXPECT_EQ(checkpoint.files(), std::vector<std::string>{"m.gguf"});
    ASSERT_EQ(checkpoint.tensors().size(), std::size(cases));
    uint64_t end = 0;
    for (const Case &c : cases) {
      const TensorInfo *tensor = checkpoint.find(c.name);
      ASSERT_TRUE(tensor);
      EXPECT_EQ(tensor->dtype, c.name);
      EXPECT_EQ(tensor->bytes, c.bytes);
      EXPECT_EQ(tensor->shape, (llvm::SmallVector<int64_t, 4>{64, 256}));
      EXPECT_EQ(tensor->offset % 64, 0u);
      EXPECT_GE(tensor->offset, end);
      end = tensor->offset + tensor->bytes;
      EXPECT_EQ(checkpoint.bytes(*tensor).size(), c.bytes);
    }
    EXPECT_TRUE(model->warnings().empty());
    EXPECT_TRUE(GgufFile::isGguf(folder / "m.gguf"));
    EXPECT_FALSE(GgufFile::isGguf(folder.path()));
    EXPECT_FALSE(GgufFile::isGguf(folder / "none"));
  }
}

TEST(Gguf, OddAlignmentIsAWarning) {
  TestGguf file = empty();
  file.alignment = 4;
  file.setNumber("general.alignment", 4);
  addTensor(file, "a", {3}, 0, 12);
  addTensor(file, "b", {1}, 0, 4);
  TempFolder folder;
  folder.write("m.gguf", file.bytes());
  GgufFile model = llvm::cantFail(GgufFile::open(folder / "m.gguf"));
  ASSERT_EQ(model.warnings().size(), 1u);
  EXPECT_EQ(model.warnings()[0],
            "general.alignment is 4, though the format asks for a multiple of 8");
}

TEST(Gguf, BytesAfterTheLastTensorAreAWarning) {
  TestGguf file = empty();
  addTensor(file, "a", {5}, 0, 20);
  TempFolder folder;
  folder.write("m.gguf", file.bytes() + "surplus");
  GgufFile model = llvm::cantFail(GgufFile::open(folder / "m.gguf"));
  ASSERT_EQ(model.warnings().size(), 1u);
  EXPECT_EQ(model.warnings()[0], "m.gguf: 7 bytes follow the last tensor and are not read");
}

//===----------------------------------------------------------------------===//
// Numbers with several meanings
//===----------------------------------------------------------------------===//

TEST(GgufTypes, Type42IsSettledBySizeForTheWholeFile) {
  EXPECT_EQ(openOne(42, 64 * 256 / 64 * 18), "Q2_0 F32 ");
  EXPECT_EQ(openOne(42, 64 * 256 / 128 * 34), "PQ2_0 F32 ");
  EXPECT_EQ(openOne(42, 64 * 256 / 4),
            "tensor \"w\": type 42 has 4096 bytes of room: Q2_0 in groups of 64 needs 4608 bytes, "
            "and the legacy Q2_0 in groups of 128 4352 bytes; this may be another fork's type: "
            "convert the original model to TQ2_0");

  TestGguf mixed = empty();
  addTensor(mixed, "a", {256, 64}, 42, 4608);
  addTensor(mixed, "b", {256, 64}, 42, 4352);
  EXPECT_EQ(open(mixed),
            "tensor \"b\": type 42 has 4352 bytes of room: Q2_0 in groups of 64 needs 4608 bytes, "
            "and groups of 128 do not fit tensor \"a\"; this may be another fork's type: convert "
            "the original model to TQ2_0");

  // 36 and 34 bytes both fill 64; one more tensor decides for all.
  TestGguf tiny = empty();
  addTensor(tiny, "a", {128}, 42, 36);
  EXPECT_TRUE(StringRef(open(tiny))
                  .starts_with("tensor \"a\": type 42 fits both Q2_0 in groups of 64 and the "
                               "legacy Q2_0 in groups of 128, "));
  addTensor(tiny, "b", {256, 64}, 42, 4608);
  EXPECT_EQ(open(tiny), "Q2_0 Q2_0 ");
  addTensor(tiny, "c", {64}, 42, 18);
  EXPECT_EQ(open(tiny), "Q2_0 Q2_0 Q2_0 ");

  // general.file_type says nothing.
  TestGguf typed = empty();
  typed.setNumber("general.file_type", 40);
  addTensor(typed, "a", {256, 64}, 42, 4352);
  EXPECT_EQ(open(typed), "PQ2_0 ");
}

TEST(GgufTypes, Type36IsI2SOrARemovedType) {
  EXPECT_EQ(openOne(36, 64 * 256 / 4 + 32), "I2_S F32 ");
  EXPECT_EQ(
      openOne(36, 64 * 256 / 32 * 18),
      "tensor \"w\": type 36 (IQ4_NL_4_4): its rows are interleaved for one engine's kernels; "
      "convert the original model again, to I2_S, TQ2_0 or TQ1_0, without run-time "
      "repacking");
  EXPECT_EQ(openOne(36, 64 * 256 / 4),
            "tensor \"w\": type 36 has more than one meaning: I2_S needs 4128 bytes, found 4096 to "
            "the next tensor or the end of the file; IQ4_NL_4_4 of older llama.cpp does not fit "
            "either");
}

TEST(GgufTypes, Type39IsMXFP4OrTL2AndNeitherIsRead) {
  EXPECT_NE(openOne(39, 64 * 256 / 32 * 17).find("type 39 (MXFP4): it is neither ternary"),
            std::string::npos);
  EXPECT_NE(openOne(39, 4096).find("type 39 (TL2): the order of its elements depends on tile"),
            std::string::npos);
}

TEST(GgufTypes, NumbersOfForksAreTakenOnlyWhereTheBytesFit) {
  EXPECT_EQ(openOne(143, 64 * 256 / 128 * 28), "PTQ1_0 F32 ");
  EXPECT_EQ(openOne(142, 64 * 256 / 128 * 34), "PQ2_0 F32 ");
  EXPECT_EQ(
      openOne(143, 64 * 256),
      "tensor \"w\": type 143 has more than one meaning: PTQ1_0 needs 3584 bytes, found 16384 "
      "to the next tensor or the end of the file; other forks give the number to types that "
      "are not read: convert the original model to TQ2_0");
  for (uint32_t type : {134, 135, 142})
    EXPECT_NE(openOne(type, 5000).find("has more than one meaning"), std::string::npos);
}

TEST(GgufTypes, EveryRefusalSaysWhatToDo) {
  for (uint32_t type = 0; type < 420; ++type) {
    std::string text = openOne(type, 64 * 256 * 4);
    if (StringRef(text).ends_with("F32 "))
      continue;
    EXPECT_TRUE(StringRef(text).starts_with("tensor \"w\": type " + std::to_string(type))) << text;
    EXPECT_TRUE(StringRef(text).contains("convert the original model") ||
                StringRef(text).contains("binary models are not read") ||
                StringRef(text).contains("does not fit either"))
        << text;
  }
}

//===----------------------------------------------------------------------===//
// Split models
//===----------------------------------------------------------------------===//

namespace {
TestGguf part(unsigned number, unsigned count, int32_t tensors) {
  TestGguf file = empty();
  file.set("split.no", 2, raw<uint16_t>(number));
  file.set("split.count", 2, raw<uint16_t>(count));
  file.set("split.tensors.count", 5, raw(tensors));
  if (number == 0)
    file.setString("general.name", "whole");
  addTensor(file, "t" + std::to_string(number), {256, 64}, 42, 4608);
  return file;
}
std::string partName(int number) {
  return "m-0000" + std::to_string(number + 1) + "-of-00003.gguf";
}
} // namespace

TEST(GgufSplit, PartsMakeOneModel) {
  TempFolder folder;
  for (int i = 0; i < 3; ++i)
    folder.write(partName(i), part(i, 3, 3).bytes());
  llvm::Expected<GgufFile> model = GgufFile::open(folder / partName(0));
  ASSERT_TRUE(static_cast<bool>(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(model->checkpoint().files(),
            (std::vector<std::string>{partName(0), partName(1), partName(2)}));
  for (unsigned i = 0; i < 3; ++i) {
    const TensorInfo *tensor = model->checkpoint().find("t" + std::to_string(i));
    ASSERT_TRUE(tensor);
    EXPECT_EQ(tensor->file, i);
    EXPECT_EQ(tensor->dtype, "Q2_0");
  }
  EXPECT_EQ(llvm::cantFail(model->metadata().getString("general.name")), "whole");
}

TEST(GgufSplit, WrongPartsAreNamed) {
  TempFolder folder;
  auto error = [&](std::string name) {
    std::string text = message(GgufFile::open(folder / name)), prefix = folder.path() + "/";
    for (size_t at; (at = text.find(prefix)) != std::string::npos;)
      text.erase(at, prefix.size());
    return text;
  };
  folder.write(partName(0), part(0, 3, 3).bytes());
  folder.write(partName(1), part(1, 3, 3).bytes());
  EXPECT_EQ(error(partName(0)), "m-00003-of-00003.gguf: No such file or directory");
  EXPECT_EQ(error(partName(1)), "m-00002-of-00003.gguf: this is part 2 of 3: open the first one, "
                                "m-00001-of-00003.gguf");
  folder.write(partName(2), part(1, 3, 3).bytes());
  EXPECT_EQ(error(partName(0)),
            "m-00003-of-00003.gguf: split.no: expected an integer from 2 to 2, found 1");
  folder.write(partName(2), part(2, 4, 3).bytes());
  EXPECT_EQ(error(partName(0)),
            "m-00003-of-00003.gguf: split.count: expected an integer from 3 to 3, found 4");
  TestGguf same = part(2, 3, 3);
  same.tensors[0].name = "t1";
  folder.write(partName(2), same.bytes());
  EXPECT_EQ(error(partName(0)),
            "m-00003-of-00003.gguf: tensor \"t1\" is also in m-00002-of-00003.gguf");
  folder.write(partName(2), part(2, 3, 3).bytes());
  folder.write(partName(0), part(0, 3, 4).bytes());
  EXPECT_EQ(error(partName(0)), "m-00001-of-00003.gguf: split.tensors.count: expected an integer "
                                "from 3 to 3, found 4");
  folder.write("renamed.gguf", part(0, 3, 3).bytes());
  EXPECT_EQ(error("renamed.gguf"), "renamed.gguf: expected a name that ends with "
                                   "-00001-of-00003.gguf, since this is part 1 of 3");
  folder.write("renamed.gguf", part(0, 60000, 3).bytes());
  EXPECT_EQ(error("renamed.gguf"),
            "renamed.gguf: split.count: expected an integer from 0 to 4096, found 60000");
}

//===----------------------------------------------------------------------===//
// Bad and large files
//===----------------------------------------------------------------------===//

TEST(Gguf, EveryPrefixAndMutationIsRefusedOrRead) {
  TestGguf file = empty();
  file.set("strings", 9, TestGguf::strings({"a", "bc"}));
  file.setReal("real", 1);
  addTensor(file, "w", {256, 2}, 34, 108);
  addTensor(file, "v", {8}, 0, 32);
  std::string bytes = file.bytes();
  auto read = [](const std::string &text) {
    llvm::Expected<GgufHeader> header = parseGguf("f", llvm::arrayRefFromStringRef(text));
    if (!header)
      return message(std::move(header));
    return message(resolveTensors("f", *header, Q2Group::G64));
  };
  EXPECT_EQ(read(bytes), "no error");
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_TRUE(StringRef(read(bytes.substr(0, size))).starts_with("f: ")) << size;
  for (size_t at = 0; at < bytes.size(); ++at)
    for (int value : {0, 1, 0x7f, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      (void)read(changed);
    }
}

TEST(Gguf, ATwoBillionWeightModelIsListedInAnInstant) {
  TestGguf file = empty();
  std::vector<std::string> tokens;
  for (int i = 0; i < 128256; ++i)
    tokens.push_back("token" + std::to_string(i));
  file.set("tokenizer.ggml.tokens", 9, TestGguf::strings(tokens));
  std::string names[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                         "ffn_gate", "ffn_up", "ffn_down"};
  std::string head = file.bytes();
  // Offsets are written, data are not: the file is sparse.
  uint64_t offset = 0, count = 0;
  std::string infos;
  for (int layer = 0; layer < 30; ++layer)
    for (const std::string &name : names) {
      std::string full = "blk." + std::to_string(layer) + "." + name + ".weight";
      infos += TestGguf::text(full) + raw<uint32_t>(2) + raw<uint64_t>(2560) + raw<uint64_t>(4096) +
               raw<uint32_t>(36) + raw(offset);
      offset += 2560 * 4096 / 4 + 32;
      ++count;
    }
  head.replace(8, 8, raw(count));
  size_t end = 24;
  end += 8 + 21 + 4; // the one key
  end += 4 + 8;
  for (const std::string &token : tokens)
    end += 8 + token.size();
  head = head.substr(0, end) + infos;
  head.resize((head.size() + 31) / 32 * 32);
  TempFolder folder;
  folder.write("large.gguf", head);
  std::filesystem::resize_file(folder / "large.gguf", head.size() + offset);
  auto start = std::chrono::steady_clock::now();
  llvm::Expected<GgufFile> model = GgufFile::open(folder / "large.gguf");
  ASSERT_TRUE(static_cast<bool>(model)) << llvm::toString(model.takeError());
  EXPECT_EQ(llvm::cantFail(model->metadata().getStrings("tokenizer.ggml.tokens")).size(), 128256u);
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_EQ(model->checkpoint().tensors().size(), 210u);
  printf("2.2e9 weights listed in %.4f s\n", seconds);
  EXPECT_LT(seconds, 1.0);
}
