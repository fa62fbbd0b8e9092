//===- MslFunction.h - one function of kernel IR as MSL ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to PrintMsl.cpp, MslFunction.cpp and MslExpressions.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_METAL_MSLFUNCTION_H
#define TERN_CODEGEN_METAL_MSLFUNCTION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

#include <optional>
#include <string>

namespace tern::metal {

/// How tightly an expression holds together, loosest first.
enum class Binding { Choice, Or, And, Compare, Shift, Sum, Product, Unary, Atom };

struct Expression {
  std::string text;
  Binding binding = Binding::Atom;
  bool reads = false; ///< memory: may not move past a write
};

std::string typeName(mlir::Type type);
/// Lines of `text`, each behind `// `.
std::string commentLines(llvm::StringRef text, unsigned indent);

/// Prints bodies. Values with one use become part of the expression that uses them; those with a
/// name, with several uses or too long become variables.
class MslFunction {
public:
  explicit MslFunction(std::string &out) : out(&out) {}

  mlir::LogicalResult printKernel(mlir::gpu::GPUFuncOp kernel);
  mlir::LogicalResult printFunction(mlir::func::FuncOp function);

private:
  // Statements.
  mlir::LogicalResult body(mlir::Block &block);
  mlir::LogicalResult statement(mlir::Operation &op);
  mlir::LogicalResult loop(mlir::scf::ForOp op);
  mlir::LogicalResult branch(mlir::scf::IfOp op);
  void yield(mlir::scf::ForOp loop, mlir::Operation &terminator);
  void kernelHeader(mlir::gpu::GPUFuncOp kernel);
  void line(const llvm::Twine &text);
  void note(mlir::Operation &op);

  // Values.
  void define(mlir::Operation &op, Expression expression);
  void variable(mlir::Value value, const Expression &expression);
  /// The state variable of a loop that `value` is the only successor of, or empty.
  std::string successorOf(mlir::Value value);
  void flushReads(mlir::Operation *except);
  std::string fresh(llvm::StringRef hint);
  std::string nameFor(mlir::Value value, llvm::StringRef otherwise);
  const Expression &use(mlir::Value value);
  std::string operand(mlir::Value value, Binding around, bool right = false);
  std::string text(mlir::Value value) { return use(value).text; }

  // MslExpressions.cpp: nothing for an op that is no expression.
  std::optional<Expression> expressionOf(mlir::Operation &op);
  std::optional<Expression> arithmetic(mlir::Operation &op);
  std::optional<Expression> conversion(mlir::Operation &op);
  Expression binary(mlir::Operation &op, const char *symbol, Binding binding);
  Expression convert(mlir::Operation &op, llvm::StringRef function);

  std::string *out;
  unsigned indent = 1;
  llvm::DenseMap<mlir::Value, Expression> expressions;
  llvm::DenseMap<mlir::Value, std::string> states; ///< variables of loop-carried arguments
  llvm::SetVector<mlir::Value> pendingReads;
  llvm::StringSet<> names;
};

} // namespace tern::metal

#endif // TERN_CODEGEN_METAL_MSLFUNCTION_H
