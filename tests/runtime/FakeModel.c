/*===- FakeModel.c - a compiled model, written by hand -------------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* FakeModel.h says what it computes. Built as a library of its own and into  *|
|* the test programs (with FAKE_QUERY naming the query).                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "FakeModel.h"

#include <math.h>

#ifndef FAKE_QUERY
#define FAKE_QUERY tern_query
#endif

static int32_t *seenBy(const tern_frame_t *frame, int64_t row) {
  return (int32_t *)(frame->batch ? frame->batch[row].kv : frame->kv);
}
static int64_t positionOf(const tern_frame_t *frame, int64_t row) {
  return frame->batch ? frame->batch[row].position : frame->indices[0] + row;
}

/* Threads take rows in turn; every buffer of the frame is used, so that a wrong size shows. */
static void forward(const tern_frame_t *frame, uint32_t thread) {
  const int32_t *ids = (const int32_t *)frame->inputs[0];
  int64_t wanted = frame->indices[1];
  int32_t *own = (int32_t *)(frame->scratch + thread * frame->scratch_stride);
  for (int64_t row = thread; row < frame->rows; row += frame->thread_count)
    seenBy(frame, row)[positionOf(frame, row)] = ids[row];
  frame->barrier(frame->barrier_context, thread);
  const float *bias = (const float *)frame->weights;
  float *next = (float *)frame->arena;
  for (int64_t row = thread; row < frame->rows; row += frame->thread_count) {
    uint32_t sum = 0;
    const int32_t *seen = seenBy(frame, row);
    for (int64_t p = 0; p <= positionOf(frame, row); ++p) {
      own[p] = seen[p] + 1;
      sum += (uint32_t)own[p] * (uint32_t)(p + 1);
    }
    next[row] = (float)(sum % FAKE_VOCABULARY);
  }
  frame->barrier(frame->barrier_context, thread);
  float *logits = (float *)frame->outputs[0];
  for (int64_t i = 0; i < wanted; ++i)
    for (int64_t v = thread; v < FAKE_VOCABULARY; v += frame->thread_count)
      logits[i * FAKE_VOCABULARY + v] =
          bias[v] + (next[frame->rows - wanted + i] == (float)v ? 100.0f : 0.0f);
}

static void forwardGeneric(const tern_frame_t *frame, uint32_t thread) {
  const float *in = (const float *)frame->inputs[0];
  float *out = (float *)frame->outputs[0];
  for (int64_t i = thread; i < frame->rows * 3; i += frame->thread_count)
    out[i] = in[i] * (float)frame->indices[0];
}

/* Written from the description of #ternary.packing, and of offsets in abi.h. */
static int trit(const tern_matmul_args_t *args, uint32_t packing, int64_t row, int64_t column) {
  int64_t k = packing == 0 ? 16 : 20, in = column % k, digit = in / 4;
  const uint8_t *tile = args->weight + ((row / 16) * args->k_tiles + column / k) * 64;
  uint32_t byte = tile[row % 16 * 4 + in % 4];
  if (packing == 0)
    return (int)(byte >> (2 * digit) & 3) - 1;
  uint32_t low = byte & 7, middle = byte >> 3 & 7, last = byte >> 6;
  uint32_t pairs[2] = {low + 1, middle + 1};
  if (last == 3) {
    pairs[0] = middle < 3 ? low + 1 : 0;
    pairs[1] = middle >= 3 && middle < 6 ? low + 1 : 0;
    last = middle < 6 ? middle % 3 : middle % 3 + low;
  }
  if (digit == 4)
    return (int)last - 1;
  return (int)(digit % 2 ? pairs[digit / 2] / 3 : pairs[digit / 2] % 3) - 1;
}

/* Normal halves only. */
static float scaleAt(const tern_matmul_args_t *args, int64_t index) {
  if (args->scale_bytes == 4)
    return ((const float *)args->scale)[index];
  uint16_t half = ((const uint16_t *)args->scale)[index];
  float magnitude = ldexpf((float)(0x400 | (half & 0x3ff)), (half >> 10 & 0x1f) - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

static void product(const tern_matmul_args_t *args, uint32_t packing) {
  int64_t columns = args->k_tiles * (packing == 0 ? 16 : 20), group = columns / args->groups;
  for (int64_t m = 0; m < args->m; ++m)
    for (int64_t n = args->block_begin * 16; n < args->block_end * 16; ++n) {
      float total = 0;
      for (int64_t g = 0; g < args->groups; ++g) {
        int32_t sum = args->offsets[m * args->offsets_stride + g];
        for (int64_t c = g * group; c < (g + 1) * group; ++c)
          sum += ((const int8_t *)args->acts)[m * args->acts_stride + c] *
                 (trit(args, packing, n, c) + 1);
        float scale = scaleAt(args, (n / 16 * args->groups + g) * 16 + n % 16);
        total = args->groups == 1 ? (float)sum * scale : fmaf((float)sum, scale, total);
      }
      float value = total * args->row_scales[m];
      args->out[m * args->out_stride + n] =
          args->residual ? args->residual[m * args->out_stride + n] + value : value;
    }
}

static void twoBit(const tern_matmul_args_t *args) { product(args, 0); }
static void base3(const tern_matmul_args_t *args) { product(args, 1); }
/* One bit of one result is wrong. */
static void wrong(const tern_matmul_args_t *args) {
  product(args, 0);
  union {
    float value;
    uint32_t bits;
  } last;
  float *place = &args->out[(args->m - 1) * args->out_stride + args->block_end * 16 - 1];
  last.value = *place;
  last.bits ^= 1;
  *place = last.value;
}

tern_kernel_t FAKE_SYMBOL(Kernels)[3] = {{"gemv_two_bit_fake", twoBit, 0, 16, 16, 0},
                                         {"gemv_base3_fake", base3, 1, 16, 20, 0},
                                         {"gemv_two_bit_wrong", wrong, 0, 16, 16, 0}};

tern_variant_t FAKE_SYMBOL(Variants)[3] = {
    {"alien", UINT64_C(1) << 63, forward, FAKE_SYMBOL(Kernels), 2},
    {"fake", 0, forward, FAKE_SYMBOL(Kernels), 2},
    {"spare", 0, forward, FAKE_SYMBOL(Kernels), 1}};

tern_variant_t FAKE_SYMBOL(GenericVariant) = {"fake", 0, forwardGeneric, FAKE_SYMBOL(Kernels), 2};

tern_descriptor_t FAKE_SYMBOL(Descriptor) = {sizeof(tern_descriptor_t),
                                             TERN_ABI_VERSION,
                                             "0.0.fake",
                                             FAKE_SIDECAR,
                                             FAKE_LAYOUT_ID,
                                             FAKE_SYMBOL(Variants),
                                             3,
                                             FAKE_MAX_ROWS,
                                             FAKE_MAX_ROWS * sizeof(float),
                                             sizeof(int32_t),
                                             sizeof(int32_t),
                                             FAKE_WEIGHTS_BYTES,
                                             FAKE_VOCABULARY,
                                             8,
                                             1,
                                             FAKE_MAX_POSITIONS,
                                             1,
                                             2,
                                             1,
                                             0,
                                             0};

__attribute__((visibility("default"))) const tern_descriptor_t *FAKE_QUERY(uint32_t abi_version) {
  return abi_version == TERN_ABI_VERSION ? &FAKE_SYMBOL(Descriptor) : NULL;
}
