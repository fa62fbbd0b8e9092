//===- Angles.cpp - rotary angles, which Metal cannot compute -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect's cosine and sine: binary64, rounded once. Metal has no binary64.
//
//===----------------------------------------------------------------------===//

#include "runtime/metal/Plan.h"

#include <cmath>

namespace tern::metal {

/// c[0] the coefficient of the highest power.
static double polynomial(const double (&c)[6], double z) {
  double sum = c[0];
  for (int i = 1; i < 6; ++i)
    sum = sum * z + c[i];
  return sum;
}

static double sinNear0(double r) {
  static constexpr double kSin[6] = {1.58969099521155010221e-10, -2.50507602534068634195e-08,
                                     2.75573137070700676789e-06, -1.98412698298579493134e-04,
                                     8.33333333332248946124e-03, -1.66666666666666324348e-01};
  double z = r * r;
  return r + (z * r) * polynomial(kSin, z);
}

static double cosNear0(double r) {
  static constexpr double kCos[6] = {-1.13596475577881948265e-11, 2.08757232129817482790e-09,
                                     -2.75573143513906633035e-07, 2.48015872894767294178e-05,
                                     -1.38888888888741095749e-03, 4.16666666666666019037e-02};
  double z = r * r;
  return 1.0 - (0.5 * z - (z * z) * polynomial(kCos, z));
}

/// sin(angle + quarters * pi / 2).
static float sinOf(float angle, double quarters) {
  double a = angle, n = std::rint(a * 0x1.45f306dc9c883p-1);
  double r = (a - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
  double quadrant = n + quarters;
  quadrant -= 4.0 * std::floor(quadrant * 0.25);
  double value = quadrant == 1.0 || quadrant == 3.0 ? cosNear0(r) : sinNear0(r);
  return float(quadrant >= 2.0 ? -value : value);
}

void ropeAngles(int64_t position, const float *frequencies, int64_t half, float *out) {
  for (int64_t i = 0; i < half; ++i) {
    float angle = float(position) * frequencies[i];
    out[i] = sinOf(angle, 1.0);
    out[half + i] = sinOf(angle, 0.0);
  }
}

} // namespace tern::metal
