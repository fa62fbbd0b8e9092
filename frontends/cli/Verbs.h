//===- Verbs.h - the verbs of the tern command ------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_VERBS_H
#define TERN_FRONTENDS_CLI_VERBS_H

#include "llvm/Support/Error.h"

#include <functional>

namespace CLI {
class App;
}

namespace tern::cli {

/// What a verb does once its arguments are parsed. An error is bad input: exit code 1.
using Action = std::function<llvm::Error()>;

// Each adds its subcommand to `app` and sets `action` when that subcommand is chosen.
void addCompile(CLI::App &app, Action &action);
void addRun(CLI::App &app, Action &action);
void addChat(CLI::App &app, Action &action);
void addConvert(CLI::App &app, Action &action);
void addLogits(CLI::App &app, Action &action);
void addEval(CLI::App &app, Action &action);
void addTokenize(CLI::App &app, Action &action);
void addInspect(CLI::App &app, Action &action);
void addTune(CLI::App &app, Action &action);
void addVerify(CLI::App &app, Action &action);
void addBench(CLI::App &app, Action &action);
void addCache(CLI::App &app, Action &action);
void addDoctor(CLI::App &app, Action &action);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_VERBS_H
