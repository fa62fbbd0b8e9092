//===- tern.cpp - the command line ----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tern/tern.h"
#include "frontends/cli/Verbs.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

/// MLIR's own flags (--mlir-print-ir-after-all, --mlir-timing, ...) go to LLVM's parser; the rest
/// is ours.
static std::vector<std::string> takeMlirFlags(int argc, char **argv) {
  std::vector<const char *> theirs = {argv[0]};
  std::vector<std::string> ours;
  for (int i = 1; i < argc; ++i) {
    if (StringRef(argv[i]).starts_with("--mlir-"))
      theirs.push_back(argv[i]);
    else
      ours.push_back(argv[i]);
  }
  mlir::registerPassManagerCLOptions();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  cl::ParseCommandLineOptions(theirs.size(), theirs.data(), "tern\n");
  // CLI11 takes a vector from the back.
  std::reverse(ours.begin(), ours.end());
  return ours;
}

int main(int argc, char **argv) {
  InitLLVM initialise(argc, argv);
  CLI::App app("tern: compiles ternary (1.58-bit) neural networks and runs them", "tern");
  app.set_version_flag("--version", std::string("tern ") + tern_version());
  app.require_subcommand(1);
  app.footer("tern VERB --help tells more. MLIR's flags (--mlir-print-ir-after-all, "
             "--mlir-timing, ...) work with every verb that compiles.");

  tern::cli::Action action;
  tern::cli::addCompile(app, action);
  tern::cli::addRun(app, action);
  tern::cli::addChat(app, action);
  tern::cli::addConvert(app, action);
  tern::cli::addLogits(app, action);
  tern::cli::addEval(app, action);
  tern::cli::addTokenize(app, action);
  tern::cli::addInspect(app, action);
  tern::cli::addVerify(app, action);
  tern::cli::addBench(app, action);
  tern::cli::addDoctor(app, action);

  try {
    app.parse(takeMlirFlags(argc, argv));
  } catch (const CLI::ParseError &error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (Error error = action()) {
    errs() << "tern: error: " << toString(std::move(error)) << '\n';
    return 1;
  }
  return 0;
}
