//===- RowKernels.cpp - norms and quantization on GPUs --------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/KernelParts.h"

using namespace llvm;

namespace tern::gpu {

/// Simdgroups of a threadgroup, which has one row.
static constexpr int64_t kSimdgroups = 8;
static constexpr int64_t kThreads = kSimdgroups * kSimdWidth;

/// 1 / sqrt(sum x^2 / n + epsilon). Every simdgroup computes it for itself: 32 partial sums are
/// all the row rule allows.
static Num inverseNorm(GpuBuilder &b, Num n, Num start) {
  Num sum = rowRuleSum(b, n, [&](Num i) {
    Num x = b.name("x", b.load("x", start + i));
    return x * x;
  });
  return b.name("inverse", b.f32(1.0f) / b.sqrt(sum / b.toFloat(n) + b.scalar("epsilon")));
}

static void buildRmsNorm(GpuBuilder &b, const KernelInfo &) {
  Num n = b.scalar("columns"), m = b.group(), head = b.group(1);
  Num from = b.name("from", m * b.scalar("x_stride") + head * n);
  Num to = b.name("to", m * b.scalar("out_stride") + head * n);
  Num inverse = inverseNorm(b, n, from);
  b.loop("i", b.thread(), n, kThreads, [&](Num i) {
    b.store((b.load("x", from + i) * inverse) * b.load("gain", i), "out", to + i);
  });
}

/// The int8 of a scaled element, stored at `at`.
static Num storeQuantized(GpuBuilder &b, Num scaled, Num at) {
  Num q = b.name("q", b.rint(scaled));
  q = b.name("low", b.larger(q, b.f32(-128.0f)));
  q = b.name("both", b.smaller(q, b.f32(127.0f)));
  Num whole = b.name("whole", b.toInt(q));
  b.store(b.lowByte(whole), "values", at);
  return whole;
}

static void padValues(GpuBuilder &b, Num n, Num start) {
  b.comment("Products read whole tiles: zeros up to the row's end.");
  b.loop("i", n + b.thread(), b.scalar("values_stride"), kThreads,
         [&](Num i) { b.store(b.lowByte(b.i32(0)), "values", start + i); });
}

/// The part of quantization that needs every element, on the elements `value(i)`.
static void quantize(GpuBuilder &b, Num m, Num n, function_ref<Num(Num)> value) {
  Num thread = b.thread();
  Num mine = b.loop("i", thread, n, kThreads, {b.f32(1e-5f)}, [&](Num i, ArrayRef<Num> state) {
    Num magnitude = b.name("magnitude", b.abs(value(i)));
    return Nums{b.larger(magnitude, state[0])};
  })[0];
  Num largest = b.name("largest", groupMax(b, mine, 0, kSimdgroups));
  Num s = b.name("s", (b.f32(1.0f) / largest) * b.f32(127.0f));
  Num start = b.name("values_start", m * b.scalar("values_stride"));
  auto store = [&](Num i) { return storeQuantized(b, value(i) * s, start + i); };
  // One simdgroup a group of columns.
  Num group = b.scalar("group"), groups = b.name("groups", n / group);
  b.loop("g", b.simdgroup(), groups, kSimdgroups, [&](Num g) {
    Num first = b.name("first", g * group);
    Num sum = b.loop("i", b.lane(), group, kSimdWidth, {b.i32(0)},
                     [&](Num i, ArrayRef<Num> sum) { return Nums{sum[0] + store(first + i)}; })[0];
    sum = b.name("sum", b.simdSum(sum));
    b.when(b.lane() == 0, [&] { b.store(b.i32(0) - sum, "offsets", m * groups + g); });
  });
  padValues(b, n, start);
  b.when(thread == 0, [&] { b.store(b.f32(1.0f) / s, "scales", m); });
}

/// The same with a scale for each group of columns, which one simdgroup has to itself.
static void quantizeGroups(GpuBuilder &b, Num m, Num n, function_ref<Num(Num)> value) {
  Num group = b.scalar("group"), groups = b.name("groups", n / group), lane = b.lane();
  Num start = b.name("values_start", m * b.scalar("values_stride"));
  b.loop("g", b.simdgroup(), groups, kSimdgroups, [&](Num g) {
    Num first = b.name("first", g * group);
    Num largest =
        b.loop("i", lane, group, kSimdWidth, {b.f32(1e-5f)}, [&](Num i, ArrayRef<Num> state) {
          Num magnitude = b.name("magnitude", b.abs(value(first + i)));
          return Nums{b.larger(magnitude, state[0])};
        })[0];
    Num s = b.name("s", (b.f32(1.0f) / simdMax(b, largest)) * b.f32(127.0f));
    Num sum = b.loop("i", lane, group, kSimdWidth, {b.i32(0)}, [&](Num i, ArrayRef<Num> sum) {
      return Nums{sum[0] + storeQuantized(b, value(first + i) * s, start + first + i)};
    })[0];
    sum = b.name("sum", b.simdSum(sum));
    b.when(lane == 0, [&] {
      b.store(b.i32(0) - sum, "offsets", m * groups + g);
      b.store(b.f32(1.0f) / s, "scales", m * groups + g);
    });
  });
  padValues(b, n, start);
}

template <bool Groups> static void buildQuantize(GpuBuilder &b, const KernelInfo &) {
  Num m = b.name("m", b.group()), n = b.scalar("columns");
  Num from = b.name("from", m * b.scalar("x_stride"));
  (Groups ? quantizeGroups : quantize)(b, m, n, [&](Num i) { return b.load("x", from + i); });
}

template <bool Groups> static void buildNormQuantize(GpuBuilder &b, const KernelInfo &) {
  Num m = b.name("m", b.group()), n = b.scalar("columns");
  Num from = b.name("from", m * b.scalar("x_stride"));
  Num inverse = inverseNorm(b, n, from);
  (Groups ? quantizeGroups : quantize)(
      b, m, n, [&](Num i) { return (b.load("x", from + i) * inverse) * b.load("gain", i); });
}

std::vector<KernelInfo> rowKernels() {
  KernelInfo norm;
  norm.name = "rms_norm";
  norm.comment = "out = (x / sqrt(mean(x^2) + epsilon)) * gain, of each head of each row.";
  norm.buffers = {{"x", Element::F32}, {"gain", Element::F32}, {"out", Element::F32, true}};
  norm.scalars = {{"columns"}, {"x_stride"}, {"out_stride"}, {"epsilon", true}};
  norm.threads = kThreads;
  norm.build = buildRmsNorm;

  KernelInfo quantize;
  quantize.name = "quantize_rows";
  quantize.comment =
      "Rows of floats to int8, a scale a row, and minus the sums of each group of\ncolumns.";
  quantize.buffers = {{"x", Element::F32},
                      {"values", Element::I8, true},
                      {"scales", Element::F32, true},
                      {"offsets", Element::I32, true}};
  quantize.scalars = {{"columns"}, {"x_stride"}, {"values_stride"}, {"group"}};
  quantize.threads = kThreads;
  quantize.sharedElement = Element::F32;
  quantize.sharedCount = kSimdgroups;
  quantize.build = buildQuantize<false>;

  KernelInfo both = quantize;
  both.name = "norm_quantize_rows";
  both.comment = "rms_norm of each row, then to int8: values, scales and offsets.";
  both.buffers.insert(both.buffers.begin() + 1, {"gain", Element::F32});
  both.scalars.push_back({"epsilon", true});
  both.build = buildNormQuantize<false>;

  KernelInfo groups = quantize;
  groups.name = "quantize_groups";
  groups.comment = "Rows of floats to int8 with a scale for each group of columns, and offsets.";
  groups.sharedCount = 0;
  groups.build = buildQuantize<true>;

  KernelInfo normGroups = both;
  normGroups.name = "norm_quantize_groups";
  normGroups.comment =
      "rms_norm of each row, then to int8 with a scale for each group, and offsets.";
  normGroups.sharedCount = 0;
  normGroups.build = buildNormQuantize<true>;
  return {norm, quantize, both, groups, normGroups};
}

} // namespace tern::gpu
