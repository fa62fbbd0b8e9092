//===- CacheElement.h - what caches of keys and values keep -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CACHEELEMENT_H
#define TERN_FRONTENDS_IMPORT_CACHEELEMENT_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace tern::import {

/// Elements of caches: nothing in a checkpoint says which.
enum class CacheElement { F32, F16, Int8 };

inline const char *describe(CacheElement element) {
  return element == CacheElement::F32 ? "f32" : element == CacheElement::F16 ? "f16" : "int8";
}

inline mlir::Type typeOf(mlir::MLIRContext &context, CacheElement element) {
  mlir::Builder b(&context);
  if (element == CacheElement::Int8)
    return mlir::IntegerType::get(&context, 8);
  return element == CacheElement::F16 ? mlir::Type(b.getF16Type()) : mlir::Type(b.getF32Type());
}

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_CACHEELEMENT_H
