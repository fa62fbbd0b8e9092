//===- Target.cpp - CPU levels, from and to text --------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Target.h"

#include "tern/abi.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/bit.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace llvm;

namespace tern {

namespace {

/// One bit of TERN_CPU_* and the LLVM features it stands for, all of them.
struct FeatureBit {
  uint64_t bit;
  const char *llvmNames;
};

constexpr FeatureBit kFeatureBits[] = {
    {TERN_CPU_X86_SSE41, "ssse3,sse4.1"},
    {TERN_CPU_X86_AVX2, "avx2,fma,f16c,bmi,bmi2,lzcnt,movbe"},
    {TERN_CPU_X86_AVXVNNI, "avxvnni"},
    {TERN_CPU_X86_AVX512, "avx512f,avx512cd,avx512bw,avx512dq,avx512vl"},
    {TERN_CPU_X86_AVX512VNNI, "avx512vnni"},
    {TERN_CPU_X86_AVX512VBMI, "avx512vbmi"},
    {TERN_CPU_X86_AMXINT8, "amx-tile,amx-int8"},
    {TERN_CPU_ARM_NEON, "neon"},
    {TERN_CPU_ARM_DOTPROD, "dotprod"},
    {TERN_CPU_ARM_I8MM, "i8mm"},
};

constexpr const char *kX86Linux = "x86_64-unknown-linux-gnu";
constexpr const char *kArmLinux = "aarch64-unknown-linux-gnu";
constexpr const char *kMac = "arm64-apple-macosx11.0.0";
constexpr const char *kEveryArmLevel = "aarch64-linux";

/// The system saves the registers of AMX for processes only that asked.
bool requestAmx() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

uint64_t hostFeatures() {
  const StringMap<bool> host = sys::getHostCPUFeatures();
  uint64_t bits = 0;
  for (const FeatureBit &feature : kFeatureBits) {
    SmallVector<StringRef> names;
    StringRef(feature.llvmNames).split(names, ',');
    if (all_of(names, [&](StringRef name) { return host.lookup(name); }))
      bits |= feature.bit;
  }
  if ((bits & TERN_CPU_X86_AMXINT8) && !requestAmx())
    bits &= ~TERN_CPU_X86_AMXINT8;
  return bits;
}

/// Levels of this machine's architecture, best first.
std::vector<Target> hostArchitectureTargets() {
  const Triple host(sys::getDefaultTargetTriple());
  std::vector<Target> targets;
  copy_if(allTargets(), std::back_inserter(targets), [&](const Target &target) {
    return Triple(target.triple).getArch() == host.getArch() && !target.byNameOnly;
  });
  return targets;
}

std::string knownNames() {
  std::string names = kEveryArmLevel;
  for (ArrayRef<Target> list : {allTargets(), namedCpus()})
    for (const Target &target : list)
      names += ", " + target.name;
  return names;
}

Expected<std::vector<Target>> hostTarget() {
  const uint64_t features = hostFeatures();
  for (const Target &target : hostArchitectureTargets())
    if ((target.cpuFeatures & ~features) == 0)
      return std::vector<Target>{target};
  return createStringError("target 'host': no level for this machine's architecture, known are " +
                           knownNames());
}

/// A level of 64-bit ARM. Only the features that the runtime checks are used, whatever else a CPU
/// has: `cpu` is generic and `tune` only schedules.
Target armLevel(StringRef name, const char *triple, uint64_t cpuFeatures, StringRef tune) {
  std::string features;
  if (cpuFeatures & TERN_CPU_ARM_DOTPROD)
    features += "+dotprod";
  if (cpuFeatures & TERN_CPU_ARM_I8MM)
    features += ",+i8mm";
  return {name.str(), triple, "generic", features, cpuFeatures, "aarch64", tune.str()};
}

} // namespace

constexpr uint64_t kNeon = TERN_CPU_ARM_NEON;
constexpr uint64_t kDotProd = kNeon | TERN_CPU_ARM_DOTPROD;
constexpr uint64_t kI8mm = kDotProd | TERN_CPU_ARM_I8MM;

ArrayRef<Target> allTargets() {
  // Generic CPU names rather than the build machine's: the same code everywhere. 512-bit vectors
  // are asked for because x86-64-v4 is tuned for CPUs that slow down with them.
  constexpr uint64_t kV2 = TERN_CPU_X86_SSE41, kV3 = kV2 | TERN_CPU_X86_AVX2;
  constexpr uint64_t kV4 = kV3 | TERN_CPU_X86_AVX512, kVnni = kV4 | TERN_CPU_X86_AVX512VNNI;
  constexpr uint64_t kVbmi = kVnni | TERN_CPU_X86_AVX512VBMI;
  static const Target targets[] = {
      {"x86-64-v4-amx", kX86Linux, "x86-64-v4",
       "+avx512vnni,+avx512vbmi,+amx-tile,+amx-int8,-prefer-256-bit", kVbmi | TERN_CPU_X86_AMXINT8,
       "x86-64-v4", /*tune=*/"", /*byNameOnly=*/true},
      {"x86-64-v4-vbmi", kX86Linux, "x86-64-v4", "+avx512vnni,+avx512vbmi,-prefer-256-bit", kVbmi,
       "x86-64-v4"},
      {"x86-64-v4-vnni", kX86Linux, "x86-64-v4", "+avx512vnni,-prefer-256-bit", kVnni, "x86-64-v4"},
      {"x86-64-v3-vnni", kX86Linux, "x86-64-v3", "+avxvnni", kV3 | TERN_CPU_X86_AVXVNNI,
       "x86-64-v3"},
      {"x86-64-v4", kX86Linux, "x86-64-v4", "-prefer-256-bit", kV4, "x86-64-v4"},
      {"x86-64-v3", kX86Linux, "x86-64-v3", "", kV3, "x86-64-v3"},
      // Of x86-64-v2 only what its kernels use, which more CPUs have.
      {"x86-64-v2", kX86Linux, "x86-64", "+ssse3,+sse4.1", kV2, "x86-64"},
      {"x86-64", kX86Linux, "x86-64", "", 0, "x86-64"},
      armLevel("aarch64-i8mm", kArmLinux, kI8mm, "neoverse-v1"),
      armLevel("aarch64-dotprod", kArmLinux, kDotProd, "neoverse-n1"),
      armLevel("aarch64", kArmLinux, kNeon, "cortex-a72"),
  };
  return targets;
}

ArrayRef<Target> namedCpus() {
  static const Target cpus[] = {
      armLevel("neoverse-v2", kArmLinux, kI8mm, "neoverse-v2"),
      armLevel("neoverse-v1", kArmLinux, kI8mm, "neoverse-v1"),
      armLevel("neoverse-n1", kArmLinux, kDotProd, "neoverse-n1"),
      armLevel("cortex-a76", kArmLinux, kDotProd, "cortex-a76"),
      armLevel("cortex-a72", kArmLinux, kNeon, "cortex-a72"),
      armLevel("cortex-a53", kArmLinux, kNeon, "cortex-a53"),
      armLevel("apple-m2", kMac, kI8mm, "apple-m2"),
      armLevel("apple-m1", kMac, kDotProd, "apple-m1"),
  };
  return cpus;
}

Expected<std::vector<Target>> parseTargets(StringRef text) {
  if (text == "host")
    return hostTarget();
  if (text == "all") {
    std::vector<Target> targets = hostArchitectureTargets();
    if (targets.empty())
      return createStringError(
          "target 'all': no level for this machine's architecture, known are " + knownNames());
    return targets;
  }
  SmallVector<StringRef> names;
  text.split(names, ',');
  const bool everyArmLevel = is_contained(names, kEveryArmLevel);
  for (StringRef name : names) {
    auto named = [&](const Target &target) { return target.name == name; };
    if (name != kEveryArmLevel && none_of(allTargets(), named) && none_of(namedCpus(), named))
      return createStringError("unknown target '" + name.str() +
                               "', expected host, all or some of " + knownNames());
  }
  std::vector<Target> targets;
  copy_if(allTargets(), std::back_inserter(targets), [&](const Target &target) {
    return is_contained(names, target.name) || (everyArmLevel && target.triple == kArmLinux);
  });
  copy_if(namedCpus(), std::back_inserter(targets),
          [&](const Target &target) { return is_contained(names, target.name); });
  // The first that a CPU can run is taken: those that need more come first.
  sort(targets, [](const Target &left, const Target &right) {
    const int mine = popcount(left.cpuFeatures), other = popcount(right.cpuFeatures);
    return mine != other ? mine > other : left.name < right.name;
  });
  return targets;
}

bool sameSystem(const Target &left, const Target &right) {
  const Triple one(left.triple), other(right.triple);
  return one.getArch() == other.getArch() && one.getOS() == other.getOS();
}

std::string describeCpuFeatures(uint64_t cpuFeatures) {
  std::string text;
  for (const FeatureBit &feature : kFeatureBits)
    if (cpuFeatures & feature.bit)
      text += (text.empty() ? "" : ",") + std::string(feature.llvmNames);
  return text.empty() ? "none" : text;
}

bool hostCanRun(uint64_t cpuFeatures) { return (cpuFeatures & ~hostFeatures()) == 0; }

} // namespace tern
