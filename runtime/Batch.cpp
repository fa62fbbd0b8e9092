//===- Batch.cpp - one token of each of several sessions ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <cstring>

#include "runtime/Session.h"

using namespace tern;

static Status invalid(std::string text) {
  return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_TENSOR, std::move(text));
}

static Status inSession(Status status, size_t index) {
  return std::move(status).within(format("session %zu", index));
}

/// Marks sessions as in use, in order, until one already is.
class tern_session::UseAll {
public:
  UseAll(tern_session *const *sessions, size_t count) : sessions(sessions), count(count) {
    while (held < count && sessions[held] &&
           !sessions[held]->busy.exchange(true, std::memory_order_acquire))
      ++held;
  }
  ~UseAll() {
    for (size_t i = 0; i < held; ++i)
      sessions[i]->busy.store(false, std::memory_order_release);
  }
  UseAll(const UseAll &) = delete;

  Status check() const {
    if (held == count)
      return {};
    if (!sessions[held])
      return invalid(format("session %zu is NULL", held));
    size_t earlier = std::find(sessions, sessions + held, sessions[held]) - sessions;
    if (earlier < held)
      return invalid(format("sessions %zu and %zu are the same", earlier, held));
    return inSession(invalid("the session is in use: by another thread, or by the call that is "
                             "calling back"),
                     held);
  }

private:
  tern_session *const *sessions;
  const size_t count;
  size_t held = 0;
};

Status tern_session::decodeBatch(tern_session *const *sessions, const int32_t *ids, size_t count,
                                 Best *best) {
  UseAll use(sessions, count);
  if (Status status = use.check(); !status.ok())
    return status;
  tern_session &first = *sessions[0];
  if (Status status = first.checkBatch(sessions, ids, count); !status.ok())
    return status;
  if (Status status = first.allocateBatch(count); !status.ok())
    return std::move(status).within(format("a batch of %zu", count));
  tern_best_t *found =
      best && first.hasScreen() ? first.clearedSlots(first.batchSlots, count) : nullptr;
  if (Status status = first.runBatch(sessions, ids, count, found); !status.ok())
    return status;
  const uint32_t slotCount = first.threads->size();
  for (size_t i = 0; best && i < count; ++i)
    if (Status status =
            sessions[i]->takeBest(found ? found + i * slotCount : nullptr, slotCount, &best[i]);
        !status.ok())
      return inSession(std::move(status), i);
  return {};
}

/// Everything is checked before anything runs: a batch moves all of its sessions, or none.
Status tern_session::checkBatch(tern_session *const *sessions, const int32_t *ids,
                                size_t count) const {
  if (gpu)
    return Status::error(TERN_STATUS_UNSUPPORTED, TERN_CATEGORY_DEVICE,
                         "batches run on CPU levels only, the model was opened on metal");
  if (count > owner->code().max_rows)
    return invalid(format("%zu sessions, the model takes at most %u in a batch", count,
                          owner->code().max_rows));
  for (size_t i = 0; i < count; ++i) {
    const tern_session &session = *sessions[i];
    if (session.owner != owner)
      return invalid(format("session %zu is of another model than session 0", i));
    if (Status status = session.checkTokens(ids + i, 1); !status.ok())
      return inSession(std::move(status), i);
    // The threads' scratch memory has a place for each position.
    if (session.used >= room)
      return invalid(format("session %zu is at position %u; session 0, whose memory the batch "
                            "uses, has only %u positions",
                            i, session.used, room));
  }
  return {};
}

Status tern_session::allocateBatch(size_t rows) {
  if (batchRows.size() >= rows * sizeof(tern_batch_row_t))
    return {};
  uint64_t floats, bytes, slotCount, slotBytes;
  Arena newRows, newLogits, newSlots;
  if (!multiply(rows, owner->code().vocabulary, &floats) ||
      !multiply(floats, sizeof(float), &bytes) || !multiply(rows, threads->size(), &slotCount) ||
      !multiply(slotCount, sizeof(tern_best_t), &slotBytes))
    return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                         "the sizes do not fit 64 bits");
  if (Status status = Arena::create(bytes, "logits", &newLogits); !status.ok())
    return status;
  if (Status status = Arena::create(rows * sizeof(tern_batch_row_t), "rows", &newRows);
      !status.ok())
    return status;
  if (Status status = Arena::create(slotBytes, "search slots", &newSlots); !status.ok())
    return status;
  batchSlots = std::move(newSlots);
  batchLogits = std::move(newLogits);
  batchRows = std::move(newRows);
  return {};
}

/// With `best`, no session gets logits: the call's own memory has something else.
Status tern_session::runBatch(tern_session *const *sessions, const int32_t *ids, size_t count,
                              tern_best_t *best) {
  auto *rows = reinterpret_cast<tern_batch_row_t *>(batchRows.data());
  for (size_t i = 0; i < count; ++i) {
    rows[i] = {sessions[i]->cache.data(), sessions[i]->used};
    sessions[i]->fresh = sessions[i]->bestOnly = false;
  }
  const void *inputs[] = {ids};
  const int64_t indices[] = {0, int64_t(count)};
  void *outputs[] = {batchLogits.data()};
  struct Call {
    tern_forward_fn forward;
    tern_frame_t frame;
    tern_session *const *sessions;
    uint64_t rowBytes;
  } call = {owner->variant->forward, frame(int64_t(count)), sessions,
            owner->code().vocabulary * sizeof(float)};
  call.frame.inputs = inputs;
  call.frame.indices = indices;
  call.frame.outputs = outputs;
  call.frame.batch = rows;
  call.frame.best = best;
  Status status = threads->run(
      [](void *context, uint32_t thread) {
        auto &call = *static_cast<Call *>(context);
        call.forward(&call.frame, thread);
        if (call.frame.best)
          return;
        call.frame.barrier(call.frame.barrier_context, thread);
        auto *logits = static_cast<const uint8_t *>(call.frame.outputs[0]);
        for (int64_t i = thread; i < call.frame.rows; i += call.frame.thread_count)
          std::memcpy(call.sessions[i]->logits.data(), logits + uint64_t(i) * call.rowBytes,
                      call.rowBytes);
      },
      &call);
  if (!status.ok())
    return status;
  for (size_t i = 0; i < count; ++i) {
    ++sessions[i]->used;
    sessions[i]->fresh = !best;
    sessions[i]->bestOnly = best;
    sessions[i]->lastId = ids[i];
  }
  return {};
}
