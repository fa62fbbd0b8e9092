//===- Npy.h - golden arrays for tests --------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_DIALECT_NPY_H
#define TERN_TESTS_DIALECT_NPY_H

#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

namespace tern {

/// The elements of a C-order `.npy` file (format 1.0), whose dtype must be `dtype` ("<f4").
template <typename T> std::vector<T> readNpy(const std::string &path, const std::string &dtype) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_GT(bytes.size(), 10u) << path;
  if (bytes.size() <= 10)
    return {};
  size_t header = static_cast<uint8_t>(bytes[8]) + 256 * static_cast<uint8_t>(bytes[9]);
  size_t start = 10 + header;
  EXPECT_NE(bytes.substr(0, start).find("'descr': '" + dtype + "'"), std::string::npos) << path;
  std::vector<T> values((bytes.size() - start) / sizeof(T));
  std::memcpy(values.data(), bytes.data() + start, values.size() * sizeof(T));
  return values;
}

/// The largest |a - b|, and the largest |b|.
struct Distance {
  float difference = 0, magnitude = 0;
};
inline Distance distance(const std::vector<float> &a, const std::vector<float> &b) {
  EXPECT_EQ(a.size(), b.size());
  Distance result;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    result.difference = std::max(result.difference, std::abs(a[i] - b[i]));
    result.magnitude = std::max(result.magnitude, std::abs(b[i]));
  }
  return result;
}

} // namespace tern

#endif // TERN_TESTS_DIALECT_NPY_H
