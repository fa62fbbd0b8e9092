//===- PlanMemory.cpp - one arena for every intermediate tensor -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"
#include "passes/Storage.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using namespace tern;

namespace tern {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

/// A value's bytes from the op that makes it to the last op that reads it, both included: so an
/// op's results never lie on its operands.
struct Buffer {
  int64_t bytes = 0, offset = 0;
  int64_t first = 0, last = 0; ///< positions in the block; arguments are made at -1
};

/// The buffers of one function.
class FunctionPlan {
public:
  FunctionPlan(func::FuncOp function, int64_t maxRows) : function(function), maxRows(maxRows) {}

  LogicalResult run() {
    if (!function.getBody().hasOneBlock())
      return function.emitOpError("expected a body of one block");
    if (failed(checkLength()) || failed(checkReturned()) || failed(collectArguments()) ||
        failed(collectResults()))
      return failure();
    extendLives();
    place();
    setAttributes();
    return success();
  }

  int64_t arenaBytes() const { return end; }

private:
  Block &block() { return function.getBody().front(); }

  /// Time and memory of planning and of code generation grow with the square of a function's
  /// length. What repeats is compiled once where it is a function: no importer makes long ones.
  LogicalResult checkLength() {
    constexpr int64_t kMaxOps = 1024;
    int64_t ops = llvm::count_if(block().without_terminator(), [](Operation &op) {
      return !isa<ternary::LoadOp, func::CallOp>(op);
    });
    if (ops > kMaxOps)
      return function.emitOpError("expected at most ")
             << kMaxOps << " operations beside calls and loads, got " << ops;
    return success();
  }

  /// A returned value is made in place, in storage that is not the function's to choose.
  LogicalResult checkReturned() {
    auto terminator = dyn_cast<func::ReturnOp>(block().getTerminator());
    if (!terminator)
      return block().getTerminator()->emitOpError("expected func.return at the end of a function");
    llvm::SmallPtrSet<void *, 4> seen;
    for (Value value : terminator.getOperands()) {
      auto result = dyn_cast<OpResult>(value);
      if (!result || !needsStorage(result))
        return terminator.emitOpError(
                   "expected the returned value to be computed in the function, got ")
               << (result ? "the result of " + result.getOwner()->getName().getStringRef().str()
                          : std::string("an argument"));
      if (!isEntry(function) && !seen.insert(value.getAsOpaquePointer()).second)
        return terminator.emitOpError("expected each value to be returned once");
    }
    return success();
  }

  LogicalResult collectArguments() {
    if (!isEntry(function))
      return success();
    for (BlockArgument argument : function.getArguments())
      if (needsStorage(argument) && failed(add(argument, -1)))
        return failure();
    return success();
  }

  LogicalResult collectResults() {
    for (auto [position, op] : llvm::enumerate(block()))
      for (OpResult result : op.getResults())
        if (needsStorage(result) && !livesInCaller(result) && failed(add(result, position)))
          return failure();
    return success();
  }

  LogicalResult add(Value value, int64_t position) {
    std::optional<int64_t> bytes = storageBytes(value.getType(), maxRows);
    if (!bytes)
      return emitError(value.getLoc())
             << "expected a tensor of f32, i8 or i32 rows that fits in the arena, got "
             << value.getType();
    buffers[value] = {*bytes, 0, position, position};
    return success();
  }

  /// A use of a slice, also of a slice of a slice, is a use of what it looks into.
  void extendLives() {
    for (auto [position, op] : llvm::enumerate(block()))
      op.walk([&, at = int64_t(position)](Operation *inner) {
        for (Value operand : inner->getOperands()) {
          while (auto slice = operand.getDefiningOp<tensor::ExtractSliceOp>())
            operand = slice.getSource();
          if (auto *buffer = buffers.find(operand); buffer != buffers.end())
            buffer->second.last = std::max(buffer->second.last, at);
        }
      });
  }

  /// First fit, in the order in which the values are made.
  void place() {
    SmallVector<Buffer *> placed; // by offset
    for (auto &[value, buffer] : buffers) {
      int64_t offset = 0;
      for (Buffer *other : placed)
        if (other->first <= buffer.last && buffer.first <= other->last) {
          if (offset + buffer.bytes <= other->offset)
            break;
          offset = std::max(offset, other->offset + other->bytes);
        }
      buffer.offset = offset;
      placed.insert(
          llvm::upper_bound(placed, &buffer,
                            [](const Buffer *a, const Buffer *b) { return a->offset < b->offset; }),
          &buffer);
      end = std::max(end, offset + buffer.bytes);
    }
  }

  int64_t offsetOf(Value value) {
    auto *buffer = buffers.find(value);
    return buffer == buffers.end() ? -1 : buffer->second.offset;
  }

  void setAttributes() {
    Builder builder(function.getContext());
    for (Operation &op : block()) {
      op.removeAttr("ternary.arena");
      if (!llvm::any_of(op.getResults(), [](OpResult result) { return needsStorage(result); }))
        continue;
      auto offsets =
          llvm::map_to_vector(op.getResults(), [&](Value value) { return offsetOf(value); });
      op.setAttr("ternary.arena", builder.getDenseI64ArrayAttr(offsets));
    }
    function->setAttr("ternary.arena_bytes", builder.getI64IntegerAttr(end));
    if (!isEntry(function))
      return;
    auto offsets =
        llvm::map_to_vector(function.getArguments(), [&](Value value) { return offsetOf(value); });
    function->setAttr("ternary.argument_arena", builder.getDenseI64ArrayAttr(offsets));
  }

  func::FuncOp function;
  int64_t maxRows;
  llvm::MapVector<Value, Buffer> buffers; // in the order in which the values are made
  int64_t end = 0;
};

/// Bytes of the deepest chain of calls.
class CallDepth {
public:
  CallDepth(ModuleOp module, llvm::DenseMap<Operation *, int64_t> localBytes)
      : symbols(module), localBytes(std::move(localBytes)) {}

  FailureOr<int64_t> of(func::FuncOp function) {
    if (auto known = depth.find(function); known != depth.end())
      return known->second;
    if (!open.insert(function).second)
      return function.emitOpError("expected no recursion: the arena is planned before the run");
    if (open.size() > ternary::kMaxCallDepth)
      return function.emitOpError("expected calls at most ") << ternary::kMaxCallDepth << " deep";
    int64_t deepest = 0;
    WalkResult walked = function.walk([&](func::CallOp call) {
      auto callee = symbols.lookup<func::FuncOp>(call.getCallee());
      if (!callee || callee.isExternal()) {
        call.emitOpError("expected a function with a body in this module");
        return WalkResult::interrupt();
      }
      FailureOr<int64_t> inner = of(callee);
      if (failed(inner))
        return WalkResult::interrupt();
      deepest = std::max(deepest, *inner);
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return failure();
    open.erase(function);
    return depth[function] = localBytes.lookup(function) + deepest;
  }

private:
  SymbolTable symbols;
  llvm::DenseMap<Operation *, int64_t> localBytes, depth; // looked up only
  llvm::SmallPtrSet<Operation *, 4> open;
};

struct PlanMemory : tern::impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;

  void runOnOperation() override {
    if (failed(plan(getOperation())))
      signalPassFailure();
  }

private:
  LogicalResult plan(ModuleOp module) {
    if (maxRows < 1 || maxRows > int64_t(1) << 20)
      return module.emitError("expected max-rows of 1 to 1048576, got ") << maxRows.getValue();
    func::FuncOp entry;
    for (auto function : module.getOps<func::FuncOp>())
      if (isEntry(function)) {
        if (entry)
          return function.emitOpError("expected one function with ternary.entry, got another: ")
                 << entry.getSymName();
        entry = function;
      }
    if (!entry || entry.isExternal())
      return module.emitError("expected one function with a body and ternary.entry");

    llvm::DenseMap<Operation *, int64_t> localBytes;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      FunctionPlan functionPlan(function, maxRows);
      if (failed(functionPlan.run()))
        return failure();
      localBytes[function] = functionPlan.arenaBytes();
    }
    FailureOr<int64_t> deepest = CallDepth(module, std::move(localBytes)).of(entry);
    if (failed(deepest))
      return failure();
    Builder builder(&getContext());
    module->setAttr("ternary.arena_bytes", builder.getI64IntegerAttr(*deepest));
    module->setAttr("ternary.max_rows", builder.getI64IntegerAttr(maxRows));
    return success();
  }
};

} // namespace
