//===- CacheElement.h - what caches of keys and values keep -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CACHEELEMENT_H
#define TERN_FRONTENDS_IMPORT_CACHEELEMENT_H

namespace mlir {
class MLIRContext;
class Type;
} // namespace mlir

namespace tern::import {

/// Elements of caches: nothing in a checkpoint says which.
enum class CacheElement { F32, F16, Int8 };

inline const char *describe(CacheElement element) {
  return element == CacheElement::F32 ? "f32" : element == CacheElement::F16 ? "f16" : "int8";
}

/// The type of a cache's elements (ModelBuilder.cpp).
mlir::Type typeOf(mlir::MLIRContext &context, CacheElement element);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_CACHEELEMENT_H
