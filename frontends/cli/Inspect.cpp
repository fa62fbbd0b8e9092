//===- Inspect.cpp - tern inspect -----------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Explain.h"
#include "frontends/cli/Support.h"
#include "frontends/cli/Verbs.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/DynamicLibrary.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
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

/// One weight of a module, as inspect shows it.
struct WeightRow {
  std::string name, type, source;
  uint64_t sourceBytes = 0;
  std::optional<double> zeroShare; ///< of a trit matrix whose files are there
  std::optional<double> scale;     ///< of a one-element float weight
};
} // namespace

//===----------------------------------------------------------------------===//
// Checkpoints and IR
//===----------------------------------------------------------------------===//

static std::string describeSource(ternary::WeightOp weight) {
  auto source = cast<ternary::SourceAttr>(weight.getSources()[0]);
  std::string text = ternary::stringifyEncoding(source.getEncoding()).str();
  if (source.getDerive() != ternary::Derivation::None)
    text += ", " + ternary::stringifyDerivation(source.getDerive()).str();
  if (weight.getSources().size() > 1)
    text += ", " + std::to_string(weight.getSources().size()) + " parts";
  return text;
}

static Expected<double> zeroShare(const WeightReader &reader) {
  constexpr int64_t kRows = 64;
  std::vector<int8_t> trits(kRows * reader.columns());
  uint64_t zeros = 0;
  for (int64_t row = 0; row < reader.rows(); row += kRows) {
    int64_t count = std::min(kRows, reader.rows() - row);
    if (Error error = reader.readTrits(row, count, trits.data()))
      return error;
    zeros += std::count(trits.begin(), trits.begin() + count * reader.columns(), 0);
  }
  return static_cast<double>(zeros) / (reader.rows() * reader.columns());
}

static Expected<WeightRow> describeWeight(ternary::WeightOp weight, const WeightFiles *files) {
  WeightRow row;
  row.name = weight.getSymName().str();
  row.source = describeSource(weight);
  raw_string_ostream(row.type) << weight.getType();
  for (mlir::Attribute source : weight.getSources())
    row.sourceBytes += cast<ternary::SourceAttr>(source).getBytes();
  if (!files)
    return row;
  auto reader = WeightReader::create(weight, *files);
  if (!reader)
    return reader.takeError();
  if (reader->isTrits()) {
    auto share = zeroShare(*reader);
    if (!share)
      return share.takeError();
    row.zeroShare = *share;
  } else if (cast<mlir::ShapedType>(weight.getType()).getNumElements() == 1) {
    float value = 0;
    if (Error error = reader->readFloats(0, 1, &value))
      return error;
    row.scale = value;
  }
  return row;
}

static Expected<std::vector<WeightRow>> describeWeights(mlir::ModuleOp module,
                                                        const WeightFiles *files) {
  Progress progress;
  std::vector<WeightRow> rows;
  auto weights = llvm::to_vector(module.getOps<ternary::WeightOp>());
  for (auto [index, weight] : llvm::enumerate(weights)) {
    progress.show("reading weights", static_cast<double>(index) / weights.size());
    auto row = describeWeight(weight, files);
    if (!row)
      return row.takeError();
    rows.push_back(std::move(*row));
  }
  return rows;
}

static json::Array weightsJson(ArrayRef<WeightRow> rows) {
  json::Array weights;
  for (const WeightRow &row : rows) {
    json::Object weight{{"name", row.name},
                        {"type", row.type},
                        {"source", row.source},
                        {"source_bytes", static_cast<int64_t>(row.sourceBytes)}};
    if (row.zeroShare)
      weight["zero_share"] = *row.zeroShare;
    if (row.scale)
      weight["scale"] = *row.scale;
    weights.push_back(std::move(weight));
  }
  return weights;
}

static void printWeights(ArrayRef<WeightRow> rows) {
  size_t width = 8;
  for (const WeightRow &row : rows)
    width = std::max(width, row.name.size());
  for (const WeightRow &row : rows) {
    outs() << left_justify(row.name, width + 2) << left_justify(row.type, 34)
           << left_justify(row.source, 24) << right_justify(formatBytes(row.sourceBytes), 10);
    if (row.zeroShare)
      outs() << format("  %4.1f %% zero", *row.zeroShare * 100);
    if (row.scale)
      outs() << format("  scale %.6g", *row.scale);
    outs() << '\n';
  }
}

static Error printModule(mlir::ModuleOp module, const WeightFiles *files, StringRef card,
                         bool asJson) {
  auto rows = describeWeights(module, files);
  if (!rows)
    return rows.takeError();
  json::Object result;
  if (!card.empty()) {
    auto value = json::parse(card);
    if (!value)
      return value.takeError();
    result["model"] = std::move(*value);
  }
  if (asJson) {
    result["weights"] = weightsJson(*rows);
    outs() << formatv("{0:2}\n", json::Value(std::move(result)));
    return Error::success();
  }
  if (auto *value = result.get("model"))
    outs() << formatv("{0:2}\n\n", *value);
  printWeights(*rows);
  return Error::success();
}

static Error inspectIR(StringRef path, bool asJson) {
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(path, &context);
  if (!module)
    return makeError(path + ": expected valid IR");
  StringRef folder = sys::path::parent_path(path);
  auto files = WeightFiles::open(*module, folder.empty() ? "." : folder);
  // IR is worth looking at without the files it names.
  if (!files) {
    errs() << "warning: " << toString(files.takeError()) << '\n';
    return printModule(*module, nullptr, "", asJson);
  }
  return printModule(*module, &*files, "", asJson);
}

static Error inspectCheckpoint(const InspectFlags &flags) {
  if (!flags.json)
    explainCheckpoint(flags.model, outs());
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
  return printModule(*model->module, &*files, model->card, flags.json);
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

static Error inspectLibrary(StringRef path, bool asJson) {
  auto model = RunningModel::open(path, {});
  if (!model)
    return model.takeError();
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  if (Error error = checkStatus(tern_model_get_info(model->get(), &info)))
    return error;
  std::string message;
  auto library = sys::DynamicLibrary::getPermanentLibrary(path.str().c_str(), &message);
  auto query = library.isValid()
                   ? reinterpret_cast<tern_query_fn>(library.getAddressOfSymbol("tern_query"))
                   : nullptr;
  if (!query)
    return makeError(path + ": " + message);
  const tern_descriptor_t *descriptor = query(TERN_ABI_VERSION);

  json::Object result{{"compiler", info.compiler_version},
                      {"level", info.level},
                      {"weights_bytes", static_cast<int64_t>(info.weights_bytes)},
                      {"arena_bytes", static_cast<int64_t>(info.arena_bytes)},
                      {"kv_bytes_per_position", static_cast<int64_t>(info.kv_bytes_per_position)},
                      {"max_rows", static_cast<int64_t>(info.max_rows)},
                      {"tokenizer", info.has_tokenizer != 0},
                      {"weights_in", descriptor->sidecar ? descriptor->sidecar : "the library"},
                      {"targets", variantsJson(*descriptor)}};
  const char *cardText = tern_model_card(model->get());
  auto card = json::parse(cardText && *cardText ? cardText : "{}");
  if (!card)
    return card.takeError();
  result["model"] = std::move(*card);
  outs() << (asJson ? formatv("{0}\n", json::Value(std::move(result)))
                    : formatv("{0:2}\n", json::Value(std::move(result))));
  return Error::success();
}

static Error runInspect(const InspectFlags &flags) {
  StringRef extension = sys::path::extension(flags.model);
  if (extension == ".mlir" || extension == ".mlirbc")
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
  verb->callback([flags, &action] { action = [flags] { return runInspect(*flags); }; });
}

} // namespace tern::cli
