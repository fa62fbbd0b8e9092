//===- ApiSession.cpp - the C interface: sessions -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Guard.h"
#include "runtime/Session.h"

using namespace tern;

static Status invalid(std::string text) {
  return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_TENSOR, std::move(text));
}

extern "C" tern_status_t tern_session_create(tern_model_t *model,
                                             const tern_session_options_t *options,
                                             tern_session_t **out) {
  return guarded("tern_session_create", [&]() -> Status {
    if (!model || !out)
      return missing(model ? "out" : "model");
    tern_session_options_t known;
    if (Status status = readOptions(options, &known); !status.ok())
      return status;
    std::unique_ptr<tern_session> session;
    Status status = tern_session::create(*model, known, &session);
    if (status.ok())
      *out = session.release();
    return status;
  });
}

extern "C" void tern_session_destroy(tern_session_t *session) { delete session; }

/// Runs `body` while the session is marked as in use.
template <typename Body>
static tern_status_t withSession(const char *call, tern_session_t *session, Body body) {
  return guarded(call, [&]() -> Status {
    if (!session)
      return missing("session");
    tern_session::Use use(*session);
    if (Status status = use.check(); !status.ok())
      return status;
    return body();
  });
}

extern "C" tern_status_t tern_session_trim(tern_session_t *session, uint32_t positions) {
  return withSession("tern_session_trim", session, [&] { return session->trim(positions); });
}

extern "C" tern_status_t tern_session_set_probe(tern_session_t *session, tern_probe_fn probe,
                                                void *context) {
  return withSession("tern_session_set_probe", session, [&]() -> Status {
    session->setProbe(probe, context);
    return {};
  });
}

extern "C" tern_status_t tern_session_memory(const tern_session_t *session, tern_memory_t *out) {
  return guarded("tern_session_memory", [&]() -> Status {
    if (!session || !out)
      return missing(session ? "out" : "session");
    size_t size = out->struct_size;
    if (size < sizeof(size_t))
      return invalid(format("struct_size is %zu, expected %zu", size, sizeof(*out)));
    tern_memory_t memory = session->memory();
    memory.struct_size = size;
    std::memcpy(out, &memory, size < sizeof(memory) ? size : sizeof(memory));
    return {};
  });
}

extern "C" uint32_t tern_session_position(const tern_session_t *session) {
  return session ? session->position() : 0;
}

extern "C" tern_status_t tern_prefill(tern_session_t *session, const int32_t *ids, size_t count) {
  return withSession("tern_prefill", session, [&] { return session->append(ids, count, nullptr); });
}

extern "C" tern_status_t tern_decode(tern_session_t *session, int32_t id) {
  return withSession("tern_decode", session, [&] { return session->append(&id, 1, nullptr); });
}

static Status checkSize(const tern_greedy_t &out) {
  if (out.struct_size < sizeof(size_t))
    return invalid(format("struct_size is %zu, expected %zu", out.struct_size, sizeof(out)));
  return {};
}

static void fill(tern_greedy_t *out, const tern_session::Best &best) {
  tern_greedy_t found = {out->struct_size, best.id, best.logit, best.computed};
  std::memcpy(out, &found, std::min(out->struct_size, sizeof(found)));
}

extern "C" tern_status_t tern_decode_greedy(tern_session_t *session, int32_t id,
                                            tern_greedy_t *out) {
  return withSession("tern_decode_greedy", session, [&]() -> Status {
    if (!out)
      return missing("out");
    if (Status status = checkSize(*out); !status.ok())
      return status;
    tern_session::Best best;
    if (Status status = session->appendForBest(&id, 1, &best); !status.ok())
      return status;
    fill(out, best);
    return {};
  });
}

static Status checkBatch(tern_session_t *const *sessions, const int32_t *ids, size_t count) {
  if (!sessions || !ids)
    return missing(sessions ? "ids" : "sessions");
  if (count == 0)
    return invalid("no sessions given");
  return {};
}

extern "C" tern_status_t tern_decode_batch(tern_session_t *const *sessions, const int32_t *ids,
                                           size_t count) {
  return guarded("tern_decode_batch", [&]() -> Status {
    if (Status status = checkBatch(sessions, ids, count); !status.ok())
      return status;
    return tern_session::decodeBatch(sessions, ids, count, nullptr);
  });
}

extern "C" tern_status_t tern_decode_batch_greedy(tern_session_t *const *sessions,
                                                  const int32_t *ids, size_t count,
                                                  tern_greedy_t *out) {
  return guarded("tern_decode_batch_greedy", [&]() -> Status {
    if (Status status = checkBatch(sessions, ids, count); !status.ok())
      return status;
    if (!out)
      return missing("out");
    // As large as the caller knows them, which may be another version.
    auto at = [&](size_t i) {
      return reinterpret_cast<tern_greedy_t *>(reinterpret_cast<uint8_t *>(out) +
                                               i * out->struct_size);
    };
    if (Status status = checkSize(*out); !status.ok())
      return status;
    for (size_t i = 0; i < count; ++i)
      if (at(i)->struct_size != out->struct_size)
        return invalid(format("struct_size of out[%zu] is %zu, of out[0] %zu", i,
                              at(i)->struct_size, out->struct_size));
    std::unique_ptr<tern_session::Best[]> best(new (std::nothrow) tern_session::Best[count]);
    if (!best)
      return Status::error(TERN_STATUS_OUT_OF_MEMORY, TERN_CATEGORY_MEMORY,
                           "no memory for results");
    if (Status status = tern_session::decodeBatch(sessions, ids, count, best.get()); !status.ok())
      return status;
    for (size_t i = 0; i < count; ++i)
      fill(at(i), best[i]);
    return {};
  });
}

extern "C" tern_status_t tern_prefill_logits(tern_session_t *session, const int32_t *ids,
                                             size_t count, float *logits, size_t capacity) {
  return withSession("tern_prefill_logits", session, [&]() -> Status {
    if (!logits)
      return missing("logits");
    uint64_t needed;
    uint32_t vocabulary = session->model().code().vocabulary;
    if (!multiply(count, vocabulary, &needed) || needed > capacity)
      return invalid(format("room for %zu logits, expected %zu x %u", capacity, count, vocabulary));
    return session->append(ids, count, logits);
  });
}

extern "C" tern_status_t tern_session_logits(const tern_session_t *session, const float **logits,
                                             size_t *count) {
  // Logits that were not needed so far are computed now; nothing that callers can see changes.
  auto *own = const_cast<tern_session_t *>(session);
  return withSession("tern_session_logits", own, [&]() -> Status {
    if (!logits)
      return missing("logits");
    if (Status status = own->needLogits(); !status.ok())
      return status;
    const float *last = session->lastLogits();
    if (!last)
      return invalid("no logits yet: prefill or decode first");
    *logits = last;
    if (count)
      *count = session->model().code().vocabulary;
    return {};
  });
}

/// Ids, position and wanted of a language model index memory, so they are checked here too.
static Status checkLanguageCall(const tern_session &session, int64_t rows, const int32_t *ids,
                                const int64_t *indices) {
  uint32_t vocabulary = session.model().code().vocabulary;
  for (int64_t i = 0; i < rows; ++i)
    if (ids[i] < 0 || uint32_t(ids[i]) >= vocabulary)
      return invalid(
          format("token %lld is %d, expected 0 to %u", (long long)i, ids[i], vocabulary - 1));
  if (indices[0] < 0 || indices[0] > int64_t(session.capacity()) - rows)
    return invalid(format("position %lld and %lld rows do not fit %u positions",
                          (long long)indices[0], (long long)rows, session.capacity()));
  if (indices[1] < 0 || indices[1] > rows)
    return invalid(format("%lld rows of logits wanted, expected 0 to %lld", (long long)indices[1],
                          (long long)rows));
  return {};
}

extern "C" tern_status_t tern_session_run(tern_session_t *session, int64_t rows,
                                          const void *const *inputs, size_t input_count,
                                          const int64_t *indices, size_t index_count,
                                          void *const *outputs, size_t output_count) {
  return withSession("tern_session_run", session, [&]() -> Status {
    const tern_descriptor_t &code = session->model().code();
    if (input_count != code.input_count || index_count != code.index_count ||
        output_count != code.output_count)
      return invalid(format("expected %u inputs, %u indices and %u outputs, found %zu, %zu and %zu",
                            code.input_count, code.index_count, code.output_count, input_count,
                            index_count, output_count));
    if (code.fixed_rows && rows != int64_t(code.fixed_rows))
      return invalid(
          format("%lld rows asked for, the module has %u", (long long)rows, code.fixed_rows));
    if (!code.fixed_rows && (rows < 1 || rows > int64_t(code.max_rows)))
      return invalid(
          format("%lld rows asked for, expected 1 to %u", (long long)rows, code.max_rows));
    if ((input_count && !inputs) || (index_count && !indices) || (output_count && !outputs))
      return missing(input_count && !inputs    ? "inputs"
                     : index_count && !indices ? "indices"
                                               : "outputs");
    for (size_t i = 0; i < input_count; ++i)
      if (!inputs[i])
        return missing(format("inputs[%zu]", i).c_str());
    for (size_t i = 0; i < output_count; ++i)
      if (!outputs[i])
        return missing(format("outputs[%zu]", i).c_str());
    if (code.vocabulary != 0)
      if (Status status =
              checkLanguageCall(*session, rows, static_cast<const int32_t *>(inputs[0]), indices);
          !status.ok())
        return status;
    return session->run(rows, inputs, indices, outputs);
  });
}
