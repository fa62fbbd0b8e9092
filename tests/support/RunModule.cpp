//===- RunModule.cpp - parse, transform and interpret a module ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/RunModule.h"

#include "passes/Passes.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/raw_ostream.h"

#include <random>

using namespace mlir;
using namespace tern;

std::unique_ptr<MLIRContext> tern::test::makeContext() {
  auto context = std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED);
  context->loadDialect<arith::ArithDialect, func::FuncDialect, tensor::TensorDialect,
                       ternary::TernaryDialect>();
  return context;
}

OwningOpRef<ModuleOp> tern::test::parse(MLIRContext &context, const std::string &text) {
  return parseSourceString<ModuleOp>(text, &context);
}

bool tern::test::runPipeline(ModuleOp module, const std::string &pipeline) {
  static bool registered = [] {
    registerTransformsPasses();
    registerTernaryPasses();
    registerTernaryPipelines();
    return true;
  }();
  (void)registered;
  PassManager passes(module.getContext());
  return succeeded(parsePassPipeline(pipeline, passes)) && succeeded(passes.run(module));
}

static RuntimeValue tensorArgument(RankedTensorType type, int64_t rows, std::mt19937_64 &random) {
  auto value = std::make_shared<TensorValue>();
  value->type = type;
  int64_t elements = 1;
  for (int64_t size : type.getShape()) {
    value->shape.push_back(ShapedType::isDynamic(size) ? rows : size);
    elements *= value->shape.back();
  }
  for (int64_t i = 0; i < elements; ++i)
    if (type.getElementType().isF32())
      value->f32.push_back((static_cast<int64_t>(random() % 20001) - 10000) * 1e-4f);
    else
      value->i32.push_back(random() % 3); // the smallest vocabulary of the random decoders
  return std::shared_ptr<const TensorValue>(std::move(value));
}

std::vector<float> tern::test::runEntry(ModuleOp module, uint64_t seed, int64_t rows) {
  func::FuncOp entry;
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("ternary.entry"))
      entry = function;
  WeightFiles files;
  Interpreter interpreter(module, files);
  std::mt19937_64 random(seed);
  std::vector<RuntimeValue> arguments(entry.getNumArguments());
  std::vector<float> results;
  for (int64_t call = 0; call < 2; ++call) {
    int64_t indices = 0;
    for (auto [index, type] : llvm::enumerate(entry.getArgumentTypes())) {
      if (auto tensor = dyn_cast<RankedTensorType>(type))
        arguments[index] = tensorArgument(tensor, rows, random);
      else if (type.isIndex())
        arguments[index] = indices++ ? (rows + 1) / 2 : call * rows;
      else if (auto cache = dyn_cast<ternary::KVCacheType>(type); cache && !call)
        arguments[index] = std::make_shared<CacheValue>(
            CacheValue{cache.getHeads(), cache.getHeadSize(), {}, {}, {}, {}});
    }
    auto out = interpreter.run(entry.getSymName(), arguments);
    if (!out) {
      llvm::errs() << llvm::toString(out.takeError()) << '\n';
      return {};
    }
    for (const RuntimeValue &value : *out)
      if (auto *tensor = std::get_if<std::shared_ptr<const TensorValue>>(&value))
        results.insert(results.end(), (*tensor)->f32.begin(), (*tensor)->f32.end());
  }
  return results;
}

std::string tern::test::print(Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream);
  return text;
}
