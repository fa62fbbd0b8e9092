//===- Semantics.cpp - the scalar meaning of every op ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Semantics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

using namespace tern;

//===----------------------------------------------------------------------===//
// Sums
//===----------------------------------------------------------------------===//

/// The tree over the partial sums. A lane without a value adds nothing: a partial sum that starts
/// from +0 is never -0, so it equals one padded with zeros.
static float addLanes(float *partial) {
  for (int width = semantics::kLanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; ++j)
      partial[j] += partial[j + width];
  return partial[0];
}

float semantics::rowSum(const float *x, int64_t n) {
  float partial[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j)
      partial[j] += x[i + j];
  for (int j = 0; i + j < n; ++j)
    partial[j] += x[i + j];
  return addLanes(partial);
}

float semantics::rowDot(const float *x, const float *y, int64_t n) {
  float partial[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j)
      partial[j] += x[i + j] * y[i + j];
  for (int j = 0; i + j < n; ++j)
    partial[j] += x[i + j] * y[i + j];
  return addLanes(partial);
}

float semantics::tritDot(const int8_t *trits, const float *x, int64_t n) {
  float partial[4] = {};
  for (int64_t i = 0; i < n; ++i)
    partial[i % 4] += static_cast<float>(trits[i]) * x[i];
  return (partial[0] + partial[2]) + (partial[1] + partial[3]);
}

//===----------------------------------------------------------------------===//
// Functions of one value
//===----------------------------------------------------------------------===//

float semantics::exp(float x) {
  // Written so that a NaN takes the lower bound: the exponent arithmetic below stays defined.
  x = x > -87.3f ? x : -87.3f;
  x = x < 88.3f ? x : 88.3f;
  float n = std::rint(x * 1.44269504088896341f);
  float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float poly = 1.9875691500e-4f;
  poly = poly * r + 1.3981999507e-3f;
  poly = poly * r + 8.3334519073e-3f;
  poly = poly * r + 4.1665795894e-2f;
  poly = poly * r + 1.6666665459e-1f;
  poly = poly * r + 5.0000001201e-1f;
  float p = 1.0f + (r + (r * r) * poly);
  int32_t bits = std::bit_cast<int32_t>(p) + static_cast<int32_t>(n) * (1 << 23);
  return std::bit_cast<float>(bits);
}

float semantics::attentionWeight(float x) { return x > -64.0f ? semantics::exp(x) : 0.0f; }

static double polynomialSin(double r) {
  double z = r * r;
  double p = 1.58969099521155010221e-10;
  p = p * z + -2.50507602534068634195e-08;
  p = p * z + 2.75573137070700676789e-06;
  p = p * z + -1.98412698298579493134e-04;
  p = p * z + 8.33333333332248946124e-03;
  p = p * z + -1.66666666666666324348e-01;
  return r + (z * r) * p;
}

static double polynomialCos(double r) {
  double z = r * r;
  double p = -1.13596475577881948265e-11;
  p = p * z + 2.08757232129817482790e-09;
  p = p * z + -2.75573143513906633035e-07;
  p = p * z + 2.48015872894767294178e-05;
  p = p * z + -1.38888888888741095749e-03;
  p = p * z + 4.16666666666666019037e-02;
  return 1.0 - (0.5 * z - (z * z) * p);
}

/// sin(angle + shift * pi / 2).
static float sinOfQuadrant(float angle, double shift) {
  double a = angle;
  double n = std::rint(a * 0x1.45f306dc9c883p-1);
  double r = (a - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
  double quadrant = n + shift;
  quadrant -= 4.0 * std::floor(quadrant * 0.25);
  bool odd = quadrant == 1.0 || quadrant == 3.0;
  double value = odd ? polynomialCos(r) : polynomialSin(r);
  return static_cast<float>(quadrant >= 2.0 ? -value : value);
}

float semantics::cos(float angle) { return sinOfQuadrant(angle, 1.0); }
float semantics::sin(float angle) { return sinOfQuadrant(angle, 0.0); }

float semantics::relu2(float gate, float up) {
  float r = gate > 0.0f ? gate : 0.0f;
  return (r * r) * up;
}

float semantics::silu(float gate, float up) { return (gate / (1.0f + semantics::exp(-gate))) * up; }

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

void semantics::rmsNorm(const float *x, const float *gain, float epsilon, int64_t n, float *out) {
  float inverse = 1.0f / std::sqrt(rowDot(x, x, n) / static_cast<float>(n) + epsilon);
  for (int64_t i = 0; i < n; ++i)
    out[i] = (x[i] * inverse) * gain[i];
}

void semantics::quantizeRow(const float *x, int64_t n, int64_t group, int8_t *values, float *scale,
                            int32_t *offsets) {
  float largest = 1e-5f;
  for (int64_t i = 0; i < n; ++i) {
    float magnitude = std::fabs(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  float s = (1.0f / largest) * 127.0f;
  for (int64_t i = 0; i < n; ++i) {
    float q = std::rint(x[i] * s);
    q = q > -128.0f ? q : -128.0f;
    q = q < 127.0f ? q : 127.0f;
    values[i] = static_cast<int8_t>(q);
  }
  *scale = 1.0f / s;
  for (int64_t g = 0; g < n / group; ++g) {
    int32_t sum = 0;
    for (int64_t i = g * group; i < (g + 1) * group; ++i)
      sum += values[i];
    offsets[g] = -sum;
  }
}

void semantics::quantizeGroups(const float *x, int64_t n, int64_t group, int8_t *values,
                               float *scales, int32_t *offsets) {
  for (int64_t g = 0; g < n / group; ++g)
    quantizeRow(x + g * group, group, group, values + g * group, scales + g, offsets + g);
}

float semantics::rescale(const int32_t *acc, const float *scale, int64_t groups, float rowScale) {
  if (groups == 1)
    return (static_cast<float>(acc[0]) * scale[0]) * rowScale;
  float total = 0.0f;
  for (int64_t g = 0; g < groups; ++g)
    total = std::fma(static_cast<float>(acc[g]), scale[g], total);
  return total * rowScale;
}

float semantics::rescaleGroups(const int32_t *acc, const float *actScales, int64_t groups,
                               const float *scale, int64_t scaleGroups) {
  const int64_t ratio = groups / scaleGroups;
  float total = 0.0f;
  for (int64_t g = 0; g < groups; ++g)
    total = std::fma(static_cast<float>(acc[g]) * actScales[g], scale[g / ratio], total);
  return total;
}

float semantics::linearFloat(const int8_t *trits, const float *x, int64_t n, const float *scale,
                             int64_t groups) {
  if (groups == 1)
    return tritDot(trits, x, n) * scale[0];
  int64_t group = n / groups;
  float total = 0.0f;
  for (int64_t g = 0; g < groups; ++g)
    total = std::fma(tritDot(trits + g * group, x + g * group, group), scale[g], total);
  return total;
}

void semantics::rope(const float *x, const float *angles, int64_t headSize, float *out) {
  int64_t half = headSize / 2;
  const float *cosines = angles, *sines = angles + half;
  for (int64_t i = 0; i < half; ++i) {
    float low = x[i], high = x[i + half];
    out[i] = low * cosines[i] - high * sines[i];
    out[i + half] = high * cosines[i] + low * sines[i];
  }
}

void semantics::ropeAngles(int64_t position, const float *frequencies, int64_t half, float *out) {
  for (int64_t i = 0; i < half; ++i) {
    float angle = static_cast<float>(position) * frequencies[i];
    out[i] = semantics::cos(angle);
    out[half + i] = semantics::sin(angle);
  }
}

float semantics::toIntegers(const float *x, int64_t n, float limit, float *integers) {
  float largest = 1e-5f;
  for (int64_t i = 0; i < n; ++i) {
    float magnitude = std::fabs(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  const float s = (1.0f / largest) * limit;
  for (int64_t i = 0; i < n; ++i) {
    float q = x[i] * s;
    q = q > -limit ? q : -limit;
    q = q < limit ? q : limit;
    integers[i] = std::rint(q) + 0.0f;
  }
  return 1.0f / s;
}

float semantics::attentionLimit(int64_t n) {
  return static_cast<float>(std::min<int64_t>(INT16_MAX, INT32_MAX / (127 * n)));
}

namespace {

/// The products of attention with keys or values: chains of fused multiply-adds, or with a cache of
/// i8 sums of integers.
class Products {
public:
  Products(const float *factors, int64_t n, bool integers) : factors(factors), n(n) {
    if (!integers)
      return;
    rounded.resize(static_cast<size_t>(n));
    scale = semantics::toIntegers(factors, n, semantics::attentionLimit(n), rounded.data());
  }
  /// Of the factors and `rows`, whose elements are `step` floats apart.
  float with(const float *row, int64_t step) const {
    if (!rounded.empty()) {
      int64_t sum = 0;
      for (int64_t i = 0; i < n; ++i)
        sum += static_cast<int64_t>(rounded[static_cast<size_t>(i)]) *
               static_cast<int64_t>(row[i * step]);
      return static_cast<float>(sum) * scale;
    }
    float sum = 0.0f;
    for (int64_t i = 0; i < n; ++i)
      sum = std::fma(factors[i], row[i * step], sum);
    return sum;
  }

private:
  const float *factors;
  int64_t n;
  std::vector<float> rounded;
  float scale = 1.0f;
};

} // namespace

/// The online softmax over blocks: `largest`, `total` and `out` of the blocks so far.
void semantics::attend(const float *query, CachedRows keys, CachedRows values, int64_t length,
                       int64_t headSize, float *out) {
  const float factor = 1.0f / std::sqrt(static_cast<float>(headSize));
  const bool integers = keys.scales;
  auto scale = [](const CachedRows &cached, int64_t t) {
    return cached.scales ? cached.scales[t * cached.scaleStride] : 1.0f;
  };
  const Products scores(query, headSize, integers);
  float largest = -INFINITY, total = 0.0f, weights[kAttentionBlock];
  for (int64_t d = 0; d < headSize; ++d)
    out[d] = 0.0f;
  for (int64_t first = 0; first < length; first += kAttentionBlock) {
    const int64_t count = std::min(kAttentionBlock, length - first);
    float blockLargest = -INFINITY;
    for (int64_t t = 0; t < count; ++t) {
      const float dot = scores.with(keys.rows + (first + t) * keys.stride, 1);
      weights[t] = (dot * scale(keys, first + t)) * factor;
      blockLargest = weights[t] > blockLargest ? weights[t] : blockLargest;
    }
    for (int64_t t = 0; t < count; ++t)
      weights[t] = attentionWeight(weights[t] - blockLargest);
    const float blockTotal = rowSum(weights, count);
    for (int64_t t = 0; t < count; ++t)
      weights[t] *= scale(values, first + t);

    const float both = blockLargest > largest ? blockLargest : largest;
    const float before = attentionWeight(largest - both),
                now = attentionWeight(blockLargest - both);
    const Products mix(weights, count, integers);
    for (int64_t d = 0; d < headSize; ++d) {
      const float sum = mix.with(values.rows + first * values.stride + d, values.stride);
      out[d] = out[d] * before + sum * now;
    }
    total = total * before + blockTotal * now;
    largest = both;
  }
  const float inverse = 1.0f / total;
  for (int64_t d = 0; d < headSize; ++d)
    out[d] *= inverse;
}

float semantics::cachedF16(float value) {
  constexpr float most = 65504.0f;
  float magnitude = std::fabs(value);
  magnitude = magnitude < most ? magnitude : most;
  return fromF16(toF16(std::copysign(magnitude, value)));
}

float semantics::cachedI8(const float *x, int64_t n, float *rows) {
  return toIntegers(x, n, 127.0f, rows);
}

//===----------------------------------------------------------------------===//
// Weights and number formats
//===----------------------------------------------------------------------===//

float semantics::absmeanScale(double magnitudeSum, int64_t count) {
  float mean = static_cast<float>(magnitudeSum / static_cast<double>(count));
  return mean > 1e-5f ? mean : 1e-5f;
}

float semantics::fromF16(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff;
  if (exponent == 0) {
    float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  uint32_t wide = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

uint16_t semantics::toF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00);
  // From 65520 on, half a unit above the largest finite value, rounding gives infinity.
  if (magnitude >= 0x477ff000)
    return static_cast<uint16_t>(sign | 0x7c00);
  // Below 2^-14 results are multiples of 2^-24.
  if (magnitude < 0x38800000) {
    float units = std::rint(std::bit_cast<float>(magnitude) * 0x1p24f);
    return static_cast<uint16_t>(sign | static_cast<uint32_t>(units));
  }
  uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return static_cast<uint16_t>(sign | (rounded - ((127 - 15) << 23)) >> 13);
}
