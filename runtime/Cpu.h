//===- Cpu.h - what this processor can do -----------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_CPU_H
#define TERN_RUNTIME_CPU_H

#include <cstdint>
#include <string>
#include <vector>

namespace tern {

/// TERN_CPU_ bits of this processor, as far as the system saves the registers they use.
uint64_t cpuFeatures();
/// "avx2, avxvnni", or "none".
std::string describeFeatures(uint64_t features);
/// Bytes ahead of their use at which streams are asked for on this processor: tern_frame_t.
struct StreamAhead {
  int64_t near, far;
};
StreamAhead streamAhead();
/// The processors this thread may run on, ascending; at least one.
std::vector<int> allowedCpus();

} // namespace tern

#endif // TERN_RUNTIME_CPU_H
