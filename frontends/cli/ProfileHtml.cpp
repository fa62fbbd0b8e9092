//===- ProfileHtml.cpp - a profile as one page ----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Profile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cmath>

using namespace llvm;
using namespace tern;
using namespace tern::cli;

namespace {
constexpr StringLiteral kStyle = R"css(
body { font: 14px/1.45 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em;
  color: #222; }
h1 { font-size: 1.5em; } h2 { font-size: 1.2em; margin-top: 2em; }
table { border-collapse: collapse; } td, th { padding: 2px 10px; text-align: right; }
td:first-child, th:first-child { text-align: left; }
thead th { border-bottom: 1px solid #888; } tr.sum td { border-top: 1px solid #888; }
.bar { fill: #3b7dd8; } .roof { stroke: #444; fill: none; stroke-width: 1.5; }
.grid { stroke: #ddd; } text { font-size: 12px; fill: #222; }
.call0 { fill: #d8643b; } .call1 { fill: #3b7dd8; }
)css";

/// A logarithmic axis from 10^first to 10^last, drawn from `begin` to `end`.
struct Axis {
  int first, last;
  double begin, end;
  double at(double value) const {
    double share = (std::log10(value) - first) / (last - first);
    return begin + (end - begin) * std::clamp(share, 0.0, 1.0);
  }
};

class Page {
public:
  Page(ArrayRef<CallProfile> calls, const MachineLimits &limits, raw_ostream &out)
      : calls(calls), limits(limits), out(out) {}

  void roofline();
  void table(const CallProfile &call);

private:
  void axes(const Axis &x, const Axis &y);
  void points(const Axis &x, const Axis &y, size_t index);
  void row(StringRef name, double seconds, const CallProfile &call);
  /// printHTMLEscaped leaves single quotes, which no attribute here is bounded by.
  void text(StringRef plain) { printHTMLEscaped(plain, out); }

  ArrayRef<CallProfile> calls;
  const MachineLimits &limits;
  raw_ostream &out;
};
} // namespace

void Page::axes(const Axis &x, const Axis &y) {
  for (int i = x.first; i <= x.last; ++i) {
    double at = x.at(std::pow(10, i));
    out << format("<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", at,
                  y.begin, at, y.end)
        << format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>\n", at,
                  y.begin + 18, std::pow(10, i));
  }
  for (int i = y.first; i <= y.last; ++i) {
    double at = y.at(std::pow(10, i));
    out << format("<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x.begin,
                  at, x.end, at)
        << format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", x.begin - 6,
                  at + 4, std::pow(10, i));
  }
  out << format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">multiply-adds a byte of "
                "weights and cache</text>\n",
                (x.begin + x.end) / 2, y.begin + 38)
      << format("<text x=\"%.1f\" y=\"%.1f\">10^9 multiply-adds a second</text>\n", x.begin,
                y.end - 8);
}

void Page::points(const Axis &x, const Axis &y, size_t index) {
  const CallProfile &call = calls[index];
  for (const OpProfile &op : call.ops) {
    if (op.bytes <= 0 || op.macs <= 0 || op.seconds <= 0)
      continue;
    double radius = 4 + 16 * std::sqrt(op.seconds / call.seconds);
    out << format("<circle class=\"call%zu\" fill-opacity=\"0.6\" cx=\"%.1f\" cy=\"%.1f\" "
                  "r=\"%.1f\"><title>",
                  index % 2, x.at(op.macs / op.bytes), y.at(op.macs / op.seconds / 1e9), radius);
    text(call.name + ": " + op.name);
    out << format(", %.1f %% of the time, %.1f GB/s, %.1f G multiply-adds/s</title></circle>\n",
                  op.seconds / call.seconds * 100, op.bytes / op.seconds / 1e9,
                  op.macs / op.seconds / 1e9);
  }
}

void Page::roofline() {
  const Axis x{-1, 4, 70, 900}, y{-1, 4, 420, 30};
  out << "<h2>Roofline</h2>\n<svg viewBox=\"0 0 920 470\" width=\"920\" height=\"470\" "
         "role=\"img\">\n";
  axes(x, y);
  if (limits.readGBs > 0 && limits.int8GMacs > 0) {
    double least = std::pow(10, x.first), most = std::pow(10, x.last);
    double ridge = limits.int8GMacs / limits.readGBs;
    out << format("<polyline class=\"roof\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\"/>\n",
                  x.at(least), y.at(least * limits.readGBs), x.at(ridge), y.at(limits.int8GMacs),
                  x.at(most), y.at(limits.int8GMacs));
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    points(x, y, i);
    out << format("<circle class=\"call%zu\" cx=\"%.0f\" cy=\"44\" r=\"6\"/><text x=\"%.0f\" "
                  "y=\"48\">",
                  i % 2, 640.0 + 120.0 * static_cast<double>(i),
                  652.0 + 120.0 * static_cast<double>(i));
    text(calls[i].name);
    out << "</text>\n";
  }
  out << "</svg>\n<p>Areas of circles grow with the share of the time. The line is what this "
         "machine does: "
      << format("%.1f GB/s read and %.0f G int8 multiply-adds/s, measured in the same run.</p>\n",
                limits.readGBs, limits.int8GMacs);
}

void Page::row(StringRef name, double seconds, const CallProfile &call) {
  double share = call.seconds > 0 ? seconds / call.seconds : 0;
  double tokens = std::max<double>(1, static_cast<double>(call.tokens));
  out << "<td>";
  text(name);
  out << format("</td><td>%.3f</td><td>%.1f %%</td><td><svg width=\"160\" height=\"12\"><rect "
                "class=\"bar\" width=\"%.1f\" height=\"12\"/></svg></td>",
                seconds / tokens * 1e3, share * 100, share * 160);
}

void Page::table(const CallProfile &call) {
  out << "<h2>";
  text(call.name);
  out << format(", %llu tokens</h2>\n", static_cast<unsigned long long>(call.tokens))
      << "<table><thead><tr><th>op</th><th>ms a token</th><th>time</th><th></th><th>MB a "
         "token</th><th>GB/s</th><th>GMAC/s</th><th>of limit</th></tr></thead><tbody>\n";
  double tokens = std::max<double>(1, static_cast<double>(call.tokens));
  for (const OpProfile &op : call.ops) {
    out << "<tr>";
    row(op.name, op.seconds, call);
    double seconds = std::max(op.seconds, 1e-12);
    out << format("<td>%.3f</td><td>%.1f</td><td>%.1f</td><td>", op.bytes / tokens / 1e6,
                  op.bytes / seconds / 1e9, op.macs / seconds / 1e9);
    if (double least = limitSeconds(op, limits); least > 0)
      out << format("%.1f %% ", least / seconds * 100) << limitName(op, limits);
    out << "</td></tr>\n";
  }
  for (auto [name, seconds] : {std::pair<StringRef, double>{"waiting at barriers", call.waiting},
                               {"before and after the code", call.outside}}) {
    out << "<tr>";
    row(name, seconds, call);
    out << "<td></td><td></td><td></td><td></td></tr>\n";
  }
  out << "<tr class=\"sum\">";
  row("all", call.seconds, call);
  out << "<td></td><td></td><td></td><td></td></tr>\n</tbody></table>\n";
}

std::string tern::cli::htmlPage(StringRef model, ArrayRef<CallProfile> calls,
                                const MachineLimits &limits, uint32_t threads) {
  std::string page;
  raw_string_ostream out(page);
  out << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><title>";
  printHTMLEscaped(model, out);
  out << "</title><style>" << kStyle << "</style></head><body>\n<h1>";
  printHTMLEscaped(model, out);
  out << "</h1>\n<p>threads " << threads << "</p>\n";
  Page body(calls, limits, out);
  body.roofline();
  for (const CallProfile &call : calls)
    body.table(call);
  out << "</body></html>\n";
  return page;
}
