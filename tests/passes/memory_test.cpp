//===- memory_test.cpp - no two living buffers share a byte ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"
#include "passes/Passes.h"
#include "tests/support/RandomModules.h"
#include "tests/support/RunModule.h"
#include "gtest/gtest.h"

#include <map>

using namespace mlir;
using namespace tern;
using namespace tern::test;

namespace {

int64_t bytesOf(Type type, int64_t maxRows) {
  auto tensor = cast<RankedTensorType>(type);
  int64_t rows = tensor.isDynamicDim(0) ? maxRows : tensor.getDimSize(0);
  if (tensor.getRank() == 1)
    return rows * 4;
  int64_t columns = tensor.getDimSize(1);
  if (tensor.getElementType().isInteger(8))
    return rows * paddedActs(columns);
  return rows * 4 * (tensor.getElementType().isF32() ? paddedRow(columns) : columns);
}

/// Plays a function op by op with a map of which value owns each 64-byte cell: an op's operands
/// must still own all of their cells, and its results take theirs over.
class ArenaReplay {
public:
  ArenaReplay(ModuleOp module, int64_t maxRows) : module(module), maxRows(maxRows) {}

  void function(func::FuncOp function, int64_t base) {
    int64_t localBytes = attribute(function, "ternary.arena_bytes");
    if (function->hasAttr("ternary.entry")) {
      auto arena = function->getAttrOfType<DenseI64ArrayAttr>("ternary.argument_arena");
      for (auto [argument, offset] : llvm::zip_equal(function.getArguments(), arena.asArrayRef()))
        if (offset >= 0)
          write(argument, base + offset, base + localBytes);
    }
    for (Operation &op : function.getBody().front()) {
      for (Value operand : op.getOperands())
        expectIntact(operand, &op);
      write(&op, base, base + localBytes);
      if (auto call = dyn_cast<func::CallOp>(op))
        this->call(call, base + localBytes);
      // Operands are read until the op is done.
      if (!isa<func::CallOp>(op))
        for (Value operand : op.getOperands())
          expectIntact(operand, &op);
    }
  }

private:
  static int64_t attribute(Operation *op, StringRef name) {
    return op->getAttrOfType<IntegerAttr>(name).getInt();
  }

  /// The callee's arguments are the caller's values; its returned values have the call's storage.
  void call(func::CallOp call, int64_t base) {
    auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
    Block &body = callee.getBody().front();
    auto outer = std::move(places);
    places.clear();
    for (auto [argument, operand] : llvm::zip_equal(body.getArguments(), call.getOperands()))
      if (auto place = outer.find(root(operand).getAsOpaquePointer()); place != outer.end())
        alias(argument, place->second);
    for (auto [value, result] :
         llvm::zip_equal(body.getTerminator()->getOperands(), call.getResults()))
      returned[value.getAsOpaquePointer()] = outer.at(result.getAsOpaquePointer());
    function(callee, base);
    for (auto [value, result] :
         llvm::zip_equal(body.getTerminator()->getOperands(), call.getResults()))
      own(result, returned.at(value.getAsOpaquePointer()));
    // What the callee took over from its caller's living values shows in expectIntact later.
    for (auto [argument, operand] : llvm::zip_equal(body.getArguments(), call.getOperands()))
      if (auto place = outer.find(root(operand).getAsOpaquePointer()); place != outer.end()) {
        expectIntact(argument, call);
        own(root(operand), place->second);
      }
    places = std::move(outer);
  }

  using Place = std::pair<int64_t, int64_t>; // first and last cell, exclusive

  static Value root(Value value) {
    while (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>())
      value = slice.getSource();
    return value;
  }

  void own(Value value, Place place) {
    for (int64_t cell = place.first; cell < place.second; ++cell)
      owner[cell] = value.getAsOpaquePointer();
  }
  void alias(Value value, Place place) {
    places[value.getAsOpaquePointer()] = place;
    own(value, place);
  }

  void write(Value value, int64_t offset, int64_t end) {
    int64_t bytes = bytesOf(value.getType(), maxRows);
    EXPECT_EQ(offset % 64, 0);
    EXPECT_LE(offset + bytes, end) << print(value.getDefiningOp());
    alias(value, {offset / 64, (offset + bytes + 63) / 64});
  }

  void write(Operation *op, int64_t base, int64_t end) {
    auto arena = op->getAttrOfType<DenseI64ArrayAttr>("ternary.arena");
    if (!arena)
      return;
    for (auto [result, offset] : llvm::zip_equal(op->getResults(), arena.asArrayRef()))
      if (offset >= 0)
        write(result, base + offset, end);
      else if (op->getParentOp()->hasAttr("ternary.entry")) // in the runtime's buffer
        EXPECT_TRUE(result.hasOneUse() && isa<func::ReturnOp>(*result.user_begin())) << print(op);
      else
        alias(result, returned.at(result.getAsOpaquePointer()));
  }

  void expectIntact(Value operand, Operation *reader) {
    Value value = root(operand);
    auto place = places.find(value.getAsOpaquePointer());
    if (place == places.end())
      return;
    for (int64_t cell = place->second.first; cell < place->second.second; ++cell)
      ASSERT_EQ(owner[cell], value.getAsOpaquePointer())
          << "byte " << cell * 64 << " was overwritten before " << print(reader);
  }

  ModuleOp module;
  int64_t maxRows;
  std::map<int64_t, void *> owner;
  std::map<void *, Place> places, returned;
};

TEST(PlanMemory, NoLivingValueIsOverwritten) {
  for (uint64_t seed = 0; seed < 80; ++seed)
    for (int64_t maxRows : {1, 5, 128}) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " rows " + std::to_string(maxRows));
      auto context = makeContext();
      auto module = parse(*context, seed % 2 ? randomMlp(seed) : randomDecoder(seed, 3));
      ASSERT_TRUE(
          runPipeline(*module, "ternary-prepare{max-rows=" + std::to_string(maxRows) + "}"));
      ArenaReplay replay(*module, maxRows);
      for (auto function : module->getOps<func::FuncOp>())
        if (function->hasAttr("ternary.entry"))
          replay.function(function, 0);
      if (HasFailure())
        FAIL() << print(*module);
    }
}

TEST(PlanMemory, ArenaDoesNotGrowWithLayers) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    int64_t bytes[2];
    for (int64_t twice : {0, 1}) {
      auto context = makeContext();
      auto module = parse(*context, randomDecoder(seed, twice ? 8 : 4));
      ASSERT_TRUE(runPipeline(*module, "ternary-prepare"));
      bytes[twice] = (*module)->getAttrOfType<IntegerAttr>("ternary.arena_bytes").getInt();
    }
    EXPECT_EQ(bytes[0], bytes[1]) << "seed " << seed;
  }
}

} // namespace
