//===- Profile.cpp - where the time of a model's calls goes ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Profile.h"

#include "tern/abi.h"

#include <algorithm>
#include <chrono>
#include <set>

using namespace tern;
using namespace tern::cli;

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double memorySeconds(const OpProfile &op, const MachineLimits &limits) {
  return limits.readGBs > 0 ? op.bytes / limits.readGBs / 1e9 : 0;
}
static double productSeconds(const OpProfile &op, const MachineLimits &limits) {
  return op.int8 && limits.int8GMacs > 0 ? op.macs / limits.int8GMacs / 1e9 : 0;
}

double tern::cli::limitSeconds(const OpProfile &op, const MachineLimits &limits) {
  return std::max(memorySeconds(op, limits), productSeconds(op, limits));
}

llvm::StringRef tern::cli::limitName(const OpProfile &op, const MachineLimits &limits) {
  if (limitSeconds(op, limits) <= 0)
    return "";
  return memorySeconds(op, limits) >= productSeconds(op, limits) ? "memory" : "int8";
}

Recorder::Recorder(llvm::ArrayRef<Probe> probes, uint32_t threads)
    : probes(probes), events(threads), placeNames(1) {
  // A few calls of a large model; recording must seldom allocate.
  for (std::vector<Event> &list : events)
    list.reserve(1 << 15);
}

void Recorder::record(void *recorder, uint32_t thread, uint32_t what, int64_t rows) {
  static_cast<Recorder *>(recorder)->events[thread].push_back({now(), what, rows});
}

void Recorder::begin(uint64_t position) {
  for (std::vector<Event> &list : events)
    list.clear();
  firstPosition = position;
  started = now();
}

void Recorder::end(uint64_t tokens, std::optional<uint64_t> computed) {
  double finished = now();
  headRows = computed;
  totals.tokens += tokens;
  totals.seconds += finished - started;
  for (uint32_t thread = 0; thread < events.size(); ++thread)
    addThread(thread, finished);
}

uint32_t Recorder::below(uint32_t place, uint32_t call) {
  auto [found, isNew] = places.try_emplace({place, call}, static_cast<uint32_t>(placeNames.size()));
  if (isNew) {
    std::string outer = placeNames[place];
    placeNames.push_back(outer.empty() ? probes[call].name : outer + "/" + probes[call].name);
  }
  return found->second;
}

Recorder::Sums &Recorder::sumsOf(Key key) {
  auto [found, isNew] = sums.try_emplace(key);
  if (isNew)
    found->second.order = sums.size();
  return found->second;
}

void Recorder::addExecution(Sums &sum, const OpCost &cost, double rows, double position) {
  ++sum.executions;
  if (rows <= 0)
    return;
  const bool searched = headRows && cost.screenBytes > 0;
  const double weights =
      searched ? cost.screenBytes + static_cast<double>(*headRows) * cost.bytesPerHeadRow
               : cost.weightBytes;
  sum.bytes += weights + rows * cost.bytesPerRow + (position + rows) * cost.bytesPerPosition;
  sum.activationBytes += rows * cost.activationBytesPerRow;
  // Row m attends to the positions before the call and to m + 1 of its own.
  sum.macs += rows * cost.macsPerRow + rows * (position + (rows + 1) / 2) * cost.macsPerPair;
}

/// Every instant between two events belongs to what the first one began.
void Recorder::addThread(uint32_t thread, double finished) {
  const double share = 1.0 / static_cast<double>(events.size());
  double since = started, *into = &totals.outside;
  double position = static_cast<double>(firstPosition), rowsOfCall = 0;
  std::vector<uint32_t> stack = {0};
  std::set<Key> seen; // in this call: an op of two phases runs once
  for (const Event &event : events[thread]) {
    *into += (event.time - since) * share;
    since = event.time;
    into = &totals.outside;
    if (event.what == TERN_PROBE_CALL) {
      stack = {0};
      seen.clear();
      position += rowsOfCall;
      rowsOfCall = static_cast<double>(event.rows);
    } else if (event.what == TERN_PROBE_WAIT) {
      into = &totals.waiting;
    } else if (event.what == TERN_PROBE_RETURN) {
      if (stack.size() > 1)
        stack.pop_back();
    } else if (uint32_t index = event.what - TERN_PROBE_FIRST; index < probes.size()) {
      if (probes[index].isCall) {
        stack.push_back(below(stack.back(), index));
        continue;
      }
      Key key = {stack.back(), index};
      Sums &sum = sumsOf(key);
      if (thread == 0 && seen.insert(key).second)
        addExecution(sum, probes[index].cost, static_cast<double>(event.rows), position);
      into = &sum.seconds;
    }
  }
  *into += (finished - since) * share;
}

CallProfile Recorder::take(llvm::StringRef name) {
  CallProfile result = std::move(totals);
  result.name = name.str();
  std::vector<std::pair<Key, Sums>> inOrder(sums.begin(), sums.end());
  std::sort(inOrder.begin(), inOrder.end(),
            [](const auto &a, const auto &b) { return a.second.order < b.second.order; });
  std::map<std::string, size_t> known;
  for (const auto &[key, sum] : inOrder) {
    const Probe &probe = probes[key.second];
    auto [found, isNew] = known.try_emplace(probe.name, result.ops.size());
    if (isNew) {
      result.ops.emplace_back().name = probe.name;
      result.ops.back().int8 = probe.cost.int8;
    }
    OpProfile &op = result.ops[found->second];
    op.seconds += sum.seconds;
    op.executions += sum.executions;
    op.bytes += sum.bytes;
    op.activationBytes += sum.activationBytes;
    op.macs += sum.macs;
    const std::string &layer = placeNames[key.first];
    if (layer.empty())
      continue;
    if (op.layers.empty() || op.layers.back().first != layer)
      op.layers.emplace_back(layer, 0.0);
    op.layers.back().second += sum.seconds;
  }
  totals = {};
  sums.clear();
  return result;
}
