//===- CompileGpu.cpp - packed modules to GPU artefacts -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/LinkLibrary.h"
#include "codegen/Lowering.h"
#include "codegen/Pipeline.h"
#include "codegen/gpu/Plan.h"
#include "codegen/metal/PrintMsl.h"
#include "codegen/nvptx/EmitPtx.h"

#include "llvm/ADT/StringExtras.h"

using namespace tern;

static llvm::Expected<gpu::Plan> planOf(const CompileInput &input) {
  auto entry = findEntry(input.module);
  if (mlir::failed(entry))
    return llvm::createStringError(
        "expected exactly one function with the attribute ternary.entry");
  mlir::ModuleOp module = input.module;
  auto rows = module->getAttrOfType<mlir::IntegerAttr>("ternary.max_rows");
  return gpu::buildPlan(*entry, rows ? rows.getInt() : 1);
}

static mlir::OwningOpRef<mlir::ModuleOp> kernelsOf(const CompileInput &input,
                                                   const gpu::Plan &plan) {
  mlir::ModuleOp module = input.module;
  return gpu::buildKernels(*module.getContext(), plan.kernelNames());
}

static llvm::Expected<std::string> mslOf(const CompileInput &input, const gpu::Plan &plan) {
  auto text = metal::printMsl(*kernelsOf(input, plan));
  if (!text)
    return text;
  std::vector<std::string> complaints = metal::lintMsl(*text);
  if (!complaints.empty())
    return llvm::createStringError("the printed MSL is not right: " + llvm::join(complaints, "; "));
  return text;
}

/// Without what only CPUs have kernels for.
static llvm::Error prepareForGpu(const CompileInput &input, const CompileOptions &options) {
  CompileOptions dense = options;
  dense.sparse = "off";
  if (dense.packing == "auto")
    dense.packing = "two_bit";
  return preparePacked(input, dense);
}

llvm::Error tern::emitGpuText(const CompileInput &input, const CompileOptions &options, Stage stage,
                              llvm::raw_ostream &out) {
  if (llvm::Error error = prepareForGpu(input, options))
    return error;
  auto plan = planOf(input);
  if (!plan)
    return plan.takeError();
  auto text =
      stage == Stage::Msl ? mslOf(input, *plan) : nvptx::emitPtx(*kernelsOf(input, *plan), "sm_90");
  if (!text)
    return text.takeError();
  out << *text;
  return llvm::Error::success();
}

llvm::Error tern::compileForMetal(const CompileInput &input, const CompileOptions &options,
                                  llvm::StringRef path) {
  if (llvm::Error error = prepareForGpu(input, options))
    return error;
  auto info = describe(input);
  if (!info)
    return info.takeError();
  auto plan = planOf(input);
  if (!plan)
    return plan.takeError();
  auto text = mslOf(input, *plan);
  if (!text)
    return text.takeError();
  std::string bytes = plan->serialize(*info);
  PayloadInfo payload = describePayload(input, options, *info);
  payload.more = {{TERN_SECTION_MSL, *text}, {TERN_SECTION_GPU_PLAN, bytes}};
  return writePayloadFile(payload, path);
}
