//===- Compile.cpp - tern compile -----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "codegen/RuntimeObject.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

namespace {
struct CompileFlags {
  CheckpointFlags checkpoint;
  std::string model, output, target = "all", stage = "so", weights = "embed", packing = "two_bit";
  std::string header;
  int64_t maxRows = 128;
  bool standalone = false, remarks = false, quiet = false;
};
} // namespace

/// IR text or bytecode (`tern compile x.mlir`): the files it names are beside it.
static Expected<import::ImportedModel> parseModule(mlir::MLIRContext &context, StringRef path) {
  import::ImportedModel model;
  model.module = mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
  if (!model.module)
    return makeError(path + ": expected valid IR");
  model.folder = sys::path::parent_path(path).str();
  if (model.folder.empty())
    model.folder = ".";
  return model;
}

static Expected<import::ImportedModel> load(mlir::MLIRContext &context, const CompileFlags &flags) {
  StringRef path = flags.model;
  StringRef extension = sys::path::extension(path);
  if (extension == ".mlir" || extension == ".mlirbc")
    return parseModule(context, path);
  if (isCompiledLibrary(path))
    return makeError(path + ": is a compiled library already; expected a checkpoint or IR");
  return import::importModel(context, path, importOptions(flags.checkpoint));
}

static Expected<CompileOptions> compileOptions(const CompileFlags &flags, Progress &progress) {
  CompileOptions options;
  auto targets = parseTargets(flags.target);
  if (!targets)
    return targets.takeError();
  options.targets = *targets;
  options.maxRows = flags.maxRows;
  options.packing = flags.packing;
  options.sidecar = flags.weights == "sidecar";
  options.standalone = flags.standalone;
  if (flags.standalone) {
    Bytes object = runtimeObject();
    options.runtimeObject = ArrayRef<uint8_t>(object.data, object.size);
  }
  options.progress = [&](StringRef stage, double fraction) { progress.show(stage, fraction); };
  options.configurePasses = [](mlir::PassManager &passes) {
    (void)mlir::applyPassManagerCLOptions(passes);
  };
  if (flags.remarks)
    options.remark = [](StringRef line) { errs() << "remark: " << line << '\n'; };
  return options;
}

static Error emitText(const CompileInput &input, const CompileOptions &options, Stage stage,
                      StringRef output) {
  if (output.empty() || output == "-")
    return emitStage(input, options, stage, outs());
  return writeToOutput(output,
                       [&](raw_ostream &out) { return emitStage(input, options, stage, out); });
}

/// `model.h`: what an application includes beside the library. The name in it comes from the
/// library's.
static Error writeHeader(StringRef path, StringRef library) {
  std::string text = "/* How to use " + sys::path::filename(library).str() + ", compiled by Tern " +
                     tern_version() + R"(. */
#ifndef TERN_MODEL_H
#define TERN_MODEL_H

#include "tern/tern.h"

/* The file to give to tern_model_open. */
#define TERN_MODEL_FILE ")" +
                     sys::path::filename(library).str() + R"("

/* The library's own descriptor: for tern_model_open_linked when it is linked into the program. */
#ifdef __cplusplus
extern "C"
#endif
const tern_descriptor_t *tern_query(uint32_t abi_version);

#endif /* TERN_MODEL_H */
)";
  return writeFile(path, text);
}

static Error summarise(StringRef output, const CompileOptions &options, double seconds) {
  uint64_t bytes = 0, sidecarBytes = 0;
  if (std::error_code code = sys::fs::file_size(output, bytes))
    return makeError(output + ": " + code.message());
  errs() << output << ": " << formatBytes(bytes);
  if (options.sidecar && !sys::fs::file_size(output + ".weights", sidecarBytes))
    errs() << ", " << output << ".weights: " << formatBytes(sidecarBytes);
  errs() << "; code for ";
  interleaveComma(options.targets, errs(), [](const Target &target) { errs() << target.name; });
  errs() << format("; %.2f s\n", seconds);
  return Error::success();
}

static Error runCompile(const CompileFlags &flags) {
  auto start = std::chrono::steady_clock::now();
  auto stage = parseStage(flags.stage);
  if (!stage)
    return stage.takeError();
  if (*stage == Stage::So && flags.output.empty())
    return makeError("expected -o FILE for the compiled library");
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  Progress progress;
  progress.show("reading the model", 0);
  auto model = load(context, flags);
  if (!model)
    return model.takeError();
  auto files = WeightFiles::open(*model->module, model->folder);
  if (!files)
    return files.takeError();
  auto options = compileOptions(flags, progress);
  if (!options)
    return options.takeError();

  CompileInput input{*model->module, &*files, model->tokenizerBlob, model->card};
  if (*stage != Stage::So)
    return emitText(input, *options, *stage, flags.output);
  if (Error error = compileLibrary(input, *options, flags.output))
    return error;
  if (!flags.header.empty())
    if (Error error = writeHeader(flags.header, flags.output))
      return error;
  progress.show("done", 1);
  if (flags.quiet)
    return Error::success();
  return summarise(flags.output, *options, secondsSince(start));
}

void addCompile(CLI::App &app, Action &action) {
  auto flags = std::make_shared<CompileFlags>();
  CLI::App *verb = app.add_subcommand("compile", "compile a checkpoint into one shared library");
  verb->add_option("model", flags->model, "Hugging Face folder, or .mlir")->required();
  verb->add_option("-o,--output", flags->output, "the library (or text) to write; - is stdout");
  verb->add_option("--target", flags->target,
                   "CPU levels, comma separated; host: this CPU's best; all: every level of this "
                   "architecture, chosen at load")
      ->capture_default_str();
  verb->add_option("--emit", flags->stage,
                   "import, ternary, packed, llvm, ll, asm, obj or so: where to stop")
      ->capture_default_str();
  verb->add_option("--weights", flags->weights, "embed, or sidecar: in FILE.weights")
      ->check(CLI::IsMember({"embed", "sidecar"}))
      ->capture_default_str();
  verb->add_option("--packing", flags->packing, "two_bit or base3 (1.6 bits a weight)")
      ->check(CLI::IsMember({"two_bit", "base3"}))
      ->capture_default_str();
  verb->add_option("--max-rows", flags->maxRows, "tokens a call takes at most")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->add_option("--header", flags->header, "also write a C header for the library");
  verb->add_flag("--standalone", flags->standalone, "bundle the runtime into the library");
  verb->add_flag("--remarks", flags->remarks, "say which kernels were chosen and why");
  verb->add_flag("-q,--quiet", flags->quiet, "no summary");
  addCheckpointFlags(*verb, flags->checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runCompile(*flags); }; });
}

} // namespace tern::cli
