//===- Session.cpp - one stream of positions ------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Session.h"

#include "runtime/Cpu.h"
#include "runtime/Residency.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace tern;

/// The cache of a session that does not ask for a size.
static constexpr uint32_t kDefaultPositions = 4096;

static Status invalid(std::string text) {
  return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_TENSOR, std::move(text));
}

Status tern_session::create(const tern_model &model, const tern_session_options_t &options,
                            std::unique_ptr<tern_session> *out) {
  auto session = std::make_unique<tern_session>();
  session->owner = &model;
  const tern_descriptor_t &code = model.code();
  uint32_t most = code.max_positions ? code.max_positions : UINT32_MAX;
  if (options.positions > most)
    return invalid(format("%u positions asked for, the model has %u", options.positions, most));
  session->room = options.positions ? options.positions : std::min(most, kDefaultPositions);
  // A GPU needs no team.
  uint32_t threads = model.gpu ? 1 : options.threads;
  if (Status status = Threads::create(threads, &session->threads); !status.ok())
    return status;
  if (Status status = session->allocate(); !status.ok())
    return std::move(status).within(format("a session of %u positions and %u threads",
                                           session->room, session->threads->size()));
  *out = std::move(session);
  return {};
}

Status tern_session::allocate() {
  const tern_descriptor_t &code = owner->code();
  if (owner->gpu) {
    Status status = Arena::create(uint64_t(code.vocabulary) * sizeof(float), "logits", &logits);
    return status.ok() ? metal::Session::create(*owner->gpu, room, &gpu) : std::move(status);
  }
  uint64_t cacheBytes, scratchBytes;
  // Offsets in the scratch memory of a thread count positions; threads must not share cache lines.
  const uint64_t cachePositions =
      (uint64_t(room) + TERN_KV_BLOCK - 1) / TERN_KV_BLOCK * TERN_KV_BLOCK;
  if (!multiply(code.kv_bytes_per_position, cachePositions, &cacheBytes) ||
      !multiply(code.scratch_bytes_per_position, cachePositions, &scratchStride) ||
      scratchStride > UINT64_MAX - 63)
    return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                         "the sizes do not fit 64 bits");
  scratchStride = (scratchStride + 63) / 64 * 64;
  if (!multiply(scratchStride, threads->size(), &scratchBytes))
    return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                         "the sizes do not fit 64 bits");
  struct {
    uint64_t bytes;
    const char *what;
    Arena *region;
  } regions[] = {{code.arena_bytes, "arena", &arena},
                 {cacheBytes, "cache", &cache},
                 {scratchBytes, "scratch memory", &scratch},
                 {uint64_t(code.vocabulary) * sizeof(float), "logits", &logits},
                 {uint64_t(threads->size()) * sizeof(tern_best_t), "search slots", &slots}};
  for (const auto &one : regions)
    if (Status status = Arena::create(one.bytes, one.what, one.region); !status.ok())
      return status;
  return {};
}

Status tern_session::run(int64_t rows, const void *const *inputs, const int64_t *indices,
                         void *const *outputs) {
  return run(rows, inputs, indices, outputs, nullptr);
}

Status tern_session::run(int64_t rows, const void *const *inputs, const int64_t *indices,
                         void *const *outputs, tern_best_t *best) {
  if (gpu)
    return gpu->run(rows, inputs, indices, outputs);
  tern_frame_t frame = this->frame(rows);
  frame.inputs = inputs;
  frame.indices = indices;
  frame.outputs = outputs;
  frame.best = best;
  struct Call {
    tern_forward_fn forward;
    const tern_frame_t *frame;
  } call = {owner->variant->forward, &frame};
  return threads->run(
      [](void *context, uint32_t thread) {
        auto *call = static_cast<Call *>(context);
        call->forward(call->frame, thread);
      },
      &call);
}

tern_frame_t tern_session::frame(int64_t rows) {
  tern_frame_t frame = {};
  frame.struct_size = sizeof(frame);
  frame.thread_count = threads->size();
  frame.arena = arena.data();
  frame.weights = owner->weights();
  frame.kv = cache.data();
  frame.scratch = scratch.data();
  frame.scratch_stride = scratchStride;
  frame.rows = rows;
  frame.barrier = Threads::barrier;
  frame.barrier_context = threads.get();
  frame.ticket = threads->ticket();
  frame.probe = probe;
  frame.probe_context = probeContext;
  const StreamAhead ahead = streamAhead();
  frame.near_ahead = ahead.near;
  frame.far_ahead = ahead.far;
  return frame;
}

Status tern_session::checkTokens(const int32_t *ids, size_t count) const {
  if (!owner->languageModel())
    return Status::error(TERN_STATUS_UNSUPPORTED, TERN_CATEGORY_TENSOR,
                         "the module is not a language model: use tern_session_run");
  if (!ids || count == 0)
    return invalid("no tokens given");
  uint32_t vocabulary = owner->code().vocabulary;
  for (size_t i = 0; i < count; ++i)
    if (ids[i] < 0 || uint32_t(ids[i]) >= vocabulary)
      return invalid(format("token %zu is %d, expected 0 to %u", i, ids[i], vocabulary - 1));
  if (count > room - used)
    return Status::error(
        TERN_STATUS_CONTEXT_FULL, TERN_CATEGORY_MEMORY,
        format("%zu tokens do not fit: %u of %u positions are used", count, used, room));
  return {};
}

Status tern_session::append(const int32_t *ids, size_t count, float *all) {
  return append(ids, count, all, nullptr);
}

Status tern_session::append(const int32_t *ids, size_t count, float *all, tern_best_t *best) {
  if (Status status = checkTokens(ids, count); !status.ok())
    return status;
  uint64_t vocabulary = owner->code().vocabulary;
  fresh = bestOnly = false;
  for (size_t done = 0; done < count;) {
    size_t rows = std::min<size_t>(count - done, owner->code().max_rows);
    bool last = done + rows == count;
    const void *inputs[] = {ids + done};
    int64_t indices[] = {used, all ? int64_t(rows) : last};
    void *outputs[] = {all ? static_cast<void *>(all + done * vocabulary) : logits.data()};
    if (Status status = run(int64_t(rows), inputs, indices, outputs, last ? best : nullptr);
        !status.ok())
      return status;
    done += rows;
    used += uint32_t(rows);
  }
  if (all)
    std::memcpy(logits.data(), all + (count - 1) * vocabulary, vocabulary * sizeof(float));
  lastId = ids[count - 1];
  fresh = !best;
  bestOnly = best;
  return {};
}

bool tern_session::hasScreen() const { return owner->code().screened_bytes && !gpu; }

tern_best_t *tern_session::clearedSlots(Arena &memory, size_t rows) const {
  auto *first = reinterpret_cast<tern_best_t *>(memory.data());
  for (size_t i = 0; i < rows * threads->size(); ++i) {
    first[i] = {};
    first[i].logit = -std::numeric_limits<float>::infinity();
    first[i].id = -1;
  }
  return first;
}

/// As Sampler chooses with temperature 0.
static tern_session::Best largest(const float *logits, uint32_t count) {
  tern_session::Best best = {0, logits[0], count};
  for (uint32_t i = 1; i < count; ++i)
    if (logits[i] > best.logit || (std::isnan(best.logit) && !std::isnan(logits[i]) &&
                                   logits[i] > -std::numeric_limits<float>::infinity()))
      best = {int32_t(i), logits[i], count};
  return best;
}

Status tern_session::takeBest(const tern_best_t *found, uint32_t slotCount, Best *out) {
  Best best = {-1, 0, 0};
  for (uint32_t t = 0; found && t < slotCount; ++t) {
    best.computed += found[t].computed;
    bool better = best.id < 0 || found[t].logit > best.logit ||
                  (found[t].logit == best.logit && found[t].id < best.id);
    if (found[t].id >= 0 && better)
      best = {found[t].id, found[t].logit, best.computed};
  }
  if (found)
    owner->noteRareRows(best.computed + 1); // and the token's embedding
  if (best.id < 0) {
    // No screen, or no logit above -infinity.
    if (Status status = needLogits(); !status.ok())
      return status;
    best = largest(lastLogits(), owner->code().vocabulary);
  }
  *out = best;
  return {};
}

Status tern_session::appendForBest(const int32_t *ids, size_t count, Best *out) {
  tern_best_t *found = hasScreen() ? clearedSlots(slots, 1) : nullptr;
  if (Status status = append(ids, count, nullptr, found); !status.ok())
    return status;
  return takeBest(found, threads->size(), out);
}

Status tern_session::needLogits() {
  if (!bestOnly)
    return {};
  const int32_t id = lastId;
  --used;
  return append(&id, 1, nullptr, nullptr);
}

Status tern_session::trim(uint32_t positions) {
  if (positions > used)
    return invalid(format("cannot keep %u positions, the session has %u", positions, used));
  fresh = fresh && positions == used;
  bestOnly = bestOnly && positions == used;
  used = positions;
  return {};
}

tern_memory_t tern_session::memory() const {
  tern_memory_t found = {};
  const Payload &payload = owner->library.payload();
  auto weights = payload.section(TERN_SECTION_WEIGHTS);
  Residency there = residencyOf(weights.data(), weights.size());
  found.weights_bytes = weights.size();
  found.weights_resident = there.resident, found.weights_huge = there.huge;
  found.weights_copied = payload.hasCopiedWeights();
  found.cache_bytes = cache.size();
  found.cache_resident = residencyOf(cache.data(), cache.size()).resident;
  for (const Arena *one : {&arena, &scratch, &logits}) {
    found.work_bytes += one->size();
    found.work_resident += residencyOf(one->data(), one->size()).resident;
  }
  return found;
}

Status tern_session::Use::check() const {
  if (got)
    return {};
  return invalid("the session is in use: by another thread, or by the call that is calling back");
}
