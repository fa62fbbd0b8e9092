//===- TernaryFloats.h - floats that are already ternary --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_TERNARYFLOATS_H
#define TERN_FRONTENDS_IMPORT_TERNARYFLOATS_H

#include "dialect/TernaryDialect.h"
#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <optional>

namespace tern::import {

/// Element `index` of f32, f16 or bf16 data, which may lie at any address.
float floatAt(llvm::ArrayRef<uint8_t> bytes, ternary::Encoding encoding, size_t index);

/// How far apart the magnitudes that share a scale may be: converters round each to the file's
/// type.
constexpr float kMagnitudeSpread = 0.01f;

/// The granularity of the scales of a matrix that holds trit * scale.
struct TernaryScales {
  int64_t rows = 1;          ///< 1: one scale for the tensor
  int64_t groups = 1;        ///< scales a row
  float least = 0, most = 0; ///< of the nonzero magnitudes
};

/// Whether each value of the matrix is -s, 0 or +s with one s for the tensor, a row, or a run of
/// 128, 64, 256 or 32 columns: then the coarsest of these that fits. Values must be finite, and not
/// all zero.
std::optional<TernaryScales> detectTernary(llvm::ArrayRef<uint8_t> bytes,
                                           ternary::Encoding encoding, int64_t rows,
                                           int64_t columns);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_TERNARYFLOATS_H
