//===- Fit.cpp - which target holds a matrix exactly ----------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Matrices.h"

#include "dialect/Semantics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace llvm;

namespace tern::convert {

StringRef nameOf(Target target) {
  constexpr StringLiteral kNames[] = {"tq1_0", "tq2_0", "i2_s", "hf"};
  return kNames[static_cast<int>(target)];
}

static std::string number(float value) {
  std::string text;
  raw_string_ostream(text) << format("%.9g", static_cast<double>(value));
  return text;
}

static Fit misfit(const Twine &why) { return {why.str()}; }

/// One positive float32 for the tensor, which i2_s and packed folders hold.
static Fit fitOneScale(const Matrix &matrix, StringRef holder, bool subnormal) {
  if (!matrix.oneScale())
    return misfit("has more than one scale, and " + holder + " holds one for the tensor");
  float scale = matrix.scales.front();
  if (!(scale > 0) || !(std::isnormal(scale) || subnormal))
    return misfit("scale " + number(scale) + ": " + holder + " needs " +
                  (subnormal ? "one" : "a normal float32") + " above 0");
  return {};
}

static Fit fitI2S(const Matrix &matrix) {
  // Other programs compute wrong products where a row is no whole number of runs.
  if (matrix.columns % 128)
    return misfit(Twine(matrix.columns) + " columns: i2_s needs a multiple of 128");
  return fitOneScale(matrix, "i2_s", /*subnormal=*/true);
}

static Fit fitPacked(const Matrix &matrix) {
  if (matrix.rows % 4)
    return misfit(Twine(matrix.rows) + " rows: four of them share a byte in a packed folder, so "
                                       "they must be a multiple of 4");
  return fitOneScale(matrix, "a packed folder", /*subnormal=*/false);
}

/// Whether the scales of each run of `wanted` columns are one.
static bool uniform(const Matrix &matrix, int64_t wanted) {
  if (matrix.columns % wanted)
    return false;
  int64_t perRow = matrix.columns / matrix.group;
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t at = 0; at < matrix.columns; at += wanted) {
      int64_t first = at / matrix.group, last = (at + wanted - 1) / matrix.group;
      if (!all_equal(ArrayRef(matrix.scales).slice(row * perRow + first, last - first + 1)))
        return false;
    }
  return true;
}

/// Blocks of 256 columns where scales and columns allow it, else those of 64.
static Fit fitBlocks(const Matrix &matrix, Target target, bool roundScales) {
  Fit result;
  if (uniform(matrix, 256))
    result.format = target == Target::TQ1_0 ? blocks::Format::TQ1_0 : blocks::Format::TQ2_0;
  else if (uniform(matrix, 64))
    result.format = blocks::Format::Q2_0;
  else if (matrix.columns % 64)
    return misfit(Twine(matrix.columns) + " columns: " + nameOf(target) +
                  " and the smaller blocks of q2_0 need a multiple of 64");
  else
    return misfit("has a scale for every " + Twine(matrix.group) + " columns, and " +
                  nameOf(target) + " holds one for 256, or for 64 in blocks of q2_0");
  for (float scale : matrix.scales) {
    float half = semantics::fromF16(semantics::toF16(scale));
    if (!std::isfinite(half) || (half == 0 && scale != 0))
      return misfit("scale " + number(scale) + " is beyond float16, which " + nameOf(target) +
                    " holds");
    if (half != scale && !roundScales && result.why.empty()) {
      result.why = "scale " + number(scale) + " is not exact in float16, which " +
                   nameOf(target).str() + " holds (it would be " + number(half) + ")";
      result.rounds = true;
    }
  }
  return result;
}

Fit fit(const Matrix &matrix, Target target, bool roundScales) {
  switch (target) {
  case Target::TQ1_0:
  case Target::TQ2_0:
    return fitBlocks(matrix, target, roundScales);
  case Target::I2S:
    return fitI2S(matrix);
  case Target::HuggingFace:
    return fitPacked(matrix);
  }
  llvm_unreachable("all targets are handled");
}

std::string whatHolds(const Source &source, bool folder) {
  constexpr Target kTargets[] = {Target::TQ2_0, Target::I2S, Target::HuggingFace};
  bool holds[] = {true, true, folder && !source.floatActivations()}, rounds = true;
  for (StringRef name : source.order) {
    if (!source.isTrits(name))
      continue;
    Expected<Matrix> matrix = readMatrix(source, name);
    if (!matrix)
      return toString(matrix.takeError());
    for (auto [target, ok] : zip_equal(kTargets, holds))
      ok = ok && fit(*matrix, target, false);
    rounds = rounds && fit(*matrix, Target::TQ2_0, true);
    source.files.release();
  }
  SmallVector<StringRef> names;
  for (auto [target, ok] : zip_equal(kTargets, holds))
    if (ok)
      names.push_back(nameOf(target));
  std::string text;
  for (auto [index, name] : enumerate(names))
    text += (index == 0 ? "--type " : index + 1 == names.size() ? " or " : ", ") + name.str();
  if (!text.empty())
    return text + " can hold it";
  return rounds ? "nothing that is written holds it exactly; --type tq2_0 --round-scales comes "
                  "closest"
                : "nothing that is written holds it";
}

Expected<Fit> requireFit(const Source &source, const Matrix &matrix, const Options &options) {
  Fit result = fit(matrix, options.target, options.roundScales);
  if (result)
    return result;
  return createStringError("weight \"" + matrix.name + "\": " + result.why +
                           (result.rounds ? "; --round-scales allows that, " : "; ") +
                           whatHolds(source));
}

} // namespace tern::convert
