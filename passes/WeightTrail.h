//===- WeightTrail.h - from a weight's use back to its symbol ---*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_PASSES_WEIGHTTRAIL_H
#define TERN_PASSES_WEIGHTTRAIL_H

#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

#include <map>
#include <set>

namespace tern {

/// Replaces weights at their uses. A weight reaches its use from a ternary.load, or through the
/// arguments of private functions: then every caller passes the replacement instead.
class WeightTrail {
public:
  explicit WeightTrail(mlir::ModuleOp module);

  /// Whether the values are all results of ternary.load, or all arguments of one function whose
  /// callers are known and pass such values.
  bool reachesLoads(llvm::ArrayRef<mlir::Value> values) const;

  /// The weight to load instead of `originals`, which stay where they are.
  using MakeWeight =
      llvm::function_ref<ternary::WeightOp(llvm::ArrayRef<ternary::WeightOp> originals)>;
  /// A value of `type` for `user` to use instead of `values`: a load of what `make` returns, or an
  /// argument through which every caller passes one. Expects reachesLoads(values).
  mlir::Value replace(llvm::ArrayRef<mlir::Value> values, mlir::Type type, mlir::Operation *user,
                      MakeWeight make);

  /// Erases the replaced arguments, loads and weights that nothing uses any more.
  void eraseUnused();

private:
  using Calls = llvm::SmallVector<mlir::func::CallOp>;

  mlir::func::FuncOp functionOf(mlir::Value argument) const;
  bool reachesLoads(llvm::ArrayRef<mlir::Value> values,
                    llvm::SmallVectorImpl<mlir::Operation *> &path,
                    std::set<std::vector<void *>> &known) const;
  mlir::Value addArgument(mlir::func::FuncOp function, llvm::ArrayRef<mlir::Value> values,
                          mlir::Type type, MakeWeight make);
  bool eraseUnusedArguments(mlir::func::FuncOp function, const Calls &calls);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  /// Private functions that are only ever called.
  llvm::MapVector<mlir::Operation *, Calls> callers;
  /// Arguments made so far, by what they replace. Looked up only: pointer order decides nothing.
  std::map<std::pair<std::vector<void *>, const void *>, mlir::Value> arguments;
  llvm::SetVector<mlir::Operation *> replaced;
};

} // namespace tern

#endif // TERN_PASSES_WEIGHTTRAIL_H
