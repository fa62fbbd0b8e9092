//===- Limits.cpp - what this machine can do at most ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Limits.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace tern {

namespace {
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Runs `body(thread)` on all threads at once; returns the seconds until the last is done.
double timed(uint32_t threads, const std::function<void(uint32_t)> &body) {
  std::vector<std::thread> others;
  auto start = Clock::now();
  for (uint32_t i = 1; i < threads; ++i)
    others.emplace_back(body, i);
  body(0);
  for (std::thread &thread : others)
    thread.join();
  return seconds(start);
}

/// One ascending stream over `bytes` (a multiple of 256) at `data`.
uint64_t readAll(const uint8_t *data, size_t bytes) {
  const auto *words = reinterpret_cast<const uint64_t *>(data);
  uint64_t sums[32] = {};
  for (size_t i = 0; i < bytes / sizeof(uint64_t); i += 32)
    for (size_t lane = 0; lane < 32; ++lane)
      sums[lane] |= words[i + lane];
  uint64_t total = 0;
  for (uint64_t sum : sums)
    total |= sum;
  return total;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) uint64_t readAllAvx512(const uint8_t *data, size_t bytes) {
  __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
  for (size_t i = 0; i < bytes; i += 256) {
    a = _mm512_or_si512(a, _mm512_load_si512(data + i));
    b = _mm512_or_si512(b, _mm512_load_si512(data + i + 64));
    c = _mm512_or_si512(c, _mm512_load_si512(data + i + 128));
    d = _mm512_or_si512(d, _mm512_load_si512(data + i + 192));
  }
  return _mm512_reduce_or_epi64(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)));
}
#endif

uint64_t readBest(const uint8_t *data, size_t bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return readAllAvx512(data, bytes);
#endif
  return readAll(data, bytes);
}

double measureRead(uint32_t threads, double budget) {
  // Well beyond every cache, but for any number of threads at most a quarter of the memory and 4
  // GB.
  const size_t most = std::min(size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE)) / 4,
                               size_t(4) << 30);
  const size_t bytes = std::min(size_t(256) << 20, most / threads) / 256 * 256;
  void *memory =
      mmap(nullptr, bytes * threads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return 0;
  madvise(memory, bytes * threads, MADV_HUGEPAGE);
  auto *data = static_cast<uint8_t *>(memory);
  timed(threads, [&](uint32_t i) { memset(data + i * bytes, 1, bytes); });
  [[maybe_unused]] volatile uint64_t sink = 0;
  double best = 0;
  auto start = Clock::now();
  do {
    double took = timed(threads, [&](uint32_t i) { sink = readBest(data + i * bytes, bytes); });
    best = std::max(best, bytes * threads / took / 1e9);
  } while (seconds(start) < budget);
  munmap(memory, bytes * threads);
  return best;
}

//===----------------------------------------------------------------------===//
// Integer peak: independent accumulators of the best int8 dot instruction. Each returns its
// multiply-adds.
//===----------------------------------------------------------------------===//

constexpr int kRounds = 2'000'000;

double dotPortable() {
  [[maybe_unused]] volatile int32_t sink = 0;
  int32_t sum = 0;
  for (int i = 0; i < kRounds; ++i) {
    sum += static_cast<int8_t>(i) * 3;
    asm volatile("" : "+r"(sum));
  }
  sink = sum;
  return kRounds;
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vnni"))) double dotAvx512Vnni() {
  __m512i sums[16], u = _mm512_set1_epi8(1), s = _mm512_set1_epi8(2);
  for (__m512i &sum : sums)
    sum = _mm512_setzero_si512();
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) {
      sums[j] = _mm512_dpbusd_epi32(sums[j], u, s);
      asm volatile("" : "+v"(sums[j]));
    }
  }
  return kRounds * 16.0 * 64;
}

__attribute__((target("avx2"))) double dotAvx2() {
  // What a byte dot costs without VNNI: vpmaddubsw and an addition of 16-bit sums.
  __m256i sums[8], u = _mm256_set1_epi8(1), s = _mm256_set1_epi8(2);
  for (__m256i &sum : sums)
    sum = _mm256_setzero_si256();
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      __m256i product = _mm256_maddubs_epi16(u, s);
      asm volatile("" : "+x"(product));
      sums[j] = _mm256_add_epi16(sums[j], product);
      asm volatile("" : "+x"(sums[j]));
    }
  }
  return kRounds * 8.0 * 32;
}
#endif

double dotBest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni"))
    return dotAvx512Vnni();
  if (__builtin_cpu_supports("avx2"))
    return dotAvx2();
#endif
  return dotPortable();
}

double fmaPortable() {
  float sums[8] = {}, factor = 0.5f;
  for (int i = 0; i < kRounds; ++i)
    for (float &sum : sums) {
      sum = sum * factor + 1;
      asm volatile("" : "+m"(sum));
    }
  return kRounds * 8.0;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double fmaAvx512() {
  __m512 sums[16], factor = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1);
  for (__m512 &sum : sums)
    sum = one;
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < 16; ++j) {
      sums[j] = _mm512_fmadd_ps(sums[j], factor, one);
      asm volatile("" : "+v"(sums[j]));
    }
  }
  return kRounds * 16.0 * 16;
}

__attribute__((target("avx2,fma"))) double fmaAvx2() {
  __m256 sums[12], factor = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1);
  for (__m256 &sum : sums)
    sum = one;
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) {
      sums[j] = _mm256_fmadd_ps(sums[j], factor, one);
      asm volatile("" : "+x"(sums[j]));
    }
  }
  return kRounds * 12.0 * 8;
}
#endif

double fmaBest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return fmaAvx512();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return fmaAvx2();
#endif
  return fmaPortable();
}

/// 10^9 multiply-adds a second of `loop`, which returns how many it did, on all threads.
double measurePeak(uint32_t threads, double budget, double (*loop)()) {
  double best = 0;
  auto start = Clock::now();
  do {
    double macs = 0;
    double took = timed(threads, [&](uint32_t i) {
      double own = loop();
      if (i == 0)
        macs = own;
    });
    best = std::max(best, macs * threads / took / 1e9);
  } while (seconds(start) < budget);
  return best;
}
} // namespace

MachineLimits measureLimits(uint32_t threads, double budget) {
  return {measureRead(threads, budget / 2), measurePeak(threads, budget / 4, dotBest),
          measurePeak(threads, budget / 4, fmaBest)};
}

} // namespace tern
