//===- Inspect.cpp - tern inspect -----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Explain.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Verbs.h"
#include "frontends/cli/WeightSummary.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace llvm;

namespace tern::cli {

namespace {
struct InspectFlags {
  CheckpointFlags checkpoint;
  std::string model;
  bool json = false;
};
} // namespace

//===----------------------------------------------------------------------===//
// Checkpoints and IR
//===----------------------------------------------------------------------===//

/// "19.8 M parameters".
static std::string formatCount(double count) {
  return formatv("{0}", count < 1e6   ? format("%.1f k", count / 1e3)
                        : count < 1e9 ? format("%.1f M", count / 1e6)
                                      : format("%.2f G", count / 1e9))
      .str();
}

static void field(StringRef name) { outs() << left_justify(name, 12); }

/// The model card's first lines. Keys it lacks are left out.
static void printCard(const json::Object &card) {
  auto text = [&](StringRef key) { return card.getString(key).value_or("").str(); };
  if (card.get("architecture")) {
    field("model");
    outs() << text("architecture");
    for (StringRef key : {"family", "activation", "licence"})
      if (card.get(key))
        outs() << ", " << text(key);
    outs() << '\n';
  }
  if (const json::Object *sizes = card.getObject("sizes")) {
    field("sizes");
    ListSeparator separator;
    for (StringRef key : {"layers", "hidden", "heads", "kv_heads", "head_size", "feed_forward",
                          "vocabulary", "max_positions"})
      if (auto value = sizes->getInteger(key)) {
        std::string words = key.str();
        std::replace(words.begin(), words.end(), '_', ' ');
        outs() << separator << words << ' ' << *value;
      }
    outs() << '\n';
  }
  if (auto count = card.getNumber("parameters")) {
    double ternaryCount = card.getNumber("ternary_parameters").value_or(0);
    field("parameters");
    outs() << formatCount(*count) << format(", %.1f %% ternary", 100 * ternaryCount / *count);
    if (auto zeros = card.getNumber("zero_share"))
      outs() << format(" (%.1f %% of these zero)", *zeros * 100);
    outs() << '\n';
  }
  if (const json::Object *scales = card.getObject("scales")) {
    field("scales");
    outs() << format("%.4g to %.4g\n", scales->getNumber("least").value_or(0),
                     scales->getNumber("most").value_or(0));
  }
  if (card.get("source")) {
    field("source");
    outs() << text("source") << ", " << text("source_weights") << '\n';
  }
}

/// The card of a module that has none: its `ternary.model`.
static json::Object cardOf(mlir::ModuleOp module) {
  json::Object card, sizes;
  auto model = module->getAttrOfType<mlir::DictionaryAttr>("ternary.model");
  if (!model)
    return card;
  for (mlir::NamedAttribute attribute : model) {
    if (auto text = dyn_cast<mlir::StringAttr>(attribute.getValue()))
      card[attribute.getName().getValue()] = text.getValue();
    else if (auto number = dyn_cast<mlir::IntegerAttr>(attribute.getValue()))
      sizes[attribute.getName().getValue()] = number.getInt();
  }
  card["sizes"] = std::move(sizes);
  return card;
}

static Error printModule(mlir::ModuleOp module, const WeightFiles *files, json::Object card,
                         bool asJson) {
  Progress progress;
  auto rows = summariseWeights(module, files, /*sampleRows=*/0, [&](double fraction) {
    progress.show("reading weights", fraction);
  });
  if (!rows)
    return rows.takeError();
  if (asJson) {
    json::Object result{{"model", std::move(card)}, {"weights", toJson(*rows)}};
    if (auto bytes = module->getAttrOfType<mlir::IntegerAttr>("ternary.weights_bytes"))
      result["weights_bytes"] = bytes.getInt();
    outs() << formatv("{0:2}\n", json::Value(std::move(result)));
    return Error::success();
  }
  printCard(card);
  outs() << '\n';
  print(*rows, outs());
  return Error::success();
}

static Error inspectIR(StringRef path, bool asJson) {
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto model = readIR(context, path);
  if (!model)
    return model.takeError();
  auto files = WeightFiles::open(*model->module, model->folder);
  json::Object card = cardOf(*model->module);
  if (files)
    return printModule(*model->module, &*files, std::move(card), asJson);
  // IR is worth looking at without the files it names.
  errs() << "tern: warning: " << toString(files.takeError()) << '\n';
  return printModule(*model->module, nullptr, std::move(card), asJson);
}

static Error inspectCheckpoint(const InspectFlags &flags) {
  if (!flags.json && !explainCheckpoint(flags.model, outs()))
    return Error::success();
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto model = import::importModel(context, flags.model, importOptions(flags.checkpoint));
  if (!model)
    return model.takeError();
  if (!flags.json)
    explainPrecision(model->card, outs());
  auto files = WeightFiles::open(*model->module, model->folder);
  if (!files)
    return files.takeError();
  auto card = json::parse(model->card);
  if (!card)
    return card.takeError();
  return printModule(*model->module, &*files, std::move(*card->getAsObject()), flags.json);
}

//===----------------------------------------------------------------------===//
// Compiled libraries
//===----------------------------------------------------------------------===//

static json::Array variantsJson(const tern_descriptor_t &descriptor) {
  uint64_t have = tern_cpu_features();
  json::Array variants;
  for (uint32_t i = 0; i < descriptor.variant_count; ++i) {
    const tern_variant_t &variant = descriptor.variants[i];
    json::Array kernels;
    for (uint64_t k = 0; k < variant.kernel_count; ++k)
      kernels.push_back(variant.kernels[k].name);
    variants.push_back(json::Object{{"level", variant.level},
                                    {"runs_here", (variant.cpu_features & ~have) == 0},
                                    {"kernels", std::move(kernels)}});
  }
  return variants;
}

/// The descriptor of the library at `path`, which the runtime has checked and opened already.
static Expected<const tern_descriptor_t *> descriptorOf(StringRef path) {
  // A name without a slash would be looked for in the system's folders.
  SmallString<256> absolute(path);
  sys::fs::make_absolute(absolute);
  std::string message;
  auto library = sys::DynamicLibrary::getPermanentLibrary(absolute.c_str(), &message);
  auto query = library.isValid()
                   ? reinterpret_cast<tern_query_fn>(library.getAddressOfSymbol("tern_query"))
                   : nullptr;
  if (!query)
    return makeError(path + ": " + message);
  return query(TERN_ABI_VERSION);
}

static void printLibrary(const json::Object &library) {
  auto number = [&](StringRef key) { return library.getInteger(key).value_or(0); };
  const json::Object &card = *library.getObject("model");
  printCard(card);
  field("packing");
  outs() << card.getString("packing").value_or("unknown") << ", "
         << formatBytes(number("weights_bytes")) << " in "
         << library.getString("weights_in").value_or("") << '\n';
  if (const json::Object *tuning = card.getObject("tuning")) {
    field("tuning");
    outs() << "for " << tuning->getString("level").value_or("") << ", "
           << tuning->getInteger("threads").value_or(0) << " threads:";
    if (const json::Array *shapes = tuning->getArray("shapes"))
      for (const json::Value &value : *shapes)
        if (const json::Object *shape = value.getAsObject())
          outs() << ' ' << shape->getInteger("rows").value_or(0) << 'x'
                 << shape->getInteger("columns").value_or(0) << ' '
                 << shape->getString("packing").value_or("");
    outs() << '\n';
  }
  field("memory");
  outs() << "arena " << formatBytes(number("arena_bytes")) << " for " << number("max_rows")
         << " rows a call, cache " << formatBytes(number("kv_bytes_per_position"))
         << " a position, of " << card.getString("cache").value_or("f32") << '\n';
  field("tokenizer");
  outs() << (library.getBoolean("tokenizer").value_or(false) ? "yes" : "no") << '\n';
  field("compiler");
  outs() << library.getString("compiler").value_or("") << '\n';
  for (const json::Value &value : *library.getArray("targets")) {
    const json::Object &target = *value.getAsObject();
    field("target");
    outs() << *target.getString("level")
           << (*target.getBoolean("runs_here") ? "" : " (not on this CPU)") << ':';
    for (const json::Value &kernel : *target.getArray("kernels"))
      outs() << ' ' << *kernel.getAsString();
    outs() << '\n';
  }
  if (const json::Array *weights = card.getArray("weights")) {
    outs() << '\n';
    print(fromJson(*weights), outs());
  }
}

static Error inspectLibrary(StringRef path, bool asJson) {
  RunOptions options;
  options.model = path.str();
  auto model = openForRunning(options);
  if (!model)
    return model.takeError();
  auto info = modelInfo(model->get());
  if (!info)
    return info.takeError();
  auto descriptor = descriptorOf(path);
  if (!descriptor)
    return descriptor.takeError();
  const char *sidecar = (*descriptor)->sidecar;
  json::Object result{{"compiler", info->compiler_version},
                      {"level", info->level},
                      {"weights_bytes", static_cast<int64_t>(info->weights_bytes)},
                      {"arena_bytes", static_cast<int64_t>(info->arena_bytes)},
                      {"kv_bytes_per_position", static_cast<int64_t>(info->kv_bytes_per_position)},
                      {"max_rows", static_cast<int64_t>(info->max_rows)},
                      {"tokenizer", info->has_tokenizer != 0},
                      {"weights_in", sidecar ? sidecar : "the library"},
                      {"targets", variantsJson(**descriptor)},
                      {"model", modelCard(model->get())}};
  if (asJson)
    outs() << formatv("{0:2}\n", json::Value(std::move(result)));
  else
    printLibrary(result);
  return Error::success();
}

static Error runInspect(const InspectFlags &flags) {
  if (isIRFile(flags.model))
    return inspectIR(flags.model, flags.json);
  if (isCompiledLibrary(flags.model))
    return inspectLibrary(flags.model, flags.json);
  return inspectCheckpoint(flags);
}

void addInspect(CLI::App &app, Action &action) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App *verb = app.add_subcommand("inspect", "say what a checkpoint, library or IR file holds");
  verb->add_option("model", flags->model, "checkpoint, library or .mlir")->required();
  verb->add_flag("--json", flags->json, "print JSON");
  addCheckpointFlags(*verb, flags->checkpoint);
  addCacheFlag(*verb, flags->checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runInspect(*flags); }; });
}

} // namespace tern::cli
