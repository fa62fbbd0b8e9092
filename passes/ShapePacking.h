//===- ShapePacking.h - packings of matrices by their shape -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_PASSES_SHAPEPACKING_H
#define TERN_PASSES_SHAPEPACKING_H

#include "dialect/TernaryDialect.h"
#include "llvm/Support/Error.h"

#include <string>

namespace tern {

/// How every matrix of a shape is packed: "6912x2560:base3".
struct ShapePacking {
  int64_t rows = 0, columns = 0;
  ternary::PackingKind packing = ternary::PackingKind::TwoBit;

  static llvm::Expected<ShapePacking> parse(llvm::StringRef text);
  std::string text() const;
};

} // namespace tern

#endif // TERN_PASSES_SHAPEPACKING_H
