//===- BatchBench.cpp - several sequences at once, timed ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/BatchBench.h"

#include <algorithm>

using namespace llvm;

namespace tern::cli {

/// Seconds for one round.
static Expected<double> timeRound(ArrayRef<tern_session_t *> sessions, uint32_t vocabulary,
                                  uint32_t tokens) {
  for (tern_session_t *session : sessions)
    if (Error error = checkStatus(tern_session_trim(session, 0)))
      return error;
  std::vector<int32_t> ids(sessions.size());
  std::vector<tern_greedy_t> found(sessions.size(), {sizeof(tern_greedy_t), 0, 0, 0});
  auto start = std::chrono::steady_clock::now();
  for (uint32_t step = 0; step < tokens; ++step) {
    for (size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<int32_t>((step * 7919 + i * 104729 + 13) % vocabulary);
    if (Error error = checkStatus(
            tern_decode_batch_greedy(sessions.data(), ids.data(), ids.size(), found.data())))
      return error;
  }
  return secondsSince(start);
}

Expected<double> measureBatch(tern_model_t *model, tern_session_t *session, const BatchPlan &plan) {
  auto info = modelInfo(model);
  if (!info)
    return info.takeError();
  std::vector<Session> others;
  std::vector<tern_session_t *> sessions = {session};
  while (sessions.size() < plan.sequences) {
    auto other = makeSession(model, /*threads=*/1, plan.tokens);
    if (!other)
      return other.takeError();
    sessions.push_back(other->get());
    others.push_back(std::move(*other));
  }
  std::vector<double> speeds;
  for (uint32_t round = 0; round <= plan.rounds; ++round) {
    Expected<double> seconds = timeRound(sessions, info->vocabulary, plan.tokens);
    if (!seconds)
      return seconds.takeError();
    if (round > 0) // the first one warms caches and pages
      speeds.push_back(static_cast<double>(plan.sequences) * plan.tokens / *seconds);
  }
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2];
}

} // namespace tern::cli
