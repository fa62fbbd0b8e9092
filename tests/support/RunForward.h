//===- RunForward.h - a compiled forward function without runtime -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_RUNFORWARD_H
#define TERN_TESTS_SUPPORT_RUNFORWARD_H

#include "tern/abi.h"

#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace tern::test {

/// The first section of a kind in a payload, or NULL.
inline const tern_payload_section_t *findSection(const uint8_t *payload, uint32_t kind) {
  auto *header = reinterpret_cast<const tern_payload_header_t *>(payload);
  auto *table = reinterpret_cast<const tern_payload_section_t *>(header + 1);
  for (uint32_t i = 0; i < header->section_count; ++i)
    if (table[i].kind == kind)
      return &table[i];
  return nullptr;
}

/// What a session of the runtime keeps: arena, caches, scratch. Memory is filled with 0xa5 (NaNs
/// in no float sum that matters, but never zeros), so that code which relies on fresh zeros fails.
class ForwardRun {
public:
  ForwardRun(const tern_descriptor_t *descriptor, const uint8_t *payload, int64_t capacity)
      : descriptor(descriptor), capacity(capacity),
        weights(payload + findSection(payload, TERN_SECTION_WEIGHTS)->offset),
        arena(block(descriptor->arena_bytes)),
        kv(block(descriptor->kv_bytes_per_position * static_cast<uint64_t>(capacity))) {}

  /// One call by `threads` threads of the descriptor's variant `variant`.
  void run(uint32_t variant, uint32_t threads, int64_t rows, const std::vector<const void *> &inputs,
           const std::vector<int64_t> &indices, const std::vector<void *> &outputs) {
    std::barrier<> gate(threads);
    tern_frame_t frame{};
    frame.struct_size = sizeof(frame);
    frame.thread_count = threads;
    frame.arena = arena.get();
    frame.weights = weights;
    frame.kv = kv.get();
    uint64_t bytes = descriptor->scratch_bytes_per_position * static_cast<uint64_t>(capacity);
    frame.scratch_stride = (bytes + 63) / 64 * 64;
    Memory scratch = block(threads * frame.scratch_stride);
    frame.scratch = scratch.get();
    frame.kv_capacity = capacity;
    frame.rows = rows;
    frame.inputs = inputs.data();
    frame.indices = indices.data();
    frame.outputs = outputs.data();
    frame.barrier = [](void *context, uint32_t) {
      static_cast<std::barrier<> *>(context)->arrive_and_wait();
    };
    frame.barrier_context = &gate;
    std::vector<std::thread> others;
    tern_forward_fn forward = descriptor->variants[variant].forward;
    for (uint32_t t = 1; t < threads; ++t)
      others.emplace_back([&frame, forward, t] { forward(&frame, t); });
    forward(&frame, 0);
    for (std::thread &other : others)
      other.join();
  }

private:
  struct Free {
    void operator()(uint8_t *p) const { std::free(p); }
  };
  using Memory = std::unique_ptr<uint8_t, Free>;
  static Memory block(uint64_t bytes) {
    uint64_t size = (bytes + 64) / 64 * 64;
    Memory memory(static_cast<uint8_t *>(std::aligned_alloc(64, size)));
    std::memset(memory.get(), 0xa5, size);
    return memory;
  }

  const tern_descriptor_t *descriptor;
  int64_t capacity;
  const uint8_t *weights;
  Memory arena, kv;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_RUNFORWARD_H
