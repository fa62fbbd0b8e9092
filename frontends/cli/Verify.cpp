//===- Verify.cpp - tern verify -------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Activity.h"
#include "frontends/cli/Options.h"
#include "frontends/cli/Verbs.h"

#include "dialect/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;
using namespace mlir;

namespace tern::cli {

namespace {
struct VerifyFlags {
  CheckpointFlags checkpoint;
  std::string model, target = "host", ids;
  uint32_t threads = 0, tokens = 8;
};

/// One compared value of the entry function: a layer's output or the logits.
struct Compared {
  std::string name;
  double largestError = 0, largestValue = 0;
  bool within = true;
};

/// Interpreter and compiled code follow the same rules to the bit; this leaves room for the
/// cross-ISA 2 ulp promise.
constexpr double kBound = 1e-6;
} // namespace

func::FuncOp findEntryFunction(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("ternary.entry"))
      return function;
  return {};
}

/// Makes the entry function return the result of each block call too, behind its own results.
static std::vector<std::string> exposeLayers(func::FuncOp entry) {
  std::vector<std::string> names;
  auto terminator = cast<func::ReturnOp>(entry.getBody().front().getTerminator());
  SmallVector<Value> values(terminator.getOperands());
  for (size_t i = 0; i < values.size(); ++i)
    names.push_back(i == 0 ? "output" : "output " + std::to_string(i));
  int layer = 0;
  for (auto call : entry.getOps<func::CallOp>())
    for (Value result : call.getResults()) {
      if (!llvm::is_contained(values, result)) {
        values.push_back(result);
        names.push_back("layer " + std::to_string(layer));
      }
      ++layer;
    }
  terminator.getOperandsMutable().assign(values);
  SmallVector<Type> types(ValueRange(values).getTypes());
  entry.setType(FunctionType::get(entry.getContext(), entry.getArgumentTypes(), types));
  return names;
}

Expected<std::vector<RuntimeValue>> makeArguments(func::FuncOp entry, ArrayRef<int32_t> ids) {
  std::vector<RuntimeValue> arguments;
  int indices = 0;
  for (Type type : entry.getArgumentTypes()) {
    if (auto cache = dyn_cast<ternary::KVCacheType>(type)) {
      auto value = std::make_shared<CacheValue>();
      value->heads = cache.getHeads();
      value->headSize = cache.getHeadSize();
      arguments.push_back(value);
    } else if (type.isIndex()) {
      arguments.push_back(static_cast<int64_t>(indices++ == 0 ? 0 : ids.size()));
    } else if (auto tensor = dyn_cast<RankedTensorType>(type);
               tensor && tensor.getElementType().isInteger(32) && tensor.getRank() == 1) {
      auto value = std::make_shared<TensorValue>();
      value->type = tensor;
      value->shape = {static_cast<int64_t>(ids.size())};
      value->i32.assign(ids.begin(), ids.end());
      arguments.push_back(std::shared_ptr<const TensorValue>(value));
    } else {
      std::string text;
      raw_string_ostream(text) << type;
      return makeError("expected a language model (token ids, indices, caches), got an argument "
                       "of type " +
                       text);
    }
  }
  return arguments;
}

static Compared compare(StringRef name, const TensorValue &expected, ArrayRef<float> got) {
  Compared result;
  result.name = name.str();
  for (size_t i = 0; i < got.size(); ++i) {
    double error = std::fabs(double(got[i]) - expected.f32[i]);
    // A NaN on either side is out of bounds.
    if (!(error <= result.largestError))
      result.largestError = error;
    result.largestValue = std::max(result.largestValue, std::fabs(double(expected.f32[i])));
  }
  result.within = result.largestError <= kBound * result.largestValue;
  return result;
}

static Expected<std::vector<std::vector<float>>> runCompiled(const RunningModel &model,
                                                             uint32_t threads,
                                                             ArrayRef<int32_t> ids,
                                                             ArrayRef<RuntimeValue> expected) {
  auto session = makeSession(model.get(), threads, ids.size());
  if (!session)
    return session.takeError();
  std::vector<std::vector<float>> outputs;
  std::vector<void *> pointers;
  for (const RuntimeValue &value : expected) {
    outputs.emplace_back(std::get<std::shared_ptr<const TensorValue>>(value)->f32.size());
    pointers.push_back(outputs.back().data());
  }
  const void *inputs[] = {ids.data()};
  int64_t indices[] = {0, static_cast<int64_t>(ids.size())};
  if (Error error = checkStatus(tern_session_run(session->get(), ids.size(), inputs, 1, indices, 2,
                                                 pointers.data(), pointers.size())))
    return error;
  return outputs;
}

static Error report(ArrayRef<std::string> names, ArrayRef<RuntimeValue> expected,
                    ArrayRef<std::vector<float>> got) {
  // Layers in order, then what follows them.
  std::vector<size_t> order;
  for (bool layers : {true, false})
    for (size_t i = 0; i < names.size(); ++i)
      if (StringRef(names[i]).starts_with("layer") == layers)
        order.push_back(i);
  std::string firstBad;
  for (size_t i : order) {
    const auto &tensor = *std::get<std::shared_ptr<const TensorValue>>(expected[i]);
    Compared result = compare(names[i], tensor, got[i]);
    outs() << format("%-10s max error %.3g of %.6g  %s\n", result.name.c_str(), result.largestError,
                     result.largestValue, result.within ? "ok" : "OUT OF BOUNDS");
    if (!result.within && firstBad.empty())
      firstBad = result.name;
  }
  if (!firstBad.empty())
    return makeError("compiled code and interpreter differ first at " + firstBad);
  return Error::success();
}

/// The ids to run: those given, or arbitrary ones. Checked against the model's sizes.
static Expected<std::vector<int32_t>> verifyIds(const VerifyFlags &flags, ModuleOp module) {
  auto sizes = module->getAttrOfType<DictionaryAttr>("ternary.model");
  auto size = [&](StringRef key) {
    auto value = sizes ? sizes.getAs<IntegerAttr>(key) : IntegerAttr();
    return value ? value.getInt() : INT64_MAX;
  };
  int64_t vocabulary = size("vocabulary"), positions = size("max_positions");
  auto ids = parseIds(flags.ids);
  if (!ids)
    return ids.takeError();
  if (ids->empty())
    for (uint64_t i = 0; i < flags.tokens; ++i)
      ids->push_back(static_cast<int32_t>((i * 7919 + 13) % vocabulary));
  for (int32_t id : *ids)
    if (id >= vocabulary)
      return makeError("expected ids below the vocabulary " + Twine(vocabulary) + ", got " +
                       Twine(id));
  if (static_cast<int64_t>(ids->size()) > positions)
    return makeError("expected at most " + Twine(positions) + " tokens, got " + Twine(ids->size()));
  return ids;
}

/// Compiles for `target`, runs and compares.
static Error verifyTarget(const VerifyFlags &flags, const Target &target, ModuleOp reference,
                          StringRef folder, ArrayRef<int32_t> ids, ArrayRef<std::string> names,
                          ArrayRef<RuntimeValue> expected) {
  std::vector<std::vector<float>> got;
  {
    Progress progress;
    import::ImportedModel copy;
    copy.module = reference.clone();
    copy.folder = folder.str();
    OpenOptions options;
    options.compile.targets = {target};
    options.compile.maxRows = ids.size();
    options.compile.progress = [&](StringRef stage, double fraction) {
      progress.show(stage, fraction);
    };
    options.compile.configurePasses = configurePasses;
    auto model = RunningModel::compile(copy, options);
    if (!model)
      return model.takeError();
    auto outputs = runCompiled(*model, flags.threads, ids, expected);
    if (!outputs)
      return outputs.takeError();
    got = std::move(*outputs);
  }
  outs() << "target " << target.name << ", " << ids.size() << " tokens\n";
  return report(names, expected, got);
}

static Error runVerify(const VerifyFlags &flags) {
  if (isCompiledLibrary(flags.model))
    return makeError(flags.model + ": is a compiled library; expected the checkpoint, which the "
                                   "interpreter can run too");
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry);
  auto imported = import::importModel(context, flags.model, importOptions(flags.checkpoint));
  if (!imported)
    return imported.takeError();
  auto targets = parseTargets(flags.target);
  if (!targets)
    return targets.takeError();
  ModuleOp module = *imported->module;
  auto files = WeightFiles::open(module, imported->folder);
  if (!files)
    return files.takeError();
  auto ids = verifyIds(flags, module);
  if (!ids)
    return ids.takeError();
  func::FuncOp entry = findEntryFunction(module);
  std::vector<std::string> names = exposeLayers(entry);
  // With more results than logits it is no language model to the runtime.
  module->removeAttr("ternary.model");
  auto arguments = makeArguments(entry, *ids);
  if (!arguments)
    return arguments.takeError();
  Progress progress;
  progress.show("interpreting", 0);
  Interpreter interpreter(module, *files);
  auto expected = interpreter.run(entry.getName(), *arguments);
  if (!expected)
    return expected.takeError();
  progress.show("interpreting", 1);
  for (const Target &target : *targets) {
    if (!hostCanRun(target.cpuFeatures)) {
      outs() << "target " << target.name << ": not on this CPU, skipped\n";
      continue;
    }
    if (Error error = verifyTarget(flags, target, module, imported->folder, *ids, names, *expected))
      return error;
  }
  return Error::success();
}

void addVerify(CLI::App &app, Action &action) {
  auto flags = std::make_shared<VerifyFlags>();
  CLI::App *verb =
      app.add_subcommand("verify", "compare compiled code with the interpreter, layer by layer");
  verb->add_option("model", flags->model, "checkpoint")->required();
  verb->add_option("--target", flags->target, "CPU levels to compile for and run")
      ->check(isTargetList())
      ->capture_default_str();
  verb->add_option("--ids", flags->ids, "token ids to run: 1,2,3")->check(isIdList());
  verb->add_option("-n,--tokens", flags->tokens, "without --ids: how many arbitrary tokens")
      ->check(isCount(1, 4096))
      ->capture_default_str();
  addThreads(*verb, flags->threads);
  addCheckpointFlags(*verb, flags->checkpoint);
  addCacheFlag(*verb, flags->checkpoint);
  addHead(*verb, flags->checkpoint);
  verb->callback([flags, &action] { action = [flags] { return runVerify(*flags); }; });
}

} // namespace tern::cli
