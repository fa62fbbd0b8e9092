//===- Options.h - command-line options that several verbs take -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_OPTIONS_H
#define TERN_FRONTENDS_CLI_OPTIONS_H

#include "frontends/cli/Support.h"

#include <CLI/CLI.hpp>

namespace tern::cli {

/// The model, --threads, --level and what a checkpoint does not say: of a verb that runs one.
void addRunOptions(CLI::App &verb, RunOptions &options);
void addModel(CLI::App &verb, RunOptions &options);
/// --load and --no-cache.
void addLoadOptions(CLI::App &verb, RunOptions &options);
void addThreads(CLI::App &verb, uint32_t &threads);
void addHead(CLI::App &verb, CheckpointFlags &flags);
void addTuning(CLI::App &verb, std::string &file);
void addPacking(CLI::App &verb, std::string &packing);
void addSparse(CLI::App &verb, std::string &sparse);
void addCheckpointFlags(CLI::App &verb, CheckpointFlags &flags);
void addCacheFlag(CLI::App &verb, CheckpointFlags &flags);

// What is no target, level or list of ids is wrong usage (exit code 2).
CLI::Validator isTargetList();
CLI::Validator isCpuLevel();
CLI::Validator isIdList();
/// CLI::Range, with its numbers written as integers.
CLI::Validator isCount(uint64_t least, uint64_t most);

/// CLI::Range for numbers, which must be finite.
CLI::Validator isNumber(double least, double most);

/// More tokens than any model has positions.
constexpr uint64_t kMaxTokens = 1 << 24;

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_OPTIONS_H
