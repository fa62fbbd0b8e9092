//===- Threads.cpp - the workers of a session -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Threads.h"

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstdio>
#include <sched.h>
#include <unistd.h>
#if !defined(__APPLE__)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "runtime/Cpu.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace tern;

namespace {

/// Up to two milliseconds: longer than any phase is late, shorter than a time slice. Waking a
/// sleeper costs more than it waits.
constexpr unsigned kSpins = 40000;
/// Enough to notice that the machine has become idle again.
constexpr unsigned kLeastSpins = 32;
/// Time slices given away before sleeping.
constexpr unsigned kYields = 8;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

#if defined(__APPLE__)

void sleepWhile(std::atomic<uint32_t> &word, uint32_t value) { word.wait(value); }
void wakeAll(std::atomic<uint32_t> &word) { word.notify_all(); }
void name(pthread_t, const char *) {} // only a thread itself could
void pin(pthread_t, int) {}

#else

long futex(std::atomic<uint32_t> *word, int operation, uint32_t value) {
  static_assert(sizeof(*word) == sizeof(uint32_t));
  return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

/// May return early.
void sleepWhile(std::atomic<uint32_t> &word, uint32_t value) { futex(&word, FUTEX_WAIT, value); }
void wakeAll(std::atomic<uint32_t> &word) { futex(&word, FUTEX_WAKE, INT_MAX); }
void name(pthread_t thread, const char *text) { pthread_setname_np(thread, text); }

/// A hint: where it is refused, the scheduler chooses.
void pin(pthread_t thread, int cpu) {
  const size_t count = size_t(cpu) + 1, bytes = CPU_ALLOC_SIZE(count);
  if (cpu_set_t *set = CPU_ALLOC(count)) {
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(size_t(cpu), bytes, set);
    pthread_setaffinity_np(thread, bytes, set);
    CPU_FREE(set);
  }
}

#endif

/// Sets the environment kernels are defined in: round to nearest, subnormals kept, no traps.
class FloatEnvironment {
public:
#if defined(__x86_64__)
  FloatEnvironment() : saved(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~FloatEnvironment() { _mm_setcsr(saved); }

private:
  unsigned saved;
#elif defined(__aarch64__)
  FloatEnvironment() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    set(0);
  }
  ~FloatEnvironment() { set(saved); }

private:
  static void set(uint64_t value) { __asm__ volatile("msr fpcr, %0" ::"r"(value)); }
  uint64_t saved;
#endif
};

/// Sessions made one after another get different processors.
std::atomic<uint32_t> nextCpu{1};

} // namespace

void Signal::raise() {
  // Sequential consistency: either we see the sleeper, or it sees the new value.
  value.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) != 0)
    wakeAll(value);
}

void Signal::waitWhile(uint32_t old, unsigned most) {
  unsigned spins = std::min(patience.load(std::memory_order_relaxed), most);
  for (unsigned i = 0; i < spins; ++i) {
    if (load() != old) {
      if (spins < most)
        patience.store(spins * 2, std::memory_order_relaxed);
      return;
    }
    relax();
  }
  patience.store(std::max(spins / 2, kLeastSpins), std::memory_order_relaxed);
  for (unsigned i = 0; i < kYields; ++i) {
    if (load() != old)
      return;
    sched_yield();
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (value.load(std::memory_order_seq_cst) == old)
    sleepWhile(value, old);
  sleepers.fetch_sub(1, std::memory_order_relaxed);
}

void Barrier::wait() {
  uint32_t before = opened.load();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 != count) {
    opened.waitWhile(before, spins);
    return;
  }
  arrived.store(0, std::memory_order_relaxed);
  ticket = 0;
  opened.raise();
}

Threads::Threads(uint32_t count, unsigned spins, std::unique_ptr<Worker[]> workers)
    : count(count), spins(spins), owner(getpid()), workers(std::move(workers)),
      meeting(count, spins) {}

Status Threads::create(uint32_t count, std::unique_ptr<Threads> *out) {
  std::vector<int> cpus = allowedCpus();
  if (count == 0)
    count = uint32_t(std::min<size_t>(cpus.size(), kMost));
  if (count > kMost)
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_DEVICE,
                         format("%u threads asked for, at most %u are possible", count, kMost));
  // Spinning only helps while the thread waited for can run.
  bool crowded = count > cpus.size();
  std::unique_ptr<Threads> team(
      new Threads(count, crowded ? 0 : kSpins, std::make_unique<Worker[]>(count)));
  if (Status status = team->start(crowded ? std::vector<int>() : cpus); !status.ok())
    return status;
  *out = std::move(team);
  return {};
}

Status Threads::start(const std::vector<int> &cpus) {
  uint32_t first = nextCpu.fetch_add(count - 1, std::memory_order_relaxed);
  // Signals are for the application's own threads.
  sigset_t everything, before;
  sigfillset(&everything);
  pthread_sigmask(SIG_SETMASK, &everything, &before);
  int error = 0;
  for (uint32_t i = 1; i < count && error == 0; ++i) {
    Worker &worker = workers[i];
    worker = {this, i, {}};
    error = pthread_create(&worker.handle, nullptr, enter, &worker);
    if (error != 0)
      break;
    started = i;
    char text[16];
    std::snprintf(text, sizeof(text), "tern-%u", i);
    name(worker.handle, text);
    if (!cpus.empty())
      pin(worker.handle, cpus[(first + i - 1) % cpus.size()]);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0)
    return Status::error(
        TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_DEVICE,
        format("cannot start thread %u of %u (error %d)", started + 1, count - 1, error));
  return {};
}

Threads::~Threads() {
  // In a forked child there is nobody to wait for.
  if (started == 0 || getpid() != owner)
    return;
  job = nullptr;
  begin.raise();
  for (uint32_t i = 1; i <= started; ++i)
    pthread_join(workers[i].handle, nullptr);
}

void *Threads::enter(void *argument) {
  Worker *worker = static_cast<Worker *>(argument);
  worker->team->work(worker->index);
  return nullptr;
}

void Threads::work(uint32_t index) {
  FloatEnvironment environment;
  for (uint32_t seen = 0;; ++seen) {
    begin.waitWhile(seen, spins);
    if (!job)
      return;
    job(context, index);
    meeting.wait();
  }
}

Status Threads::run(Job newJob, void *newContext) {
  if (count > 1 && getpid() != owner)
    return Status::error(TERN_STATUS_UNSUPPORTED, TERN_CATEGORY_DEVICE,
                         "this process was forked after the session was created: create a new "
                         "session in the child");
  FloatEnvironment environment;
  job = newJob;
  context = newContext;
  begin.raise();
  newJob(newContext, 0);
  meeting.wait();
  return {};
}

void Threads::barrier(void *threads, uint32_t) {
  Threads *team = static_cast<Threads *>(threads);
  team->meeting.wait();
}
