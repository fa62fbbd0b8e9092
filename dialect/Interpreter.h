//===- Interpreter.h - runs a module slowly: the oracle ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_INTERPRETER_H
#define TERN_DIALECT_INTERPRETER_H

#include "dialect/TernaryDialect.h"
#include "dialect/WeightReader.h"
#include "llvm/Support/Error.h"

#include <functional>
#include <memory>
#include <variant>
#include <vector>

namespace tern {

/// A tensor at run time: dense and row-major, or packed trits (`type` then carries the packing and
/// `i8` holds the packed bytes). Scales lie row-major; f16 and bf16 tables are held as f32.
struct TensorValue {
  mlir::RankedTensorType type; ///< element type and encoding; dynamic sizes allowed
  std::vector<int64_t> shape;  ///< the actual sizes
  std::vector<float> f32;      ///< exactly one of these three is used, by element type
  std::vector<int32_t> i32;
  std::vector<int8_t> i8; ///< int8 values and trits
};

/// Keys and values of one layer: position-major, [position][head][headSize], of caches of f16 and
/// i8 as the floats they stand for before their scales.
struct CacheValue {
  int64_t heads = 0, headSize = 0;
  std::vector<float> keys, values;
  std::vector<float> keyScales, valueScales; ///< [position][head]; of caches of i8 only
};

/// What an SSA value holds: a tensor, a cache (by reference) or an index.
using RuntimeValue =
    std::variant<std::shared_ptr<const TensorValue>, std::shared_ptr<CacheValue>, int64_t>;

/// Runs any function of a module at any stage of the pipeline before codegen, slowly, on
/// Semantics.h: the oracle of the tests and of `tern verify`. Ops: the ternary dialect, func.call,
/// func.return, arith.constant/addi/subi (index), arith.addf (tensors), tensor.dim,
/// tensor.extract_slice. Any other op is an error that names it.
class Interpreter {
public:
  Interpreter(mlir::ModuleOp module, const WeightFiles &files);
  ~Interpreter();

  /// Called after each op with its results.
  using Observer = std::function<void(mlir::Operation *, llvm::ArrayRef<RuntimeValue>)>;
  void setObserver(Observer observer);

  /// Weights are decoded once and kept (trits as int8: a large model needs its parameter count in
  /// bytes).
  llvm::Expected<std::vector<RuntimeValue>> run(llvm::StringRef function,
                                                llvm::ArrayRef<RuntimeValue> arguments);

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace tern

#endif // TERN_DIALECT_INTERPRETER_H
