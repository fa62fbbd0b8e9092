/*===- abi.h - what a compiled model and the runtime share --------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* Freestanding. The compiler writes these structs as constants into a        *|
|* library (codegen/Descriptor.cpp mirrors them field by field); the runtime  *|
|* reads them. Any change of layout raises TERN_ABI_VERSION.                  *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TERN_ABI_H
#define TERN_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_ABI_VERSION 6u

/* CPU features a variant needs, and a CPU has. */
#define TERN_CPU_X86_SSE41 (UINT64_C(1) << 0) /* SSSE3 and SSE4.1 */
#define TERN_CPU_X86_AVX2 (UINT64_C(1) << 1)  /* AVX2, FMA, F16C, BMI1, BMI2, LZCNT, MOVBE */
#define TERN_CPU_X86_AVXVNNI (UINT64_C(1) << 2)
#define TERN_CPU_X86_AVX512 (UINT64_C(1) << 3) /* F, CD, BW, DQ, VL */
#define TERN_CPU_X86_AVX512VNNI (UINT64_C(1) << 4)
#define TERN_CPU_X86_AVX512VBMI (UINT64_C(1) << 5)
#define TERN_CPU_X86_AMXINT8 (UINT64_C(1) << 6) /* AMX-TILE, AMX-INT8, and the system's leave */
#define TERN_CPU_ARM_DOTPROD (UINT64_C(1) << 32)
#define TERN_CPU_ARM_I8MM (UINT64_C(1) << 33)
#define TERN_CPU_ARM_SVE2 (UINT64_C(1) << 34)
#define TERN_CPU_ARM_NEON (UINT64_C(1) << 35) /* every 64-bit ARM has it */

/* What code compiled with probes says it begins; ops and calls have numbers from
   TERN_PROBE_FIRST on (codegen/Probes.h names them). */
#define TERN_PROBE_CALL 0u   /* a call of the compiled function */
#define TERN_PROBE_WAIT 1u   /* waiting at a barrier */
#define TERN_PROBE_RETURN 2u /* what follows the innermost call in its caller */
#define TERN_PROBE_FIRST 3u
/* Called by every thread for itself. rows: of the op's first result, or the frame's. */
typedef void (*tern_probe_fn)(void *context, uint32_t thread, uint32_t what, int64_t rows);
/* A row of a batch: the next position of a sequence of its own. */
typedef struct tern_batch_row {
  uint8_t *kv; /* as the frame's, and of no other row of the call */
  int64_t position;
} tern_batch_row_t;

/* A cache grows by blocks of this many positions: each holds those of all layers. */
#define TERN_KV_BLOCK 256

/* One call of a compiled function, shared by all its threads. Rows of float
   tensors in the arena are padded with zeros to a multiple of 64 elements; the
   caller's inputs and outputs are dense. */
typedef struct tern_frame {
  uint32_t struct_size;
  uint32_t thread_count;
  uint8_t *arena;            /* arena_bytes of the descriptor, 64-byte aligned */
  const uint8_t *weights;    /* the weights section, 64-byte aligned */
  uint8_t *kv;               /* 64-byte aligned blocks of kv_bytes_per_position * TERN_KV_BLOCK */
  uint8_t *scratch;          /* thread_count * scratch_stride bytes, 64-byte aligned; the first
                                thread's is also what threads hand to each other */
  uint64_t scratch_stride;   /* >= scratch_bytes_per_position * the blocks' positions; of 64s */
  int64_t rows;              /* the dynamic dimension of the inputs, 1 .. max_rows; tensors whose
                                rows are fixed have these, whatever it is */
  const void *const *inputs; /* one a tensor argument, in order, dense row-major */
  const int64_t *indices;    /* one an index argument, in order */
  void *const *outputs;      /* one a result, dense row-major */
  /* Returns when all thread_count threads have called it; before anyone returns, *ticket is 0. */
  void (*barrier)(void *context, uint32_t thread);
  void *barrier_context;
  /* Counts the pieces of work that threads have taken since the last barrier, alone in its cache
     line; 0 at the start of a call. */
  uint64_t *ticket;
  tern_probe_fn probe; /* NULL: none. Only code that was compiled with probes calls it. */
  void *probe_context;
  /* NULL: the rows are consecutive positions of one sequence, which is in kv. Else one a row, of a
     language model: rows have nothing to do with each other, and kv and the index `position` are
     not read; scratch_stride holds for every row's position + 1. */
  const tern_batch_row_t *batch;
  /* NULL, or [wanted rows][thread_count] of them, when the call wants only the largest logit of
     each row and the code has a screen (screened_bytes): outputs[0] is then memory of the call's
     own. */
  struct tern_best *best;
  /* Bytes ahead of their use at which streams that are read once are asked for, into the first- and
     into the second-level cache: whatever they are, results are the same. */
  int64_t near_ahead, far_ahead;
} tern_frame_t;

/* What one thread found of the largest logit. The caller sets logit to -infinity, id to -1 and
   computed to 0. */
typedef struct tern_best {
  float low;         /* no larger than the largest logit */
  float logit;       /* the largest that the thread computed */
  int32_t id;        /* its row, the first of equal ones; -1 for none above -infinity */
  uint32_t computed; /* rows of the table that it read */
  uint8_t padding[48];
} tern_best_t;

/* All threads 0 .. thread_count - 1 call this with the same frame. The arguments of a
   language model: inputs {int32 ids[rows]}, indices {position, wanted}, outputs
   {float logits[wanted][vocabulary]}: `wanted` (0 .. rows) last rows get logits. */
typedef void (*tern_forward_fn)(const tern_frame_t *frame, uint32_t thread);

/* Ternary product with its epilogue, for row blocks block_begin .. block_end - 1 of the packing's
   `rows` rows each. Columns are cut into `groups` groups: 1, or K / group with the group a multiple
   of the packing's k. With acc[m][n][g] the sum over group g of acts * trit, by `acts` of the
   kernel:

   0, int8: (float(acc) * scale[n]) * row_scales[m] for one group; for more, total * row_scales[m],
      total = fma(float(acc[g]), scale[n][g], total) for g ascending, from +0;
   1, float: acc = (p[0] + p[2]) + (p[1] + p[3]), p[j] the sums of acts * trit over k mod 4 = j, k
      counted from the group's start, each in order from +0; then acc * scale[n] for one group, and
      total = fma(acc[g], scale[n][g], total) for more;
   2, int8 with a scale a group: total = fma(float(acc[g]) * row_scales[m][g], scale[n][s], total)
      for g ascending, from +0, where s = g / (groups / scale_groups).

   fma is rounded once. out[m][n] = residual[m][n] + that.

   Kernels of two_bit_rows and two_bit_columns take one group of int8. Those of two_bit_rows also
   take a gate instead of a residual: out[m][n] = (gate[m][n] * gate[m][n]) * that where gate[m][n]
   > 0, else +0.

   weight: packed row blocks, k_tiles tiles each (k_tiles = ceil(K / packing k)). scale: [row
   block][scale_groups][rows of a block], of float (scale_bytes 4) or of IEEE binary16 (scale_bytes
   2), finite; scale_groups divides groups, and equals it but for acts 2.
   acts: int8 or float rows, acts_stride bytes apart, zero from K up to the end of the last tile.
   row_scales: float [m], and for acts 2 [m][groups], row_scales_stride apart; none for floats.
   offsets: int32 [m][groups], offsets_stride apart: minus the sums of acts over each group, from
   which products with codes trit + 1 start; none for floats. residual: NULL, or laid out as out.
   gate: NULL, or float rows, gate_stride apart.
   out: float rows, out_stride floats apart. Strides of all but acts count elements. */
typedef struct tern_matmul_args {
  const uint8_t *weight;
  const void *scale;
  const void *acts;
  const float *row_scales;
  const int32_t *offsets;
  const float *residual;
  float *out;
  int64_t acts_stride, offsets_stride, out_stride;
  int64_t m, block_begin, block_end, k_tiles, groups;
  int64_t row_scales_stride, scale_groups, scale_bytes;
  const float *gate;
  int64_t gate_stride;
  int64_t near_ahead, far_ahead; /* as the frame's */
} tern_matmul_args_t;
typedef void (*tern_matmul_fn)(const tern_matmul_args_t *args);

/* A kernel of a variant, listed for the load-time self-test. packing: 0 two_bit, 1 base3,
   2 two_bit_rows, 3 two_bit_columns, 4 six_bit; acts: 0 int8, 1 float, 2 int8 with a scale a group.
   Kernels of six_bit multiply integers -32 .. 31 instead of trits with activations -63 .. 63; their
   codes are the integers plus 32, and offsets minus 32 times the sums of the activations. */
typedef struct tern_kernel {
  const char *name;
  tern_matmul_fn run;
  uint32_t packing, rows, k, acts;
} tern_kernel_t;

/* Code for one CPU level. Variants are listed best first. */
typedef struct tern_variant {
  const char *level;
  uint64_t cpu_features;
  tern_forward_fn forward;
  const tern_kernel_t *kernels;
  uint64_t kernel_count;
} tern_variant_t;

typedef struct tern_descriptor {
  uint32_t struct_size;
  uint32_t abi_version;
  const char *compiler_version;
  const char *sidecar;   /* file name of the payload beside the library, or NULL: inside it */
  uint8_t layout_id[16]; /* equals the payload's: same weights in the same places */
  const tern_variant_t *variants;
  uint32_t variant_count;
  uint32_t max_rows;
  uint64_t arena_bytes;
  uint64_t kv_bytes_per_position;
  uint64_t scratch_bytes_per_position; /* for each thread and position of the cache */
  uint64_t weights_bytes;
  /* Language models; 0 for other modules. */
  uint32_t vocabulary, hidden, layers, max_positions;
  uint32_t input_count, index_count, output_count;
  uint32_t fixed_rows; /* the only number of rows where no tensor's is dynamic and all are equal,
                          else 0 */
  uint64_t screened_bytes; /* of the table that frame->best spares the call most of; 0: no screen,
                              frame->best is not looked at */
} tern_descriptor_t;

/* The one symbol a compiled library exports, "tern_query": NULL for an ABI version it
   does not speak. */
typedef const tern_descriptor_t *(*tern_query_fn)(uint32_t abi_version);

/* The payload: ELF section ".tern.payload" of the library (not loaded by the dynamic
   linker; the runtime maps it from the file), Mach-O section __TERN,__payload, the sidecar file,
   or memory. All little-endian. */
#define TERN_PAYLOAD_MAGIC "TERNPAY1"
#define TERN_SECTION_WEIGHTS 1u   /* 4096-aligned; raw packed bytes at the offsets the code knows */
#define TERN_SECTION_TOKENIZER 2u /* tern/tokenizer_blob.h */
#define TERN_SECTION_CARD 3u      /* JSON text about the model */

typedef struct tern_payload_header {
  char magic[8];
  uint32_t header_bytes; /* this struct and the section table */
  uint32_t section_count;
  uint8_t layout_id[16];
  uint64_t total_bytes;
  uint64_t header_xxh3; /* XXH3-64 of header and table, this field taken as 0 */
} tern_payload_header_t;

typedef struct tern_payload_section {
  uint32_t kind;
  uint32_t reserved;
  uint64_t offset; /* from the payload's first byte */
  uint64_t bytes;
  uint64_t xxh3; /* XXH3-64 of the section's bytes */
} tern_payload_section_t;

#ifdef __cplusplus
}
#endif

#endif /* TERN_ABI_H */
