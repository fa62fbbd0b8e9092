//===- tern-opt.cpp - run passes on ternary IR ----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/CodegenPasses.h"
#include "dialect/TernaryDialect.h"
#include "frontends/cli/IRText.h"
#include "passes/Passes.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace llvm;

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<tern::ternary::TernaryDialect>();

  mlir::registerTransformsPasses();
  tern::registerTernaryPasses();
  tern::registerTernaryPipelines();
  tern::registerCodegenPasses();
  InitLLVM initialise(argc, argv);
  auto [input, output] = mlir::registerAndParseCLIOptions(
      argc, argv, "tern-opt: runs passes on ternary IR\n", registry);
  std::string error;
  std::unique_ptr<MemoryBuffer> buffer = mlir::openInputFile(input, &error);
  // Bytecode is as its user's own: only tern takes files from strangers.
  if (buffer && !mlir::isBytecode(*buffer))
    if (Error refused = tern::cli::checkIRText(buffer->getBuffer()))
      error = input + ": " + toString(std::move(refused));
  std::unique_ptr<ToolOutputFile> file;
  if (error.empty())
    file = mlir::openOutputFile(output, &error);
  if (!error.empty()) {
    errs() << "tern-opt: error: " << error << '\n';
    return 1;
  }
  if (failed(mlir::MlirOptMain(file->os(), std::move(buffer), registry,
                               mlir::MlirOptMainConfig::createFromCLOptions())))
    return 1;
  file->keep();
  return 0;
}
