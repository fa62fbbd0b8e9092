//===- MslExpressions.cpp - ops of kernel IR as MSL expressions -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/metal/MslFunction.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;

namespace tern::metal {

std::string typeName(Type type) {
  if (isa<VectorType>(type))
    return "int4";
  if (type.isF32())
    return "float";
  if (type.isF16())
    return "half";
  if (type.isInteger(1))
    return "bool";
  if (type.isInteger(8))
    return "char";
  if (type.isInteger(16))
    return "ushort";
  return "int";
}

static std::string formatted(const char *format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

static std::string floatText(float value) {
  if (std::isinf(value))
    return value < 0 ? "-INFINITY" : "INFINITY";
  std::string text = formatted("%.9g", value);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text + "f";
}

static Expression constantText(arith::ConstantOp op) {
  if (auto number = dyn_cast<FloatAttr>(op.getValue())) {
    float value = number.getValue().convertToFloat();
    return {floatText(value), std::signbit(value) ? Binding::Unary : Binding::Atom};
  }
  if (isa<VectorType>(op.getType()))
    return {"int4(0)"};
  int64_t value = cast<IntegerAttr>(op.getValue()).getInt();
  if (op.getType().isInteger(8))
    return {"char(" + std::to_string(value) + ")"};
  if (value >= -65536 && value <= 65536)
    return {std::to_string(value), value < 0 ? Binding::Unary : Binding::Atom};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format_hex(static_cast<uint32_t>(value), 10);
  return {value < 0 ? "int(" + text + "u)" : text};
}

std::string MslFunction::operand(Value value, Binding around, bool right) {
  const Expression &one = use(value);
  // Only what C reads the same way everybody does goes without parentheses.
  bool bare = one.binding >= Binding::Unary ||
              (around == Binding::Sum &&
               (one.binding == Binding::Product || (one.binding == Binding::Sum && !right))) ||
              (around == Binding::Compare && one.binding >= Binding::Sum) ||
              (around == Binding::And && one.binding == Binding::Compare) ||
              (around == Binding::Choice && one.binding >= Binding::Compare);
  return bare ? one.text : "(" + one.text + ")";
}

Expression MslFunction::binary(Operation &op, const char *symbol, Binding binding) {
  return {operand(op.getOperand(0), binding) + " " + symbol + " " +
              operand(op.getOperand(1), binding, /*right=*/true),
          binding};
}

Expression MslFunction::convert(Operation &op, StringRef function) {
  return {(function + "(" + text(op.getOperand(0)) + ")").str()};
}

std::optional<Expression> MslFunction::arithmetic(Operation &op) {
  using Result = std::optional<Expression>;
  return llvm::TypeSwitch<Operation *, Result>(&op)
      .Case<arith::AddIOp, arith::AddFOp>([&](auto) { return binary(op, "+", Binding::Sum); })
      .Case<arith::SubIOp, arith::SubFOp>([&](auto) { return binary(op, "-", Binding::Sum); })
      .Case<arith::MulIOp, arith::MulFOp>([&](auto) { return binary(op, "*", Binding::Product); })
      .Case<arith::DivSIOp, arith::DivFOp>([&](auto) { return binary(op, "/", Binding::Product); })
      .Case([&](arith::RemSIOp) { return binary(op, "%", Binding::Product); })
      .Case([&](arith::AndIOp) {
        return binary(op, op.getResult(0).getType().isInteger(1) ? "&&" : "&", Binding::And);
      })
      .Case([&](arith::OrIOp) { return binary(op, "|", Binding::Or); })
      .Case([&](arith::ShLIOp) { return binary(op, "<<", Binding::Shift); })
      .Case([&](arith::ShRSIOp) { return binary(op, ">>", Binding::Shift); })
      .Case([&](arith::ShRUIOp) {
        return Expression{"int(uint(" + text(op.getOperand(0)) + ") >> " +
                          operand(op.getOperand(1), Binding::Shift) + ")"};
      })
      .Case([&](arith::CmpIOp compare) -> Result {
        switch (compare.getPredicate()) {
        case arith::CmpIPredicate::slt:
          return binary(op, "<", Binding::Compare);
        case arith::CmpIPredicate::sgt:
          return binary(op, ">", Binding::Compare);
        case arith::CmpIPredicate::eq:
          return binary(op, "==", Binding::Compare);
        default:
          return std::nullopt;
        }
      })
      .Case([&](arith::CmpFOp compare) -> Result {
        switch (compare.getPredicate()) {
        case arith::CmpFPredicate::OLT:
          return binary(op, "<", Binding::Compare);
        case arith::CmpFPredicate::OGT:
          return binary(op, ">", Binding::Compare);
        default:
          return std::nullopt;
        }
      })
      .Case([&](arith::SelectOp) {
        return Expression{operand(op.getOperand(0), Binding::Choice) + " ? " +
                              operand(op.getOperand(1), Binding::Choice) + " : " +
                              operand(op.getOperand(2), Binding::Choice),
                          Binding::Choice};
      })
      .Case([&](arith::NegFOp) {
        return Expression{"-" + operand(op.getOperand(0), Binding::Unary), Binding::Unary};
      })
      .Case([&](math::FmaOp) {
        return Expression{"fma(" + text(op.getOperand(0)) + ", " + text(op.getOperand(1)) + ", " +
                          text(op.getOperand(2)) + ")"};
      })
      .Case([&](math::SqrtOp) { return convert(op, "sqrt"); })
      .Case([&](math::RoundEvenOp) { return convert(op, "rint"); })
      .Case([&](math::AbsFOp) { return convert(op, "fabs"); })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<Expression> MslFunction::conversion(Operation &op) {
  using Result = std::optional<Expression>;
  return llvm::TypeSwitch<Operation *, Result>(&op)
      .Case<arith::SIToFPOp, arith::FPToSIOp, arith::ExtSIOp, arith::ExtUIOp, arith::ExtFOp,
            arith::TruncIOp>([&](auto) { return convert(op, typeName(op.getResult(0).getType())); })
      .Case([&](arith::BitcastOp) {
        return convert(op, "as_type<" + typeName(op.getResult(0).getType()) + ">");
      })
      // Indices and integers are all int.
      .Case([&](arith::IndexCastUIOp) { return use(op.getOperand(0)); })
      .Case([&](vector::ExtractOp extract) -> Result {
        int64_t at = extract.getStaticPosition()[0];
        return Expression{operand(extract.getSource(), Binding::Atom) + "." + "xyzw"[at]};
      })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<Expression> MslFunction::expressionOf(Operation &op) {
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return constantText(constant);
  if (isa<mlir::gpu::ThreadIdOp>(op))
    return Expression{"tid"};
  if (isa<mlir::gpu::LaneIdOp>(op))
    return Expression{"lane"};
  if (auto block = dyn_cast<mlir::gpu::BlockIdOp>(op))
    return Expression{std::string("int(group.") + "xyz"[static_cast<int>(block.getDimension())] +
                      ")"};
  if (auto load = dyn_cast<memref::LoadOp>(op)) {
    Expression read{text(load.getMemRef()) + "[" + text(load.getIndices()[0]) + "]"};
    read.reads = true;
    return read;
  }
  if (auto shuffle = dyn_cast<mlir::gpu::ShuffleOp>(op);
      shuffle && shuffle.getMode() == mlir::gpu::ShuffleMode::XOR) {
    // Reads other lanes' values: it may not move into a branch or past a write.
    Expression read{"simd_shuffle_xor(" + text(shuffle.getValue()) + ", ushort(" +
                    text(shuffle.getOffset()) + "))"};
    read.reads = true;
    return read;
  }
  std::optional<Expression> made = arithmetic(op);
  return made ? made : conversion(op);
}

} // namespace tern::metal
