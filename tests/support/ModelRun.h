//===- ModelRun.h - a language model in the interpreter ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_MODELRUN_H
#define TERN_TESTS_SUPPORT_MODELRUN_H

#include "dialect/Interpreter.h"
#include "frontends/import/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "gtest/gtest.h"

#include <vector>

namespace tern::test {

/// Feeds tokens to @forward of an imported model, at any stage the interpreter runs.
class ModelRun {
public:
  explicit ModelRun(import::ImportedModel &model) : context(model.module->getContext()) {
    auto opened = WeightFiles::open(*model.module, model.folder);
    if (!opened) {
      ADD_FAILURE() << llvm::toString(opened.takeError());
      return;
    }
    files = std::move(*opened);
    interpreter = std::make_unique<Interpreter>(*model.module, files);
    auto forward = model.module->lookupSymbol<mlir::func::FuncOp>("forward");
    for (mlir::Type type : forward.getArgumentTypes())
      if (auto cache = mlir::dyn_cast<ternary::KVCacheType>(type)) {
        auto value = std::make_shared<CacheValue>();
        value->heads = cache.getHeads();
        value->headSize = cache.getHeadSize();
        caches.push_back(value);
      }
  }

  /// The logits after the last of `ids`; empty after a failure, which is reported.
  std::vector<float> feed(const std::vector<int32_t> &ids) {
    auto tokens = std::make_shared<TensorValue>();
    tokens->type = mlir::RankedTensorType::get({mlir::ShapedType::kDynamic},
                                               mlir::IntegerType::get(context, 32));
    tokens->shape = {static_cast<int64_t>(ids.size())};
    tokens->i32 = ids;
    std::vector<RuntimeValue> arguments = {std::shared_ptr<const TensorValue>(tokens), position,
                                           int64_t(1)};
    for (const std::shared_ptr<CacheValue> &cache : caches)
      arguments.push_back(cache);
    position += static_cast<int64_t>(ids.size());
    auto results = interpreter->run("forward", arguments);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return {};
    }
    return std::get<std::shared_ptr<const TensorValue>>((*results)[0])->f32;
  }

private:
  mlir::MLIRContext *context;
  WeightFiles files;
  std::unique_ptr<Interpreter> interpreter;
  std::vector<std::shared_ptr<CacheValue>> caches;
  int64_t position = 0;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_MODELRUN_H
