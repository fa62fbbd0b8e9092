//===- Tuning.cpp - packings that were measured to be the fastest ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Tuning.h"

#include "codegen/Target.h"
#include "frontends/cli/Support.h"
#include "passes/ShapePacking.h"

#include <set>

using namespace llvm;

namespace tern::cli {

static constexpr int64_t kVersion = 1;
static constexpr int64_t kMostSide = int64_t(1) << 31;

static Error readShape(const json::Object *object, const Twine &place, Tuning &tuning) {
  if (!object)
    return makeError(place + ": expected an object");
  Tuning::Shape shape;
  for (auto [name, side] : {std::pair{"rows", &shape.rows}, std::pair{"columns", &shape.columns}}) {
    auto value = object->getInteger(name);
    if (!value || *value < 1 || *value > kMostSide)
      return makeError(place + ": expected \"" + name + "\", a whole number from 1 to 2147483648");
    *side = *value;
  }
  auto packing = object->getString("packing");
  if (!packing)
    return makeError(place + ": expected \"packing\", the name of one");
  shape.packing = packing->str();
  if (!ternary::symbolizePackingKind(shape.packing))
    return makeError(place + ": packing '" + shape.packing + "' is not known");
  for (const Tuning::Shape &other : tuning.shapes)
    if (other.rows == shape.rows && other.columns == shape.columns)
      return makeError(place + ": " + Twine(shape.rows) + "x" + Twine(shape.columns) +
                       " is there already");
  tuning.shapes.push_back(std::move(shape));
  return Error::success();
}

Expected<Tuning> Tuning::read(StringRef path) {
  auto text = readTextFile(path);
  if (!text)
    return text.takeError();
  auto value = json::parse(*text);
  if (!value)
    return makeError(path + ": is no tuning: " + toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object || object->getInteger("tern_tuning") != kVersion)
    return makeError(path +
                     ": is no tuning: expected an object with \"tern_tuning\": " + Twine(kVersion));
  Tuning tuning;
  tuning.level = object->getString("level").value_or("").str();
  auto level = parseTargets(tuning.level);
  if (!level)
    return makeError(path + ": level: " + toString(level.takeError()));
  tuning.threads = object->getInteger("threads").value_or(0);
  if (tuning.threads < 1 || tuning.threads > 256)
    return makeError(path + ": expected \"threads\", a whole number from 1 to 256");
  const json::Array *shapes = object->getArray("shapes");
  if (!shapes)
    return makeError(path + ": expected \"shapes\", an array");
  for (auto [i, shape] : enumerate(*shapes))
    if (Error error = readShape(shape.getAsObject(), path + ": shapes[" + Twine(i) + "]", tuning))
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
      measured.push_back(json::Object{
          {"packing", time.packing}, {"microseconds", time.microseconds}, {"gbs", time.gbs}});
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
