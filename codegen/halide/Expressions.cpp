//===- Expressions.cpp - exact formulas as Halide expressions -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Expressions.h"

using namespace Halide;
using namespace tern;

Expr halide::larger(Expr a, Expr b) { return select(a > b, a, b); }
Expr halide::smaller(Expr a, Expr b) { return select(a < b, a, b); }

Expr halide::roundEven(Expr x) {
  // At 1.5 * 2^23 one unit is the last place, so the addition rounds to a whole number.
  const float magic = 12582912.0f;
  return (x + magic) - magic;
}

Expr halide::exponential(Expr x) {
  x = larger(x, -87.3f);
  x = smaller(x, 88.3f);
  Expr n = roundEven(x * 1.44269504088896341f);
  Expr r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Expr poly = 1.9875691500e-4f;
  for (float c :
       {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    poly = poly * r + c;
  Expr p = 1.0f + (r + (r * r) * poly);
  return reinterpret<float>(reinterpret<int32_t>(p) + cast<int32_t>(n) * (1 << 23));
}

static Expr horner(Expr z, std::initializer_list<double> coefficients) {
  Expr p = Expr(*coefficients.begin());
  for (const double *c = coefficients.begin() + 1; c != coefficients.end(); ++c)
    p = p * z + Expr(*c);
  return p;
}

static Expr polynomialSin(Expr r) {
  Expr z = r * r;
  Expr p = horner(z, {1.58969099521155010221e-10, -2.50507602534068634195e-08,
                      2.75573137070700676789e-06, -1.98412698298579493134e-04,
                      8.33333333332248946124e-03, -1.66666666666666324348e-01});
  return r + (z * r) * p;
}

static Expr polynomialCos(Expr r) {
  Expr z = r * r;
  Expr p = horner(z, {-1.13596475577881948265e-11, 2.08757232129817482790e-09,
                      -2.75573143513906633035e-07, 2.48015872894767294178e-05,
                      -1.38888888888741095749e-03, 4.16666666666666019037e-02});
  return Expr(1.0) - (Expr(0.5) * z - (z * z) * p);
}

/// sin(angle + shift * pi / 2).
static Expr sinOfQuadrant(Expr angle, int shift) {
  Expr a = cast<double>(angle);
  // 1.5 * 2^52: rounds to a whole number n as roundEven does, and leaves n mod 4 in the low bits.
  const double magic = 6755399441055744.0;
  Expr shifted = a * Expr(0x1.45f306dc9c883p-1) + Expr(magic);
  Expr n = shifted - Expr(magic);
  Expr r = (a - n * Expr(0x1.921fb544p+0)) - n * Expr(0x1.0b4611a626331p-34);
  Expr quadrant = reinterpret<uint64_t>(shifted) + cast<uint64_t>(shift);
  Expr odd = (quadrant & cast<uint64_t>(1)) != 0;
  Expr value = select(odd, polynomialCos(r), polynomialSin(r));
  Expr sign = (quadrant & cast<uint64_t>(2)) << 62;
  return cast<float>(reinterpret<double>(reinterpret<uint64_t>(value) ^ sign));
}

Expr halide::cosine(Expr angle) { return sinOfQuadrant(angle, 1); }
Expr halide::sine(Expr angle) { return sinOfQuadrant(angle, 0); }

Type halide::storage(Element element) {
  if (element == Element::F32)
    return Float(32);
  return UInt(16);
}

/// Subnormals come from a subtraction, exact: the bits above an exponent of 2^-14, less 2^-14.
static Expr fromF16(Expr bits) {
  Expr wide = cast<int32_t>(bits);
  Expr magnitude = wide & 0x7fff, sign = (wide & 0x8000) << 16;
  Expr normal = (magnitude << 13) + ((127 - 15) << 23);
  Expr infinite = normal + ((255 - 31 - (127 - 15)) << 23);
  const int one = (127 - 14) << 23;
  Expr subnormal = reinterpret<int32_t>(reinterpret<float>((magnitude << 13) + one) -
                                        reinterpret<float>(Expr(one)));
  Expr value = select(magnitude < 0x400, subnormal, select(magnitude >= 0x7c00, infinite, normal));
  return reinterpret<float>(sign | value);
}

Expr halide::value(Element element, Expr bits, const Target &target) {
  switch (element) {
  case Element::F32:
    return bits;
  case Element::F16:
    // Halide has no conversion instruction; linkRowKernels gives this function its body.
    if (target.has_feature(Target::F16C) || target.arch == Target::ARM)
      return Internal::Call::make(Float(32), "tern_halide_from_f16", {bits},
                                  Internal::Call::PureExtern);
    return fromF16(bits);
  case Element::BF16:
    return reinterpret<float>(cast<uint32_t>(bits) << 16);
  }
  return Expr();
}

Func halide::addLanes(Func partial, std::vector<Func> &stages, const std::vector<Var> &outer) {
  Var lane("lane");
  Func sums = partial;
  for (int width = kLanes / 2; width > 0; width /= 2) {
    Func next("lanes_" + std::to_string(width));
    std::vector<Var> variables{lane};
    std::vector<Expr> low{lane}, high{lane + width};
    for (const Var &var : outer) {
      variables.push_back(var);
      low.push_back(var);
      high.push_back(var);
    }
    next(variables) = sums(low) + sums(high);
    next.bound(lane, 0, width).vectorize(lane, width).store_in(MemoryType::Stack);
    stages.push_back(next);
    sums = next;
  }
  return sums;
}
