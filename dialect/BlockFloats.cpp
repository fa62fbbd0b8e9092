//===- BlockFloats.cpp - many-valued blocks -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/BlockFormats.h"

#include "dialect/Semantics.h"

#include <cassert>
#include <cstring>

using namespace tern;
using namespace tern::blocks;

static float half(const uint8_t *in) {
  return semantics::fromF16(static_cast<uint16_t>(in[0] | in[1] << 8));
}

/// Nibble of element `i` of 32: the low halves first, then the high ones.
static int nibble(const uint8_t *in, int i) { return in[i % 16] >> (i < 16 ? 0 : 4) & 15; }

static void decodeQ8_0(const uint8_t *in, float *out) {
  float d = half(in);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(static_cast<int8_t>(in[2 + i]));
}

static void decodeQ4_0(const uint8_t *in, float *out) {
  float d = half(in);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(nibble(in + 2, i) - 8);
}

static void decodeQ4_1(const uint8_t *in, float *out) {
  float d = half(in), least = half(in + 2);
  for (int i = 0; i < 32; ++i)
    out[i] = d * static_cast<float>(nibble(in + 4, i)) + least;
}

static void decodeQ5_0(const uint8_t *in, float *out) {
  float d = half(in);
  uint32_t high;
  std::memcpy(&high, in + 2, sizeof high);
  for (int i = 0; i < 32; ++i)
    out[i] =
        d * static_cast<float>((nibble(in + 6, i) | static_cast<int>(high >> i & 1) << 4) - 16);
}

/// The 6-bit scale and minimum of sub-block `j`, spread over 12 bytes.
static void scaleAndLeast(const uint8_t *s, int j, int &scale, int &least) {
  if (j < 4) {
    scale = s[j] & 63, least = s[j + 4] & 63;
    return;
  }
  scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
  least = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
}

/// q4_k, and q5_k where `high` has the fifth bits: bit j of byte l belongs to sub-block j.
static void decodeQ45K(const uint8_t *in, const uint8_t *high, const uint8_t *low, float *out) {
  float d = half(in), dLeast = half(in + 2);
  for (int j = 0; j < 8; ++j) {
    int scale, least;
    scaleAndLeast(in + 4, j, scale, least);
    float step = d * static_cast<float>(scale), base = dLeast * static_cast<float>(least);
    for (int l = 0; l < 32; ++l) {
      int q = low[32 * (j / 2) + l] >> (j % 2 ? 4 : 0) & 15;
      if (high)
        q |= (high[l] >> j & 1) << 4;
      out[32 * j + l] = step * static_cast<float>(q) - base;
    }
  }
}

static void decodeQ6K(const uint8_t *in, float *out) {
  const uint8_t *low = in, *high = in + 128, *scales = in + 192;
  float d = half(in + 208);
  for (int part = 0; part < 2; ++part, low += 64, high += 32, scales += 8, out += 128)
    for (int r = 0; r < 4; ++r)
      for (int l = 0; l < 32; ++l) {
        int q = (low[32 * (r % 2) + l] >> (r < 2 ? 0 : 4) & 15) | (high[l] >> 2 * r & 3) << 4;
        auto scale = static_cast<int8_t>(scales[2 * r + l / 16]);
        out[32 * r + l] = d * static_cast<float>(scale) * static_cast<float>(q - 32);
      }
}

void blocks::decodeFloatBlock(Format format, const uint8_t *in, float *out) {
  switch (format) {
  case Format::Q8_0:
    return decodeQ8_0(in, out);
  case Format::Q4_0:
    return decodeQ4_0(in, out);
  case Format::Q4_1:
    return decodeQ4_1(in, out);
  case Format::Q5_0:
    return decodeQ5_0(in, out);
  case Format::Q4_K:
    return decodeQ45K(in, nullptr, in + 16, out);
  case Format::Q5_K:
    return decodeQ45K(in, in + 16, in + 48, out);
  case Format::Q6_K:
    return decodeQ6K(in, out);
  default:
    assert(false && "expected a many-valued format");
  }
}
