//===- Pipeline.h - module to machine code, step by step --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to Compiler.cpp and JitModule.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_PIPELINE_H
#define TERN_CODEGEN_PIPELINE_H

#include "codegen/Compiler.h"
#include "codegen/Descriptor.h"
#include "codegen/Payload.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Target/TargetMachine.h"

namespace tern {

/// Runs `build`'s passes with the hooks of `options`; diagnostics become the error.
llvm::Error runPasses(mlir::ModuleOp module, const CompileOptions &options, llvm::StringRef what,
                      llvm::function_ref<llvm::Error(mlir::PassManager &)> build);

/// What `options.sparse` means for `options.targets`.
llvm::Expected<bool> skipsZeros(const CompileOptions &options);

/// From the import stage to the stage "packed", in place.
llvm::Error preparePacked(const CompileInput &input, const CompileOptions &options);

/// Numbers the ops of a packed module if `options` ask for probes.
llvm::Error addProbes(mlir::ModuleOp packed, const CompileOptions &options);

/// A copy of a packed module in the LLVM dialect.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
lowerVariant(mlir::ModuleOp packed, const CompileOptions &options, const Target &target);

/// Code of one variant and what the descriptor says of it.
struct Variant {
  std::unique_ptr<llvm::LLVMContext> context;
  std::unique_ptr<llvm::Module> module;
  std::unique_ptr<llvm::TargetMachine> machine;
  VariantEntry entry;
  std::vector<std::string> exports; ///< symbols for other objects of the library
};
/// Code that is not optimised yet. With `descriptor`, the variant is the only one and holds its own
/// descriptor and `tern_query`.
llvm::Expected<Variant> translateVariant(mlir::ModuleOp packed, const CompileOptions &options,
                                         const Target &target,
                                         DescriptorInfo *descriptor = nullptr);
/// The same, optimised.
llvm::Expected<Variant> compileVariant(mlir::ModuleOp packed, const CompileOptions &options,
                                       const Target &target, DescriptorInfo *descriptor = nullptr);

/// The text of the kernels that a packed module needs on a GPU: stage Msl or Ptx.
llvm::Error emitGpuText(const CompileInput &input, const CompileOptions &options, Stage stage,
                        llvm::raw_ostream &out);

/// Numbers and layout id of a packed module; no variants yet.
llvm::Expected<DescriptorInfo> describe(const CompileInput &input);
PayloadInfo describePayload(const CompileInput &input, const CompileOptions &options,
                            const DescriptorInfo &descriptor);

} // namespace tern

#endif // TERN_CODEGEN_PIPELINE_H
