//===- status_test.cpp - statuses and the last error ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <gtest/gtest.h>
#include <new>
#include <thread>

#include "runtime/Guard.h"
#include "runtime/Status.h"

using namespace tern;

namespace {

Status failure() {
  return Status::error(TERN_STATUS_IO, TERN_CATEGORY_IO, "innermost")
      .within("middle")
      .within("outermost");
}

TEST(Status, ContextsGoFromTheOutsideIn) {
  Status status = failure();
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), TERN_STATUS_IO);
  EXPECT_EQ(status.category(), TERN_CATEGORY_IO);
  EXPECT_EQ(status.contexts(), (std::vector<std::string>{"outermost", "middle", "innermost"}));
  EXPECT_EQ(status.message(), "outermost: middle: innermost");
  EXPECT_EQ(std::move(status).publish(), TERN_STATUS_IO);
  EXPECT_STREQ(tern_error_message(), "outermost: middle: innermost");
  EXPECT_STREQ(tern_error_context(0), "outermost");
  EXPECT_STREQ(tern_error_context(2), "innermost");
  EXPECT_EQ(tern_error_context(3), nullptr);
  EXPECT_EQ(tern_error_context(SIZE_MAX), nullptr);
}

TEST(Status, SuccessHasNoContexts) {
  Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.message(), "");
  EXPECT_TRUE(Status().within("context").ok());
  ASSERT_EQ(failure().publish(), TERN_STATUS_IO);
  EXPECT_EQ(Status().publish(), TERN_STATUS_OK);
  EXPECT_STREQ(tern_error_message(), "outermost: middle: innermost");
}

TEST(Status, EachThreadHasItsOwnLastError) {
  ASSERT_EQ(failure().publish(), TERN_STATUS_IO);
  std::thread([] {
    EXPECT_STREQ(tern_error_message(), "");
    EXPECT_EQ(tern_error_context(0), nullptr);
    EXPECT_EQ(tern_error_category(), TERN_CATEGORY_NONE);
    (void)publishOutOfMemory();
  }).join();
  EXPECT_STREQ(tern_error_message(), "outermost: middle: innermost");
}

TEST(Status, LongTextsAreCut) {
  Status status = Status::error(TERN_STATUS_INTERNAL, TERN_CATEGORY_TENSOR, std::string(5000, 'x'));
  for (int i = 0; i < 40; ++i)
    status = std::move(status).within("c" + std::to_string(i));
  EXPECT_EQ(std::move(status).publish(), TERN_STATUS_INTERNAL);
  EXPECT_LT(std::strlen(tern_error_message()), 2048u);
  EXPECT_EQ(std::string(tern_error_message()).substr(0, 10), "c39: c38: ");
  EXPECT_STREQ(tern_error_context(15), "c24");
  EXPECT_EQ(tern_error_context(16), nullptr);
}

TEST(Status, FailedAllocationsEndAtTheBoundary) {
  EXPECT_EQ(guarded("call", []() -> Status { throw std::bad_alloc(); }), TERN_STATUS_OUT_OF_MEMORY);
  EXPECT_STREQ(tern_error_message(), "out of memory");
  EXPECT_EQ(tern_error_category(), TERN_CATEGORY_MEMORY);
  EXPECT_EQ(guarded("call", []() -> Status { throw std::length_error(""); }),
            TERN_STATUS_OUT_OF_MEMORY);
}

TEST(Status, EveryCodeHasAName) {
  for (int code = TERN_STATUS_OK; code <= TERN_STATUS_INTERNAL; ++code)
    EXPECT_STRNE(tern_status_name(tern_status_t(code)), "unknown status");
  EXPECT_STREQ(tern_status_name(tern_status_t(15)), "unknown status");
  EXPECT_STREQ(tern_version(), TERN_EXPECTED_VERSION);
}

} // namespace
