//===- Compile.cpp - tern compile -----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/ModelHeader.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Tuning.h"
#include "frontends/cli/Verbs.h"
#include "frontends/cli/WeightSummary.h"

#include "codegen/RuntimeObject.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tern::cli {

namespace {
struct CompileFlags {
  CheckpointFlags checkpoint;
  std::string model, output, target = "all", stage = "so", weights = "embed", packing = "auto",
                             tuning, sparse = "auto";
  int64_t maxRows = 256;
  bool header = false, standalone = false, remarks = false, quiet = false;
};
} // namespace

static constexpr const char *kMetal = "metal", *kNvptx = "nvptx-sm90";

static bool isGpu(const CompileFlags &flags) {
  return flags.target == kMetal || flags.target == kNvptx;
}

static Expected<import::ImportedModel> load(mlir::MLIRContext &context, const CompileFlags &flags) {
  StringRef path = flags.model;
  if (isIRFile(path))
    return readIR(context, path);
  if (isCompiledLibrary(path))
    return makeError(path + ": is a compiled library already; expected a checkpoint or IR");
  return import::importModel(context, path, importOptions(flags.checkpoint));
}

/// What `tern inspect` shows of a library and no runtime needs: how it is packed, and each ternary
/// weight with a sample of its trits.
static Expected<std::string> extendCard(const CompileFlags &flags, const CompileInput &input,
                                        const CompileOptions &options) {
  constexpr int64_t kSampleRows = 64;
  auto card = json::parse(input.card.empty() ? "{}" : input.card);
  if (!card)
    return card.takeError();
  auto weights = summariseWeights(input.module, input.files, kSampleRows, [](double) {});
  if (!weights)
    return weights.takeError();
  llvm::erase_if(*weights, [](const WeightSummary &weight) { return !weight.zeroShare; });
  json::Object &object = *card->getAsObject();
  object["packing"] = chosenPacking(options);
  if (!flags.tuning.empty()) {
    auto tuning = Tuning::read(flags.tuning);
    if (!tuning)
      return tuning.takeError();
    object["tuning"] = tuning->toJson();
  }
  object["weights"] = toJson(*weights);
  return formatv("{0}", *card).str();
}

static Expected<CompileOptions> compileOptions(const CompileFlags &flags, Progress &progress) {
  CompileOptions options;
  if (!isGpu(flags)) {
    auto targets = parseTargets(flags.target);
    if (!targets)
      return targets.takeError();
    options.targets = *targets;
  }
  options.maxRows = flags.maxRows;
  options.packing = flags.packing;
  // GPU kernels read the whole table.
  options.head = isGpu(flags) ? "full" : headSearch(flags.checkpoint);
  auto shapes = tunedShapes(flags.tuning);
  if (!shapes)
    return shapes.takeError();
  options.shapes = std::move(*shapes);
  options.sparse = isGpu(flags) ? "off" : flags.sparse;
  options.sidecar = flags.weights == "sidecar";
  options.standalone = flags.standalone;
  if (flags.standalone) {
    Bytes object = runtimeObject();
    options.runtimeObject = ArrayRef<uint8_t>(object.data, object.size);
  }
  options.progress = [&](StringRef stage, double fraction) { progress.show(stage, fraction); };
  options.configurePasses = configurePasses;
  if (flags.remarks)
    options.remark = [](StringRef line) { errs() << "remark: " << line << '\n'; };
  return options;
}

static Error summarise(StringRef output, const CompileOptions &options, double seconds) {
  uint64_t bytes = 0, sidecarBytes = 0;
  if (std::error_code code = sys::fs::file_size(output, bytes))
    return makeError(output + ": " + code.message());
  errs() << output << ": " << formatBytes(bytes);
  if (options.sidecar && !sys::fs::file_size(output + ".weights", sidecarBytes))
    errs() << ", " << output << ".weights: " << formatBytes(sidecarBytes);
  errs() << "; code for ";
  if (options.targets.empty())
    errs() << kMetal;
  interleaveComma(options.targets, errs(), [](const Target &target) { errs() << target.name; });
  errs() << format("; %.2f s\n", seconds);
  return Error::success();
}

static Error compileToLibrary(const CompileFlags &flags, CompileInput input,
                              const CompileOptions &options) {
  auto card = extendCard(flags, input, options);
  if (!card)
    return card.takeError();
  input.card = *card;
  if (Error error = checkOutput(flags.output))
    return error;
  if (Error error = flags.target == kMetal ? compileForMetal(input, options, flags.output)
                                           : compileLibrary(input, options, flags.output))
    return makeError(flags.output + ": " + toString(std::move(error)));
  if (flags.header)
    if (Error error =
            writeFile(headerPath(flags.output), modelHeader(flags.output, flags.standalone)))
      return error;
  if (input.tokenizerBlob.empty() && !flags.quiet)
    errs() << "tern: note: " << flags.model
           << ": has no tokenizer; the library takes and gives token ids only\n";
  return Error::success();
}

static Error runCompile(const CompileFlags &flags) {
  auto start = std::chrono::steady_clock::now();
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
  auto stage = parseStage(flags.stage);
  if (!stage)
    return stage.takeError();

  CompileInput input{*model->module, &*files, model->tokenizerBlob, model->card};
  if (*stage != Stage::So)
    return writeFile(flags.output.empty() ? "-" : flags.output,
                     [&](raw_ostream &out) { return emitStage(input, *options, *stage, out); });
  if (Error error = compileToLibrary(flags, input, *options))
    return error;
  progress.show("done", 1);
  if (flags.quiet)
    return Error::success();
  return summarise(flags.output, *options, secondsSince(start));
}

static CLI::Validator isStage() {
  return {[](std::string &text) {
            auto stage = parseStage(text);
            return stage ? "" : toString(stage.takeError());
          },
          ""};
}

/// What no option can check alone.
static void checkCompileFlags(const CompileFlags &flags) {
  bool library = flags.stage == "so";
  bool cpuCode = is_contained({"llvm", "ll", "asm", "obj"}, flags.stage);
  if (isGpu(flags) && (cpuCode || flags.header || flags.standalone || flags.weights != "embed"))
    throw CLI::ValidationError("--target=" + flags.target +
                               " has no library: no --header, --standalone, --weights or stage "
                               "of CPU code");
  if (isGpu(flags) && flags.sparse == "on")
    throw CLI::ValidationError("--sparse=on is for CPUs: --target=" + flags.target +
                               " has no kernels that skip");
  if (isGpu(flags) && is_contained({"int8", "q6"}, flags.checkpoint.head))
    throw CLI::ValidationError("--head=" + flags.checkpoint.head +
                               " is for CPUs: --target=" + flags.target + " has no kernel of it");
  if (flags.target == kNvptx && library)
    throw CLI::ValidationError("--target=nvptx-sm90 writes kernels only: add --emit=ptx");
  if (library && (flags.output.empty() || flags.output == "-"))
    throw CLI::RequiredError("-o FILE for the compiled library");
  if (!library && (flags.header || flags.standalone || flags.weights != "embed"))
    throw CLI::ValidationError("--header, --standalone and --weights are for --emit=so");
}

void addCompile(CLI::App &app, Action &action) {
  auto flags = std::make_shared<CompileFlags>();
  CLI::App *verb = app.add_subcommand("compile", "compile a checkpoint into one shared library");
  verb->add_option("model", flags->model, "Hugging Face folder, or .mlir")->required();
  verb->add_option("-o,--output", flags->output, "the library (or text) to write; - is stdout");
  verb->add_option("--target", flags->target,
                   "CPU levels, comma separated, or host, all, metal, nvptx-sm90")
      ->check(isTargetList() | CLI::IsMember({kMetal, kNvptx}))
      ->capture_default_str();
  verb->add_option("--emit", flags->stage,
                   "import, ternary, packed, llvm, ll, asm, obj, so, msl or ptx: where to stop")
      ->check(isStage())
      ->capture_default_str();
  verb->add_option("--weights", flags->weights, "embed, or sidecar: in FILE.weights")
      ->check(CLI::IsMember({"embed", "sidecar"}))
      ->capture_default_str();
  addHead(*verb, flags->checkpoint);
  addPacking(*verb, flags->packing);
  addTuning(*verb, flags->tuning);
  addSparse(*verb, flags->sparse);
  verb->add_option("--max-rows", flags->maxRows, "tokens a call takes at most")
      ->check(isCount(1, 4096))
      ->capture_default_str();
  verb->add_flag("--header", flags->header, "also write a C header: model.h for model.so");
  verb->add_flag("--standalone", flags->standalone, "bundle the runtime into the library");
  verb->add_flag("--remarks", flags->remarks, "say which kernels were chosen and why");
  verb->add_flag("-q,--quiet", flags->quiet, "no summary");
  addCheckpointFlags(*verb, flags->checkpoint);
  addCacheFlag(*verb, flags->checkpoint);
  verb->callback([flags, &action] {
    checkCompileFlags(*flags);
    action = [flags] { return runCompile(*flags); };
  });
}

} // namespace tern::cli
