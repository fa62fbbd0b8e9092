//===- InterpreterBuiltin.cpp - arith and tensor ops of the interpreter ---===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/InterpreterOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace tern;
using namespace tern::interpret;
using llvm::ArrayRef;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

using Operands = ArrayRef<RuntimeValue>;
using Tensor = std::shared_ptr<TensorValue>;

static Expected<Results> evaluate(arith::ConstantOp op, Operands) {
  if (auto index = dyn_cast<IntegerAttr>(op.getValue()); index && op.getType().isIndex())
    return Results{index.getInt()};
  auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
  auto type = dyn_cast<RankedTensorType>(op.getType());
  if (!elements || !type)
    return opError(op, "expected an index or a dense tensor");
  Expected<Tensor> out = makeTensor(op, type, type.getShape());
  if (!out)
    return out.takeError();
  if (type.getElementType().isF32())
    llvm::copy(elements.getValues<float>(), (*out)->f32.begin());
  else if (type.getElementType().isInteger(32))
    llvm::copy(elements.getValues<int32_t>(), (*out)->i32.begin());
  else
    return opError(op, "expected elements of f32 or i32");
  return Results{*out};
}

template <typename OpTy>
static Expected<Results> evaluateIndex(OpTy op, Operands in,
                                       bool (*checked)(int64_t, int64_t, int64_t &)) {
  if (!op.getType().isIndex())
    return opError(op, "expected operands of type index");
  int64_t result;
  if (checked(asIndex(in[0]), asIndex(in[1]), result))
    return opError(op, "the result does not fit 64 bits");
  return Results{result};
}

static Expected<Results> evaluate(arith::AddIOp op, Operands in) {
  return evaluateIndex(op, in, [](int64_t a, int64_t b, int64_t &result) -> bool {
    return llvm::AddOverflow(a, b, result);
  });
}

static Expected<Results> evaluate(arith::SubIOp op, Operands in) {
  return evaluateIndex(op, in, [](int64_t a, int64_t b, int64_t &result) -> bool {
    return llvm::SubOverflow(a, b, result);
  });
}

static Expected<Results> evaluate(arith::AddFOp op, Operands in) {
  if (!isa<RankedTensorType>(op.getType()))
    return opError(op, "expected operands that are tensors");
  const TensorValue &left = asTensor(in[0]), &right = asTensor(in[1]);
  if (left.shape != right.shape)
    return opError(op, formatv("expected operands of one shape, got {0} and {1} elements",
                               left.f32.size(), right.f32.size())
                           .str());
  Expected<Tensor> out = makeTensor(op, op.getType(), left.shape);
  if (!out)
    return out.takeError();
  for (size_t i = 0; i < left.f32.size(); ++i)
    (*out)->f32[i] = left.f32[i] + right.f32[i];
  return Results{*out};
}

static Expected<Results> evaluate(tensor::DimOp op, Operands in) {
  const TensorValue &source = asTensor(in[0]);
  int64_t index = asIndex(in[1]), rank = source.shape.size();
  if (index < 0 || index >= rank)
    return opError(op,
                   formatv("expected a dimension from 0 to {0}, got {1}", rank - 1, index).str());
  return Results{source.shape[index]};
}

/// Static entries of a slice, with the dynamic ones taken from the operands in order.
static SmallVector<int64_t> mixed(ArrayRef<int64_t> entries, Operands &dynamic) {
  SmallVector<int64_t> values(entries);
  for (int64_t &value : values)
    if (ShapedType::isDynamic(value)) {
      value = asIndex(dynamic.front());
      dynamic = dynamic.drop_front();
    }
  return values;
}

template <typename T>
static void copySlice(const std::vector<T> &from, const TensorValue &source,
                      ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes, std::vector<T> &to) {
  for (int64_t row = 0; row < sizes[0]; ++row)
    std::copy_n(from.begin() + (offsets[0] + row) * source.shape[1] + offsets[1], sizes[1],
                to.begin() + row * sizes[1]);
}

static Expected<Results> evaluate(tensor::ExtractSliceOp op, Operands in) {
  const TensorValue &source = asTensor(in[0]);
  if (source.shape.size() != 2 || op.getType().getRank() != 2 || packingOf(source.type))
    return opError(op, "expected unpacked tensors of rank 2");
  Operands dynamic = in.drop_front();
  SmallVector<int64_t> offsets = mixed(op.getStaticOffsets(), dynamic);
  SmallVector<int64_t> sizes = mixed(op.getStaticSizes(), dynamic);
  SmallVector<int64_t> strides = mixed(op.getStaticStrides(), dynamic);
  for (int64_t i = 0; i < 2; ++i) {
    if (strides[i] != 1)
      return opError(op, formatv("expected strides of 1, got {0}", strides[i]).str());
    if (offsets[i] < 0 || sizes[i] < 0 || offsets[i] > source.shape[i] ||
        sizes[i] > source.shape[i] - offsets[i])
      return opError(op,
                     formatv("dimension {0}: expected a slice of {1} elements, got {2} from {3}", i,
                             source.shape[i], sizes[i], offsets[i])
                         .str());
  }
  Expected<Tensor> out = makeTensor(op, op.getType(), sizes);
  if (!out)
    return out.takeError();
  if (!source.f32.empty())
    copySlice(source.f32, source, offsets, sizes, (*out)->f32);
  else if (!source.i32.empty())
    copySlice(source.i32, source, offsets, sizes, (*out)->i32);
  else if (!source.i8.empty())
    copySlice(source.i8, source, offsets, sizes, (*out)->i8);
  return Results{*out};
}

std::optional<Expected<Results>> interpret::evaluateBuiltin(Operation *op, Operands operands) {
  return llvm::TypeSwitch<Operation *, std::optional<Expected<Results>>>(op)
      .Case<arith::ConstantOp, arith::AddIOp, arith::SubIOp, arith::AddFOp, tensor::DimOp,
            tensor::ExtractSliceOp>([&](auto typed) { return evaluate(typed, operands); })
      .Default([](Operation *) { return std::nullopt; });
}
