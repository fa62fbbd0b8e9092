//===- ModelCase.cpp - a module, its arguments, its true results ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelCase.h"

#include "dialect/Interpreter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tests/support/RunModule.h"
#include "gtest/gtest.h"

#include <bit>
#include <random>

using namespace mlir;
using namespace tern;
using namespace tern::test;

static func::FuncOp entryOf(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (function->hasAttr("ternary.entry"))
      return function;
  return nullptr;
}

ModelCase::ModelCase(const std::string &text)
    : context(makeContext()), parsed(parse(*context, text)) {}

OwningOpRef<ModuleOp> ModelCase::copy() { return OwningOpRef<ModuleOp>(parsed->clone()); }

CallArguments ModelCase::arguments(uint64_t seed, int64_t rows, int64_t position, int64_t wanted) {
  std::mt19937_64 random(seed);
  CallArguments call;
  call.rows = rows;
  for (Type type : entryOf(*parsed).getArgumentTypes()) {
    if (type.isIndex())
      call.indices.push_back(call.indices.empty() ? position : wanted);
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      continue;
    int64_t elements = 1;
    for (int64_t size : tensor.getShape())
      elements *= ShapedType::isDynamic(size) ? rows : size;
    auto &floats = call.floats.emplace_back();
    auto &ids = call.ids.emplace_back();
    for (int64_t i = 0; i < elements; ++i)
      if (tensor.getElementType().isF32())
        floats.push_back(static_cast<float>(static_cast<int64_t>(random() % 20001) - 10000) *
                         1e-4f);
      else
        ids.push_back(static_cast<int32_t>(random() % 3));
  }
  return call;
}

std::vector<CallResults> ModelCase::interpret(const std::vector<CallArguments> &calls) {
  func::FuncOp entry = entryOf(*parsed);
  WeightFiles files;
  Interpreter interpreter(*parsed, files);
  std::vector<RuntimeValue> values(entry.getNumArguments());
  for (auto [i, type] : llvm::enumerate(entry.getArgumentTypes()))
    if (auto cache = dyn_cast<ternary::KVCacheType>(type))
      values[i] = std::make_shared<CacheValue>(
          CacheValue{cache.getHeads(), cache.getHeadSize(), {}, {}, {}, {}});
  std::vector<CallResults> all;
  for (const CallArguments &call : calls) {
    size_t tensors = 0, indices = 0;
    for (auto [i, type] : llvm::enumerate(entry.getArgumentTypes())) {
      if (type.isIndex())
        values[i] = call.indices[indices++];
      auto tensor = dyn_cast<RankedTensorType>(type);
      if (!tensor)
        continue;
      auto value = std::make_shared<TensorValue>();
      value->type = tensor;
      for (int64_t size : tensor.getShape())
        value->shape.push_back(ShapedType::isDynamic(size) ? call.rows : size);
      value->f32 = call.floats[tensors];
      value->i32 = call.ids[tensors++];
      values[i] = std::shared_ptr<const TensorValue>(std::move(value));
    }
    auto results = interpreter.run(entry.getSymName(), values);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return all;
    }
    CallResults &out = all.emplace_back();
    for (const RuntimeValue &value : *results)
      out.push_back(std::get<std::shared_ptr<const TensorValue>>(value)->f32);
  }
  return all;
}

std::vector<CallResults> ModelCase::run(const tern_descriptor_t *descriptor, const uint8_t *payload,
                                        uint32_t variant, uint32_t threads,
                                        const std::vector<CallArguments> &calls,
                                        Schedule schedule) {
  ForwardRun forward(descriptor, payload, capacity);
  std::vector<CallResults> all;
  for (const CallArguments &call : calls) {
    std::vector<const void *> inputs;
    for (size_t i = 0; i < call.floats.size(); ++i)
      inputs.push_back(call.floats[i].empty() ? static_cast<const void *>(call.ids[i].data())
                                              : call.floats[i].data());
    CallResults &out = all.emplace_back();
    for (Type type : entryOf(*parsed).getResultTypes()) {
      // Results have the inputs' rows, or those wanted of a language model.
      int64_t rows = call.indices.size() > 1 ? call.indices[1] : call.rows;
      out.emplace_back(static_cast<size_t>(rows * cast<RankedTensorType>(type).getDimSize(1)),
                       99.0f);
    }
    std::vector<void *> outputs;
    for (std::vector<float> &result : out)
      outputs.push_back(result.data());
    forward.run(variant, threads, call.rows, inputs, call.indices, outputs, schedule);
  }
  return all;
}

std::string tern::test::difference(const std::vector<CallResults> &expected,
                                   const std::vector<CallResults> &found) {
  if (expected.size() != found.size())
    return "different numbers of calls";
  for (size_t call = 0; call < expected.size(); ++call)
    for (size_t i = 0; i < expected[call].size(); ++i) {
      const auto &left = expected[call][i], &right = found[call][i];
      if (left.size() != right.size())
        return "result sizes differ: " + std::to_string(left.size()) + " and " +
               std::to_string(right.size());
      for (size_t at = 0; at < left.size(); ++at)
        if (std::bit_cast<uint32_t>(left[at]) != std::bit_cast<uint32_t>(right[at]))
          return "call " + std::to_string(call) + ", result " + std::to_string(i) + ", element " +
                 std::to_string(at) + ": expected " + std::to_string(left[at]) + ", got " +
                 std::to_string(right[at]);
    }
  return "";
}
