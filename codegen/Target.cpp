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
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

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
};

uint64_t hostFeatures() {
  const StringMap<bool> host = sys::getHostCPUFeatures();
  uint64_t bits = 0;
  for (const FeatureBit &feature : kFeatureBits) {
    SmallVector<StringRef> names;
    StringRef(feature.llvmNames).split(names, ',');
    if (all_of(names, [&](StringRef name) { return host.lookup(name); }))
      bits |= feature.bit;
  }
  return bits;
}

/// Levels of this machine's architecture, best first.
std::vector<Target> hostArchitectureTargets() {
  const Triple host(sys::getDefaultTargetTriple());
  std::vector<Target> targets;
  copy_if(allTargets(), std::back_inserter(targets),
          [&](const Target &target) { return Triple(target.triple).getArch() == host.getArch(); });
  return targets;
}

std::string knownNames() {
  return join(map_range(allTargets(), [](const Target &target) { return target.name; }), ", ");
}

Expected<std::vector<Target>> hostTarget() {
  const uint64_t features = hostFeatures();
  for (const Target &target : hostArchitectureTargets())
    if ((target.cpuFeatures & ~features) == 0)
      return std::vector<Target>{target};
  return createStringError("target 'host': no level for this machine's architecture, known are " +
                           knownNames());
}

} // namespace

ArrayRef<Target> allTargets() {
  // Generic CPU names rather than the build machine's: the same code everywhere. 512-bit vectors
  // are asked for because x86-64-v4 is tuned for CPUs that slow down with them.
  constexpr const char *kLinux = "x86_64-unknown-linux-gnu";
  constexpr uint64_t kV3 = TERN_CPU_X86_SSE41 | TERN_CPU_X86_AVX2;
  static const Target targets[] = {
      {"x86-64-v4-vnni", kLinux, "x86-64-v4", "+avx512vnni,-prefer-256-bit",
       kV3 | TERN_CPU_X86_AVX512 | TERN_CPU_X86_AVX512VNNI},
      {"x86-64-v3", kLinux, "x86-64-v3", "", kV3},
      {"x86-64", kLinux, "x86-64", "", 0},
  };
  return targets;
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
  for (StringRef name : names)
    if (none_of(allTargets(), [&](const Target &target) { return target.name == name; }))
      return createStringError("unknown target '" + name.str() +
                               "', expected host, all or some of " + knownNames());
  std::vector<Target> targets;
  copy_if(allTargets(), std::back_inserter(targets),
          [&](const Target &target) { return is_contained(names, target.name); });
  return targets;
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
