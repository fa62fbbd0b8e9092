//===- Limits.h - what this machine can do at most --------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_LIMITS_H
#define TERN_FRONTENDS_CLI_LIMITS_H

#include <cstdint>

namespace tern {

/// The ceilings that model speed is reported against, measured by plain loops.
struct MachineLimits {
  double readGBs = 0;   ///< streaming reads from memory, 10^9 bytes a second, all threads together
  double int8GMacs = 0; ///< int8 multiply-adds of the best dot instruction, 10^9 a second
  double f32GMacs = 0;  ///< fused multiply-adds of floats, 10^9 a second
};

/// Takes about `seconds` on `threads` threads; the best of several rounds each.
MachineLimits measureLimits(uint32_t threads, double seconds = 1.0);

} // namespace tern

#endif // TERN_FRONTENDS_CLI_LIMITS_H
