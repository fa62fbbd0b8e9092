//===- Expressions.h - exact formulas as Halide expressions -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_HALIDE_EXPRESSIONS_H
#define TERN_CODEGEN_HALIDE_EXPRESSIONS_H

#include "Halide.h"

/// The formulas of dialect/Semantics.h, operation for operation. Comparisons are spelt as selects
/// so that a NaN takes the same side as there.
namespace tern::halide {

/// Partial sums of the row rule.
constexpr int kLanes = 32;
/// Floats handled at once. LLVM cuts a vector to the level's registers, so one schedule serves
/// all levels and the widest fills a register.
constexpr int kVector = 16;

Halide::Expr larger(Halide::Expr a, Halide::Expr b);  ///< a > b ? a : b
Halide::Expr smaller(Halide::Expr a, Halide::Expr b); ///< a < b ? a : b

/// rint for |x| < 2^22, but a negative zero becomes positive. Two additions: no level needs a call.
Halide::Expr roundEven(Halide::Expr x);
Halide::Expr exponential(Halide::Expr x);

/// cos or sin of a float angle below 2^50.
Halide::Expr cosine(Halide::Expr angle);
Halide::Expr sine(Halide::Expr angle);

/// How a table element lies in memory, and its value.
enum class Element { F32, F16, BF16 };
Halide::Type storage(Element element);
Halide::Expr value(Element element, Halide::Expr bits, const Halide::Target &target);

/// The tree over 32 partial sums, `partial(lane, outer...)`; the result is that of lane 0. Adds
/// the Funcs it makes to `stages`: the caller says where they are computed.
Halide::Func addLanes(Halide::Func partial, std::vector<Halide::Func> &stages,
                      const std::vector<Halide::Var> &outer = {});

} // namespace tern::halide

#endif // TERN_CODEGEN_HALIDE_EXPRESSIONS_H
