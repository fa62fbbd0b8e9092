//===- TestCheckpoint.h - small checkpoints made by tests -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_TESTCHECKPOINT_H
#define TERN_TESTS_SUPPORT_TESTCHECKPOINT_H

#include "tests/support/TempFolder.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tern::test {

/// Length, header and `dataBytes` zero bytes: header text as given, right or wrong.
std::string rawSafetensors(std::string_view header, size_t dataBytes);

struct TestTensor {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};
/// A well-formed safetensors file.
std::string safetensors(const std::vector<TestTensor> &tensors);

std::string floatBytes(const std::vector<float> &values, std::string_view dtype);
/// HF's U8 packing of `rows` x `columns` trits.
std::string packTrits(const std::vector<int8_t> &trits, int64_t rows, int64_t columns);

/// Keys of a JSON object with their raw values, in order.
using RawObject = std::vector<std::pair<std::string, std::string>>;
std::string toJson(const RawObject &object);
void set(RawObject &object, std::string_view key, std::string_view raw);
void erase(RawObject &object, std::string_view key);

enum class TestForm { Packed, Online, TernaryFloats, UnitFloats };

/// A BitNet checkpoint of a few hundred parameters, with fixed pseudo-random values. Hidden size
/// 64, two layers by default; `small` makes one layer of hidden size 8, less than 4 KiB in all.
struct TestModel {
  RawObject config;
  std::vector<TestTensor> tensors;

  explicit TestModel(TestForm form = TestForm::Packed, std::string_view dtype = "BF16",
                     bool small = false);
  TestTensor &tensor(std::string_view name);
  void remove(std::string_view name);
  /// config.json and model.safetensors.
  void write(const TempFolder &folder) const;
  /// config.json, an index and `shards` files.
  void writeSharded(const TempFolder &folder, size_t shards) const;
};

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_TESTCHECKPOINT_H
