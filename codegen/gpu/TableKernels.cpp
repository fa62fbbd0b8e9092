//===- TableKernels.cpp - embedding and head on GPUs ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/KernelParts.h"

using namespace llvm;

namespace tern::gpu {

static constexpr int64_t kThreads = 128;
/// Vocabulary rows of a simdgroup, four lanes each: a lane has eight of the row rule's 32 sums.
static constexpr int64_t kRows = 8;
static constexpr int64_t kSums = 8;

template <Element Kind> static Num widen(GpuBuilder &b, Num value) {
  if (Kind == Element::F32)
    return value;
  return Kind == Element::F16 ? b.half(value) : b.brainFloat(value);
}

template <Element Kind> static void buildEmbedding(GpuBuilder &b, const KernelInfo &) {
  Num i = b.name("i", b.group() * kThreads + b.thread());
  Num m = b.name("m", b.group(1));
  b.when(i < b.scalar("columns"), [&] {
    Num id = b.name("id", b.load("ids", m));
    Num value = b.load("table", id * b.scalar("table_stride") + i);
    b.store(widen<Kind>(b, value), "out", m * b.scalar("out_stride") + i);
  });
}

/// Eight neighbouring elements of a table row from `at` on, in units of 16 bytes.
template <Element Kind> static Nums eightOf(GpuBuilder &b, Num at) {
  Nums values;
  if (Kind == Element::F32) {
    for (int64_t half = 0; half < 2; ++half) {
      Num quad = b.name("quad", b.load("table", at + half));
      for (int64_t j = 0; j < 4; ++j)
        values.push_back(b.bits(b.element(quad, j)));
    }
    return values;
  }
  Num quad = b.name("quad", b.load("table", at));
  for (int64_t j = 0; j < 4; ++j) {
    Num pair = b.element(quad, j);
    if (Kind == Element::BF16) {
      values.push_back(b.bits(pair << 16));
      values.push_back(b.bits(pair & int64_t(0xffff0000u)));
    } else {
      values.push_back(b.half(pair));
      values.push_back(b.half(pair >> 16));
    }
  }
  return values;
}

template <Element Kind> static void buildHead(GpuBuilder &b, const KernelInfo &) {
  constexpr int64_t kQuads = Kind == Element::F32 ? 2 : 1; // 16-byte units of eight elements
  Num lane = b.lane(), part = b.name("part", lane % 4);
  Num row = b.name("row", (b.group() * (kThreads / kSimdWidth) + b.simdgroup()) * kRows + lane / 4);
  Num m = b.name("m", b.group(1)), n = b.scalar("columns");
  Num last = b.scalar("rows") - 1;
  Num table = b.name("table_start", b.select(row < last, row, last) * b.scalar("table_stride"));
  Num x = b.name("x_start", m * b.scalar("x_stride") + part * kSums);
  Nums zeros(kSums, b.f32(0));
  auto add = [&](Num i, ArrayRef<Num> state, function_ref<Num(Num)> load) {
    Num at = (table + i * 4 * kQuads) + part * kQuads;
    Nums weights = eightOf<Kind>(b, at), next;
    for (int64_t j = 0; j < kSums; ++j)
      next.push_back(state[static_cast<size_t>(j)] +
                     load(i * kSimdWidth + j) * weights[static_cast<size_t>(j)]);
    return next;
  };
  Nums sums = b.loop("i", b.i32(0), n / kSimdWidth, 1, zeros, [&](Num i, ArrayRef<Num> state) {
    return add(i, state, [&](Num column) { return b.load("x", x + column); });
  });
  // The rest of a row that is no multiple of 32: beyond its end the table has zeros.
  sums = b.loop("i", n / kSimdWidth, (n + (kSimdWidth - 1)) / kSimdWidth, 1, sums,
                [&](Num i, ArrayRef<Num> state) {
                  return add(i, state, [&](Num column) {
                    Num inRow = b.name("column", column + part * kSums);
                    Num end = n - 1;
                    Num value =
                        b.load("x", m * b.scalar("x_stride") + b.select(inRow < end, inRow, end));
                    return b.select(inRow < n, value, b.f32(0));
                  });
                });
  b.comment("The tree: 16 and 8 between lanes, 4, 2 and 1 within.");
  for (Num &sum : sums)
    sum = b.simdSum(sum, 2, 1);
  for (size_t width = kSums / 2; width > 0; width /= 2)
    for (size_t j = 0; j < width; ++j)
      sums[j] = sums[j] + sums[j + width];
  Num mine = (part == 0) & (row < b.scalar("rows"));
  b.when(mine, [&] { b.store(sums[0], "out", m * b.scalar("out_stride") + row); });
}

template <Element Kind> static void addTables(std::vector<KernelInfo> &list, const char *suffix) {
  KernelInfo embedding;
  embedding.name = std::string("embedding_") + suffix;
  embedding.comment = "Rows of a table, as floats. A thread has one element.";
  embedding.buffers = {{"ids", Element::I32}, {"table", Kind}, {"out", Element::F32, true}};
  embedding.scalars = {{"columns"}, {"table_stride"}, {"out_stride"}};
  embedding.threads = kThreads;
  embedding.itemsX = kThreads;
  embedding.build = buildEmbedding<Kind>;
  list.push_back(embedding);

  KernelInfo head;
  head.name = std::string("head_") + suffix;
  head.comment =
      "Logits: rows times a table, transposed; table_stride in 16 bytes. A simdgroup has "
      "8 rows of the table,\nfour lanes each, so that it reads 64 bytes of each at once.";
  head.buffers = {{"x", Element::F32}, {"table", Element::Quad}, {"out", Element::F32, true}};
  head.scalars = {{"columns"}, {"rows"}, {"x_stride"}, {"table_stride"}, {"out_stride"}};
  head.threads = kThreads;
  head.itemsX = kThreads / kSimdWidth * kRows;
  head.build = buildHead<Kind>;
  list.push_back(head);
}

std::vector<KernelInfo> tableKernels() {
  std::vector<KernelInfo> list;
  addTables<Element::F32>(list, "f32");
  addTables<Element::F16>(list, "f16");
  addTables<Element::BF16>(list, "bf16");
  return list;
}

} // namespace tern::gpu
