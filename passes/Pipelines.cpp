//===- Pipelines.cpp - the passes in order --------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void tern::buildFuse(OpPassManager &passes, bool sparse) {
  passes.addPass(createQuantizeWeights());
  passes.addPass(createQuantizeActivations());
  passes.addPass(createCSEPass());
  passes.addPass(createFuseNormQuantize());
  passes.addPass(createFuseEpilogue());
  if (sparse)
    passes.addPass(createExploitSparsity());
  passes.addPass(createMergeLinears());
}

void tern::buildPrepare(OpPassManager &passes, const PrepareOptions &options) {
  buildFuse(passes, options.sparse);
  ChoosePackingOptions choice{options.packing, options.packingRows, {}};
  choice.shapes.assign(options.shapes.begin(), options.shapes.end());
  passes.addPass(createChoosePacking(choice));
  if (options.screenBytes >= 0)
    passes.addPass(createScreenHead(ScreenHeadOptions{/*bits=*/6, options.screenBytes}));
  passes.addPass(createPackWeights());
  passes.addPass(createPlanMemory(PlanMemoryOptions{options.maxRows}));
  passes.addPass(createVerifyPacked());
}

void tern::registerTernaryPipelines() {
  static PassPipelineRegistration<> fuse("ternary-fuse",
                                         "From the import stage to fused and merged linears",
                                         [](OpPassManager &passes) { buildFuse(passes); });
  static PassPipelineRegistration<PrepareOptions> prepare(
      "ternary-prepare", "From the import stage to packed weights and planned memory",
      [](OpPassManager &passes, const PrepareOptions &options) { buildPrepare(passes, options); });
}
