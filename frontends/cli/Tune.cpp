//===- Tune.cpp - tern tune -----------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Options.h"
#include "frontends/cli/Tuning.h"
#include "frontends/cli/Verbs.h"

#include "codegen/KernelTiming.h"
#include "dialect/Product.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "runtime/Cpu.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <set>
#include <thread>

using namespace llvm;

namespace tern::cli {

namespace {
struct TuneFlags {
  CheckpointFlags checkpoint;
  std::string model, shape, level, output;
  uint32_t threads = 0;
};

using Shape = std::pair<int64_t, int64_t>; ///< rows, columns

/// The matrices of a model: those that may lie in any packing, and others.
struct Shapes {
  std::set<Shape> any, others;
};
} // namespace

/// Another packing must be faster than the first of the table by so much to be taken: less is
/// within the noise of a measurement.
static constexpr double kLeastGain = 1.02;

static Expected<import::ImportedModel> load(mlir::MLIRContext &context, const TuneFlags &flags) {
  import::ImportOptions options = importOptions(flags.checkpoint);
  if (!flags.shape.empty())
    return import::syntheticModel(context, flags.shape, options);
  if (isIRFile(flags.model))
    return readIR(context, flags.model);
  if (isCompiledLibrary(flags.model))
    return makeError(Twine(flags.model) +
                     ": is compiled already; expected the checkpoint or IR it came from");
  return import::importModel(context, flags.model, options);
}

static void addShapes(mlir::ModuleOp module, Shapes &shapes) {
  module.walk([&](mlir::Operation *op) {
    ternary::Product product(op);
    if (!product)
      return;
    Shape shape{product.weightType().getDimSize(0), product.weightType().getDimSize(1)};
    auto scale = product.scaleType();
    bool grouped = product.actGroups() > 1 || (scale.getRank() == 2 && scale.getDimSize(1) > 1);
    (product.takesFloats() || grouped ? shapes.others : shapes.any).insert(shape);
  });
}

/// The matrices as the compiler packs them: merged, except what --sparse=on keeps apart.
static Expected<Shapes> shapesOf(mlir::ModuleOp module) {
  Shapes shapes;
  for (bool sparse : {false, true}) {
    mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
    mlir::PassManager passes(module.getContext());
    buildFuse(passes, sparse);
    if (failed(passes.run(*copy)))
      return makeError("the model cannot be prepared");
    addShapes(*copy, shapes);
  }
  // A choice is made for all matrices of a shape.
  for (const Shape &shape : shapes.others)
    shapes.any.erase(shape);
  return shapes;
}

static Tuning::Shape choose(Shape shape, ArrayRef<PackingTime> times) {
  Tuning::Shape result{shape.first, shape.second, "two_bit", {}};
  const PackingTime *best = nullptr;
  for (const PackingTime &time : times) {
    if (!best || time.microseconds * kLeastGain < best->microseconds)
      best = &time;
    auto kind = static_cast<ternary::PackingKind>(time.packing);
    result.times.push_back(
        {ternary::stringifyPackingKind(kind).str(), time.microseconds, time.gbs});
  }
  if (best)
    result.packing = result.times[best - times.begin()].packing;
  return result;
}

static void print(const Tuning &tuning, const Shapes &shapes) {
  errs() << "decode on " << tuning.level << " with " << tuning.threads << " threads\n";
  for (const Tuning::Shape &shape : tuning.shapes) {
    errs() << right_justify(std::to_string(shape.rows) + "x" + std::to_string(shape.columns), 15);
    for (const Tuning::Time &time : shape.times)
      errs() << "   " << time.packing
             << format(" %8.1f us (%5.1f GB/s)", time.microseconds, time.gbs);
    errs() << "   " << shape.packing << '\n';
  }
  for (auto [rows, columns] : shapes.others)
    errs() << right_justify(std::to_string(rows) + "x" + std::to_string(columns), 15)
           << "   two_bit: float activations and scale groups take no other packing\n";
}

static Error runTune(const TuneFlags &flags) {
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto targets = parseTargets(flags.level.empty() ? "host" : flags.level);
  if (!targets)
    return targets.takeError();
  const Target &target = targets->front();
  if (!hostCanRun(target.cpuFeatures))
    return makeError("level " + Twine(target.name) + " needs " +
                     describeCpuFeatures(target.cpuFeatures) + ", which this processor lacks");
  auto model = load(context, flags);
  if (!model)
    return model.takeError();
  auto shapes = shapesOf(*model->module);
  if (!shapes)
    return shapes.takeError();

  Tuning tuning;
  tuning.level = target.name;
  tuning.threads =
      flags.threads ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  if (!shapes->any.empty()) {
    const StreamAhead ahead = streamAhead();
    auto timer =
        PackingTimer::create(target, static_cast<uint32_t>(tuning.threads), ahead.near, ahead.far);
    if (!timer)
      return timer.takeError();
    for (const Shape &shape : shapes->any)
      tuning.shapes.push_back(choose(shape, (*timer)->measure(shape.first, shape.second)));
  }
  print(tuning, *shapes);
  return writeFile(flags.output, formatv("{0:2}\n", tuning.toJson()).str());
}

void addTune(CLI::App &app, Action &action) {
  auto flags = std::make_shared<TuneFlags>();
  CLI::App *verb =
      app.add_subcommand("tune", "measure which packing is the fastest here, for compile --tuning");
  std::vector<std::string> names;
  for (StringRef name : import::syntheticShapes())
    names.push_back(name.str());
  auto *model = verb->add_option("model", flags->model, "checkpoint or .mlir");
  auto *shape = verb->add_option("--shape", flags->shape, "instead, a known shape (see tern bench)")
                    ->check(CLI::IsMember(names).description(""))
                    ->excludes(model);
  verb->add_option("-o,--output", flags->output, "the tuning file to write; - is stdout")
      ->default_val("-");
  addThreads(*verb, flags->threads);
  verb->add_option("--level", flags->level, "the CPU level, such as x86-64-v3; default: the best")
      ->check(isCpuLevel());
  addCheckpointFlags(*verb, flags->checkpoint);
  verb->callback([flags, model, shape, &action] {
    if (model->count() + shape->count() == 0)
      throw CLI::RequiredError("a model or --shape");
    action = [flags] { return runTune(*flags); };
  });
}

} // namespace tern::cli
