//===- Target.h - CPU levels, from and to text ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_TARGET_H
#define TERN_CODEGEN_TARGET_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tern {

/// A CPU level code is made for: what LLVM is told and what the runtime checks.
struct Target {
  std::string name;         ///< "x86-64-v4-vnni"; also the suffix of its symbols
  std::string triple;       ///< "x86_64-unknown-linux-gnu"
  std::string cpu;          ///< LLVM's -mcpu
  std::string features;     ///< LLVM's -mattr
  uint64_t cpuFeatures = 0; ///< TERN_CPU_* of abi.h
  std::string rowKernels;   ///< which Halide bitcode: "x86-64-v3"
  std::string tune = "";    ///< the CPU whose timing code is scheduled for; empty: `cpu`
  bool byNameOnly = false;  ///< neither `host` nor `all` take it: it was executed nowhere
};

/// Every level Tern makes code for, best first within an architecture.
llvm::ArrayRef<Target> allTargets();
/// CPUs by name: a level each, scheduled for that CPU. Best first within an architecture.
llvm::ArrayRef<Target> namedCpus();
/// "host" (the best level of this CPU), "all" (every level of the host's architecture; neither has
/// levels that were executed nowhere), or names
/// of levels and CPUs separated by commas; "aarch64-linux" stands for all levels of 64-bit ARM.
/// Best first, each once.
llvm::Expected<std::vector<Target>> parseTargets(llvm::StringRef text);
/// The LLVM names of TERN_CPU_* bits, for messages: "avx512vnni", or "none".
std::string describeCpuFeatures(uint64_t cpuFeatures);
/// Whether both are of one architecture and one kind of object file, and so fit one library.
bool sameSystem(const Target &left, const Target &right);
/// Whether this CPU has all of the TERN_CPU_* bits.
bool hostCanRun(uint64_t cpuFeatures);

} // namespace tern

#endif // TERN_CODEGEN_TARGET_H
