//===- import_safetensors_test.cpp - headers, right and wrong -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Safetensors.h"

#include "tests/support/TestCheckpoint.h"
#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"

using namespace llvm;
using namespace tern;
using namespace tern::import;

static Expected<std::vector<TensorInfo>> parse(const std::string &bytes) {
  return parseSafetensors("m.safetensors", arrayRefFromStringRef(bytes));
}

static void expectRefused(const std::string &name, const std::string &bytes,
                          const std::string &words) {
  Expected<std::vector<TensorInfo>> tensors = parse(bytes);
  ASSERT_FALSE(bool(tensors)) << name << ": expected an error with: " << words;
  std::string text = toString(tensors.takeError());
  EXPECT_TRUE(StringRef(text).starts_with("m.safetensors: ")) << name << ": " << text;
  EXPECT_NE(text.find(words), std::string::npos) << name << ": " << text;
}

TEST(Safetensors, ReadsTensorsAtAnyOffset) {
  std::string bytes = test::safetensors(
      {{"a", "U8", {3}, "abc"}, {"b", "BF16", {2, 1}, "0123"}, {"scalar", "F32", {}, "wxyz"}});
  auto tensors = parse(bytes);
  ASSERT_TRUE(bool(tensors)) << toString(tensors.takeError());
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[1].name, "b");
  EXPECT_EQ((*tensors)[1].describe(), "BF16 [2, 1]");
  EXPECT_EQ(bytes.substr((*tensors)[1].offset, (*tensors)[1].bytes), "0123");
  EXPECT_EQ(bytes.substr((*tensors)[2].offset, 4), "wxyz");
}

TEST(Safetensors, TakesPaddingMetadataAndTensorsInAnyOrder) {
  std::string header =
      "{\"b\":{\"data_offsets\":[2,4],\"shape\":[2],\"dtype\":\"I8\"},"
      "\"__metadata__\":{},\"a\":{\"dtype\":\"U8\",\"shape\":[1,2],\"data_offsets\":"
      "[0,2]}}     ";
  auto tensors = parse(test::rawSafetensors(header, 4));
  ASSERT_TRUE(bool(tensors)) << toString(tensors.takeError());
  EXPECT_EQ(tensors->front().name, "a");
  auto none = parse(test::rawSafetensors("{}", 0));
  ASSERT_TRUE(bool(none)) << toString(none.takeError());
  EXPECT_TRUE(none->empty());
}

TEST(Safetensors, KnowsEveryDtype) {
  const std::pair<const char *, size_t> dtypes[] = {
      {"BOOL", 8},    {"U8", 8},     {"I8", 8},   {"F8_E5M2", 8},     {"F8_E4M3", 8},
      {"F8_E8M0", 8}, {"U16", 16},   {"I16", 16}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
      {"F16", 16},    {"BF16", 16},  {"U32", 32}, {"I32", 32},        {"F32", 32},
      {"U64", 64},    {"I64", 64},   {"F64", 64}, {"C64", 64},        {"F4", 4},
      {"F6_E2M3", 6}, {"F6_E3M2", 6}};
  for (auto [dtype, bits] : dtypes) {
    size_t bytes = bits * 4 / 8;
    auto tensors = parse(test::safetensors({{"t", dtype, {4}, std::string(bytes, 'x')}}));
    EXPECT_TRUE(bool(tensors)) << toString(tensors.takeError());
  }
}

TEST(Safetensors, RefusesWhatIsNoHeader) {
  std::string good = test::safetensors({{"a", "U8", {3}, "abc"}});
  auto length = [](uint64_t n, const std::string &rest) {
    std::string bytes(8, '\0');
    for (int i = 0; i < 8; ++i)
      bytes[i] = static_cast<char>(n >> (8 * i));
    return bytes + rest;
  };
  const std::pair<std::string, std::string> cases[] = {
      {"", "expected 8 bytes of header length, found 0"},
      {"1234567", "expected 8 bytes of header length, found 7"},
      {length(0, ""), "begins with '{'"},
      {length(0, "{}"), "begins with '{'"},
      {length(3, "{}"), "expected 3 bytes of header, found 2"},
      {length(100'000'000, "{}"), "expected 100000000 bytes of header, found 2"},
      {length(100'000'001, "{}"), "at most 100000000 bytes, found a length of 100000001"},
      {length(UINT64_C(1) << 32, "{}"), "found a length of 4294967296"},
      {length(UINT64_C(1) << 63, "{}"), "found a length of 9223372036854775808"},
      {length(UINT64_MAX, "{}"), "found a length of 18446744073709551615"},
      {length(UINT64_MAX - 7, "{}"), "found a length of"},
      {std::string("GGUF\3\0\0\1more of it", 18), "is this a safetensors file?"},
      {length(2, "{}x"), "the tensors end at byte 0 of the data, but the file has 1"},
      {good + "z", "tensors end at byte 3"},
      {good.substr(0, good.size() - 1), "data_offsets end at 3, but the file has 2"},
      {length(3, " {}"), "begins with '{'"},
      {length(5, "\xEF\xBB\xBF{}"), "begins with '{'"},
      {length(2, "[]"), "begins with '{'"},
  };
  for (size_t i = 0; i < std::size(cases); ++i)
    expectRefused("case " + std::to_string(i), cases[i].first, cases[i].second);
}

namespace {
struct HeaderCase {
  const char *header;
  size_t data;
  const char *words;
};
} // namespace

TEST(Safetensors, RefusesBadHeaders) {
  const HeaderCase cases[] = {
      // Not JSON, or not JSON of a header.
      {"{", 0, "not valid JSON at byte"},
      {"{}{}", 0, "not valid JSON"},
      {"{} x", 0, "not valid JSON"},
      {"{\"a\"}", 0, "not valid JSON"},
      {"{\"a\":}", 0, "not valid JSON"},
      {"{'a':1}", 0, "not valid JSON"},
      {"{\"a\":01}", 0, "not valid JSON"},
      {"{\"a\":NaN}", 0, "not valid JSON"},
      {"{\"a\":1e999}", 0, "not valid JSON"},
      {"{\"a\":\"\\ud800\"}", 0, "not valid JSON"},
      {"{\"a\":\"\xff\"}", 0, "not valid JSON"},
      {"{\"\xc0\x80\":{}}", 0, "not valid JSON"},
      {"{\"a\":\"\n\"}", 0, "not valid JSON"},
      {"{/**/}", 0, "not valid JSON"},
      {"{\"a\":{},}", 0, "not valid JSON"},
      // Entries of the wrong kind.
      {"{\"a\":1}", 0, "a: expected an object, found an integer"},
      {"{\"a\":[]}", 0, "a: expected an object, found an array"},
      {"{\"a\":null}", 0, "a: expected an object, found null"},
      {"{\"a\":\"U8\"}", 0, "a: expected an object, found a string"},
      {"{\"a\":{}}", 0, "a: missing key \"dtype\""},
      {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "a: missing key \"shape\""},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "a: missing key \"data_offsets\""},
      {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "a: missing key \"dtype\""},
      {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "a.dtype: expected a string, found an integer"},
      {"{\"a\":{\"dtype\":null,\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "a.dtype: expected a value, found null"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1,
       "a.shape: expected an array, found an integer"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":{}}}", 1,
       "a.data_offsets: expected an array, found an object"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"extra\":1}}", 1,
       "a.extra: unknown field"},
      {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "duplicate key \"dtype\""},
      // Dtypes.
      {"{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "unknown dtype \"Q4\""},
      {"{\"a\":{\"dtype\":\"\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "unknown dtype \"\""},
      {"{\"a\":{\"dtype\":\"u8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "unknown dtype \"u8\""},
      {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1,
       "whole bytes, found 12 bits"},
      {"{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1,
       "whole bytes, found 12 bits"},
      // Shapes.
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1,
       "a.shape[0]: expected an integer, found a string"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1,
       "a.shape[0]: expected an integer, found a number"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]}}", 1,
       "expected an integer, found a number"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[true],\"data_offsets\":[0,1]}}", 1,
       "expected an integer, found a boolean"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[null],\"data_offsets\":[0,1]}}", 1,
       "expected an integer, found null"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
       "a.shape[0]: expected an integer from 1"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1, "found -1"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,1]}}", 1,
       "found 9223372036854775808"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551615],\"data_offsets\":[0,1]}}", 1,
       "found 18446744073709551615"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551617],\"data_offsets\":[0,1]}}", 1,
       "expected an integer, found a number"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
       "does not fit in 63 bits"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,2147483648,2,1],\"data_offsets\":[0,0]}}", 0,
       "does not fit in 63 bits"},
      {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1152921504606846976],\"data_offsets\":[0,0]}}", 0,
       "does not fit in 63 bits"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
       "does not fit in 63 bits"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
       "at most 4 dimensions, found 5"},
      // Offsets.
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
       "2 data_offsets, found 1"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[]}}", 1,
       "2 data_offsets, found 0"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1,
       "2 data_offsets, found 3"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,0]}}", 1,
       "before they begin at 1"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[-1,0]}}", 1,
       "a.data_offsets[0]: expected an integer from 0"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[\"0\",1]}}", 1,
       "expected an integer, found a string"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1.0]}}", 1,
       "a.data_offsets[1]: expected an integer, found a number"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,9223372036854775808]}}", 1,
       "found 9223372036854775808"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9223372036854775806,"
       "9223372036854775807]}}",
       1, "but the file has 1 bytes of data"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1,
       "data_offsets end at 2, but the file has 1"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,1]}}", 1,
       "expected 2 bytes for U8 [2], found data_offsets of 1"},
      {"{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
       "expected 4 bytes for BF16 [2], found data_offsets of 2"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}}", 0,
       "expected 1 bytes for U8 [], found data_offsets of 0"},
      // Holes and overlaps.
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", 2,
       "leaving a hole after 0"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
       3, "b: data begin at 2, leaving a hole after 1"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
       3, "b: data begin at 1, overlapping"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
       2, "overlapping the tensor before, which ends at 2"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 2,
       "the tensors end at byte 1 of the data, but the file has 2"},
      // Names.
      {"{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "an empty one"},
      {"{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "without control characters"},
      {"{\"a\\n\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
       "without control characters"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
       2, "duplicate key \"a\""},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
       "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
       2, "duplicate key \"a\""},
      // Metadata.
      {"{\"__metadata__\":[]}", 0, "__metadata__: expected an object, found an array"},
      {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__.a: expected a string, found an integer"},
      {"{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__.a: expected a string, found an object"},
      {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate key \"a\""},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key \"__metadata__\""},
  };
  for (const HeaderCase &c : cases)
    expectRefused(c.header, test::rawSafetensors(c.header, c.data), c.words);
  EXPECT_GE(std::size(cases), 75u);
}

TEST(Safetensors, BoundsDepthAndCounts) {
  std::string deep = "{\"a\":" + std::string(100'000, '[');
  expectRefused("deep", test::rawSafetensors(deep, 0), "nested more than 64 levels");
  std::string longName(size_t(1) << 21, 'n');
  expectRefused("long name", test::rawSafetensors("{\"" + longName + "\":{}}", 0),
                "strings of at most 1048576 bytes");
  std::string values = "{\"a\":[0";
  for (int i = 0; i < 900'000; ++i)
    values += ",0";
  expectRefused("values", test::rawSafetensors(values + "]}", 0), "at most 800000 values");
  std::string many = "{";
  for (int i = 0; i < 65'538; ++i)
    many += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
  expectRefused("tensors", test::rawSafetensors(many + "}", 0), "at most 65536 tensors");
  std::string metadata = "{\"__metadata__\":{";
  for (int i = 0; i < 65'537; ++i)
    metadata += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
  expectRefused("metadata", test::rawSafetensors(metadata + "}}", 0), "at most 65536 entries");
}

TEST(Safetensors, RefusesBadIndexes) {
  const std::pair<const char *, const char *> cases[] = {
      {"", "not valid JSON"},
      {"[]", "expected an object, found an array"},
      {"{}", "missing key \"weight_map\""},
      {"{\"weight_map\":null}", "weight_map: expected a value, found null"},
      {"{\"weight_map\":[]}", "weight_map: expected an object, found an array"},
      {"{\"weight_map\":{}}", "weight_map: expected at least one tensor"},
      {"{\"weight_map\":{\"a\":1}}", "weight_map.a: expected a string, found an integer"},
      {"{\"weight_map\":{\"a\":\"\"}}", "plain name of a file in the same folder, found \"\""},
      {"{\"weight_map\":{\"a\":\"..\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "found \"../x.safetensors\""},
      {"{\"weight_map\":{\"a\":\"/x.safetensors\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"d/x.safetensors\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"d\\\\x.safetensors\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"c:x.safetensors\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"x\\u0000.safetensors\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"x\\n.safetensors\"}}", "plain name"},
      {"{\"weight_map\":{\"a\":\"config.json\"}}", "expected the name of a .safetensors file"},
      {"{\"weight_map\":{\"a\":\"m.bin\"}}", "expected the name of a .safetensors file"},
      {"{\"weight_map\":{\"a\":\"m.safetensors\",\"a\":\"n.safetensors\"}}", "duplicate key \"a\""},
  };
  for (auto [text, words] : cases) {
    auto shards = parseShardIndex("index.json", text);
    ASSERT_FALSE(bool(shards)) << text;
    std::string message = toString(shards.takeError());
    EXPECT_NE(message.find(words), std::string::npos) << text << ": " << message;
  }
}

TEST(Safetensors, NoPrefixAndNoChangedByteCrashes) {
  std::string seed = test::safetensors({{"a.weight", "U8", {2, 4}, "abcdefgh"},
                                        {"a.weight_scale", "BF16", {1}, "xy"},
                                        {"norm", "F32", {2}, "12345678"}});
  for (size_t length = 0; length < seed.size(); ++length)
    expectRefused("prefix", seed.substr(0, length), "");
  size_t taken = 0;
  for (size_t i = 0; i < seed.size(); ++i)
    for (unsigned char value : {0x00, 0xff, 0x7f, 0x80, 0x22, 0x7b, 0x39, seed[i] ^ 1}) {
      std::string changed = seed;
      changed[i] = static_cast<char>(value);
      auto tensors = parse(changed);
      if (!tensors) {
        consumeError(tensors.takeError());
        continue;
      }
      ++taken;
      for (const TensorInfo &tensor : *tensors)
        EXPECT_LE(tensor.offset + tensor.bytes, changed.size());
    }
  EXPECT_GT(taken, 0u);
}

TEST(Safetensors, NoPrefixAndNoChangedByteOfAnIndexCrashes) {
  std::string seed = "{\"metadata\":{\"total_size\":7},\"weight_map\":{\"a.weight\":"
                     "\"m-1.safetensors\",\"b\\u0041\":\"m-2.safetensors\"}}";
  auto read = [](const std::string &text) {
    auto shards = parseShardIndex("index.json", text);
    bool good = bool(shards);
    if (!good)
      consumeError(shards.takeError());
    return good;
  };
  ASSERT_TRUE(read(seed));
  for (size_t length = 0; length < seed.size(); ++length)
    EXPECT_FALSE(read(seed.substr(0, length))) << length;
  for (size_t i = 0; i < seed.size(); ++i)
    for (int value = 0; value < 256; ++value) {
      std::string changed = seed;
      changed[i] = static_cast<char>(value);
      read(changed);
    }
}
