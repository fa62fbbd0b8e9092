//===- ProfileReport.cpp - a profile as table and as JSON -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Profile.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace llvm;
using namespace tern;
using namespace tern::cli;

static double ratio(double a, double b) { return b > 0 ? a / b : 0; }

static void printRow(raw_ostream &out, StringRef name, double seconds, const CallProfile &call) {
  out << left_justify(name.take_front(44), 44)
      << format("%10.3f %6.1f %%", ratio(seconds, static_cast<double>(call.tokens)) * 1e3,
                ratio(seconds, call.seconds) * 100);
}

void tern::cli::printTable(const CallProfile &call, const MachineLimits &limits, uint32_t threads,
                           raw_ostream &out) {
  out << '\n'
      << left_justify(call.name + ", threads " + std::to_string(threads), 44)
      << "  ms/token    time   MB/token     GB/s   GMAC/s  of limit\n";
  double bytes = 0, macs = 0, limit = 0;
  for (const OpProfile &op : call.ops) {
    bytes += op.bytes, macs += op.macs, limit += limitSeconds(op, limits);
    printRow(out, op.name, op.seconds, call);
    out << format(" %10.3f %8.1f %8.1f", ratio(op.bytes, static_cast<double>(call.tokens)) / 1e6,
                  ratio(op.bytes, op.seconds) / 1e9, ratio(op.macs, op.seconds) / 1e9);
    if (double least = limitSeconds(op, limits); least > 0)
      out << format("   %5.1f %% ", ratio(least, op.seconds) * 100) << limitName(op, limits);
    out << '\n';
  }
  printRow(out, "waiting at barriers", call.waiting, call);
  out << '\n';
  printRow(out, "before and after the code", call.outside, call);
  out << '\n';
  printRow(out, "all", call.seconds, call);
  out << format(" %10.3f %8.1f %8.1f   %5.1f %%\n",
                ratio(bytes, static_cast<double>(call.tokens)) / 1e6,
                ratio(bytes, call.seconds) / 1e9, ratio(macs, call.seconds) / 1e9,
                ratio(limit, call.seconds) * 100);
}

json::Object tern::cli::toJson(const CallProfile &call, const MachineLimits &limits) {
  json::Array ops;
  for (const OpProfile &op : call.ops) {
    json::Array layers;
    for (const auto &[layer, seconds] : op.layers)
      layers.push_back(json::Object{{"layer", layer}, {"seconds", seconds}});
    json::Object entry{{"name", op.name},
                       {"seconds", op.seconds},
                       {"executions", static_cast<int64_t>(op.executions)},
                       {"bytes", op.bytes},
                       {"activation_bytes", op.activationBytes},
                       {"macs", op.macs},
                       {"layers", std::move(layers)}};
    if (double least = limitSeconds(op, limits); least > 0) {
      entry["limit"] = limitName(op, limits);
      entry["share_of_limit"] = ratio(least, op.seconds);
    }
    ops.push_back(std::move(entry));
  }
  return json::Object{{"tokens", static_cast<int64_t>(call.tokens)},
                      {"seconds", call.seconds},
                      {"waiting_seconds", call.waiting},
                      {"outside_seconds", call.outside},
                      {"ops", std::move(ops)}};
}
