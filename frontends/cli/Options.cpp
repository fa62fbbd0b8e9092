//===- Options.cpp - command-line options that several verbs take ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Options.h"

#include <cstdio>

using namespace llvm;

namespace tern::cli {

/// Empty for success, as CLI11 wants it.
template <typename T> static std::string messageOf(Expected<T> value) {
  return value ? "" : toString(value.takeError());
}

CLI::Validator isTargetList() {
  return {[](std::string &text) { return messageOf(parseTargets(text)); }, ""};
}

CLI::Validator isCpuLevel() {
  return {[](std::string &text) -> std::string {
            auto targets = parseTargets(text);
            if (!targets)
              return toString(targets.takeError());
            if (targets->size() != 1)
              return "expected one CPU level, got '" + text + "'";
            text = targets->front().name;
            return "";
          },
          ""};
}

CLI::Validator isIdList() {
  return {[](std::string &text) { return messageOf(parseIds(text)); }, ""};
}

CLI::Validator isCount(uint64_t least, uint64_t most) {
  return {[=](std::string &text) -> std::string {
            uint64_t value = 0;
            if (!StringRef(text).getAsInteger(10, value) && value >= least && value <= most)
              return "";
            return "expected a whole number from " + std::to_string(least) + " to " +
                   std::to_string(most) + ", got '" + text + "'";
          },
          ""};
}

CLI::Validator isNumber(double least, double most) {
  return {[=](std::string &text) -> std::string {
            double value = 0;
            if (!StringRef(text).getAsDouble(value) && value >= least && value <= most)
              return "";
            char range[64];
            snprintf(range, sizeof range, "from %g to %g", least, most);
            return std::string("expected a number ") + range + ", got '" + text + "'";
          },
          ""};
}

void addModel(CLI::App &verb, RunOptions &options) {
  verb.add_option("model", options.model, "checkpoint (compiled in memory) or library")->required();
}

void addPacking(CLI::App &verb, std::string &packing) {
  verb.add_option("--packing", packing, "two_bit, base3 (1.6 bits) or auto: base3 with VBMI")
      ->check(CLI::IsMember({"auto", "two_bit", "base3"}))
      ->capture_default_str();
}

void addSparse(CLI::App &verb, std::string &sparse) {
  verb.add_option("--sparse", sparse, "skip zeros of ReLU-squared layers, exactly: auto, on, off")
      ->check(CLI::IsMember({"auto", "on", "off"}))
      ->capture_default_str();
}

void addThreads(CLI::App &verb, uint32_t &threads) {
  verb.add_option("--threads", threads, "0: one a core")->check(isCount(0, 256));
}

void addHead(CLI::App &verb, CheckpointFlags &flags) {
  verb.add_option(
          "--head", flags.head,
          "how the likeliest token is found, which is the same: two_stage (by a coarse copy\n"
          "of the head), full, or auto; or a head that is not as exact: f16, bf16, int8, q6")
      ->check(CLI::IsMember({"auto", "full", "two_stage", "f16", "bf16", "int8", "q6"}))
      ->capture_default_str();
}

void addTuning(CLI::App &verb, std::string &file) {
  verb.add_option("--tuning", file, "packings by matrix shape, from tern tune");
}

void addLoadOptions(CLI::App &verb, RunOptions &options) {
  verb.add_option("--load", options.load,
                  "weights: map (use the file, which processes share), copy (into huge pages)\n"
                  "or auto (a copy only where the mapping gets no huge pages)")
      ->check(CLI::IsMember({"map", "copy", "auto"}))
      ->capture_default_str();
  verb.add_flag("--no-cache", options.noCache,
                "do not keep what is compiled from a checkpoint (see tern cache)");
}

void addCheckpointFlags(CLI::App &verb, CheckpointFlags &flags) {
  verb.add_option("--activations", flags.activations,
                  "of linear layers: float, int8 or, with a scale a group of columns, "
                  "int8-g32,\nint8-g64 or int8-g128; default: as the model was trained")
      ->check(CLI::IsMember({"float", "int8", "int8-g32", "int8-g64", "int8-g128"}));
  verb.add_option("--gate", flags.gate, "gate function: relu2 or silu; default: as the file says")
      ->check(CLI::IsMember({"relu2", "silu"}));
  verb.add_option("--i2s-layout", flags.layout,
                  "of I2_S tensors in GGUF: 128 (published files), 64 or 4row")
      ->check(CLI::IsMember({"128", "64", "4row"}));
}

void addCacheFlag(CLI::App &verb, CheckpointFlags &flags) {
  verb.add_option("--kv", flags.cache,
                  "elements of the cache of keys and values: f32 (default), f16 or int8; smaller\n"
                  "ones are faster in long contexts, and not as exact")
      ->check(CLI::IsMember({"f32", "f16", "int8"}));
}

void addRunOptions(CLI::App &verb, RunOptions &options) {
  addModel(verb, options);
  addThreads(verb, options.threads);
  addHead(verb, options.checkpoint);
  verb.add_option("--level", options.level, "force a CPU level, such as x86-64-v3")
      ->check(isCpuLevel());
  addLoadOptions(verb, options);
  addCheckpointFlags(verb, options.checkpoint);
  addCacheFlag(verb, options.checkpoint);
}

} // namespace tern::cli
