//===- Profile.h - where the time of a model's calls goes -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_PROFILE_H
#define TERN_FRONTENDS_CLI_PROFILE_H

#include "codegen/Probes.h"
#include "frontends/cli/Limits.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tern::cli {

/// All executions of the ops of one name. Seconds are those of the calling thread's clock, summed
/// over threads and divided by their number.
struct OpProfile {
  std::string name;
  double seconds = 0;
  uint64_t executions = 0;
  double bytes = 0; ///< that must come from memory: weights and cache
  double activationBytes = 0, macs = 0;
  bool int8 = false;                                  ///< the multiply-adds are of int8
  std::vector<std::pair<std::string, double>> layers; ///< seconds by layer, in order of execution
};

/// What one kind of call spent. The parts add up to `seconds`.
struct CallProfile {
  std::string name; ///< "prefill", "decode"
  uint64_t tokens = 0;
  double seconds = 0;
  double waiting = 0; ///< at barriers, mean of the threads
  double outside = 0; ///< before and after the compiled code
  std::vector<OpProfile> ops;
};

/// The seconds that a machine of these limits needs at least, and for what ("memory", "int8").
double limitSeconds(const OpProfile &op, const MachineLimits &limits);
llvm::StringRef limitName(const OpProfile &op, const MachineLimits &limits);

/// Takes down what code compiled with probes says while it runs: give `record` and the recorder to
/// the session.
class Recorder {
public:
  Recorder(llvm::ArrayRef<Probe> probes, uint32_t threads);
  /// A tern_probe_fn.
  static void record(void *recorder, uint32_t thread, uint32_t what, int64_t rows);

  /// Around calls of the session, which has `position` positions before them.
  void begin(uint64_t position);
  /// `headRows`: logits that tern_decode_greedy computed; empty for calls that compute all.
  void end(uint64_t tokens, std::optional<uint64_t> headRows = std::nullopt);
  /// All since the last `take`.
  CallProfile take(llvm::StringRef name);

private:
  struct Event {
    double time;
    uint32_t what;
    int64_t rows;
  };
  /// An op in a place: below which calls it ran.
  using Key = std::pair<uint32_t, uint32_t>;
  struct Sums {
    size_t order = 0; ///< of first execution
    double seconds = 0;
    uint64_t executions = 0;
    double bytes = 0, activationBytes = 0, macs = 0;
  };

  void addThread(uint32_t thread, double finished);
  void addExecution(Sums &sums, const OpCost &cost, double rows, double position);
  uint32_t below(uint32_t place, uint32_t call);
  Sums &sumsOf(Key key);

  std::vector<Probe> probes;
  std::vector<std::vector<Event>> events; ///< by thread
  double started = 0;
  uint64_t firstPosition = 0;
  std::optional<uint64_t> headRows;    ///< of the call
  std::map<Key, uint32_t> places;      ///< (place, call) to the place below it
  std::vector<std::string> placeNames; ///< 0: the entry
  std::map<Key, Sums> sums;            ///< (place, op)
  CallProfile totals;
};

// ProfileReport.cpp, ProfileHtml.cpp: what a profile looks like.
void printTable(const CallProfile &call, const MachineLimits &limits, uint32_t threads,
                llvm::raw_ostream &out);
llvm::json::Object toJson(const CallProfile &call, const MachineLimits &limits);
/// A page without references to anything outside it.
std::string htmlPage(llvm::StringRef model, llvm::ArrayRef<CallProfile> calls,
                     const MachineLimits &limits, uint32_t threads);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_PROFILE_H
