//===- Cpu.cpp - what this processor can do -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Cpu.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "tern/tern.h"

#if defined(__APPLE__)
#include <sys/sysctl.h>
#else
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) && !defined(__APPLE__)
#include <sys/auxv.h>
#endif

using namespace tern;

namespace {

#if defined(__APPLE__)

/// What the system says of itself; 0 where it knows no such name.
int systemNumber(const char *name) {
  int value = 0;
  size_t bytes = sizeof(value);
  return sysctlbyname(name, &value, &bytes, nullptr, 0) == 0 ? value : 0;
}

#endif

#if defined(__x86_64__)

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool isAmd() {
  Registers vendor = cpuid(0, 0); // "Auth" "enti" "cAMD"
  return vendor.ebx == 0x68747541 && vendor.edx == 0x69746e65 && vendor.ecx == 0x444d4163;
}

bool all(unsigned word, std::initializer_list<unsigned> bits) {
  for (unsigned bit : bits)
    if (!(word >> bit & 1))
      return false;
  return true;
}

/// Which register files the system saves on a context switch (XCR0).
uint64_t savedState() {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

/// Whether the system lets this process use AMX, whose registers it saves for those only that
/// asked.
bool requestAmx(uint64_t state) {
  constexpr uint64_t kTileState = 0x60000;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return (state & kTileState) == kTileState &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

uint64_t detect() {
  uint64_t features = 0;
  Registers basic = cpuid(1, 0), extended = cpuid(7, 0), more = cpuid(7, 1);
  Registers amd = cpuid(0x80000001u, 0);
  // ecx of leaf 1: SSSE3 9, FMA 12, SSE4.1 19, MOVBE 22, OSXSAVE 27, AVX 28, F16C 29.
  if (all(basic.ecx, {9, 19}))
    features |= TERN_CPU_X86_SSE41;
  uint64_t state = all(basic.ecx, {27}) ? savedState() : 0;
  bool ymm = (state & 0x6) == 0x6, zmm = (state & 0xe6) == 0xe6;
  // ebx of leaf 7: BMI1 3, AVX2 5, BMI2 8; ecx of leaf 0x80000001: LZCNT 5.
  if (!ymm || !all(basic.ecx, {12, 22, 28, 29}) || !all(extended.ebx, {3, 5, 8}) ||
      !all(amd.ecx, {5}))
    return features;
  features |= TERN_CPU_X86_AVX2;
  if (all(more.eax, {4}))
    features |= TERN_CPU_X86_AVXVNNI;
  // ebx of leaf 7: AVX512 F 16, DQ 17, CD 28, BW 30, VL 31; ecx: VBMI 1, VNNI 11.
  if (!zmm || !all(extended.ebx, {16, 17, 28, 30, 31}))
    return features;
  features |= TERN_CPU_X86_AVX512;
  if (all(extended.ecx, {1}))
    features |= TERN_CPU_X86_AVX512VBMI;
  if (all(extended.ecx, {11}))
    features |= TERN_CPU_X86_AVX512VNNI;
  // edx of leaf 7: AMX-TILE 24, AMX-INT8 25.
  if (all(extended.edx, {24, 25}) && requestAmx(state))
    features |= TERN_CPU_X86_AMXINT8;
  return features;
}

#elif defined(__aarch64__) && defined(__APPLE__)

uint64_t detect() {
  uint64_t features = TERN_CPU_ARM_NEON;
  if (systemNumber("hw.optional.arm.FEAT_DotProd") == 1)
    features |= TERN_CPU_ARM_DOTPROD;
  if (systemNumber("hw.optional.arm.FEAT_I8MM") == 1)
    features |= TERN_CPU_ARM_I8MM;
  return features;
}

#elif defined(__aarch64__)

uint64_t detect() {
  // HWCAP_ASIMDDP, HWCAP2_SVE2 and HWCAP2_I8MM, which older headers lack.
  uint64_t features = TERN_CPU_ARM_NEON, first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  if (first >> 20 & 1)
    features |= TERN_CPU_ARM_DOTPROD;
  if (second >> 13 & 1)
    features |= TERN_CPU_ARM_I8MM;
  if (second >> 1 & 1)
    features |= TERN_CPU_ARM_SVE2;
  return features;
}

#else

uint64_t detect() { return 0; }

#endif

} // namespace

/// Measured on Emerald Rapids, of which a core alone leaves half of the bandwidth unused, and on
/// Zen 4, whose own prefetching two distances disturb (benchmarks/README.md).
StreamAhead tern::streamAhead() {
#if defined(__x86_64__)
  static const bool amd = isAmd();
  if (amd)
    return {4096, 4096};
#endif
  return {2048, 16384};
}

uint64_t tern::cpuFeatures() {
  static const uint64_t features = detect();
  return features;
}

std::string tern::describeFeatures(uint64_t features) {
  std::string text;
  for (uint32_t bit = 0; bit < 64; ++bit) {
    if (!(features >> bit & 1))
      continue;
    const char *name = tern_cpu_feature_name(bit);
    text += (text.empty() ? "" : ", ") + (name ? std::string(name) : "bit " + std::to_string(bit));
  }
  return text.empty() ? "none" : text;
}

#if defined(__APPLE__)

/// The fast cores: a barrier would make them wait for the slow ones. Threads cannot be pinned here.
std::vector<int> tern::allowedCpus() {
  int count = systemNumber("hw.perflevel0.logicalcpu");
  if (count <= 0)
    count = systemNumber("hw.logicalcpu");
  std::vector<int> cpus;
  for (int i = 0; i < std::max(count, 1); ++i)
    cpus.push_back(i);
  return cpus;
}

#else

std::vector<int> tern::allowedCpus() {
  // Machines with more processors than cpu_set_t has room for need a larger set.
  for (size_t capacity = 1024; capacity <= 65536; capacity *= 4) {
    std::vector<unsigned long> words(capacity / (8 * sizeof(unsigned long)));
    size_t bytes = words.size() * sizeof(unsigned long);
    auto *set = reinterpret_cast<cpu_set_t *>(words.data());
    std::vector<int> cpus;
    if (sched_getaffinity(0, bytes, set) == 0)
      for (size_t i = 0; i < capacity; ++i)
        if (CPU_ISSET_S(i, bytes, set))
          cpus.push_back(int(i));
    if (!cpus.empty())
      return cpus;
  }
  return {0};
}

#endif

extern "C" uint64_t tern_cpu_features(void) { return cpuFeatures(); }

extern "C" const char *tern_cpu_feature_name(uint32_t bit) {
  static constexpr const char *x86[] = {"sse41",      "avx2",       "avxvnni", "avx512",
                                        "avx512vnni", "avx512vbmi", "amxint8"};
  static constexpr const char *arm[] = {"dotprod", "i8mm", "sve2", "neon"};
  if (bit < std::size(x86))
    return x86[bit];
  if (bit >= 32 && bit - 32 < std::size(arm))
    return arm[bit - 32];
  return nullptr;
}
