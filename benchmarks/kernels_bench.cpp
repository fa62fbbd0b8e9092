//===- kernels_bench.cpp - kernels beside the limits of this machine ------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every kernel row that this CPU runs, compiled for the lowest level that takes it, on one thread,
// with one scale a row and with scale groups.
// GEMV: one token row, weights from memory, beside a loop that only reads them. GEMM: 512 token
// rows, beside a loop of nothing but the row's product instruction (and its addition). The limit is
// measured right before and after each kernel, best of several runs each; `ratio` is what counts on
// a shared machine.
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelTable.h"
#include "runtime/Cpu.h"
#include "tests/support/KernelJit.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <sys/mman.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

using namespace tern;

namespace {

constexpr int64_t kN = 6912, kK = 2560, kGemmTokens = 512;
constexpr int kRepeats = 7;

/// Of this thread alone: neighbours that take the core away do not count.
double seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

template <typename Body> double bestSeconds(Body body) {
  double best = 1e30;
  for (int i = 0; i < kRepeats; ++i) {
    const double start = seconds();
    body();
    best = std::min(best, seconds() - start);
  }
  return best;
}

/// Anonymous memory in huge pages where the system has them, touched once.
class Memory {
public:
  Memory(size_t bytes, int fill) : bytes(bytes) {
    data = static_cast<uint8_t *>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (data == MAP_FAILED) {
      perror("kernels_bench");
      exit(1);
    }
    madvise(data, bytes, MADV_HUGEPAGE);
    memset(data, fill, bytes);
  }
  ~Memory() { munmap(data, bytes); }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  template <typename T> T *as() { return reinterpret_cast<T *>(data); }

  const size_t bytes;

private:
  uint8_t *data;
};

/// Bytes a second of a loop that does nothing but read, 64 bytes at a time.
uint64_t readAll(const uint8_t *data, size_t bytes) {
  typedef uint64_t Line __attribute__((vector_size(64)));
  Line sums[4] = {};
  const Line *lines = reinterpret_cast<const Line *>(data);
  for (size_t i = 0; i + 4 <= bytes / 64; i += 4)
    for (int j = 0; j < 4; ++j)
      sums[j] |= lines[i + j];
  Line all = sums[0] | sums[1] | sums[2] | sums[3];
  return all[0] ^ all[7];
}

#ifdef __x86_64__
/// Independent chains that do nothing but multiply and accumulate.
__attribute__((target("avx512f,avx512vnni"))) void chainVnni(int64_t steps) {
  __m512i chains[16] = {}, a = _mm512_set1_epi8(1), x = _mm512_set1_epi8(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 16
    for (__m512i &chain : chains) {
      chain = _mm512_dpbusd_epi32(chain, a, x);
      asm volatile("" : "+v"(chain));
    }
}

__attribute__((target("avxvnni"))) void chainVnni256(int64_t steps) {
  __m256i chains[12] = {}, a = _mm256_set1_epi8(1), x = _mm256_set1_epi8(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 12
    for (__m256i &chain : chains) {
      chain = _mm256_dpbusd_avx_epi32(chain, a, x);
      asm volatile("" : "+x"(chain));
    }
}

__attribute__((target("avx512bw"))) void chainPairs512(int64_t steps) {
  __m512i chains[16] = {}, a = _mm512_set1_epi8(1), x = _mm512_set1_epi8(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 16
    for (__m512i &chain : chains) {
      asm volatile("" : "+v"(a)); // or the product would leave the loop
      chain = _mm512_add_epi16(chain, _mm512_maddubs_epi16(a, x));
      asm volatile("" : "+v"(chain));
    }
}

__attribute__((target("ssse3"))) void chainSse(int64_t steps) {
  __m128i chains[8] = {}, a = _mm_set1_epi8(1), x = _mm_set1_epi8(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 8
    for (__m128i &chain : chains) {
      asm volatile("" : "+x"(a)); // or the product would leave the loop
      chain = _mm_add_epi16(chain, _mm_maddubs_epi16(a, x));
      asm volatile("" : "+x"(chain));
    }
}

__attribute__((target("avx2"))) void chainAvx2(int64_t steps) {
  __m256i chains[8] = {}, a = _mm256_set1_epi8(1), x = _mm256_set1_epi8(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 8
    for (__m256i &chain : chains) {
      asm volatile("" : "+x"(a)); // or the product would leave the loop
      chain = _mm256_add_epi16(chain, _mm256_maddubs_epi16(a, x));
      asm volatile("" : "+x"(chain));
    }
}

__attribute__((target("avx512f"))) void chainFma512(int64_t steps) {
  __m512 chains[16] = {}, a = _mm512_set1_ps(1), x = _mm512_set1_ps(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 16
    for (__m512 &chain : chains) {
      chain = _mm512_fmadd_ps(a, x, chain);
      asm volatile("" : "+v"(chain));
    }
}

__attribute__((target("avx2,fma"))) void chainFma256(int64_t steps) {
  __m256 chains[8] = {}, a = _mm256_set1_ps(1), x = _mm256_set1_ps(2);
  for (int64_t i = 0; i < steps; ++i)
#pragma GCC unroll 8
    for (__m256 &chain : chains) {
      chain = _mm256_fmadd_ps(a, x, chain);
      asm volatile("" : "+x"(chain));
    }
}
/// A chain, what it needs, and the multiply-adds of one of its steps. Best first.
struct Peak {
  uint64_t needs;
  bool floats;
  void (*chain)(int64_t steps);
  int64_t products;
};
constexpr Peak kPeaks[] = {
    {TERN_CPU_X86_AVX512VNNI, false, chainVnni, 16 * 64},
    {TERN_CPU_X86_AVXVNNI, false, chainVnni256, 12 * 32},
    {TERN_CPU_X86_AVX512, false, chainPairs512, 16 * 64},
    {TERN_CPU_X86_AVX2, false, chainAvx2, 8 * 32},
    {TERN_CPU_X86_SSE41, false, chainSse, 8 * 16},
    {TERN_CPU_X86_AVX512, true, chainFma512, 16 * 16},
    {TERN_CPU_X86_AVX2, true, chainFma256, 8 * 8},
};

/// The peak for a row: of the best instruction that it may use; a portable row beside the least.
const Peak *peakOf(const KernelRow &row) {
  const Peak *found = nullptr;
  for (const Peak &peak : kPeaks) {
    if (peak.floats != (row.acts == Acts::Float) || !hostCanRun(peak.needs))
      continue;
    found = &peak;
    if ((peak.needs & ~row.cpuFeatures) == 0)
      break;
  }
  return found;
}

/// Multiply-adds a second.
double measure(const Peak &peak) {
  constexpr int64_t kSteps = 2000000;
  return kSteps * peak.products / bestSeconds([&] { peak.chain(kSteps); });
}
#else
struct Peak {};
const Peak *peakOf(const KernelRow &) { return nullptr; }
double measure(const Peak &) { return 0; }
#endif

/// A call of a kernel over `copies` matrices of kN x kK.
struct Work {
  Work(const KernelRow &row, int64_t tokens, int64_t copies, int64_t groups, int64_t scaleSize)
      : blocks(row.packing.rowBlocks(kN)), weightBytes(row.packing.packedBytes(kN, kK)),
        weight(weightBytes * copies, 0x55), scaleBytes(kN * scaleSize * groups),
        scale(scaleBytes * copies + 64, 0), acts(tokens * actsStride(row), 0),
        offsets(tokens * 4 * groups, 0), rowScales(tokens * 4 * groups, 0),
        out(tokens * paddedRow(kN) * 4, 0) {
    args.acts = acts.as<void>();
    args.row_scales = rowScales.as<float>();
    args.offsets = offsets.as<int32_t>();
    args.out = out.as<float>();
    args.acts_stride = actsStride(row);
    args.offsets_stride = args.row_scales_stride = groups;
    args.out_stride = paddedRow(kN);
    args.m = tokens;
    args.near_ahead = streamAhead().near;
    args.far_ahead = streamAhead().far;
    args.block_end = blocks;
    args.k_tiles = row.packing.kTiles(kK);
    args.groups = args.scale_groups = groups;
    args.scale_bytes = scaleSize;
  }

  static int64_t actsStride(const KernelRow &row) {
    return row.acts == Acts::Float ? 4 * paddedRow(kK) : paddedActs(kK);
  }

  void run(tern_matmul_fn kernel) {
    for (size_t copy = 0; copy < weight.bytes / weightBytes; ++copy) {
      args.weight = weight.as<uint8_t>() + copy * weightBytes;
      args.scale = scale.as<uint8_t>() + copy * scaleBytes;
      kernel(&args);
    }
  }

  const int64_t blocks;
  const size_t weightBytes;
  Memory weight;
  const size_t scaleBytes;
  Memory scale, acts, offsets, rowScales, out;
  tern_matmul_args_t args{};
};

void gemv(benchmark::State &state, const KernelRow &row, tern_matmul_fn kernel, int64_t groups,
          int64_t scaleSize) {
  Work work(row, 1, 96, groups, scaleSize);
  double kernelTime = 1e30, readTime = 1e30;
  for (auto _ : state) {
    for (int i = 0; i < kRepeats; ++i) {
      // Taken in turn, so that both meet the same neighbours.
      double start = seconds();
      benchmark::DoNotOptimize(readAll(work.weight.as<uint8_t>(), work.weight.bytes));
      readTime = std::min(readTime, seconds() - start);
      start = seconds();
      work.run(kernel);
      kernelTime = std::min(kernelTime, seconds() - start);
    }
  }
  state.counters["GB/s"] = work.weight.bytes / kernelTime / 1e9;
  state.counters["read_GB/s"] = work.weight.bytes / readTime / 1e9;
  state.counters["ratio"] = readTime / kernelTime;
}

void gemm(benchmark::State &state, const KernelRow &row, tern_matmul_fn kernel, int64_t groups,
          int64_t scaleSize) {
  Work work(row, kGemmTokens, 1, groups, scaleSize);
  double rate = 0, peak = 0;
  const Peak *limit = peakOf(row);
  for (auto _ : state)
    for (int i = 0; i < 3; ++i) {
      peak = std::max(peak, limit ? measure(*limit) : 0);
      const double time = bestSeconds([&] { work.run(kernel); });
      rate = std::max(rate, double(kN) * kK * kGemmTokens / time);
    }
  state.counters["GMAC/s"] = rate / 1e9;
  state.counters["peak_GMAC/s"] = peak / 1e9;
  state.counters["ratio"] = rate / peak;
}

/// The lowest level of this CPU that takes the row, or NULL.
const Target *levelOf(const KernelRow &row) {
  const Target *level = nullptr;
  for (const Target &target : allTargets())
    if (hostCanRun(target.cpuFeatures) &&
        selectKernel(target, row.packing, row.acts, row.isGemv()) == &row)
      level = &target;
  return level;
}

} // namespace

int main(int argc, char **argv) {
  benchmark::Initialize(&argc, argv);
  std::map<const Target *, std::unique_ptr<test::KernelJit>> jits;
  for (const KernelRow &row : allKernels()) {
    const Target *level = levelOf(row);
    if (!level || jits.contains(level))
      continue;
    auto jit = test::KernelJit::compile(*level);
    if (!jit) {
      fprintf(stderr, "kernels_bench: %s\n", llvm::toString(jit.takeError()).c_str());
      return 1;
    }
    jits[level] = std::move(*jit);
  }
  for (const KernelRow &row : allKernels())
    if (const Target *level = levelOf(row)) {
      tern_matmul_fn kernel = jits[level]->find(row.name);
      for (int64_t group : {kK, int64_t(256), int64_t(128), int64_t(64), int64_t(32)}) {
        if (group % row.packing.k)
          continue;
        for (int64_t scaleSize : {4, 2}) {
          std::string name = row.name;
          if (group != kK)
            name += "/group:" + std::to_string(group);
          if (scaleSize == 2 && group == kK)
            continue;
          if (scaleSize == 2)
            name += "/f16";
          benchmark::RegisterBenchmark(name.c_str(),
                                       [=, &row](benchmark::State &state) {
                                         (row.isGemv() ? gemv : gemm)(state, row, kernel,
                                                                      kK / group, scaleSize);
                                       })
              ->Iterations(1)
              ->Unit(benchmark::kMillisecond);
        }
      }
    }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
