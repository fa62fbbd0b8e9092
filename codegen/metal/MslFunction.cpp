//===- MslFunction.cpp - statements of kernel IR as MSL -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/metal/MslFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern::metal {

/// Expressions longer than this become variables.
static constexpr size_t kLongest = 64;

std::string commentLines(StringRef text, unsigned indent) {
  std::string lines;
  SmallVector<StringRef> parts;
  text.split(parts, '\n');
  for (StringRef part : parts)
    lines += std::string(2 * indent, ' ') + "// " + part.str() + "\n";
  return lines;
}

void MslFunction::line(const Twine &text) {
  *out += std::string(2 * indent, ' ') + text.str() + "\n";
}

void MslFunction::note(Operation &op) {
  if (auto comment = op.getAttrOfType<StringAttr>("tern.comment"))
    *out += commentLines(comment.getValue(), indent);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

std::string MslFunction::fresh(StringRef hint) {
  std::string name = hint.str();
  for (int i = 2; !names.insert(name).second; ++i)
    name = (hint + "_" + Twine(i)).str();
  return name;
}

std::string MslFunction::nameFor(Value value, StringRef otherwise) {
  if (Operation *op = value.getDefiningOp())
    if (auto name = dyn_cast<NameLoc>(op->getLoc()))
      return fresh(name.getName().getValue());
  return fresh(otherwise);
}

const Expression &MslFunction::use(Value value) {
  // What reads memory is now part of something else.
  pendingReads.remove(value);
  auto found = expressions.find(value);
  assert(found != expressions.end() && "operands come before their uses");
  return found->second;
}

void MslFunction::variable(Value value, const Expression &expression) {
  std::string state = successorOf(value);
  if (!state.empty()) {
    line(state + " = " + expression.text + ";");
    expressions[value] = {state};
    return;
  }
  std::string name = nameFor(value, "v");
  line("const " + typeName(value.getType()) + " " + name + " = " + expression.text + ";");
  expressions[value] = {name};
}

/// Whether all ways from `argument` lead to `end`, through values of one use each.
static bool leadsOnlyTo(Value argument, Operation *end) {
  for (Operation *user : argument.getUsers()) {
    while (user != end) {
      if (user->getNumResults() != 1 || !user->getResult(0).hasOneUse() ||
          user->getBlock() != end->getBlock() || user->getNumRegions())
        return false;
      user = *user->getResult(0).getUsers().begin();
    }
  }
  return true;
}

std::string MslFunction::successorOf(Value value) {
  if (!value.hasOneUse())
    return {};
  OpOperand &use = *value.use_begin();
  auto loop = dyn_cast_or_null<scf::ForOp>(use.getOwner()->getParentOp());
  if (!loop || use.getOwner() != loop.getBody()->getTerminator() ||
      value.getParentBlock() != loop.getBody() || !value.getDefiningOp())
    return {};
  Value argument = loop.getRegionIterArgs()[use.getOperandNumber()];
  return leadsOnlyTo(argument, value.getDefiningOp()) ? states.lookup(argument) : std::string();
}

void MslFunction::define(Operation &op, Expression expression) {
  Value value = op.getResult(0);
  for (Value operand : op.getOperands())
    if (!isa<arith::IndexCastUIOp>(op))
      expression.reads |= expressions.lookup(operand).reads;
  bool atom = isa<arith::ConstantOp, arith::IndexCastUIOp, vector::ExtractOp, mlir::gpu::ThreadIdOp,
                  mlir::gpu::LaneIdOp, mlir::gpu::BlockIdOp>(op);
  bool cast = atom && isa<NameLoc>(op.getLoc()) && !isa<arith::ConstantOp>(op) &&
              expression.text.find('(') != std::string::npos;
  bool together = value.hasOneUse() && !isa<NameLoc>(op.getLoc()) &&
                  expression.text.size() <= kLongest &&
                  (!expression.reads || value.getUsers().begin()->getBlock() == op.getBlock());
  if ((atom && !cast) || together) {
    expressions[value] = expression;
    if (expression.reads)
      pendingReads.insert(value);
    return;
  }
  if (value.use_empty())
    return;
  note(op);
  variable(value, expression);
}

void MslFunction::flushReads(Operation *except) {
  for (Value value : llvm::to_vector(pendingReads)) {
    if (except && llvm::is_contained(except->getOperands(), value))
      continue;
    pendingReads.remove(value);
    variable(value, expressions[value]);
  }
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

LogicalResult MslFunction::body(Block &block) {
  for (Operation &op : block)
    if (failed(statement(op)))
      return failure();
  return success();
}

LogicalResult MslFunction::statement(Operation &op) {
  if (std::optional<Expression> expression = expressionOf(op)) {
    define(op, *expression);
    return success();
  }
  if (isa<mlir::gpu::ReturnOp, scf::YieldOp>(op))
    return success();
  flushReads(&op);
  if (auto loopOp = dyn_cast<scf::ForOp>(op))
    return loop(loopOp);
  if (auto branchOp = dyn_cast<scf::IfOp>(op))
    return branch(branchOp);
  note(op);
  if (auto store = dyn_cast<memref::StoreOp>(op)) {
    line(text(store.getMemRef()) + "[" + text(store.getIndices()[0]) +
         "] = " + text(store.getValue()) + ";");
  } else if (isa<mlir::gpu::BarrierOp>(op)) {
    line("threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);");
  } else if (auto call = dyn_cast<func::CallOp>(op)) {
    std::string list;
    for (Value argument : call.getOperands())
      list += (list.empty() ? "" : ", ") + text(argument);
    variable(call.getResult(0), {call.getCallee().str() + "(" + list + ")"});
  } else if (auto ret = dyn_cast<func::ReturnOp>(op)) {
    line("return " + text(ret.getOperand(0)) + ";");
  } else {
    return op.emitOpError("has no MSL form");
  }
  return success();
}

LogicalResult MslFunction::loop(scf::ForOp op) {
  note(*op);
  Operation *terminator = op.getBody()->getTerminator();
  for (auto [i, argument] : llvm::enumerate(op.getRegionIterArgs())) {
    std::string name = nameFor(terminator->getOperand(static_cast<unsigned>(i)), "sum");
    line(typeName(argument.getType()) + " " + name + " = " + text(op.getInitArgs()[i]) + ";");
    expressions[argument] = {name};
    states[argument] = name;
    expressions[op.getResult(static_cast<unsigned>(i))] = {name};
  }
  auto hint = dyn_cast<NameLoc>(op.getLoc());
  std::string index = fresh(hint ? hint.getName().getValue() : "i");
  std::string step = text(op.getStep());
  line("for (int " + index + " = " + text(op.getLowerBound()) + "; " + index + " < " +
       operand(op.getUpperBound(), Binding::Compare) + "; " +
       (step == "1" ? "++" + index : index + " += " + step) + ") {");
  expressions[op.getInductionVar()] = {index};
  ++indent;
  if (failed(body(*op.getBody())))
    return failure();
  yield(op, *terminator);
  --indent;
  line("}");
  names.erase(index);
  return success();
}

void MslFunction::yield(scf::ForOp loop, Operation &terminator) {
  struct Assignment {
    std::string state, value;
  };
  SmallVector<Assignment> left;
  for (auto [argument, value] : llvm::zip_equal(loop.getRegionIterArgs(), terminator.getOperands()))
    if (std::string state = states.lookup(argument), next = text(value); state != next)
      left.push_back({state, next});
  // A value that was computed in place needs no assignment; else all are read before one is written
  // unless each reads its own state only.
  bool apart = llvm::all_of(terminator.getOperands(), [&](Value value) {
    return !successorOf(value).empty() || !value.getDefiningOp() || left.size() == 1;
  });
  if (!apart)
    for (Assignment &one : left) {
      std::string next = fresh("next");
      line("const auto " + next + " = " + one.value + ";");
      one.value = next;
    }
  for (const Assignment &one : left)
    line(one.state + " = " + one.value + ";");
}

LogicalResult MslFunction::branch(scf::IfOp op) {
  std::string condition = text(op.getCondition());
  // Each branch is printed aside, to see whether an expression is all there is of it.
  auto aside = [&](Block *block, std::string &into, Expression &result) {
    std::string *before = std::exchange(out, &into);
    ++indent;
    LogicalResult printed = body(*block);
    if (succeeded(printed) && op.getNumResults())
      result = {operand(block->getTerminator()->getOperand(0), Binding::Choice)};
    --indent;
    out = before;
    return printed;
  };
  std::string yes, no;
  Expression then, otherwise;
  if (failed(aside(op.thenBlock(), yes, then)) ||
      (op.elseBlock() && failed(aside(op.elseBlock(), no, otherwise))))
    return failure();
  if (op.getNumResults() == 0) {
    note(*op);
    line("if (" + condition + ") {");
    *out += yes;
    if (!no.empty()) {
      line("} else {");
      *out += no;
    }
    line("}");
    return success();
  }
  Value result = op.getResult(0);
  if (yes.empty() && no.empty()) {
    Expression choice{operand(op.getCondition(), Binding::Choice) + " ? " + then.text + " : " +
                          otherwise.text,
                      Binding::Choice};
    choice.reads = true;
    define(*op, choice);
    return success();
  }
  note(*op);
  std::string name = nameFor(result, "v");
  line(typeName(result.getType()) + " " + name + ";");
  line("if (" + condition + ") {");
  *out += yes;
  line("  " + name + " = " + then.text + ";");
  line("} else {");
  *out += no;
  line("  " + name + " = " + otherwise.text + ";");
  line("}");
  expressions[result] = {name};
  return success();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static bool isWritten(Value buffer) {
  return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
    auto store = dyn_cast<memref::StoreOp>(user);
    return store && store.getMemRef() == buffer;
  });
}

void MslFunction::kernelHeader(mlir::gpu::GPUFuncOp kernel) {
  auto argumentNames = kernel->getAttrOfType<ArrayAttr>("tern.names");
  std::string fields, parameters;
  unsigned index = 0;
  std::string structName = kernel.getName().str() + "_args";
  for (BlockArgument argument :
       kernel.getArguments().take_front(kernel.getFunctionType().getNumInputs())) {
    std::string name = cast<StringAttr>(argumentNames[argument.getArgNumber()]).getValue().str();
    if (auto buffer = dyn_cast<MemRefType>(argument.getType())) {
      expressions[argument] = {fresh(name)};
      parameters += std::string("    device ") + (isWritten(argument) ? "" : "const ") +
                    typeName(buffer.getElementType()) + " *" + name + " [[buffer(" +
                    std::to_string(index++) + ")]],\n";
    } else {
      expressions[argument] = {"args." + name};
      fields += "  " + typeName(argument.getType()) + " " + name + ";\n";
    }
  }
  *out += "struct " + structName + " {\n" + fields + "};\n\n";
  if (auto comment = kernel->getAttrOfType<StringAttr>("tern.comment"))
    *out += commentLines(comment.getValue(), 0);
  *out += "kernel void " + kernel.getName().str() + "(\n" + parameters + "    constant " +
          structName + " &args [[buffer(" + std::to_string(index) + ")]],\n" +
          "    uint3 group [[threadgroup_position_in_grid]],\n"
          "    uint thread_index [[thread_index_in_threadgroup]],\n"
          "    uint lane_index [[thread_index_in_simdgroup]]) {\n";
}

LogicalResult MslFunction::printKernel(mlir::gpu::GPUFuncOp kernel) {
  for (StringRef taken : {"args", "group", "thread_index", "lane_index", "tid", "lane", "shared"})
    names.insert(taken);
  kernelHeader(kernel);
  for (BlockArgument shared : kernel.getWorkgroupAttributions()) {
    auto type = cast<MemRefType>(shared.getType());
    line("threadgroup " + typeName(type.getElementType()) + " shared[" +
         Twine(type.getNumElements()) + "];");
    expressions[shared] = {"shared"};
  }
  bool usesThread = false, usesLane = false;
  kernel.walk([&](mlir::gpu::ThreadIdOp) { usesThread = true; });
  kernel.walk([&](mlir::gpu::LaneIdOp) { usesLane = true; });
  if (usesThread)
    line("const int tid = int(thread_index);");
  if (usesLane)
    line("const int lane = int(lane_index);");
  if (failed(body(kernel.getBody().front())))
    return failure();
  *out += "}\n";
  return success();
}

LogicalResult MslFunction::printFunction(func::FuncOp function) {
  if (auto comment = function->getAttrOfType<StringAttr>("tern.comment"))
    *out += commentLines(comment.getValue(), 0);
  std::string parameters;
  for (BlockArgument argument : function.getArguments()) {
    std::string name = fresh(std::string(1, static_cast<char>('a' + argument.getArgNumber())));
    expressions[argument] = {name};
    parameters += (parameters.empty() ? "" : ", ") + typeName(argument.getType()) + " " + name;
  }
  *out += "static inline " + typeName(function.getResultTypes()[0]) + " " +
          function.getName().str() + "(" + parameters + ") {\n";
  if (failed(body(function.getBody().front())))
    return failure();
  *out += "}\n";
  return success();
}

} // namespace tern::metal
