/*===- layout_test.c - the headers are C11, and the layout is fixed -*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* Compiled as C11 and, included by layout_test.cpp, as C++17.                *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include "tern/abi.h"
#include "tern/tern.h"

#ifdef __cplusplus
#define CHECK(condition) static_assert(condition, #condition)
#else
#define CHECK(condition) _Static_assert(condition, #condition)
#endif
#define AT(type, field, offset) CHECK(offsetof(type, field) == (offset))

CHECK(TERN_ABI_VERSION == 6);
CHECK(sizeof(void *) == 8);

CHECK(sizeof(tern_frame_t) == 152);
AT(tern_frame_t, thread_count, 4);
AT(tern_frame_t, arena, 8);
AT(tern_frame_t, weights, 16);
AT(tern_frame_t, kv, 24);
AT(tern_frame_t, scratch, 32);
AT(tern_frame_t, scratch_stride, 40);
AT(tern_frame_t, rows, 48);
AT(tern_frame_t, inputs, 56);
AT(tern_frame_t, indices, 64);
AT(tern_frame_t, outputs, 72);
AT(tern_frame_t, barrier, 80);
AT(tern_frame_t, barrier_context, 88);
AT(tern_frame_t, ticket, 96);
AT(tern_frame_t, probe, 104);
AT(tern_frame_t, probe_context, 112);
AT(tern_frame_t, batch, 120);
AT(tern_frame_t, best, 128);
AT(tern_frame_t, near_ahead, 136);
AT(tern_frame_t, far_ahead, 144);

CHECK(sizeof(tern_best_t) == 64);
AT(tern_best_t, logit, 4);
AT(tern_best_t, id, 8);
AT(tern_best_t, computed, 12);

CHECK(sizeof(tern_batch_row_t) == 16);
AT(tern_batch_row_t, position, 8);

CHECK(sizeof(tern_matmul_args_t) == 176);
AT(tern_matmul_args_t, gate, 144);
AT(tern_matmul_args_t, gate_stride, 152);
AT(tern_matmul_args_t, near_ahead, 160);
AT(tern_matmul_args_t, far_ahead, 168);
AT(tern_matmul_args_t, scale, 8);
AT(tern_matmul_args_t, acts, 16);
AT(tern_matmul_args_t, row_scales, 24);
AT(tern_matmul_args_t, offsets, 32);
AT(tern_matmul_args_t, residual, 40);
AT(tern_matmul_args_t, out, 48);
AT(tern_matmul_args_t, acts_stride, 56);
AT(tern_matmul_args_t, offsets_stride, 64);
AT(tern_matmul_args_t, out_stride, 72);
AT(tern_matmul_args_t, m, 80);
AT(tern_matmul_args_t, block_begin, 88);
AT(tern_matmul_args_t, block_end, 96);
AT(tern_matmul_args_t, k_tiles, 104);
AT(tern_matmul_args_t, groups, 112);
AT(tern_matmul_args_t, row_scales_stride, 120);
AT(tern_matmul_args_t, scale_groups, 128);
AT(tern_matmul_args_t, scale_bytes, 136);

CHECK(sizeof(tern_kernel_t) == 32);
AT(tern_kernel_t, run, 8);
AT(tern_kernel_t, packing, 16);
AT(tern_kernel_t, rows, 20);
AT(tern_kernel_t, k, 24);

CHECK(sizeof(tern_variant_t) == 40);
AT(tern_variant_t, cpu_features, 8);
AT(tern_variant_t, forward, 16);
AT(tern_variant_t, kernels, 24);
AT(tern_variant_t, kernel_count, 32);

CHECK(sizeof(tern_descriptor_t) == 128);
AT(tern_descriptor_t, abi_version, 4);
AT(tern_descriptor_t, compiler_version, 8);
AT(tern_descriptor_t, sidecar, 16);
AT(tern_descriptor_t, layout_id, 24);
AT(tern_descriptor_t, variants, 40);
AT(tern_descriptor_t, variant_count, 48);
AT(tern_descriptor_t, max_rows, 52);
AT(tern_descriptor_t, arena_bytes, 56);
AT(tern_descriptor_t, kv_bytes_per_position, 64);
AT(tern_descriptor_t, scratch_bytes_per_position, 72);
AT(tern_descriptor_t, weights_bytes, 80);
AT(tern_descriptor_t, vocabulary, 88);
AT(tern_descriptor_t, hidden, 92);
AT(tern_descriptor_t, layers, 96);
AT(tern_descriptor_t, max_positions, 100);
AT(tern_descriptor_t, input_count, 104);
AT(tern_descriptor_t, index_count, 108);
AT(tern_descriptor_t, output_count, 112);
AT(tern_descriptor_t, fixed_rows, 116);
AT(tern_descriptor_t, screened_bytes, 120);

CHECK(sizeof(tern_payload_header_t) == 48);
AT(tern_payload_header_t, header_bytes, 8);
AT(tern_payload_header_t, section_count, 12);
AT(tern_payload_header_t, layout_id, 16);
AT(tern_payload_header_t, total_bytes, 32);
AT(tern_payload_header_t, header_xxh3, 40);

CHECK(sizeof(tern_payload_section_t) == 32);
AT(tern_payload_section_t, offset, 8);
AT(tern_payload_section_t, bytes, 16);
AT(tern_payload_section_t, xxh3, 24);

CHECK(sizeof(tern_open_options_t) == 48);
AT(tern_open_options_t, load, 40);
CHECK(sizeof(tern_memory_t) == 72);
CHECK(sizeof(tern_model_info_t) == 80);
CHECK(sizeof(tern_session_options_t) == 16);
CHECK(sizeof(tern_sampler_options_t) == 40);
CHECK(sizeof(tern_generate_options_t) == 72);
