//===- dispatch_cross_test.cpp - which level of a fat library runs --------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/cross/CrossLevels.h"

#include "tern/tern.h"

#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <string>

using namespace tern::test;

namespace {

struct Closer {
  void operator()(tern_model_t *model) const { tern_model_close(model); }
};
using Model = std::unique_ptr<tern_model_t, Closer>;

/// `level` null: the best. Null when it is refused.
Model open(const char *level) {
  tern_open_options_t options = {};
  options.struct_size = sizeof options;
  options.level = level;
  tern_model_t *model = nullptr;
  tern_model_open(TERN_CROSS_STORY, &options, &model);
  return Model(model);
}

std::string levelOf(const Model &model) {
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  return tern_model_get_info(model.get(), &info) ? tern_error_message() : info.level;
}

TEST(Dispatch, FeaturesAreThoseOfTheEmulatedCpu) {
  const char *cpu = std::getenv("QEMU_CPU");
  ASSERT_NE(cpu, nullptr) << "run by ctest, which names the CPU";
  constexpr uint64_t neon = TERN_CPU_ARM_NEON, dotprod = neon | TERN_CPU_ARM_DOTPROD;
  const std::string name = cpu;
  const uint64_t expected = name == "cortex-a53"    ? neon
                            : name == "neoverse-n1" ? dotprod
                                                    : dotprod | TERN_CPU_ARM_I8MM;
  EXPECT_EQ(tern_cpu_features() & ~TERN_CPU_ARM_SVE2, expected) << name;
}

TEST(Dispatch, TakesTheBestLevelThisCpuHas) {
  std::string best;
  for (const CrossLevel &level : crossLevels())
    if (best.empty() && level.runsHere())
      best = level.name;
  Model model = open(nullptr);
  ASSERT_TRUE(model) << tern_error_message();
  EXPECT_EQ(levelOf(model), best);
}

TEST(Dispatch, EveryLevelCanBeForcedWhereItRunsAndNowhereElse) {
  for (const CrossLevel &level : crossLevels()) {
    Model model = open(level.name.c_str());
    EXPECT_EQ(model != nullptr, level.runsHere()) << level.name << ": " << tern_error_message();
    if (model)
      EXPECT_EQ(levelOf(model), level.name);
    else
      EXPECT_NE(std::string(tern_error_message()).find("needs"), std::string::npos)
          << tern_error_message();
  }
}

TEST(Dispatch, SelfTestPassesOnEveryLevelThisCpuHas) {
  Model model = open(nullptr);
  ASSERT_TRUE(model) << tern_error_message();
  std::string lines;
  auto append = [](void *context, const char *line) {
    *static_cast<std::string *>(context) += std::string(line) + "\n";
  };
  EXPECT_EQ(tern_model_self_test(model.get(), append, &lines), TERN_STATUS_OK)
      << tern_error_message();
  for (const CrossLevel &level : crossLevels())
    EXPECT_EQ(lines.find(level.name + ":") != std::string::npos, level.runsHere()) << lines;
}

/// That a library ran on a CPU shows that it never used instructions of a better one only if such
/// instructions are fatal there.
TEST(DispatchDeathTest, KernelsOfABetterCpuAreFatalHere) {
  for (const CrossLevel &level : crossLevels()) {
    if (level.runsHere())
      continue;
    const char *suffix = level.name == "aarch64-i8mm" ? "_6x16x16_i8mm" : "_1x16x16_dotprod";
    for (const tern_kernel_t &kernel : level.kernels) {
      if (!std::string(kernel.name).ends_with(suffix))
        continue;
      alignas(64) static uint8_t weight[64], acts[2 * 16];
      static float scale[16], rowScales[2], out[2 * 16];
      static int32_t offsets[2];
      tern_matmul_args_t args = {};
      args.weight = weight;
      args.scale = scale;
      args.acts = acts;
      args.row_scales = rowScales;
      args.offsets = offsets;
      args.out = out;
      args.acts_stride = args.out_stride = 16;
      args.offsets_stride = args.row_scales_stride = 1;
      args.m = 2;
      args.block_end = args.k_tiles = args.groups = args.scale_groups = 1;
      EXPECT_EXIT(kernel.run(&args), testing::KilledBySignal(SIGILL), "") << kernel.name;
    }
  }
}

} // namespace
