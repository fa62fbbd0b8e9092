//===- Doctor.cpp - tern doctor -------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"

#include <CLI/CLI.hpp>
#include <gnu/libc-version.h>
#include <thread>

using namespace llvm;

namespace tern::cli {

static void printCpu() {
  outs() << "CPU        " << sys::getHostCPUName() << ", " << std::thread::hardware_concurrency()
         << " cores\nfeatures  ";
  uint64_t have = tern_cpu_features();
  for (uint32_t bit = 0; bit < 64; ++bit)
    if (have >> bit & 1)
      if (const char *name = tern_cpu_feature_name(bit))
        outs() << ' ' << name;
  outs() << "\nlevels    ";
  for (const Target &target : allTargets())
    outs() << ' ' << target.name << ((target.cpuFeatures & ~have) == 0 ? "" : " (not on this CPU)");
  outs() << '\n';
}

static void printSystem() {
  auto pages = MemoryBuffer::getFileAsStream("/sys/kernel/mm/transparent_hugepage/enabled");
  outs() << "huge pages " << (pages ? (*pages)->getBuffer().trim() : StringRef("unknown")) << '\n'
         << "tern       " << tern_version() << ", ABI " << TERN_ABI_VERSION << '\n'
         << "packages   LLVM and MLIR " << LLVM_VERSION_STRING << ", glibc "
         << gnu_get_libc_version() << '\n';
}

/// Compiles a small model for every level this CPU has and checks each kernel against plain C.
static Error selfTest() {
  uint64_t have = tern_cpu_features();
  for (const Target &target : allTargets()) {
    if (target.cpuFeatures & ~have)
      continue;
    mlir::DialectRegistry registry;
    registerCompilerDialects(registry);
    mlir::MLIRContext context(registry);
    auto imported = import::syntheticModel(context, "tiny");
    if (!imported)
      return imported.takeError();
    OpenOptions options;
    options.compile.targets = {target};
    auto model = RunningModel::compile(*imported, options);
    if (!model)
      return model.takeError();
    auto line = [](void *, const char *text) { outs() << "self-test  " << text << '\n'; };
    if (Error error = checkStatus(tern_model_self_test(model->get(), line, nullptr)))
      return error;
  }
  return Error::success();
}

static Error runDoctor() {
  printCpu();
  printSystem();
  if (Error error = selfTest())
    return error;
  outs() << "all good\n";
  return Error::success();
}

void addDoctor(CLI::App &app, Action &action) {
  CLI::App *verb = app.add_subcommand("doctor", "what this machine has, and a self-test");
  verb->callback([&action] { action = [] { return runDoctor(); }; });
}

} // namespace tern::cli
