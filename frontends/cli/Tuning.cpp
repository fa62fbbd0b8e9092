//===- Tuning.cpp - packings that were measured to be the fastest ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Tuning.h"

#include "codegen/Target.h"
#include "frontends/import/Json.h"
#include "passes/ShapePacking.h"

#include <cmath>

using namespace llvm;

namespace tern::cli {

static constexpr int64_t kVersion = 1;
static constexpr int64_t kMostSide = int64_t(1) << 31;

static Error readShape(const import::Json &json, Tuning &tuning) {
  auto rows = json.getInteger("rows", 1, kMostSide);
  if (!rows)
    return rows.takeError();
  auto columns = json.getInteger("columns", 1, kMostSide);
  if (!columns)
    return columns.takeError();
  auto packing = json.getString("packing");
  if (!packing)
    return packing.takeError();
  if (!ternary::symbolizePackingKind(*packing))
    return json.error("packing '" + *packing + "' is not known, expected two_bit or base3");
  for (const Tuning::Shape &other : tuning.shapes)
    if (other.rows == *rows && other.columns == *columns)
      return json.error(Twine(*rows) + "x" + Twine(*columns) + " is there already");
  tuning.shapes.push_back({*rows, *columns, packing->str(), {}});
  return Error::success();
}

static Error readTuning(const import::Json &json, Tuning &tuning) {
  auto version = json.getInteger("tern_tuning");
  if (!version)
    return version.takeError();
  if (*version != kVersion)
    return json.error("tern_tuning: expected " + Twine(kVersion) + ", found " + Twine(*version));
  auto level = json.getString("level");
  if (!level)
    return level.takeError();
  auto targets = parseTargets(*level);
  if (!targets)
    return json.error("level: " + toString(targets.takeError()));
  tuning.level = level->str();
  auto threads = json.getInteger("threads", 1, 256);
  if (!threads)
    return threads.takeError();
  tuning.threads = *threads;
  auto shapes = json.getArray("shapes");
  if (!shapes)
    return shapes.takeError();
  for (const import::Json &shape : *shapes)
    if (Error error = readShape(shape, tuning))
      return error;
  return Error::success();
}

Expected<Tuning> Tuning::read(StringRef path) {
  auto document = import::JsonDocument::read(path);
  if (!document)
    return document.takeError();
  Tuning tuning;
  if (Error error = readTuning(document->root(), tuning))
    return std::move(error);
  return tuning;
}

json::Value Tuning::toJson() const {
  json::Array list;
  for (const Shape &shape : shapes) {
    json::Object entry{
        {"rows", shape.rows}, {"columns", shape.columns}, {"packing", shape.packing}};
    json::Array measured;
    for (const Time &time : shape.times)
      measured.push_back(json::Object{{"packing", time.packing},
                                      {"nanoseconds", std::llround(time.microseconds * 1e3)},
                                      {"mb_per_second", std::llround(time.gbs * 1e3)}});
    if (!measured.empty())
      entry["measured"] = std::move(measured);
    list.push_back(std::move(entry));
  }
  return json::Object{{"tern_tuning", kVersion},
                      {"level", level},
                      {"threads", threads},
                      {"shapes", std::move(list)}};
}

std::vector<std::string> Tuning::choices() const {
  std::vector<std::string> result;
  for (const Shape &shape : shapes)
    result.push_back(
        ShapePacking{shape.rows, shape.columns, *ternary::symbolizePackingKind(shape.packing)}
            .text());
  return result;
}

Expected<std::vector<std::string>> tunedShapes(StringRef path) {
  if (path.empty())
    return std::vector<std::string>();
  auto tuning = Tuning::read(path);
  if (!tuning)
    return tuning.takeError();
  return tuning->choices();
}

} // namespace tern::cli
