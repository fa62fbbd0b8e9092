//===- HeadElement.h - what a head's table keeps ----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_HEADELEMENT_H
#define TERN_FRONTENDS_IMPORT_HEADELEMENT_H

namespace mlir {
class RankedTensorType;
}

namespace tern::import {

/// Elements of a head's table: the checkpoint's own, or what they are rounded to. Int8 and Q6 are
/// integers of 8 and 6 bits with a scale a row (#ternary.screen).
enum class HeadElement { Stored, F16, BF16, Int8, Q6 };

inline const char *describe(HeadElement element) {
  constexpr const char *names[] = {"stored", "f16", "bf16", "int8", "q6"};
  return names[static_cast<int>(element)];
}

inline bool isInteger(HeadElement element) {
  return element == HeadElement::Int8 || element == HeadElement::Q6;
}

/// The type of a table that the checkpoint has as `stored`; of at most HeadScreen::kMaxColumns
/// columns if it becomes integers (ModelBuilder.cpp).
mlir::RankedTensorType headType(mlir::RankedTensorType stored, HeadElement element);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_HEADELEMENT_H
