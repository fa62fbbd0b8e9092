//===- GoldenFolders.cpp - the bundled model in other forms ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Safetensors.h"
#include "tests/support/GoldenModel.h"
#include "gtest/gtest.h"

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>

using namespace llvm;
using namespace tern;
using namespace tern::test;

static std::string config(StringRef from, StringRef to) {
  std::ifstream file(kBundledModel + "/config.json");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  size_t at = text.find(from.str());
  EXPECT_NE(at, std::string::npos) << "config.json has no " << from.str();
  return at == std::string::npos ? text : text.replace(at, from.size(), to.str());
}

static float scaleOf(const import::Checkpoint &checkpoint, const std::string &weight) {
  const import::TensorInfo *tensor = checkpoint.find(weight + "_scale");
  EXPECT_TRUE(tensor && tensor->dtype == "BF16") << weight;
  ArrayRef<uint8_t> bytes = checkpoint.bytes(*tensor);
  return std::bit_cast<float>(uint32_t(bytes[0]) << 16 | uint32_t(bytes[1]) << 24);
}

/// Row by row, from four rows a byte: row r + i * rows / 4 in bits 2i and 2i + 1.
static std::vector<int8_t> unpack(ArrayRef<uint8_t> packed) {
  std::vector<int8_t> trits;
  trits.reserve(packed.size() * 4);
  for (int quarter = 0; quarter < 4; ++quarter)
    for (uint8_t byte : packed)
      trits.push_back(static_cast<int8_t>((byte >> 2 * quarter & 3) - 1));
  return trits;
}

/// bfloat16 masters with exactly these trits and the absmean `scale`. All magnitudes are even
/// multiples of half an ulp of the scale, so the mean comes out without any rounding; neighbours
/// differ by about 15 %, as masters that are ternary already are refused.
static std::string mastersOf(const std::vector<int8_t> &trits, float scale) {
  int exponent;
  auto units = static_cast<int64_t>(std::frexp(scale, &exponent) * 256);
  float unit = std::ldexp(1.0f, exponent - 8);
  int64_t nonzeros = 0;
  for (int8_t trit : trits)
    nonzeros += trit != 0;
  int64_t total = units * static_cast<int64_t>(trits.size());
  int64_t base = total / nonzeros & ~int64_t(1), rest = total - base * nonzeros;
  std::vector<float> values;
  values.reserve(trits.size());
  int64_t seen = 0;
  for (int8_t trit : trits) {
    int64_t magnitude = base + (2 * seen < rest ? 2 : 0) + (seen % 2 ? -24 : 24);
    if (seen == nonzeros - 1 && seen % 2 == 0)
      magnitude -= 24;
    values.push_back(static_cast<float>(trit * magnitude) * unit);
    seen += trit != 0;
  }
  return floatBytes(values, "BF16");
}

/// Calls `change(checkpoint, tensor, out)` for each tensor of the bundled model; what it returns
/// true for is part of the copy.
static std::vector<TestTensor>
copyTensors(function_ref<bool(const import::Checkpoint &, TestTensor &)> change) {
  std::vector<TestTensor> tensors;
  auto checkpoint = import::Checkpoint::open(kBundledModel);
  if (!checkpoint) {
    ADD_FAILURE() << toString(checkpoint.takeError());
    return tensors;
  }
  for (const import::TensorInfo &info : checkpoint->tensors()) {
    ArrayRef<uint8_t> bytes = checkpoint->bytes(info);
    TestTensor tensor{info.name,
                      info.dtype,
                      {info.shape.begin(), info.shape.end()},
                      std::string(bytes.begin(), bytes.end())};
    if (change(*checkpoint, tensor))
      tensors.push_back(std::move(tensor));
  }
  return tensors;
}

void test::writeOnlineFolder(const TempFolder &folder) {
  TestModel model;
  model.tensors = copyTensors([](const import::Checkpoint &checkpoint, TestTensor &tensor) {
    if (tensor.dtype != "U8")
      return !StringRef(tensor.name).ends_with("weight_scale");
    ArrayRef<uint8_t> packed(reinterpret_cast<const uint8_t *>(tensor.bytes.data()),
                             tensor.bytes.size());
    tensor.bytes = mastersOf(unpack(packed), scaleOf(checkpoint, tensor.name));
    tensor.dtype = "BF16";
    tensor.shape[0] *= 4;
    return true;
  });
  model.writeSharded(folder, 3);
  folder.write("config.json", config("\"offline\"", "\"online\""));
}

void test::writeDividingFolder(const TempFolder &folder) {
  TestModel model;
  model.tensors = copyTensors([](const import::Checkpoint &checkpoint, TestTensor &tensor) {
    StringRef weight = tensor.name;
    if (weight.consume_back("_scale")) {
      tensor.bytes = floatBytes({1 / scaleOf(checkpoint, weight.str())}, "F32");
      tensor.dtype = "F32";
    }
    return true;
  });
  model.write(folder);
  folder.write("config.json", config("\"autobitlinear\"", "\"bitlinear\""));
}
