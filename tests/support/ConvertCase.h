//===- ConvertCase.h - converted models, read back --------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_CONVERTCASE_H
#define TERN_TESTS_SUPPORT_CONVERTCASE_H

#include "frontends/convert/Convert.h"
#include "frontends/convert/Matrices.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace tern::test {

/// Everything a model's weights say: trits, scales spread over the rows, and floats.
struct Contents {
  std::map<std::string, std::vector<int8_t>> trits;
  std::map<std::string, std::vector<float>> scales, floats;
  std::string tokenizer, card;
  bool floatActivations = false;
};

inline void readMatrix(const convert::Source &source, const std::string &name, Contents &out) {
  convert::Matrix matrix = llvm::cantFail(convert::readMatrix(source, name));
  WeightReader reader = llvm::cantFail(source.reader(name));
  std::vector<int8_t> &trits = out.trits[name];
  trits.resize(matrix.rows * matrix.columns);
  llvm::cantFail(reader.readTrits(0, matrix.rows, trits.data()));
  std::vector<float> &scales = out.scales[name];
  for (int64_t row = 0; row < matrix.rows; ++row)
    for (int64_t k = 0; k < matrix.columns; k += 32)
      scales.push_back(matrix.scales[row * (matrix.columns / matrix.group) + k / matrix.group]);
}

inline Contents contentsOf(const std::string &path) {
  Contents contents;
  mlir::MLIRContext context;
  auto model = import::importModel(context, path);
  if (!model) {
    ADD_FAILURE() << llvm::toString(model.takeError());
    return contents;
  }
  contents.tokenizer = model->tokenizerBlob;
  contents.card = model->card;
  llvm::json::Value card = llvm::cantFail(llvm::json::parse(model->card));
  convert::Source source = llvm::cantFail(convert::Source::open(*model, *card.getAsObject()));
  contents.floatActivations = source.floatActivations();
  contents.floats["frequencies"] = source.frequencies;
  contents.floats["epsilon"] = {source.config.epsilon};
  for (const std::string &name : source.order) {
    if (llvm::StringRef(name).ends_with(".scale"))
      continue;
    if (source.isTrits(name)) {
      readMatrix(source, name, contents);
      continue;
    }
    WeightReader reader = llvm::cantFail(source.reader(name));
    std::vector<float> values(reader.rows() * reader.columns());
    llvm::cantFail(reader.readFloats(0, reader.rows(), values.data()));
    contents.floats[name] = std::move(values);
  }
  return contents;
}

/// The error, or nothing. `notes` takes what the output does not hold.
inline std::string convertTo(const std::string &in, const std::string &out, convert::Target target,
                             bool roundScales = false, std::vector<std::string> *notes = nullptr) {
  mlir::MLIRContext context;
  auto model = import::importModel(context, in);
  if (!model)
    return llvm::toString(model.takeError());
  convert::Options options;
  options.target = target;
  options.roundScales = roundScales;
  auto result = convert::convertModel(*model, in, out, options);
  if (!result)
    return llvm::toString(result.takeError());
  if (notes)
    *notes = *result;
  return "";
}

inline void expectSameWeights(const Contents &a, const Contents &b) {
  EXPECT_FALSE(a.trits.empty());
  EXPECT_TRUE(a.trits == b.trits);
  EXPECT_TRUE(a.scales == b.scales);
  EXPECT_TRUE(a.floats == b.floats);
  EXPECT_EQ(a.floatActivations, b.floatActivations);
}

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_CONVERTCASE_H
