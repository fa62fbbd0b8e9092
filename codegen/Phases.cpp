//===- Phases.cpp - which steps need a barrier between them ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Phases.h"

using namespace tern;

static bool overlap(const Region &a, const Region &b) {
  if (a.space != b.space || a.id != b.id)
    return false;
  return a.space != Region::Space::Locals || (a.begin < b.end && b.begin < a.end);
}

static bool conflict(const Access &a, const Access &b) {
  if (!a.write && !b.write)
    return false;
  if (!overlap(a.region, b.region))
    return false;
  bool sameRows = a.rows && a.rows == b.rows && a.region.root == b.region.root;
  return !sameRows;
}

bool PhaseTracker::needsBarrier(llvm::ArrayRef<Access> accesses) const {
  if (unknown)
    return true;
  for (const Access &access : accesses)
    for (const Access &earlier : pending)
      if (conflict(access, earlier))
        return true;
  return false;
}

void PhaseTracker::barrier() {
  unknown = false;
  freshTicket = true;
  pending.clear();
}

void PhaseTracker::add(llvm::ArrayRef<Access> accesses) {
  pending.append(accesses.begin(), accesses.end());
}
