//===- Semantics.h - the scalar meaning of every op -------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_SEMANTICS_H
#define TERN_DIALECT_SEMANTICS_H

#include <bit>
#include <cstdint>

/// The scalar meaning of every op, bit for bit: the dialect's description states the rules, this
/// file computes them slowly. The interpreter, folders and tests call it; kernels must agree.
/// Everything here is compiled without floating-point contraction; std::fma stands where a rule
/// asks for one.
namespace tern::semantics {

/// Partial sums of the row rule.
constexpr int kLanes = 32;

/// Sum of `x[0 .. n)` by the row rule: 32 interleaved partial sums, then a tree.
float rowSum(const float *x, int64_t n);
/// The same over x[i] * y[i].
float rowDot(const float *x, const float *y, int64_t n);
/// Sum of float(trits[i]) * x[i] by the rule of ternary.linear: four interleaved partial sums.
float tritDot(const int8_t *trits, const float *x, int64_t n);

/// exp: n = rint(x * log2(e)); r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
/// p = 1 + (r + (r * r) * P(r)), P the degree-5 Horner polynomial of coefficients
/// 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
/// 5.0000001201e-1 (highest power first); result p * 2^n by adding n to the exponent field. x is
/// clamped to [-87.3, 88.3] first. No fused multiply-add.
float exp(float x);
/// What a position of attention counts whose score is `x` above the largest: exp(x), or 0 from -64
/// down. Products of smaller weights with values would be subnormal, which takes CPUs a hundred
/// cycles each and moves no sum.
float attentionWeight(float x);
/// cos and sin of a binary32 angle >= 0, evaluated in binary64 and rounded once:
/// n = rint(a * 0x1.45f306dc9c883p-1); r = (a - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
/// then by quadrant n mod 4, with z = r * r and the fdlibm coefficients by Horner's rule (S1 .. S6,
/// C1 .. C6), sin r = r + (z * r) * S(z) or cos r = 1 - (0.5 * z - (z * z) * C(z)).
float cos(float angle);
float sin(float angle);

void rmsNorm(const float *x, const float *gain, float epsilon, int64_t n, float *out);
/// values[n], one scale, offsets[n / group].
void quantizeRow(const float *x, int64_t n, int64_t group, int8_t *values, float *scale,
                 int32_t *offsets);
/// The same with a scale for each group: scales[n / group].
void quantizeGroups(const float *x, int64_t n, int64_t group, int8_t *values, float *scales,
                    int32_t *offsets);
/// One element of ternary.rescale with a scale a row of activations. `scale` has `groups` entries.
float rescale(const int32_t *acc, const float *scale, int64_t groups, float rowScale);
/// The same with `actScales` a group of the activations; `scale` has `scaleGroups` entries.
float rescaleGroups(const int32_t *acc, const float *actScales, int64_t groups, const float *scale,
                    int64_t scaleGroups);
/// One element of ternary.linear with float activations; `scale` as for rescale.
float linearFloat(const int8_t *trits, const float *x, int64_t n, const float *scale,
                  int64_t groups);
/// One head of ternary.rope; angles as ternary.rope_angles makes them.
void rope(const float *x, const float *angles, int64_t headSize, float *out);
/// One row of ternary.rope_angles.
void ropeAngles(int64_t position, const float *frequencies, int64_t half, float *out);

/// Integers in place of x: rint(x * s), at most `limit` in magnitude, with s = (1 / the largest
/// magnitude, 1e-5 or more) * limit. Returns 1 / s, what one of them is worth. A NaN becomes
/// -limit.
float toIntegers(const float *x, int64_t n, float limit, float *integers);
/// The `limit` of what attention multiplies with integers of a cache of i8, for sums of n products
/// that fit 32 bits: 32767, or less for n > 516.
float attentionLimit(int64_t n);

/// Positions whose softmax is taken before it joins what came before.
constexpr int64_t kAttentionBlock = 256;
/// Keys or values of one cached head.
struct CachedRows {
  const float *rows;
  int64_t stride;                ///< floats from position to position
  const float *scales = nullptr; ///< one a position: rows are integers; or null
  int64_t scaleStride = 0;
};
/// One query head at position p = `length` - 1.
void attend(const float *query, CachedRows keys, CachedRows values, int64_t length,
            int64_t headSize, float *out);
/// What a cache of f16 keeps of a float: the nearest half float, finite (a NaN becomes the
/// largest).
float cachedF16(float value);
/// What a cache of i8 keeps of one head's row; returns the scale: rows[i] * scale is near x[i].
float cachedI8(const float *x, int64_t n, float *rows);

float relu2(float gate, float up);
float silu(float gate, float up);

/// ternary.quantize_weight: m from the binary64 sum of |w| in order, and a trit from w and 1.0f /
/// m.
float absmeanScale(double magnitudeSum, int64_t count);
/// Half and less rounds to the even 0; beyond it the clamp leaves only the sign.
inline int8_t absmeanTrit(float weight, float inverseScale) {
  float t = weight * inverseScale;
  return static_cast<int8_t>((t > 0.5f) - (t < -0.5f));
}

// Conversions to 16 bits round to nearest, ties to even.
float fromF16(uint16_t bits);
uint16_t toF16(float value);
inline float fromBF16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
inline uint16_t toBF16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if (value != value)
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

} // namespace tern::semantics

#endif // TERN_DIALECT_SEMANTICS_H
