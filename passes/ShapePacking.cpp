//===- ShapePacking.cpp - packings of matrices by their shape -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ShapePacking.h"

using namespace llvm;

namespace tern {

Expected<ShapePacking> ShapePacking::parse(StringRef text) {
  ShapePacking result;
  auto [shape, name] = text.split(':');
  auto [rows, columns] = shape.split('x');
  auto packing = ternary::symbolizePackingKind(name);
  if (rows.getAsInteger(10, result.rows) || columns.getAsInteger(10, result.columns) ||
      result.rows < 1 || result.columns < 1 || !packing)
    return createStringError("expected ROWSxCOLUMNS:PACKING, such as 6912x2560:base3, got '" +
                             text.str() + "'");
  result.packing = *packing;
  return result;
}

std::string ShapePacking::text() const {
  return std::to_string(rows) + "x" + std::to_string(columns) + ":" +
         ternary::stringifyPackingKind(packing).str();
}

} // namespace tern
