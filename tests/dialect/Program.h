//===- Program.h - modules, tensors and files for tests ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_DIALECT_PROGRAM_H
#define TERN_TESTS_DIALECT_PROGRAM_H

#include "dialect/Interpreter.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"
#include "tests/support/TempFolder.h"

#include <gtest/gtest.h>
#include <string>

namespace tern {

/// A parsed module with the dialects the interpreter knows.
struct Program {
  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

  explicit Program(llvm::StringRef text) {
    context.loadDialect<ternary::TernaryDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
                        mlir::tensor::TensorDialect>();
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    EXPECT_TRUE(module) << text.str();
  }

  mlir::Type type(llvm::StringRef text) { return mlir::parseType(text, &context); }
  ternary::WeightOp weight(llvm::StringRef name) {
    return module->lookupSymbol<ternary::WeightOp>(name);
  }

  std::shared_ptr<TensorValue> tensor(llvm::StringRef typeText, std::vector<int64_t> shape) {
    auto value = std::make_shared<TensorValue>();
    value->type = mlir::cast<mlir::RankedTensorType>(type(typeText));
    value->shape = std::move(shape);
    return value;
  }
  RuntimeValue floats(std::vector<int64_t> shape, std::vector<float> values) {
    auto value = tensor(shape.size() == 1 ? "tensor<?xf32>" : "tensor<?x?xf32>", shape);
    value->f32 = std::move(values);
    return std::shared_ptr<const TensorValue>(value);
  }
  RuntimeValue ids(std::vector<int32_t> values) {
    auto value = tensor("tensor<?xi32>", {static_cast<int64_t>(values.size())});
    value->i32 = std::move(values);
    return std::shared_ptr<const TensorValue>(value);
  }
};

inline const TensorValue &asTensor(const RuntimeValue &value) {
  return *std::get<std::shared_ptr<const TensorValue>>(value);
}

/// The text of an error; "no error" for a value.
template <typename T> std::string message(llvm::Expected<T> value) {
  return value ? "no error" : llvm::toString(value.takeError());
}
inline std::string message(llvm::Error error) {
  return error ? llvm::toString(std::move(error)) : "no error";
}

using test::TempFolder;

} // namespace tern

#endif // TERN_TESTS_DIALECT_PROGRAM_H
