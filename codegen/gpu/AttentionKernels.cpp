//===- AttentionKernels.cpp - attention over the cache on GPUs ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A cache is [heads][capacity][row] keys, then as many values; `row` is the head size padded to 16.
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/KernelParts.h"
#include "dialect/Semantics.h"

using namespace llvm;

namespace tern::gpu {

static constexpr int64_t kSimdgroups = 4;
static constexpr int64_t kThreads = kSimdgroups * kSimdWidth;
static constexpr int64_t kBlock = semantics::kAttentionBlock;

static void buildStoreCache(GpuBuilder &b, const KernelInfo &) {
  Num size = b.scalar("head_size"), row = b.scalar("row"), capacity = b.scalar("capacity");
  Num i = b.name("i", b.group() * kThreads + b.thread());
  Num m = b.name("m", b.group(1));
  b.when(i < b.scalar("heads") * size, [&] {
    Num head = b.name("head", i / size), d = b.name("d", i % size);
    Num at = b.name("at", (head * capacity + (b.scalar("position") + m)) * row + d);
    Num values = b.name("values", b.scalar("heads") * capacity * row);
    b.store(b.load("key", m * b.scalar("key_stride") + i), "cache", at);
    b.store(b.load("value", m * b.scalar("value_stride") + i), "cache", values + at);
  });
}

static void buildAttention(GpuBuilder &b, const KernelInfo &) {
  Num head = b.name("head", b.group()), m = b.name("m", b.group(1));
  Num size = b.scalar("head_size"), row = b.scalar("row"), capacity = b.scalar("capacity");
  Num length = b.name("length", b.scalar("position") + m + 1);
  Num cacheHead = b.name("cache_head", head / b.scalar("heads_a_cache_head"));
  Num keys = b.name("keys", cacheHead * capacity * row);
  Num values = b.name("values", (b.scalar("cache_heads") + cacheHead) * capacity * row);
  Num query = b.name("query", m * b.scalar("query_stride") + head * size);
  Num scores = b.name("scores", (m * b.scalar("heads") + head) * capacity);
  Num thread = b.thread();
  Num factor = b.name("factor", b.f32(1.0f) / b.sqrt(b.toFloat(size)));
  b.comment("A thread has one column of the result.");
  Num out = b.name("to", m * b.scalar("out_stride") + head * size);
  b.loop("d", thread, size, kThreads, [&](Num d) { b.store(b.f32(0), "out", out + d); });

  auto block = [&](Num first, ArrayRef<Num> state) {
    Num count = b.name("count", b.smaller(length - first, b.i32(kBlock)));
    b.comment("Scores: a thread takes one key at a time.");
    Num mine =
        b.loop("t", thread, count, kThreads, {b.f32(-INFINITY)}, [&](Num t, ArrayRef<Num> largest) {
          Num key = b.name("key", keys + (first + t) * row);
          Num dot = b.loop("d", b.i32(0), size, 1, {b.f32(0)}, [&](Num d, ArrayRef<Num> sum) {
            return Nums{
                b.fusedMultiplyAdd(b.load("query", query + d), b.load("cache", key + d), sum[0])};
          })[0];
          Num score = b.name("score", dot * factor);
          b.store(score, "scratch", scores + t);
          return Nums{b.larger(score, largest[0])};
        })[0];
    Num largest = b.name("largest", groupMax(b, mine, 0, kSimdgroups));
    b.loop("t", thread, count, kThreads, [&](Num t) {
      Num score = b.load("scratch", scores + t);
      b.store(b.call("attention_weight", {score - largest}), "scratch", scores + t);
    });
    b.barrier();
    Num total = rowRuleSum(b, count, [&](Num t) { return b.load("scratch", scores + t); });
    Num both = b.name("both", b.larger(largest, state[0]));
    Num before = b.name("before", b.call("attention_weight", {state[0] - both}));
    Num now = b.name("now", b.call("attention_weight", {largest - both}));
    b.loop("d", thread, size, kThreads, [&](Num d) {
      Num sum = b.loop("t", b.i32(0), count, 1, {b.f32(0)}, [&](Num t, ArrayRef<Num> sofar) {
        Num value = b.load("cache", values + (first + t) * row + d);
        return Nums{b.fusedMultiplyAdd(b.load("scratch", scores + t), value, sofar[0])};
      })[0];
      b.store(b.load("out", out + d) * before + sum * now, "out", out + d);
    });
    b.barrier();
    return Nums{both, state[1] * before + total * now};
  };
  Nums ends = b.loop("first", b.i32(0), length, kBlock, {b.f32(-INFINITY), b.f32(0)}, block);
  Num inverse = b.name("inverse", b.f32(1.0f) / ends[1]);
  b.loop("d", thread, size, kThreads,
         [&](Num d) { b.store(b.load("out", out + d) * inverse, "out", out + d); });
}

std::vector<KernelInfo> attentionKernels() {
  KernelInfo store;
  store.name = "store_cache";
  store.comment =
      "Rows of keys and values to their positions in the cache. A thread has one element.";
  store.buffers = {{"key", Element::F32}, {"value", Element::F32}, {"cache", Element::F32, true}};
  store.scalars = {{"heads"},    {"head_size"},  {"row"},         {"capacity"},
                   {"position"}, {"key_stride"}, {"value_stride"}};
  store.threads = kThreads;
  store.itemsX = kThreads;
  store.build = buildStoreCache;

  KernelInfo attention;
  attention.name = "attention";
  attention.comment = "Causal attention of one head of one row: a threadgroup each.";
  attention.buffers = {{"query", Element::F32},
                       {"cache", Element::F32},
                       {"scratch", Element::F32, true},
                       {"out", Element::F32, true}};
  attention.scalars = {{"heads"},     {"cache_heads"},  {"heads_a_cache_head"},
                       {"head_size"}, {"row"},          {"capacity"},
                       {"position"},  {"query_stride"}, {"out_stride"}};
  attention.threads = kThreads;
  attention.sharedElement = Element::F32;
  attention.sharedCount = kSimdgroups;
  attention.build = buildAttention;
  return {store, attention};
}

} // namespace tern::gpu
