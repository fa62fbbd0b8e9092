//===- CodegenPasses.td - passes from packed modules to code --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_CODEGENPASSES_TD
#define TERN_CODEGEN_CODEGENPASSES_TD

include "mlir/Pass/PassBase.td"

def SelectKernels : Pass<"ternary-select-kernels", "::mlir::ModuleOp"> {
  let summary = "names the kernels of every fused_linear for one CPU level";
  let description = [{
    Expects packed weights (`ternary-choose-packing`). Sets `ternary.gemv` and
    `ternary.gemm` on each `ternary.fused_linear`: the names of the rows of the
    kernel table that the target runs best for one token and for several. Emits a
    remark per op that says which rows were refused and why, and an error where
    no row fits.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "CPU level, one name of codegen/Target.cpp, or host">,
  ];
}

#endif // TERN_CODEGEN_CODEGENPASSES_TD
