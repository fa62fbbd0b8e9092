//===- Probes.cpp - what the probes of compiled code stand for ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Probes.h"

#include "codegen/Places.h"
#include "dialect/Product.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/PackWeights.h"
#include "tern/abi.h"

using namespace mlir;
using namespace tern;

std::optional<uint32_t> tern::probeNumber(Operation *op) {
  auto number = op->getAttrOfType<IntegerAttr>("ternary.probe");
  return number ? std::optional(static_cast<uint32_t>(number.getInt())) : std::nullopt;
}

bool tern::onlyNamesValues(Operation *op) {
  return isa<ternary::LoadOp, tensor::DimOp, tensor::ExtractSliceOp, arith::ConstantOp,
             arith::AddIOp, arith::SubIOp, arith::MulIOp>(op);
}

namespace {
/// Reads one module; the first call of a function stands for all.
class Reader {
public:
  explicit Reader(ModuleOp module) : module(module) {
    module.walk([&](func::CallOp call) { firstCalls.try_emplace(call.getCallee(), call); });
  }

  Probe read(Operation *op) const {
    Probe probe;
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      probe.name = "inputs";
      return probe;
    }
    if (auto call = dyn_cast<func::CallOp>(op)) {
      probe.isCall = true;
      probe.name = layerName(call);
      return probe;
    }
    probe.name = isa<func::ReturnOp>(op) ? "results" : op->getName().stripDialect().str();
    for (Value operand : op->getOperands())
      if (std::optional<StringRef> weight = weightName(operand)) {
        probe.name += " " + afterLayer(*weight).str();
        break;
      }
    probe.cost = cost(op);
    return probe;
  }

private:
  /// The symbol of a weight that `value` is, in the first call where it is an argument.
  std::optional<StringRef> weightName(Value value) const {
    for (;;) {
      if (auto load = value.getDefiningOp<ternary::LoadOp>())
        return load.getWeight();
      auto argument = dyn_cast<BlockArgument>(value);
      if (!argument)
        return std::nullopt;
      auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
      auto call = function ? firstCalls.find(function.getSymName()) : firstCalls.end();
      if (call == firstCalls.end())
        return std::nullopt;
      value = func::CallOp(call->second).getOperand(argument.getArgNumber());
    }
  }

  /// "ffn_up" of "blk.3.ffn_up".
  static StringRef afterLayer(StringRef weight) {
    size_t end = layerEnd(weight);
    return end ? weight.drop_front(end + 1) : weight;
  }
  /// Length of "blk.3" in "blk.3.ffn_up"; 0 where there is no number between dots.
  static size_t layerEnd(StringRef weight) {
    auto [first, rest] = weight.split('.');
    StringRef number = rest.split('.').first;
    bool isNumber = !number.empty() && llvm::all_of(number, llvm::isDigit);
    return isNumber && number.size() < rest.size() ? first.size() + 1 + number.size() : 0;
  }
  static std::string layerName(func::CallOp call) {
    for (Value operand : call.getOperands())
      if (auto load = operand.getDefiningOp<ternary::LoadOp>())
        if (size_t end = layerEnd(load.getWeight()))
          return load.getWeight().take_front(end).str();
    return call.getCallee().str();
  }

  OpCost cost(Operation *op) const {
    OpCost cost;
    auto row = [](Value value) -> double {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      return type && type.getRank() > 0 ? static_cast<double>(rowStride(type)) : 0;
    };
    for (Value operand : op->getOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      if (type && weightName(operand))
        cost.weightBytes += static_cast<double>(packedWeightBytes(type).value_or(0));
      else
        cost.activationBytesPerRow += row(operand);
    }
    for (Value result : op->getResults())
      cost.activationBytesPerRow += row(result);
    if (ternary::Product product(op); product) {
      cost.macsPerRow = static_cast<double>(product.weightType().getNumElements());
      cost.int8 = !product.takesFloats();
    } else if (auto head = dyn_cast<ternary::HeadOp>(op)) {
      auto table = cast<RankedTensorType>(head.getTable().getType());
      cost.macsPerRow = static_cast<double>(table.getNumElements());
      cost.bytesPerHeadRow = row(head.getTable());
      if (Value screen = head.getScreen()) {
        auto type = cast<RankedTensorType>(screen.getType());
        cost.screenBytes = static_cast<double>(packedWeightBytes(type).value_or(0));
        cost.weightBytes -= cost.screenBytes;
      }
    } else if (auto embedding = dyn_cast<ternary::EmbeddingOp>(op)) {
      cost.weightBytes = 0;
      cost.bytesPerRow = row(embedding.getTable());
    } else if (auto attention = dyn_cast<ternary::AttentionOp>(op)) {
      auto cache = cast<ternary::KVCacheType>(attention.getCache().getType());
      cost.bytesPerRow = cost.bytesPerPosition = static_cast<double>(cacheBytesPerPosition(cache));
      cost.macsPerPair = 2.0 * static_cast<double>(attention.getHeads() * cache.getHeadSize());
    }
    return cost;
  }

  ModuleOp module;
  llvm::DenseMap<StringRef, func::CallOp> firstCalls;
};
} // namespace

std::vector<Probe> tern::readProbes(ModuleOp module) {
  Reader reader(module);
  std::vector<Probe> probes;
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    std::optional<uint32_t> number = probeNumber(op);
    if (!number || *number < TERN_PROBE_FIRST)
      return;
    size_t index = *number - TERN_PROBE_FIRST;
    if (index >= probes.size())
      probes.resize(index + 1);
    probes[index] = reader.read(op);
  });
  return probes;
}
