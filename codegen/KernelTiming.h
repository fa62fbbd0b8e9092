//===- KernelTiming.h - how fast packings are on this machine ---*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_KERNELTIMING_H
#define TERN_CODEGEN_KERNELTIMING_H

#include "codegen/Target.h"
#include "dialect/Packing.h"

#include <memory>
#include <vector>

namespace tern {

struct KernelRow;

/// One token's product of a matrix that lies in one packing.
struct PackingTime {
  Packing::Kind packing;
  double microseconds = 0; ///< of one product, weights read from memory
  double gbs = 0;          ///< 10^9 bytes of weights read a second, all threads together
};

/// The GEMV rows of one level for int8 activations with a scale a token, one a packing, compiled
/// into this process.
class PackingTimer {
public:
  /// Of a level that this machine runs; distances as in tern_matmul_args_t.
  static llvm::Expected<std::unique_ptr<PackingTimer>>
  create(const Target &target, uint32_t threads, int64_t nearAhead, int64_t farAhead);
  ~PackingTimer();

  /// Every packing that the table has a row for, in its order: medians of alternating rounds, about
  /// a second in all. Weights are copies of the matrix that no cache holds.
  std::vector<PackingTime> measure(int64_t rows, int64_t columns);

private:
  struct Impl;
  explicit PackingTimer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tern

#endif // TERN_CODEGEN_KERNELTIMING_H
