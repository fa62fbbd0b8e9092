//===- metal_plan_test.cpp - dispatch plans are checked -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Semantics.h"
#include "runtime/metal/Plan.h"

#include "gtest/gtest.h"

#include <cstring>
#include <vector>

using namespace tern;
using namespace tern::metal;

namespace {
/// A plan of one kernel and one step.
struct SmallPlan {
  tern_gpu_plan_t head{};
  tern_gpu_kernel_t kernel{2, 1, 1, 32, 1, 1, 0, 0};
  tern_gpu_step_t step{};
  tern_gpu_binding_t binding{};
  tern_gpu_linear_t scalar{};
  tern_gpu_angles_t angles{};
  float frequencies[2] = {1, 0.5};
  tern_gpu_tensor_t tensors[2] = {};
  char strings[8] = {'v', 0, 'k', 0};

  SmallPlan() {
    std::memcpy(head.magic, TERN_GPU_PLAN_MAGIC, sizeof head.magic);
    head.total_bytes = sizeof *this;
    head.kernel_count = head.step_count = head.binding_count = head.scalar_count = 1;
    head.angles_count = 1;
    head.frequency_count = 2;
    head.tensor_count = 2;
    head.string_bytes = sizeof strings;
    head.kernels_at = offsetof(SmallPlan, kernel);
    head.steps_at = offsetof(SmallPlan, step);
    head.bindings_at = offsetof(SmallPlan, binding);
    head.scalars_at = offsetof(SmallPlan, scalar);
    head.angles_at = offsetof(SmallPlan, angles);
    head.frequencies_at = offsetof(SmallPlan, frequencies);
    head.tensors_at = offsetof(SmallPlan, tensors);
    head.strings_at = offsetof(SmallPlan, strings);
    head.max_rows = 1;
    head.input_count = head.output_count = 1;
    angles.half = 2;
    head.host_bytes = 64;
  }
  std::string read() const {
    Plan plan;
    Status status = Plan::read({reinterpret_cast<const char *>(this), sizeof *this}, &plan);
    return status.ok() ? "" : status.message();
  }
};
} // namespace

TEST(MetalPlan, ASoundPlanIsRead) { EXPECT_EQ(SmallPlan().read(), ""); }

TEST(MetalPlan, WhatIsOutOfRangeIsRefused) {
  auto expect = [](auto change, const char *words) {
    SmallPlan plan;
    change(plan);
    EXPECT_NE(plan.read().find(words), std::string::npos) << plan.read();
  };
  expect([](SmallPlan &p) { p.head.magic[7] = '9'; }, "expected the magic TERNGPU1");
  expect([](SmallPlan &p) { p.head.total_bytes = 8; }, "expected 8 bytes, found");
  expect([](SmallPlan &p) { p.head.kernels_at = 1 << 20; }, "kernels: 1 entries");
  expect([](SmallPlan &p) { p.head.steps_at += 4; }, "steps: 1 entries");
  expect([](SmallPlan &p) { p.head.scalar_count = 1 << 30; }, "scalars: 1073741824 entries");
  expect([](SmallPlan &p) { p.strings[7] = 'x'; }, "strings do not end");
  expect([](SmallPlan &p) { p.head.compiler_version = 8; }, "strings do not end");
  expect([](SmallPlan &p) { p.head.index_count = 5; }, "found 5 indices");
  expect([](SmallPlan &p) { p.head.input_count = 2; }, "2 tensors");
  expect([](SmallPlan &p) { p.kernel.name = 8; }, "kernel 0 is implausible");
  expect([](SmallPlan &p) { p.kernel.threads = 2048; }, "2048 threads");
  expect([](SmallPlan &p) { p.kernel.items_x = 0; }, "kernel 0 is implausible");
  expect([](SmallPlan &p) { p.kernel.buffers = 31; }, "31 buffers");
  expect([](SmallPlan &p) { p.step.kernel = 1; }, "step 0: no kernel 1");
  expect([](SmallPlan &p) { p.step.when = 3; }, "no condition 3");
  expect([](SmallPlan &p) { p.step.first_binding = 1; }, "step 0: its bindings");
  expect([](SmallPlan &p) { p.step.first_scalar = ~0u; }, "step 0: its bindings");
  expect([](SmallPlan &p) { p.binding.base = 7; }, "binding 0: no base 7");
  expect(
      [](SmallPlan &p) {
        p.binding.base = TERN_GPU_INPUT;
        p.binding.number = 1;
      },
      "number 1");
  expect([](SmallPlan &p) { p.angles.half = 3; }, "angles 0: 3 frequencies");
  expect([](SmallPlan &p) { p.angles.offset = 68; }, "angles 0");
}

TEST(MetalPlan, AnyDamagedByteIsReadOrRefused) {
  for (size_t at = 0; at < sizeof(SmallPlan); ++at)
    for (uint8_t value : {0, 1, 0x7f, 0x80, 0xff}) {
      SmallPlan plan;
      reinterpret_cast<uint8_t *>(&plan)[at] = value;
      // Sanitizers watch what a plan that passes leads to.
      Plan read;
      if (Plan::read({reinterpret_cast<const char *>(&plan), sizeof plan}, &read).ok() &&
          read.head().step_count != 0) {
        Call call;
        call.rows = 3;
        volatile int64_t items = evaluate(read.steps()[0].items_x, call);
        static_cast<void>(items);
      }
    }
}

TEST(MetalPlan, AShortSectionIsRefused) {
  SmallPlan plan;
  for (size_t bytes = 0; bytes < sizeof plan; bytes += 8) {
    std::vector<uint64_t> copy(bytes / 8 + 1);
    std::memcpy(copy.data(), &plan, bytes);
    Plan read;
    EXPECT_FALSE(Plan::read({reinterpret_cast<const char *>(copy.data()), bytes}, &read).ok());
  }
}

TEST(MetalPlan, AnglesAreTheDialects) {
  const float frequencies[] = {1.0f, 0.749894201f, 0.1f, 3.16227766e-2f, 1e-4f, 0.0f};
  for (int64_t position = 0; position < 70000; position += position < 600 ? 1 : 911) {
    float expected[12], found[12];
    semantics::ropeAngles(position, frequencies, 6, expected);
    ropeAngles(position, frequencies, 6, found);
    ASSERT_EQ(std::memcmp(expected, found, sizeof found), 0) << position;
  }
}
