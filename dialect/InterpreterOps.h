//===- InterpreterOps.h - the ternary ops of the interpreter ----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_INTERPRETEROPS_H
#define TERN_DIALECT_INTERPRETEROPS_H

#include "dialect/Interpreter.h"
#include "dialect/Packing.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

/// What the parts of the interpreter share; private to dialect/.
namespace tern::interpret {

using Results = llvm::SmallVector<RuntimeValue, 3>;

/// Larger tensors are refused before they are allocated.
constexpr int64_t kMaxElements = int64_t(1) << 33;
/// Positions beyond this do not convert to binary32 exactly.
constexpr int64_t kMaxPosition = int64_t(1) << 24;

/// Products, quantisation and packing (InterpreterLinear.cpp); nothing when `op` is none of these.
std::optional<llvm::Expected<Results>> evaluateLinear(mlir::Operation *op,
                                                      llvm::ArrayRef<RuntimeValue> operands);
/// The other ops of the dialect, except weight and load (InterpreterOps.cpp).
std::optional<llvm::Expected<Results>> evaluateRows(mlir::Operation *op,
                                                    llvm::ArrayRef<RuntimeValue> operands);
/// arith and tensor ops (InterpreterBuiltin.cpp).
std::optional<llvm::Expected<Results>> evaluateBuiltin(mlir::Operation *op,
                                                       llvm::ArrayRef<RuntimeValue> operands);

/// "@function: dialect.op: what".
llvm::Error opError(mlir::Operation *op, const llvm::Twine &what);
/// "expected <expected> <what>, got <got>", unless they are the same.
llvm::Error sameSize(mlir::Operation *op, const llvm::Twine &what, int64_t expected, int64_t got);

/// A zeroed tensor of `type`, with `shape` checked against it.
llvm::Expected<std::shared_ptr<TensorValue>> makeTensor(mlir::Operation *op, mlir::Type type,
                                                        llvm::ArrayRef<int64_t> shape);

inline const TensorValue &asTensor(const RuntimeValue &value) {
  return **std::get_if<std::shared_ptr<const TensorValue>>(&value);
}
inline int64_t asIndex(const RuntimeValue &value) { return *std::get_if<int64_t>(&value); }

/// The packing of a tensor type, if it has one.
std::optional<Packing> packingOf(mlir::RankedTensorType type);

} // namespace tern::interpret

#endif // TERN_DIALECT_INTERPRETEROPS_H
