//===- Threads.h - the workers of a session ---------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_THREADS_H
#define TERN_RUNTIME_THREADS_H

#include <atomic>
#include <memory>
#include <pthread.h>
#include <sys/types.h>

#include "runtime/Status.h"

namespace tern {

/// A counter threads wait on: they spin for a while, then give up their time slice, then sleep.
/// They spin less where that did not help lately: on a busy machine whoever is waited for may need
/// the core.
class Signal {
public:
  uint32_t load() const { return value.load(std::memory_order_acquire); }
  /// Raises the value by one and wakes whoever waits.
  void raise();
  /// Returns when the value is no longer `old`. Spins at most `most` times.
  void waitWhile(uint32_t old, unsigned most);

private:
  alignas(64) std::atomic<uint32_t> value{0};
  std::atomic<uint32_t> sleepers{0};
  std::atomic<unsigned> patience{UINT32_MAX}; ///< spins that seem worth while
};

/// Lets `count` threads meet, any number of times. What a thread wrote before is seen by all after.
class Barrier {
public:
  Barrier(uint32_t count, unsigned spins) : count(count), spins(spins) {}
  void wait();

  /// Is 0 whenever a wait returns. Threads draw their pieces of work from it, in compiled code.
  alignas(64) uint64_t ticket = 0;

private:
  alignas(64) std::atomic<uint32_t> arrived{0};
  Signal opened;
  const uint32_t count;
  const unsigned spins;
};

/// A fixed team: the calling thread is member 0, the others are ours and sleep between runs.
class Threads {
public:
  static constexpr uint32_t kMost = 256;
  using Job = void (*)(void *context, uint32_t thread);

  /// `count` 0: one a processor this thread may use. Workers are pinned when each can have its own.
  static Status create(uint32_t count, std::unique_ptr<Threads> *out);
  ~Threads();
  Threads(const Threads &) = delete;
  Threads &operator=(const Threads &) = delete;

  uint32_t size() const { return count; }
  /// Runs `job` on every member and returns when all are done. Not to be called by two threads at
  /// once. The job runs with the default floating-point environment, whatever the caller's is.
  /// Fails in a child process of the one that made the team: its workers do not exist there.
  Status run(Job job, void *context);
  /// For jobs: returns when every member has called it. `threads` is a Threads.
  static void barrier(void *threads, uint32_t thread);
  /// 0 when a job begins and after each barrier.
  uint64_t *ticket() { return &meeting.ticket; }

private:
  struct Worker {
    Threads *team;
    uint32_t index;
    pthread_t handle;
  };

  Threads(uint32_t count, unsigned spins, std::unique_ptr<Worker[]> workers);
  Status start(const std::vector<int> &cpus);
  static void *enter(void *worker);
  void work(uint32_t index);

  const uint32_t count;
  const unsigned spins;
  const pid_t owner;
  uint32_t started = 0; ///< workers that exist
  std::unique_ptr<Worker[]> workers;
  Job job = nullptr; ///< null when a signal means: leave
  void *context = nullptr;
  Signal begin;
  Barrier meeting;
};

} // namespace tern

#endif // TERN_RUNTIME_THREADS_H
