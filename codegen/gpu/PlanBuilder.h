//===- PlanBuilder.h - the steps of a plan, op by op ------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Private to PlanBuilder.cpp and PlanOps.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_GPU_PLANBUILDER_H
#define TERN_CODEGEN_GPU_PLANBUILDER_H

#include "codegen/gpu/Plan.h"

#include "dialect/Product.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace tern::gpu {

using Linear = tern_gpu_linear_t;

Linear constant(int64_t value);
Linear plus(const Linear &a, const Linear &b, int64_t factor = 1); ///< a + b * factor
bool isConstant(const Linear &a);
bool isSame(const Linear &a, const Linear &b);

/// Where a tensor or a cache lies.
struct GpuPlace {
  uint32_t base = TERN_GPU_ARENA, number = 0;
  Linear offset{}, rows{};
  int64_t stride = 0; ///< bytes from row to row

  bool isSamePlace(const GpuPlace &other) const {
    return base == other.base && number == other.number && isSame(offset, other.offset);
  }
};

/// Follows a packed module from its entry, through calls, as the runtime would: offsets and sizes
/// stay linear in what a call is given.
class PlanBuilder {
public:
  PlanBuilder(mlir::ModuleOp module, int64_t maxRows);
  mlir::LogicalResult entry(mlir::func::FuncOp function);
  Plan take() { return std::move(plan); }

private:
  /// One call of a function.
  struct Frame {
    llvm::DenseMap<mlir::Value, GpuPlace> places;
    llvm::DenseMap<mlir::Value, Linear> numbers;
    llvm::SmallVector<GpuPlace> results; ///< where the function's results go
    int64_t arena = 0;                   ///< where its locals start
  };

  /// A dispatch in the making; buffers and scalars by name.
  class Step {
  public:
    Step(PlanBuilder &builder, const std::string &kernel);
    Step &bind(llvm::StringRef name, const GpuPlace &place);
    Step &set(llvm::StringRef name, const Linear &value);
    Step &set(llvm::StringRef name, int64_t value) { return set(name, constant(value)); }
    Step &set(llvm::StringRef name, float value);
    void run(const Linear &itemsX, const Linear &itemsY, uint32_t when = TERN_GPU_ALWAYS);

  private:
    PlanBuilder &builder;
    const KernelInfo &kernel;
    std::vector<tern_gpu_binding_t> bindings;
    std::vector<Linear> scalars;
  };

  // PlanBuilder.cpp: values, calls, results.
  mlir::LogicalResult function(mlir::func::FuncOp function);
  mlir::LogicalResult operation(mlir::Operation *op);
  mlir::LogicalResult view(mlir::Operation *op);
  mlir::LogicalResult slice(mlir::tensor::ExtractSliceOp op);
  mlir::LogicalResult call(mlir::func::CallOp op);
  mlir::LogicalResult returned(mlir::func::ReturnOp op);
  mlir::LogicalResult placeResults(mlir::Operation *op, const Linear &rows);
  const GpuPlace &place(mlir::Value value) { return frame->places[value]; }
  Linear number(mlir::OpFoldResult value);

  // PlanOps.cpp: one step or a few for each op.
  mlir::LogicalResult ternaryOp(mlir::Operation *op);
  mlir::LogicalResult lower(ternary::QuantizeRowsOp op);
  mlir::LogicalResult lower(ternary::Product op);
  mlir::LogicalResult lower(ternary::RmsNormOp op);
  mlir::LogicalResult lower(ternary::RopeAnglesOp op);
  mlir::LogicalResult lower(ternary::RopeOp op);
  mlir::LogicalResult lower(ternary::AttentionOp op);
  mlir::LogicalResult lower(ternary::GatedActivationOp op);
  mlir::LogicalResult lower(ternary::EmbeddingOp op);
  mlir::LogicalResult lower(ternary::HeadOp op);
  mlir::LogicalResult lower(mlir::arith::AddFOp op);
  void copyRows(const GpuPlace &from, const GpuPlace &to, int64_t columns);

  mlir::ModuleOp module;
  int64_t maxRows;
  Plan plan;
  Frame *frame = nullptr;
  llvm::StringMap<int64_t> sections; ///< of weights, by symbol
};

} // namespace tern::gpu

#endif // TERN_CODEGEN_GPU_PLANBUILDER_H
