//===- WeightTrail.cpp - from a weight's use back to its symbol -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/WeightTrail.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

WeightTrail::WeightTrail(ModuleOp module) : module(module), symbols(module) {
  SymbolTableCollection tables;
  SymbolUserMap users(tables, module);
  for (auto function : module.getOps<func::FuncOp>()) {
    if (!function.isPrivate() || function.isExternal() || function->hasAttr("ternary.entry"))
      continue;
    Calls calls;
    bool onlyCalled = llvm::all_of(users.getUsers(function), [&](Operation *user) {
      auto call = dyn_cast<func::CallOp>(user);
      if (call)
        calls.push_back(call);
      return call && call.getCallee() == function.getSymName();
    });
    if (onlyCalled)
      callers[function] = std::move(calls);
  }
}

func::FuncOp WeightTrail::functionOf(Value argument) const {
  auto blockArgument = dyn_cast<BlockArgument>(argument);
  if (!blockArgument || !blockArgument.getOwner()->isEntryBlock())
    return {};
  auto function = dyn_cast<func::FuncOp>(blockArgument.getOwner()->getParentOp());
  return function && callers.contains(function) ? function : func::FuncOp();
}

static SmallVector<Value> passedBy(func::CallOp call, ArrayRef<Value> arguments) {
  return llvm::map_to_vector(arguments, [&](Value argument) {
    return call.getOperand(cast<BlockArgument>(argument).getArgNumber());
  });
}

bool WeightTrail::reachesLoads(ArrayRef<Value> values) const {
  SmallVector<Operation *> path;
  std::set<std::vector<void *>> known;
  return reachesLoads(values, path, known);
}

bool WeightTrail::reachesLoads(ArrayRef<Value> values, SmallVectorImpl<Operation *> &path,
                               std::set<std::vector<void *>> &known) const {
  if (llvm::all_of(values, [&](Value value) {
        auto load = value.getDefiningOp<LoadOp>();
        return load && symbols.lookup<WeightOp>(load.getWeight());
      }))
    return true;
  func::FuncOp function = functionOf(values.front());
  // A function that calls itself passes its own arguments on: no load at the end of that trail.
  if (!function || path.size() == kMaxCallDepth || llvm::is_contained(path, function) ||
      !llvm::all_of(values, [&](Value value) { return functionOf(value) == function; }))
    return false;
  // Each set of arguments once, though it may be reached by exponentially many chains of calls.
  std::vector<void *> key;
  for (Value value : values)
    key.push_back(value.getAsOpaquePointer());
  if (known.count(key))
    return true;
  path.push_back(function);
  bool reached = llvm::all_of(callers.find(function)->second, [&](func::CallOp call) {
    return reachesLoads(passedBy(call, values), path, known);
  });
  path.pop_back();
  if (reached)
    known.insert(std::move(key));
  return reached;
}

Value WeightTrail::replace(ArrayRef<Value> values, Type type, Operation *user, MakeWeight make) {
  if (func::FuncOp function = functionOf(values.front()))
    return addArgument(function, values, type, make);
  SmallVector<WeightOp> originals;
  for (Value value : values) {
    auto load = value.getDefiningOp<LoadOp>();
    originals.push_back(symbols.lookup<WeightOp>(load.getWeight()));
    replaced.insert(load);
  }
  WeightOp weight = make(originals);
  if (symbols.lookup(weight.getSymName()) != weight)
    symbols.insert(weight);
  OpBuilder builder(user);
  return LoadOp::create(builder, values.front().getLoc(), type,
                        FlatSymbolRefAttr::get(weight.getSymNameAttr()));
}

Value WeightTrail::addArgument(func::FuncOp function, ArrayRef<Value> values, Type type,
                               MakeWeight make) {
  std::vector<void *> key;
  for (Value value : values)
    key.push_back(value.getAsOpaquePointer());
  Value &argument = arguments[{std::move(key), type.getAsOpaquePointer()}];
  if (argument)
    return argument;
  unsigned index = cast<BlockArgument>(values.front()).getArgNumber();
  SmallVector<Value> before(values);
  for (func::CallOp call : callers.find(function)->second) {
    Value passed = replace(passedBy(call, values), type, call, make);
    // A caller's own arguments may have moved, never its operands' order.
    call->insertOperands(index, passed);
    call.removeArgAttrsAttr();
  }
  LogicalResult inserted =
      function.insertArgument(index, type, DictionaryAttr(), values.front().getLoc());
  assert(succeeded(inserted) && "a defined function takes arguments of any type");
  (void)inserted;
  return argument = function.getArgument(index);
}

bool WeightTrail::eraseUnusedArguments(func::FuncOp function, const Calls &calls) {
  bool erased = false;
  for (unsigned i = function.getNumArguments(); i-- > 0;) {
    BlockArgument argument = function.getArgument(i);
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    // Only weights: they alone have static shapes and come from loads.
    if (!type || !type.hasStaticShape() || !argument.use_empty() || !reachesLoads(argument))
      continue;
    for (func::CallOp call : calls) {
      if (auto load = call.getOperand(i).getDefiningOp<LoadOp>())
        replaced.insert(load);
      call->eraseOperand(i);
      call.removeArgAttrsAttr();
    }
    LogicalResult done = function.eraseArgument(i);
    assert(succeeded(done) && "the argument has no use");
    (void)done;
    erased = true;
  }
  return erased;
}

void WeightTrail::eraseUnused() {
  bool changed = true;
  while (changed) {
    changed = false;
    for (auto &[function, calls] : callers)
      changed |= eraseUnusedArguments(cast<func::FuncOp>(function), calls);
  }
  arguments.clear();

  llvm::SetVector<Operation *> weights;
  for (Operation *load : replaced) {
    if (!load->use_empty())
      continue;
    weights.insert(symbols.lookup(cast<LoadOp>(load).getWeight()));
    load->erase();
  }
  replaced.clear();
  module.walk([&](LoadOp load) { weights.remove(symbols.lookup(load.getWeight())); });
  for (Operation *weight : weights)
    symbols.erase(weight);
}
