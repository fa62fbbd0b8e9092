//===- memory_test.cpp - every allocation fails once ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <atomic>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <new>

#include "FakeModel.h"
#include "ModelFile.h"

using namespace tern::test;

namespace {

/// Allocations until one fails; negative: none does.
std::atomic<long> untilFailure{-1};
std::atomic<bool> failsForEver{false};
std::atomic<bool> failed{false};
std::atomic<long> live{0};

void *allocate(size_t size, size_t align = 16) {
  if (untilFailure >= 0 && untilFailure-- == 0) {
    failed = true;
    if (failsForEver)
      untilFailure = 0;
    throw std::bad_alloc();
  }
  void *memory = std::aligned_alloc(align, (size + align) / align * align);
  if (!memory)
    throw std::bad_alloc();
  ++live;
  return memory;
}

void release(void *memory) {
  live -= memory != nullptr;
  std::free(memory);
}

} // namespace

void *operator new(size_t size) { return allocate(size); }
void *operator new[](size_t size) { return allocate(size); }
void *operator new(size_t size, std::align_val_t align) { return allocate(size, size_t(align)); }
void operator delete(void *memory) noexcept { release(memory); }
void operator delete[](void *memory) noexcept { release(memory); }
void operator delete(void *memory, size_t) noexcept { release(memory); }
void operator delete[](void *memory, size_t) noexcept { release(memory); }
void operator delete(void *memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void *memory, size_t, std::align_val_t) noexcept { release(memory); }

namespace {

/// Calls `attempt` with the first, second, ... allocation failing, until it gets through. `attempt`
/// cleans up after a success of its own.
void failEverywhere(const char *name, const std::function<tern_status_t()> &attempt) {
  for (bool forEver : {false, true}) {
    SCOPED_TRACE(std::string(name) + (forEver ? ", for ever" : ", once"));
    long failures = 0;
    for (;; ++failures) {
      ASSERT_LT(failures, 10000);
      long before = live;
      failsForEver = forEver;
      failed = false;
      untilFailure = failures;
      tern_status_t status = attempt();
      untilFailure = -1;
      EXPECT_EQ(live, before) << "allocation " << failures;
      if (!failed)
        break;
      ASSERT_EQ(status, TERN_STATUS_OUT_OF_MEMORY) << tern_error_message();
      ASSERT_EQ(tern_error_category(), TERN_CATEGORY_MEMORY);
      ASSERT_STREQ(tern_error_message(), "out of memory");
    }
    EXPECT_GT(failures, 0);
    EXPECT_EQ(attempt(), TERN_STATUS_OK);
  }
}

TEST(Memory, OpeningAModel) {
  TempFolder folder;
  std::string path = folder / "model.so";
  writeFile(path, withPayload(fakeLibrary(), fakePayload()));
  failEverywhere("open", [&] {
    tern_model_t *model = nullptr;
    tern_status_t status = tern_model_open(path.c_str(), nullptr, &model);
    EXPECT_EQ(model != nullptr, status == TERN_STATUS_OK);
    tern_model_close(model);
    return status;
  });
}

TEST(Memory, CreatingASession) {
  tern_model_t *model = openFake();
  tern_session_options_t options = {sizeof(options), 3, 16};
  failEverywhere("create", [&] {
    tern_session_t *session = nullptr;
    tern_status_t status = tern_session_create(model, &options, &session);
    EXPECT_EQ(session != nullptr, status == TERN_STATUS_OK);
    tern_session_destroy(session);
    return status;
  });
  tern_model_close(model);
}

TEST(Memory, RunningAllocatesNothing) {
  tern_model_t *model = openFake();
  tern_session_options_t options = {sizeof(options), 2, 32};
  tern_session_t *session = nullptr;
  ASSERT_EQ(tern_session_create(model, &options, &session), TERN_STATUS_OK);
  int32_t ids[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  failsForEver = true;
  untilFailure = 0;
  EXPECT_EQ(tern_prefill(session, ids, 9), TERN_STATUS_OK);
  EXPECT_EQ(tern_decode(session, 4), TERN_STATUS_OK);
  EXPECT_EQ(tern_session_trim(session, 3), TERN_STATUS_OK);
  EXPECT_EQ(tern_decode(session, 300), TERN_STATUS_OUT_OF_MEMORY);
  untilFailure = -1;
  tern_session_destroy(session);
  tern_model_close(model);
}

TEST(Memory, GeneratingAndSampling) {
  tern_model_t *model = openFake();
  tern_session_options_t room = {sizeof(room), 1, 16};
  tern_session_t *session = nullptr;
  ASSERT_EQ(tern_session_create(model, &room, &session), TERN_STATUS_OK);
  int32_t ids[] = {1, 2};
  tern_generate_options_t options = {};
  options.struct_size = sizeof(options);
  options.max_tokens = 4;
  options.sampler.struct_size = sizeof(options.sampler);
  options.sampler.temperature = 1;
  options.sampler.top_p = 0.9f;
  options.sampler.repetition_penalty = 1.1f;
  auto nothing = [](void *, const char *, size_t, int32_t) { return 0; };
  failEverywhere("generate", [&] {
    (void)tern_session_trim(session, 0);
    return tern_generate_ids(session, ids, 2, &options, nothing, nullptr);
  });
  failEverywhere("sampler", [&] {
    tern_sampler_t *sampler = nullptr;
    tern_status_t status = tern_sampler_create(&options.sampler, &sampler);
    int32_t id;
    if (status == TERN_STATUS_OK)
      status = tern_sample(sampler, session, &id);
    tern_sampler_destroy(sampler);
    return status;
  });
  tern_session_destroy(session);
  tern_model_close(model);
}

} // namespace
