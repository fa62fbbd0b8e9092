//===- Session.h - one stream of positions ----------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_SESSION_H
#define TERN_RUNTIME_SESSION_H

#include <atomic>

#include "runtime/Arena.h"
#include "runtime/Model.h"
#include "runtime/Threads.h"

/// Memory and threads to run one model, and how far it has come. Everything is allocated when the
/// session is made; running allocates nothing.
struct tern_session {
  static tern::Status create(const tern_model &model, const tern_session_options_t &options,
                             std::unique_ptr<tern_session> *out);

  /// Appends tokens. `all` null: only the last one's logits are computed; else those of every
  /// token.
  tern::Status append(const int32_t *ids, size_t count, float *all);
  /// The largest logit of a row: the first of equal ones, NaN below all others.
  struct Best {
    int32_t id = 0;
    float logit = 0;
    uint32_t computed = 0; ///< logits that were computed to find it
  };
  /// Appends tokens and finds the best token after them. Where the model has a screen, its logits
  /// are not computed before needLogits.
  tern::Status appendForBest(const int32_t *ids, size_t count, Best *out);
  /// Makes lastLogits those of the last position; nothing to do but after appendForBest.
  tern::Status needLogits();
  /// As tern_session_run.
  tern::Status run(int64_t rows, const void *const *inputs, const int64_t *indices,
                   void *const *outputs);
  tern::Status trim(uint32_t positions);
  tern_memory_t memory() const;
  void setProbe(tern_probe_fn function, void *context) {
    probe = function;
    probeContext = context;
  }
  /// As tern_decode_batch: marks all of `sessions` as in use. `best`: null, or where what
  /// appendForBest of each would find goes.
  static tern::Status decodeBatch(tern_session *const *sessions, const int32_t *ids, size_t count,
                                  Best *best);

  const tern_model &model() const { return *owner; }
  uint32_t position() const { return used; }
  uint32_t capacity() const { return room; }
  /// Null until tokens have been appended, and after appendForBest.
  const float *lastLogits() const {
    return fresh ? reinterpret_cast<const float *>(logits.data()) : nullptr;
  }

  /// Held while the session works: one that is used by two threads at once is refused, not raced.
  class Use {
  public:
    explicit Use(tern_session &session)
        : session(session), got(!session.busy.exchange(true, std::memory_order_acquire)) {}
    ~Use() {
      if (got)
        session.busy.store(false, std::memory_order_release);
    }
    Use(const Use &) = delete;
    tern::Status check() const;

  private:
    tern_session &session;
    bool got;
  };

private:
  class UseAll;
  tern::Status checkTokens(const int32_t *ids, size_t count) const;
  tern::Status checkBatch(tern_session *const *sessions, const int32_t *ids, size_t count) const;
  tern::Status allocate();
  tern::Status append(const int32_t *ids, size_t count, float *all, tern_best_t *best);
  tern::Status run(int64_t rows, const void *const *inputs, const int64_t *indices,
                   void *const *outputs, tern_best_t *best);
  bool hasScreen() const;
  /// `rows` rows' slots in `memory`, as a call wants them.
  tern_best_t *clearedSlots(tern::Arena &memory, size_t rows) const;
  /// What the threads found for one row, whose slots start at `found`; else from all logits.
  tern::Status takeBest(const tern_best_t *found, uint32_t slotCount, Best *out);
  tern::Status allocateBatch(size_t rows);
  tern::Status runBatch(tern_session *const *sessions, const int32_t *ids, size_t count,
                        tern_best_t *best);
  /// A call of `rows` rows, without arguments.
  tern_frame_t frame(int64_t rows);

  const tern_model *owner = nullptr;
  std::unique_ptr<tern::metal::Session> gpu; ///< null but on Metal: memory and calls are its
  std::unique_ptr<tern::Threads> threads;
  tern::Arena arena, cache, scratch, logits, slots;
  tern::Arena batchRows, batchLogits, batchSlots; ///< of the largest batch led so far
  uint64_t scratchStride = 0;
  uint32_t room = 0, used = 0;
  tern_probe_fn probe = nullptr;
  void *probeContext = nullptr;
  bool fresh = false;    ///< `logits` are those of the last position
  bool bestOnly = false; ///< they could be: the last token is `lastId`
  int32_t lastId = 0;
  std::atomic<bool> busy{false};
};

#endif // TERN_RUNTIME_SESSION_H
