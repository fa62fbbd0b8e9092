//===- WeightSummary.cpp - what a module's weights are, in short ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/WeightSummary.h"

#include "frontends/cli/Support.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tern::cli {

static mlir::ShapedType shapeOf(ternary::WeightOp weight) {
  return cast<mlir::ShapedType>(weight.getType());
}

static bool isTrits(ternary::WeightOp weight) {
  return isa<ternary::TritType>(shapeOf(weight).getElementType());
}

static std::string describeSource(ternary::WeightOp weight) {
  auto source = cast<ternary::SourceAttr>(weight.getSources()[0]);
  std::string text = ternary::stringifyEncoding(source.getEncoding()).str();
  if (source.getDerive() != ternary::Derivation::None)
    text += ", " + ternary::stringifyDerivation(source.getDerive()).str();
  if (weight.getSources().size() > 1)
    text += ", " + std::to_string(weight.getSources().size()) + " parts";
  return text;
}

/// The section's bytes once packed, else those of the sources.
static uint64_t bytesOf(ternary::WeightOp weight) {
  if (auto section = weight.getSection())
    return (*section)[1];
  uint64_t bytes = 0;
  for (mlir::Attribute source : weight.getSources())
    bytes += cast<ternary::SourceAttr>(source).getBytes();
  return bytes;
}

/// Whether a reader of `weight` starts with a pass over all of its source.
static bool needsWholeSource(ternary::WeightOp weight) {
  return llvm::any_of(weight.getSources(), [](mlir::Attribute source) {
    auto derive = cast<ternary::SourceAttr>(source).getDerive();
    return derive != ternary::Derivation::None && derive != ternary::Derivation::Reciprocal &&
           derive != ternary::Derivation::SignTrits;
  });
}

static Expected<double> zeroShare(const WeightReader &reader, int64_t sampleRows) {
  constexpr int64_t kRows = 64;
  int64_t rows = sampleRows ? std::min(sampleRows, reader.rows()) : reader.rows();
  std::vector<int8_t> trits(kRows * reader.columns());
  uint64_t zeros = 0;
  for (int64_t row = 0; row < rows; row += kRows) {
    int64_t count = std::min(kRows, rows - row);
    if (Error error = reader.readTrits(row, count, trits.data()))
      return error;
    zeros += std::count(trits.begin(), trits.begin() + count * reader.columns(), 0);
  }
  return static_cast<double>(zeros) / (static_cast<double>(rows) * reader.columns());
}

/// What the bytes of `weight` say: the share of zeros, or the value of a single scale.
static Error readBytes(ternary::WeightOp weight, const WeightFiles &files, int64_t sampleRows,
                       WeightSummary &row) {
  bool single = shapeOf(weight).getNumElements() == 1;
  if ((!isTrits(weight) && !single) || (sampleRows && needsWholeSource(weight)))
    return Error::success();
  auto reader = WeightReader::create(weight, files);
  if (!reader)
    return reader.takeError();
  if (isTrits(weight)) {
    auto share = zeroShare(*reader, sampleRows);
    if (!share)
      return share.takeError();
    row.zeroShare = *share;
    return Error::success();
  }
  float value = 0;
  if (Error error = reader->readFloats(0, 1, &value))
    return error;
  row.scale = value;
  return Error::success();
}

Expected<std::vector<WeightSummary>> summariseWeights(mlir::ModuleOp module,
                                                      const WeightFiles *files, int64_t sampleRows,
                                                      function_ref<void(double)> progress) {
  std::vector<WeightSummary> rows;
  auto weights = llvm::to_vector(module.getOps<ternary::WeightOp>());
  for (auto [index, weight] : llvm::enumerate(weights)) {
    progress(static_cast<double>(index) / weights.size());
    WeightSummary row;
    row.name = weight.getSymName().str();
    row.source = describeSource(weight);
    raw_string_ostream(row.type) << weight.getType();
    row.bytes = bytesOf(weight);
    if (files)
      if (Error error = readBytes(weight, *files, sampleRows, row))
        return error;
    // A scale follows its matrix.
    if (row.scale && !rows.empty() && row.name == rows.back().name + ".scale")
      rows.back().scale = row.scale;
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Six significant digits: for reading.
static double rounded(double value) {
  std::string text;
  raw_string_ostream(text) << format("%.6g", value);
  double result = 0;
  to_float(text, result);
  return result;
}

json::Array toJson(ArrayRef<WeightSummary> rows) {
  json::Array weights;
  for (const WeightSummary &row : rows) {
    json::Object weight{{"name", row.name},
                        {"type", row.type},
                        {"source", row.source},
                        {"bytes", static_cast<int64_t>(row.bytes)}};
    if (row.zeroShare)
      weight["zero_share"] = rounded(*row.zeroShare);
    if (row.scale)
      weight["scale"] = rounded(*row.scale);
    weights.push_back(std::move(weight));
  }
  return weights;
}

std::vector<WeightSummary> fromJson(const json::Array &weights) {
  std::vector<WeightSummary> rows;
  for (const json::Value &value : weights) {
    const json::Object *weight = value.getAsObject();
    if (!weight || !weight->getString("name"))
      continue;
    WeightSummary row;
    row.name = weight->getString("name")->str();
    row.type = weight->getString("type").value_or("").str();
    row.source = weight->getString("source").value_or("").str();
    row.bytes = weight->getInteger("bytes").value_or(0);
    row.zeroShare = weight->getNumber("zero_share");
    row.scale = weight->getNumber("scale");
    rows.push_back(std::move(row));
  }
  return rows;
}

void print(ArrayRef<WeightSummary> rows, raw_ostream &out) {
  size_t width = 8, typeWidth = 8, sourceWidth = 6;
  for (const WeightSummary &row : rows) {
    width = std::max(width, row.name.size());
    typeWidth = std::max(typeWidth, row.type.size());
    sourceWidth = std::max(sourceWidth, row.source.size());
  }
  for (const WeightSummary &row : rows) {
    out << left_justify(row.name, width + 2) << left_justify(row.type, typeWidth + 2)
        << left_justify(row.source, sourceWidth + 2) << right_justify(formatBytes(row.bytes), 8);
    if (row.zeroShare)
      out << format("  %4.1f %% zero", *row.zeroShare * 100);
    if (row.scale)
      out << format("  scale %.6g", *row.scale);
    out << '\n';
  }
}

} // namespace tern::cli
