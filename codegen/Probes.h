//===- Probes.h - what the probes of compiled code stand for ----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_PROBES_H
#define TERN_CODEGEN_PROBES_H

#include "mlir/IR/BuiltinOps.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tern {

/// What an op moves and computes at least. Activations are apart: they mostly stay in caches.
struct OpCost {
  double weightBytes = 0;      ///< read by every execution
  double bytesPerRow = 0;      ///< read or written in memory for each row: tables, cached rows
  double bytesPerPosition = 0; ///< read for each position of the cache up to the last row's
  double activationBytesPerRow = 0;
  double macsPerRow = 0;
  double macsPerPair = 0; ///< for each row and each position it attends to
  double screenBytes =
      0; ///< of a head: read instead of weightBytes where one token is searched for
  double bytesPerHeadRow = 0; ///< of a head: read for each logit that such a search computes
  bool int8 = false;          ///< multiply-adds of int8
};

/// One number of `ternary.probe`.
struct Probe {
  std::string
      name; ///< "fused_linear ffn_down"; of a call, what its weights' names begin with: "blk.3"
  bool isCall = false;
  OpCost cost; ///< of an op
};

/// `ternary.probe` of an op.
std::optional<uint32_t> probeNumber(mlir::Operation *op);

/// True for ops that only name values (loads, slices, indices): no phases.
bool onlyNamesValues(mlir::Operation *op);

/// The probes of a module after ternary-add-probes: entry i is number TERN_PROBE_FIRST + i.
std::vector<Probe> readProbes(mlir::ModuleOp module);

} // namespace tern

#endif // TERN_CODEGEN_PROBES_H
