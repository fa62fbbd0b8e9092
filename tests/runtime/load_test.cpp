//===- load_test.cpp - weights mapped and copied, and what is resident ----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "FakeModel.h"
#include "ModelFile.h"
#include "runtime/Payload.h"
#include "runtime/Residency.h"

using namespace tern::test;

namespace {

tern_open_options_t how(tern_load_t load) {
  tern_open_options_t options = {};
  options.struct_size = sizeof options;
  options.load = load;
  return options;
}

/// The logits after a few tokens, and what the memory is then.
std::vector<float> run(tern_model_t *model, tern_memory_t *memory) {
  tern_session_t *session = nullptr;
  tern_session_options_t options = {sizeof options, 2, 64};
  EXPECT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OK);
  std::vector<int32_t> ids = {5, 0, 299, 17};
  EXPECT_EQ(tern_prefill(session, ids.data(), ids.size()), TERN_STATUS_OK);
  const float *logits = nullptr;
  size_t count = 0;
  EXPECT_EQ(tern_session_logits(session, &logits, &count), TERN_STATUS_OK);
  std::vector<float> result(logits, logits + count);
  memory->struct_size = sizeof *memory;
  EXPECT_EQ(tern_session_memory(session, memory), TERN_STATUS_OK);
  tern_session_destroy(session);
  return result;
}

} // namespace

TEST(Load, ACopyGivesTheSameResultsAsTheMapping) {
  TempFolder folder;
  std::string path = folder / "model.so";
  writeFile(path, withPayload(fakeLibrary(), fakePayload()));
  std::vector<float> expected;
  for (tern_load_t load : {TERN_LOAD_MAP, TERN_LOAD_COPY, TERN_LOAD_AUTO}) {
    tern_open_options_t options = how(load);
    tern_model_t *model = nullptr;
    ASSERT_EQ(tern_model_open(path.c_str(), &options, &model), TERN_STATUS_OK)
        << tern_error_message();
    tern_memory_t memory = {};
    std::vector<float> found = run(model, &memory);
    if (expected.empty())
      expected = found;
    EXPECT_EQ(found, expected);
    EXPECT_EQ(memory.weights_copied, load == TERN_LOAD_COPY ? 1u : 0u);
    EXPECT_GT(memory.weights_bytes, 0u);
    EXPECT_LE(memory.weights_resident, memory.weights_bytes);
    EXPECT_LE(memory.weights_huge, memory.weights_resident);
    tern_model_close(model);
  }
}

TEST(Load, UnknownModesAreRefused) {
  tern_open_options_t options = how(static_cast<tern_load_t>(3));
  tern_model_t *model = nullptr;
  EXPECT_EQ(tern_model_open("model.so", &options, &model), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::strstr(tern_error_message(), "no load mode 3"), nullptr);
}

TEST(Load, WhatIsRarelyReadIsGivenBackAndComesBack) {
  TempFolder folder;
  const std::string path = folder / "payload";
  constexpr uint64_t kBytes = uint64_t(8) << 20, kRare = uint64_t(3) << 20;
  std::string weights(kBytes, 'w');
  for (size_t i = 0; i < weights.size(); i += 4096)
    weights[i] = char('a' + i / 4096 % 26);
  writeFile(path, makePayload({{TERN_SECTION_WEIGHTS, weights}}));
  tern::File file;
  ASSERT_TRUE(tern::File::open(path.c_str(), &file).ok());
  for (tern_load_t load : {TERN_LOAD_MAP, TERN_LOAD_COPY}) {
    tern::Payload payload;
    ASSERT_TRUE(tern::Payload::map(file, {0, file.size()}, &payload).ok());
    ASSERT_TRUE(payload.checkStructure().ok());
    ASSERT_TRUE(payload.loadWeights(file, 0, load, kRare).ok());
    auto resident = [&] {
      std::string_view there = payload.section(TERN_SECTION_WEIGHTS);
      return tern::residencyOf(there.data(), there.size()).resident;
    };
    EXPECT_EQ(payload.section(TERN_SECTION_WEIGHTS), weights);
    const uint64_t before = resident();
    EXPECT_GE(before, kBytes);
    payload.releaseRare();
    // What is rarely read begins at a multiple of a huge page.
    EXPECT_LE(resident(), kBytes - kRare + (uint64_t(2) << 20));
    EXPECT_EQ(payload.section(TERN_SECTION_WEIGHTS), weights);
  }
}

TEST(Residency, CountsTouchedPagesOfTheRangeOnly) {
  const size_t page = 4096, bytes = 64 * page;
  // Guards: no mapping of somebody else's continues this one.
  auto *room = static_cast<uint8_t *>(
      mmap(nullptr, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(room, MAP_FAILED);
  uint8_t *data = room + page;
  ASSERT_EQ(mprotect(data, bytes, PROT_READ | PROT_WRITE), 0);
  madvise(data, bytes, MADV_NOHUGEPAGE);
  EXPECT_EQ(tern::residencyOf(data, bytes).resident, 0u);
  for (size_t i = 0; i < 10; ++i)
    data[i * page] = 1;
  EXPECT_EQ(tern::residencyOf(data, bytes).resident, 10 * page);
  EXPECT_EQ(tern::residencyOf(data, bytes).huge, 0u);
  EXPECT_EQ(tern::residencyOf(data, 3 * page).resident, 3 * page);
  EXPECT_EQ(tern::residencyOf(nullptr, 0).resident, 0u);
  munmap(room, bytes + 2 * page);
}
