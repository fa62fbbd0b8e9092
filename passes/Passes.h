//===- Passes.h - target-independent passes and pipelines -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_PASSES_PASSES_H
#define TERN_PASSES_PASSES_H

#include "dialect/TernaryDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassOptions.h"
#include "llvm/Support/CommandLine.h"

#include <memory>
#include <string>

namespace tern {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Options of `ternary-prepare`.
struct PrepareOptions : mlir::PassPipelineOptions<PrepareOptions> {
  Option<ternary::PackingKind> packing{
      *this, "packing", llvm::cl::desc("How trits lie in bytes"),
      llvm::cl::init(ternary::PackingKind::TwoBit),
      llvm::cl::values(clEnumValN(ternary::PackingKind::TwoBit, "two_bit", "2 bits a trit"),
                       clEnumValN(ternary::PackingKind::Base3, "base3", "5 trits a byte"))};
  Option<int64_t> packingRows{*this, "rows", llvm::cl::desc("Rows of a packed tile"),
                              llvm::cl::init(16)};
  ListOption<std::string> shapes{*this, "shapes",
                                 llvm::cl::desc("Packings by shape, ROWSxCOLUMNS:PACKING")};
  Option<bool> sparse{*this, "sparse",
                      llvm::cl::desc("Skip what ReLU-squared gates make zero, exactly"),
                      llvm::cl::init(false)};
  Option<int64_t> maxRows{*this, "max-rows",
                          llvm::cl::desc("Rows of the largest input a call takes"),
                          llvm::cl::init(256)};
  Option<int64_t> screenBytes{*this, "screen-bytes",
                              llvm::cl::desc("Smallest table of a head that gets a screen; "
                                             "negative: none does"),
                              llvm::cl::init(-1)};
};

/// From the import stage to the stage "ternary": quantized, fused, merged; with `sparse`, products
/// that gates close become gated_linear.
void buildFuse(mlir::OpPassManager &passes, bool sparse = false);
/// From the import stage to the stage "packed": buildFuse, packing, memory, verification.
void buildPrepare(mlir::OpPassManager &passes, const PrepareOptions &options);

/// Registers `ternary-fuse` and `ternary-prepare` as text pipelines.
void registerTernaryPipelines();

} // namespace tern

#endif // TERN_PASSES_PASSES_H
