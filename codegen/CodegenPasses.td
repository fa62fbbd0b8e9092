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
  let summary = "names the kernels of every product for one CPU level";
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

def AddProbes : Pass<"ternary-add-probes", "::mlir::ModuleOp"> {
  let summary = "numbers what compiled code shall say that it begins";
  let description = [{
    Expects the stage `packed`. Gives every op that becomes a phase, every call and every function
    the attribute `ternary.probe`, a number from 3 on (`TERN_PROBE_FIRST`); consecutive calls
    of a function have consecutive numbers. `ternary-lower-to-llvm` makes code that calls
    `frame->probe` wherever a thread begins one of them, or begins to wait; results stay the same. Modules without
    the attribute get no such code.
  }];
}

def EmitKernels : Pass<"ternary-emit-kernels", "::mlir::ModuleOp"> {
  let summary = "adds the kernels that the module's products name";
  let description = [{
    Expects `ternary-select-kernels`. Appends one function for each row of the kernel
    table that a `ternary.gemv` or `ternary.gemm` attribute names, in table order, for reading and for
    tests; `ternary-lower-to-llvm` emits its own.
  }];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def LowerToLLVM : Pass<"ternary-lower-to-llvm", "::mlir::ModuleOp"> {
  let summary = "packed functions become SPMD code in the LLVM dialect";
  let description = [{
    Expects `ternary-prepare` and `ternary-select-kernels` for the same target. Leaves one function
    `tern_forward_<level>(frame, thread)` (abi.h) made from the entry function, one internal
    `tern_block_<name>` for each function it calls, and the kernels they name; nothing but the LLVM dialect.

    Each op is a phase whose rows, heads or row blocks are split over the threads. Before a phase that
    touches what an earlier one of another thread wrote, or writes what it read, all threads
    meet at `frame->barrier`. Consecutive calls of one function become a loop over a constant
    table of offsets: code size does not depend on the number of layers.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"host\"", "CPU level, one name of codegen/Target.cpp, or host">,
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect",
    "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

#endif // TERN_CODEGEN_CODEGENPASSES_TD
