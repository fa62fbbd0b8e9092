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
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
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

/// How the threads of a call run between two barriers.
enum class Schedule {
  Together,  ///< as the system likes
  Ascending, ///< one after the other: thread 0 up to the barrier, then 1, ...
  Descending ///< the same from the last thread down
};

/// A barrier that lets one thread at a time go from one barrier to the next. Where a barrier is
/// missing, a thread runs ahead of the one it depends on, in one of the two orders, every time.
class Relay {
public:
  Relay(uint32_t threads, Schedule schedule, uint64_t *ticket)
      : threads(threads), schedule(schedule), ticket(ticket) {}
  /// Waits for `thread`'s first turn.
  void start(uint32_t thread) {
    std::unique_lock<std::mutex> lock(mutex);
    wait(lock, thread);
  }
  void finish(uint32_t) {
    std::unique_lock<std::mutex> lock(mutex);
    pass();
  }
  void barrier(uint32_t thread) {
    std::unique_lock<std::mutex> lock(mutex);
    uint64_t next = turn / threads + 1;
    pass();
    changed.wait(lock, [&] { return turn / threads == next && whose() == thread; });
  }

private:
  uint32_t whose() const {
    uint32_t index = static_cast<uint32_t>(turn % threads);
    return schedule == Schedule::Ascending ? index : threads - 1 - index;
  }
  void wait(std::unique_lock<std::mutex> &lock, uint32_t thread) {
    changed.wait(lock, [&] { return whose() == thread; });
  }
  void pass() {
    if (++turn % threads == 0)
      *ticket = 0;
    changed.notify_all();
  }

  const uint32_t threads;
  const Schedule schedule;
  uint64_t *const ticket;
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t turn = 0; ///< segments run so far
};

/// What a session of the runtime keeps: arena, caches, scratch. Memory is filled with 0xa5 (NaNs
/// in no float sum that matters, but never zeros), so that code which relies on fresh zeros fails.
class ForwardRun {
public:
  ForwardRun(const tern_descriptor_t *descriptor, const uint8_t *payload, int64_t capacity)
      : descriptor(descriptor),
        capacity((capacity + TERN_KV_BLOCK - 1) / TERN_KV_BLOCK * TERN_KV_BLOCK),
        weights(payload + findSection(payload, TERN_SECTION_WEIGHTS)->offset),
        arena(block(descriptor->arena_bytes)),
        kv(block(descriptor->kv_bytes_per_position * static_cast<uint64_t>(this->capacity))) {}

  /// One call by `threads` threads of the descriptor's variant `variant`.
  void run(uint32_t variant, uint32_t threads, int64_t rows,
           const std::vector<const void *> &inputs, const std::vector<int64_t> &indices,
           const std::vector<void *> &outputs, Schedule schedule = Schedule::Together,
           const std::vector<tern_batch_row_t> &batch = {}) {
    alignas(64) uint64_t ticket = 0;
    auto reset = [&ticket]() noexcept { ticket = 0; };
    using Gate = std::barrier<decltype(reset)>;
    Gate gate(threads, reset);
    Relay relay(threads, schedule, &ticket);
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
    frame.rows = rows;
    frame.inputs = inputs.data();
    frame.indices = indices.data();
    frame.outputs = outputs.data();
    frame.ticket = &ticket;
    frame.best = best;
    frame.batch = batch.empty() ? nullptr : batch.data();
    bool together = schedule == Schedule::Together;
    frame.barrier_context = together ? static_cast<void *>(&gate) : &relay;
    if (together)
      frame.barrier = [](void *context, uint32_t) {
        static_cast<Gate *>(context)->arrive_and_wait();
      };
    else
      frame.barrier = [](void *context, uint32_t thread) {
        static_cast<Relay *>(context)->barrier(thread);
      };
    tern_forward_fn forward = descriptor->variants[variant].forward;
    auto work = [&](uint32_t thread) {
      if (!together)
        relay.start(thread);
      forward(&frame, thread);
      if (!together)
        relay.finish(thread);
    };
    std::vector<std::thread> others;
    for (uint32_t t = 1; t < threads; ++t)
      others.emplace_back(work, t);
    work(0);
    for (std::thread &other : others)
      other.join();
  }

  tern_best_t *best = nullptr; ///< of the frame, for the calls that follow
  /// A row of a batch that goes on at `position` of this run's sequence.
  tern_batch_row_t rowAt(int64_t position) const { return {kv.get(), position}; }

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
