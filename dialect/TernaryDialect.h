//===- TernaryDialect.h - the ternary dialect -------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_TERNARYDIALECT_H
#define TERN_DIALECT_TERNARYDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/IR/TensorEncoding.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/BlockFormats.h"
#include "dialect/TernaryDialect.h.inc"
#include "dialect/TernaryEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/TernaryAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/TernaryTypes.h.inc"
#define GET_OP_CLASSES
#include "dialect/TernaryOps.h.inc"

namespace tern::ternary {

/// The columns of a token that share a scale; 0 where all do, and where activations stay float.
int64_t activationGroup(Activations activations);

} // namespace tern::ternary

namespace tern {

namespace ternary {
/// Deeper calls are refused: recursion over them must end.
constexpr size_t kMaxCallDepth = 64;
} // namespace ternary

/// The block format of an encoding that is one.
inline std::optional<blocks::Format> blockFormat(ternary::Encoding encoding) {
  auto format = static_cast<blocks::Format>(encoding);
  if (format < blocks::kFirstFormat || format > blocks::kLastFormat)
    return std::nullopt;
  return format;
}

} // namespace tern

#endif // TERN_DIALECT_TERNARYDIALECT_H
