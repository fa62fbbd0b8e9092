//===- ElementKernels.cpp - what is done element by element on GPUs -------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A thread has one element of a row; the grid's second dimension is the row.
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/KernelParts.h"

using namespace llvm;

namespace tern::gpu {

static constexpr int64_t kThreads = 128;

/// `body(i, m)` for the elements i < count of row m.
static void eachElement(GpuBuilder &b, Num count, function_ref<void(Num, Num)> body) {
  Num i = b.name("i", b.group() * kThreads + b.thread());
  Num m = b.name("m", b.group(1));
  b.when(i < count, [&] { body(i, m); });
}

static void buildCopy(GpuBuilder &b, const KernelInfo &) {
  eachElement(b, b.scalar("columns"), [&](Num i, Num m) {
    b.store(b.load("x", m * b.scalar("x_stride") + i), "out", m * b.scalar("out_stride") + i);
  });
}

static void buildAdd(GpuBuilder &b, const KernelInfo &) {
  eachElement(b, b.scalar("columns"), [&](Num i, Num m) {
    Num left = b.name("left", b.load("x", m * b.scalar("x_stride") + i));
    Num right = b.name("right", b.load("y", m * b.scalar("y_stride") + i));
    b.store(left + right, "out", m * b.scalar("out_stride") + i);
  });
}

template <bool Silu> static void buildGated(GpuBuilder &b, const KernelInfo &) {
  eachElement(b, b.scalar("columns"), [&](Num i, Num m) {
    Num gate = b.name("gate", b.load("x", m * b.scalar("x_stride") + i));
    Num up = b.name("up", b.load("y", m * b.scalar("y_stride") + i));
    Num active;
    if (Silu) {
      active = gate / (b.f32(1.0f) + b.call("exp_row", {b.negate(gate)}));
    } else {
      Num r = b.name("r", b.larger(gate, b.f32(0.0f)));
      active = r * r;
    }
    b.store(active * up, "out", m * b.scalar("out_stride") + i);
  });
}

static void buildRope(GpuBuilder &b, const KernelInfo &) {
  Num half = b.scalar("half");
  eachElement(b, b.scalar("heads") * half, [&](Num i, Num m) {
    Num pair = b.name("pair", i % half);
    Num at = b.name("at", (i / half) * half * 2 + pair);
    Num from = m * b.scalar("x_stride") + at, to = m * b.scalar("out_stride") + at;
    Num angle = m * b.scalar("angles_stride") + pair;
    Num low = b.name("low", b.load("x", from)), high = b.name("high", b.load("x", from + half));
    Num cosine = b.name("cosine", b.load("angles", angle));
    Num sine = b.name("sine", b.load("angles", angle + half));
    b.store(low * cosine - high * sine, "out", to);
    b.store(high * cosine + low * sine, "out", to + half);
  });
}

std::vector<KernelInfo> elementKernels() {
  KernelInfo copy;
  copy.name = "copy_rows";
  copy.comment = "Rows of floats from one place to another.";
  copy.buffers = {{"x", Element::F32}, {"out", Element::F32, true}};
  copy.scalars = {{"columns"}, {"x_stride"}, {"out_stride"}};
  copy.threads = kThreads;
  copy.itemsX = kThreads;
  copy.build = buildCopy;

  KernelInfo add = copy;
  add.name = "add_rows";
  add.comment = "out = x + y.";
  add.buffers = {{"x", Element::F32}, {"y", Element::F32}, {"out", Element::F32, true}};
  add.scalars = {{"columns"}, {"x_stride"}, {"y_stride"}, {"out_stride"}};
  add.build = buildAdd;

  KernelInfo relu2 = add;
  relu2.name = "gated_relu2";
  relu2.comment = "out = (r * r) * y with r = max(x, 0).";
  relu2.build = buildGated<false>;

  KernelInfo silu = add;
  silu.name = "gated_silu";
  silu.comment = "out = (x / (1 + exp(-x))) * y.";
  silu.build = buildGated<true>;

  KernelInfo rope = copy;
  rope.name = "rope";
  rope.comment =
      "Turns the pairs (i, i + half) of each head by the row's angles: cosines, then sines.";
  rope.buffers = {{"x", Element::F32}, {"angles", Element::F32}, {"out", Element::F32, true}};
  rope.scalars = {{"heads"}, {"half"}, {"x_stride"}, {"angles_stride"}, {"out_stride"}};
  rope.build = buildRope;
  return {copy, add, relu2, silu, rope};
}

} // namespace tern::gpu
