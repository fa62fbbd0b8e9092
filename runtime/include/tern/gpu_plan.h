/*===- gpu_plan.h - what a GPU does for one call ------------------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* Freestanding. A model compiled for Metal is a payload (abi.h) with two     *|
|* sections more: the kernels' text, and a plan: a tern_gpu_plan and the      *|
|* tables it points to, written by codegen/gpu/Plan.cpp, read by              *|
|* runtime/metal.                                                             *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TERN_GPU_PLAN_H
#define TERN_GPU_PLAN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_GPU_PLAN_MAGIC "TERNGPU1"
#define TERN_SECTION_MSL 16u      /* Metal Shading Language */
#define TERN_SECTION_GPU_PLAN 17u /* tern_gpu_plan, 8-aligned */
#define TERN_GPU_INDICES 4u

/* constant + rows * R + capacity * C + sum of indices[i] * index i, where R is the rows of the
   call's inputs, C the cache's capacity, and the indices are the call's. */
typedef struct tern_gpu_linear {
  int64_t constant, rows, capacity;
  int64_t indices[TERN_GPU_INDICES];
} tern_gpu_linear_t;

/* What the offset of a binding counts from. */
enum {
  TERN_GPU_ARENA = 0,
  TERN_GPU_WEIGHTS = 1,
  TERN_GPU_CACHE = 2,
  TERN_GPU_SCRATCH = 3,
  TERN_GPU_HOST = 4,  /* what the host computes before the GPU starts */
  TERN_GPU_INPUT = 5, /* `number` of the call's inputs */
  TERN_GPU_OUTPUT = 6
};

typedef struct tern_gpu_binding {
  uint32_t base, number;
  tern_gpu_linear_t offset; /* bytes */
} tern_gpu_binding_t;

/* Buffers are a kernel's arguments 0, 1, ..; its scalars, 32 bits each, are one struct in the
   argument after them. */
typedef struct tern_gpu_kernel {
  uint32_t name; /* offset in the strings */
  uint32_t buffers, scalars;
  uint32_t threads;          /* of a threadgroup */
  uint32_t items_x, items_y; /* that a threadgroup takes */
  uint32_t shared_bytes;     /* of threadgroup memory */
  uint32_t reserved;
} tern_gpu_kernel_t;

enum { TERN_GPU_ALWAYS = 0, TERN_GPU_IF_ONE = 1, TERN_GPU_IF_SEVERAL = 2 };

/* One dispatch, after all that come before it: none when items_x or items_y is 0, or items_y does
   not fit `when`. A scalar that is no i32 is a float's bits, as its constant. */
typedef struct tern_gpu_step {
  uint32_t kernel, when;
  uint32_t first_binding, first_scalar;
  tern_gpu_linear_t items_x, items_y;
} tern_gpu_step_t;

/* ternary.rope_angles, which the host computes: it takes binary64, which Metal lacks. Row m is for
   position + m: `half` cosines, then as many sines, at `offset` bytes from HOST. */
typedef struct tern_gpu_angles {
  tern_gpu_linear_t position, rows;
  uint64_t offset;
  uint32_t half, first_frequency;
} tern_gpu_angles_t;

/* An input or an output: dense rows. */
typedef struct tern_gpu_tensor {
  uint64_t row_bytes;
  tern_gpu_linear_t rows;
} tern_gpu_tensor_t;

/* Tables follow at `*_at` bytes from the plan's first; all lie in `total_bytes`. */
typedef struct tern_gpu_plan {
  char magic[8];
  uint64_t total_bytes;
  uint8_t layout_id[16];
  uint32_t kernel_count, step_count, binding_count, scalar_count;
  uint32_t angles_count, frequency_count, tensor_count, string_bytes;
  uint64_t kernels_at, steps_at, bindings_at, scalars_at;
  uint64_t angles_at, frequencies_at, tensors_at, strings_at;
  uint64_t arena_bytes, kv_bytes_per_position, scratch_bytes_per_position, host_bytes;
  uint64_t weights_bytes;
  uint32_t compiler_version; /* offset in the strings */
  uint32_t max_rows, vocabulary, hidden, layers, max_positions;
  uint32_t input_count, index_count, output_count, reserved; /* tensors: inputs, then outputs */
} tern_gpu_plan_t;

#ifdef __cplusplus
}
#endif

#endif /* TERN_GPU_PLAN_H */
