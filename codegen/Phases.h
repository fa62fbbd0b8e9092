//===- Phases.h - which steps need a barrier between them -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_PHASES_H
#define TERN_CODEGEN_PHASES_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <utility>

namespace tern {

/// A stretch of memory that threads share. Stretches of different spaces never overlap.
struct Region {
  enum class Space { Locals, Argument, Result, Cache, Scratch, Output };
  Space space = Space::Locals;
  int64_t id = 0;             ///< which argument, result, cache or output; 0 for locals
  int64_t begin = 0, end = 0; ///< bytes, locals only; the others are one stretch each
  int64_t root = 0;           ///< equal for views of one buffer
};

/// One use of a region by all threads of a phase.
struct Access {
  Region region;
  bool write = false;
  /// Not null: thread t touches whole rows `split(rows)` of the buffer `region.root`, and only
  /// those. The same row count and root in two phases: each thread meets only its own rows.
  mlir::Value rows;
};

/// Remembers what was touched since the last barrier.
class PhaseTracker {
public:
  /// `clean`: nothing is in flight at the start (the entry); else the first phase needs a barrier.
  explicit PhaseTracker(bool clean) : unknown(!clean) {}

  /// Whether a phase of these accesses may run beside what came since the last barrier.
  bool needsBarrier(llvm::ArrayRef<Access> accesses) const;
  void barrier();
  void add(llvm::ArrayRef<Access> accesses);
  /// After a call: anything may be in flight.
  void addUnknown() { unknown = true; }
  /// Whether the threads' ticket still is as the last barrier left it; from now on it is not.
  bool takeTicket() { return std::exchange(freshTicket, false); }

private:
  bool unknown;
  bool freshTicket = true; ///< of no meaning while `unknown`: the next phase has a barrier
  llvm::SmallVector<Access> pending;
};

} // namespace tern

#endif // TERN_CODEGEN_PHASES_H
