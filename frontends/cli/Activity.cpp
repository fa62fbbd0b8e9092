//===- Activity.cpp - how much of a ReLU-squared model counts -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Activity.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace mlir;

namespace tern::cli {

Expected<import::SyntheticActivity> parseActivity(StringRef text) {
  auto [gates, inputs] = text.split(',');
  double open = 0, kept = 0;
  if (gates.getAsDouble(open) || inputs.getAsDouble(kept) || !(open >= 0 && open <= 50) ||
      !(kept >= 0 && kept <= open))
    return makeError("expected GATES,INPUTS in per cent, 50 at most and the second no larger than "
                     "the first, got '" +
                     text + "'");
  return import::SyntheticActivity{open / 100, kept / 100};
}

namespace {
/// Counts what passes by while the interpreter runs.
class Counter {
public:
  void observe(Operation *op, ArrayRef<RuntimeValue> results) {
    for (auto [result, value] : llvm::zip(op->getResults(), results))
      if (isGate(result))
        gates[result] = std::get<std::shared_ptr<const TensorValue>>(value);
    if (auto gated = dyn_cast<ternary::GatedLinearOp>(op))
      if (auto gate = gates.lookup(gated.getGate()))
        layers.push_back({share(gate->f32, [](float x) { return x > 0; }), 0});
    auto quantize = dyn_cast<ternary::QuantizeRowsOp>(op);
    if (quantize && quantize.getInput().getDefiningOp<ternary::GatedLinearOp>() && !layers.empty())
      layers.back().downInputs = share(std::get<std::shared_ptr<const TensorValue>>(results[0])->i8,
                                       [](int8_t x) { return x != 0; });
  }
  std::vector<LayerActivity> take() { return std::move(layers); }

private:
  static bool isGate(Value value) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) {
      auto gated = dyn_cast<ternary::GatedLinearOp>(user);
      return gated && gated.getGate() == value;
    });
  }
  template <typename T, typename Counts>
  static double share(const std::vector<T> &values, Counts counts) {
    return static_cast<double>(llvm::count_if(values, counts)) /
           static_cast<double>(std::max<size_t>(values.size(), 1));
  }

  llvm::DenseMap<Value, std::shared_ptr<const TensorValue>> gates; ///< of the last layer
  std::vector<LayerActivity> layers;
};
} // namespace

Expected<std::vector<LayerActivity>> measureActivity(StringRef path, const CheckpointFlags &flags,
                                                     ArrayRef<int32_t> ids) {
  if (isCompiledLibrary(path))
    return makeError(path + ": is a compiled library; expected the checkpoint, which the "
                            "interpreter can run");
  DialectRegistry registry;
  registerCompilerDialects(registry);
  MLIRContext context(registry);
  auto imported = import::importModel(context, path, importOptions(flags));
  if (!imported)
    return imported.takeError();
  auto files = WeightFiles::open(*imported->module, imported->folder);
  if (!files)
    return files.takeError();
  mlir::PassManager passes(&context);
  buildFuse(passes, /*sparse=*/true);
  if (failed(passes.run(*imported->module)))
    return makeError(path + ": a pass failed");
  func::FuncOp entry = findEntryFunction(*imported->module);
  auto arguments = makeArguments(entry, ids);
  if (!arguments)
    return arguments.takeError();
  Counter counter;
  Interpreter interpreter(*imported->module, *files);
  interpreter.setObserver(
      [&](Operation *op, ArrayRef<RuntimeValue> results) { counter.observe(op, results); });
  auto results = interpreter.run(entry.getName(), *arguments);
  if (!results)
    return results.takeError();
  std::vector<LayerActivity> layers = counter.take();
  if (layers.empty())
    return makeError(path + ": has no layer whose ReLU-squared gate could close");
  return layers;
}

void printActivity(ArrayRef<LayerActivity> layers, size_t tokens) {
  LayerActivity mean;
  outs() << format("activity over %zu tokens: open gates, inputs of down that are not 0\n", tokens);
  for (auto [i, layer] : llvm::enumerate(layers)) {
    outs() << format("layer %-3zu %5.1f %%  %5.1f %%\n", i, layer.openGates * 100,
                     layer.downInputs * 100);
    mean.openGates += layer.openGates / layers.size();
    mean.downInputs += layer.downInputs / layers.size();
  }
  outs() << format("mean      %5.1f %%  %5.1f %%\n", mean.openGates * 100, mean.downInputs * 100);
}

} // namespace tern::cli
