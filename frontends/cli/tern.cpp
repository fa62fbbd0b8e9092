//===- tern.cpp - the command line ----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tern/tern.h"
#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <sstream>

using namespace llvm;

/// MLIR's own flags (--mlir-print-ir-after-all, --mlir-timing, ...) go to LLVM's parser; the rest
/// is ours. Throws as CLI11 does.
static std::vector<std::string> takeMlirFlags(int argc, char **argv) {
  std::vector<const char *> theirs = {"tern"};
  std::vector<std::string> ours;
  for (int i = 1; i < argc; ++i) {
    if (StringRef(argv[i]).starts_with("--mlir-"))
      theirs.push_back(argv[i]);
    else
      ours.push_back(argv[i]);
  }
  if (theirs.size() > 1)
    tern::cli::noteMlirFlags();
  mlir::registerPassManagerCLOptions();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  std::string text;
  raw_string_ostream errors(text);
  if (!cl::ParseCommandLineOptions(theirs.size(), theirs.data(), "tern\n", &errors)) {
    StringRef first = StringRef(text).split('\n').first;
    first.consume_front("tern: ");
    if (first.empty())
      first = "wrong value of an --mlir- flag";
    throw CLI::ValidationError(first.split("  Try:").first.str());
  }
  // CLI11 takes a vector from the back.
  std::reverse(ours.begin(), ours.end());
  return ours;
}

/// The exit code of what has run, told on stderr if it failed or its output could not be written.
static int finish(Error error) {
  outs().flush();
  if (!error && outs().has_error())
    error =
        createStringError(outs().error(), "standard output: %s", outs().error().message().c_str());
  outs().clear_error();
  if (!error)
    return 0;
  errs() << "tern: error: " << toString(std::move(error)) << '\n';
  return 1;
}

/// Help and version go to stdout with code 0; wrong usage to stderr with code 2.
static int reportUsage(const CLI::App &app, const CLI::ParseError &error) {
  if (error.get_exit_code() == 0) {
    std::ostringstream text;
    app.exit(error, text, text);
    outs() << text.str();
    return finish(Error::success());
  }
  std::string text = error.what();
  auto verbs = app.get_subcommands();
  if (verbs.empty() && error.get_exit_code() == int(CLI::ExitCodes::ExtrasError))
    text = "unknown verb or option: " + StringRef(text).rsplit(": ").second.str();
  errs() << "tern: error: " << text << "\nRun 'tern "
         << (verbs.empty() ? "" : verbs.front()->get_name() + " ") << "--help' for the usage.\n";
  return 2;
}

int main(int argc, char **argv) {
  // A reader that closes our output ends us as it ends any Unix tool: by SIGPIPE.
  InitLLVM initialise(argc, argv, /*InstallPipeSignalExitHandler=*/false);
  // A file over the size limit is an error of that write, not a crash. After InitLLVM, which
  // installs handlers of its own, once.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app("tern: compiles ternary (1.58-bit) neural networks and runs them", "tern");
  app.set_version_flag("--version", std::string("tern ") + tern_version());
  app.require_subcommand(0, 1);
  app.footer("tern VERB --help tells more. MLIR's flags (--mlir-print-ir-after-all,\n"
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
  tern::cli::addTune(app, action);
  tern::cli::addVerify(app, action);
  tern::cli::addBench(app, action);
  tern::cli::addCache(app, action);
  tern::cli::addDoctor(app, action);

  try {
    app.parse(takeMlirFlags(argc, argv));
  } catch (const CLI::ParseError &error) {
    return reportUsage(app, error);
  }
  if (!action) {
    errs() << "tern: error: expected a verb\n" << app.help();
    return 2;
  }
  return finish(action());
}
