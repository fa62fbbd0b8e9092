//===- threads_test.cpp - teams, barriers and signals ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <atomic>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "runtime/Cpu.h"
#include "runtime/Threads.h"

using namespace tern;

namespace {

struct Stress {
  Threads *team;
  int phases;
  std::vector<long> written; ///< plain memory: the barrier alone orders it
  std::atomic<long> wrong{0};
};

/// In every phase a member writes its own entry and then reads everybody's.
void stress(void *context, uint32_t thread) {
  auto &state = *static_cast<Stress *>(context);
  for (long phase = 1; phase <= state.phases; ++phase) {
    state.written[thread] = phase;
    Threads::barrier(state.team, thread);
    for (long value : state.written)
      state.wrong += value != phase;
    Threads::barrier(state.team, thread);
  }
}

TEST(Threads, BarriersOrderMemoryForAnyTeam) {
  for (uint32_t count = 1; count <= 8; ++count) {
    std::unique_ptr<Threads> team;
    ASSERT_TRUE(Threads::create(count, &team).ok());
    ASSERT_EQ(team->size(), count);
    Stress state{team.get(), count <= 2 ? 2000 : 200, std::vector<long>(count), {}};
    for (int round = 0; round < 3; ++round)
      ASSERT_TRUE(team->run(stress, &state).ok());
    EXPECT_EQ(state.wrong, 0) << count << " threads";
  }
}

TEST(Threads, EveryMemberRunsOncePerJob) {
  std::unique_ptr<Threads> team;
  ASSERT_TRUE(Threads::create(4, &team).ok());
  std::vector<int> runs(4);
  for (int round = 0; round < 500; ++round)
    ASSERT_TRUE(
        team->run([](void *runs,
                     uint32_t thread) { ++(*static_cast<std::vector<int> *>(runs))[thread]; },
                  &runs)
            .ok());
  EXPECT_EQ(runs, std::vector<int>(4, 500));
}

TEST(Threads, SleepingWorkersWakeUp) {
  std::unique_ptr<Threads> team;
  ASSERT_TRUE(Threads::create(3, &team).ok());
  std::atomic<int> sum{0};
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(team->run(
                        [](void *sum, uint32_t thread) {
                          // Late members make the others sleep at the end.
                          std::this_thread::sleep_for(std::chrono::milliseconds(5 * thread));
                          *static_cast<std::atomic<int> *>(sum) += int(thread);
                        },
                        &sum)
                    .ok());
  }
  EXPECT_EQ(sum, 15);
}

TEST(Threads, ZeroMeansOneAProcessor) {
  std::unique_ptr<Threads> team;
  ASSERT_TRUE(Threads::create(0, &team).ok());
  EXPECT_EQ(team->size(), std::min<size_t>(allowedCpus().size(), Threads::kMost));
}

TEST(Threads, LimitIsReported) {
  std::unique_ptr<Threads> team;
  Status status = Threads::create(257, &team);
  EXPECT_EQ(status.code(), TERN_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(status.message(), "257 threads asked for, at most 256 are possible");
  EXPECT_TRUE(Threads::create(256, &team).ok());
}

TEST(Threads, TeamsComeAndGo) {
  for (int round = 0; round < 200; ++round) {
    std::unique_ptr<Threads> team;
    ASSERT_TRUE(Threads::create(1 + round % 4, &team).ok());
  }
}

#if defined(__x86_64__)
TEST(Threads, JobsRunInTheDefaultFloatEnvironment) {
  std::unique_ptr<Threads> team;
  unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040); // subnormals are zero
  ASSERT_TRUE(Threads::create(2, &team).ok());
  unsigned seen[2] = {};
  auto job = [](void *seen, uint32_t thread) {
    static_cast<unsigned *>(seen)[thread] = __builtin_ia32_stmxcsr() & 0xffc0;
  };
  ASSERT_TRUE(team->run(job, seen).ok());
  EXPECT_EQ(__builtin_ia32_stmxcsr() & 0x8040, 0x8040u);
  __builtin_ia32_ldmxcsr(before);
  EXPECT_EQ(seen[0], 0x1f80u);
  EXPECT_EQ(seen[1], 0x1f80u);
}
#endif

TEST(Threads, AForkedChildIsToldAndCanLeave) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "this sanitizer does not follow a fork with threads";
#endif
#endif
  std::unique_ptr<Threads> team;
  ASSERT_TRUE(Threads::create(3, &team).ok());
  pid_t child = fork();
  if (child == 0) {
    bool told = team->run([](void *, uint32_t) {}, nullptr).code() == TERN_STATUS_UNSUPPORTED;
    team.reset();
    _exit(told ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST(Cpu, FeaturesHaveNames) {
  EXPECT_STREQ(tern_cpu_feature_name(1), "avx2");
  EXPECT_STREQ(tern_cpu_feature_name(33), "i8mm");
  EXPECT_EQ(tern_cpu_feature_name(31), nullptr);
  EXPECT_EQ(tern_cpu_feature_name(36), nullptr);
  EXPECT_EQ(tern_cpu_feature_name(64), nullptr);
  for (uint32_t bit = 0; bit < 64; ++bit)
    EXPECT_TRUE(!(tern_cpu_features() >> bit & 1) || tern_cpu_feature_name(bit));
  EXPECT_EQ(describeFeatures(TERN_CPU_X86_AVX2 | TERN_CPU_X86_AVXVNNI | uint64_t(1) << 60),
            "avx2, avxvnni, bit 60");
  EXPECT_EQ(describeFeatures(0), "none");
}

#if defined(__x86_64__)
TEST(Cpu, AgreesWithTheCompilersDetection) {
  uint64_t features = tern_cpu_features();
  EXPECT_EQ(bool(features & TERN_CPU_X86_SSE41), bool(__builtin_cpu_supports("sse4.1")));
  EXPECT_EQ(bool(features & TERN_CPU_X86_AVX2), bool(__builtin_cpu_supports("x86-64-v3")));
  EXPECT_EQ(bool(features & TERN_CPU_X86_AVX512), bool(__builtin_cpu_supports("x86-64-v4")));
  EXPECT_EQ(bool(features & TERN_CPU_X86_AVX512VNNI), bool(__builtin_cpu_supports("avx512vnni")));
  EXPECT_EQ(bool(features & TERN_CPU_X86_AVX512VBMI), bool(__builtin_cpu_supports("avx512vbmi")));
}
#endif

} // namespace
