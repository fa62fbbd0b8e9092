//===- halide_test.cpp - row kernels against their scalar meaning ---------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every kernel of every level this CPU can run is compiled as a model would compile it and
// compared bit for bit with dialect/Semantics.h. Buffers end at unreadable pages.
//
//===----------------------------------------------------------------------===//

#include "RowKernelModule.h"

#include "dialect/Packing.h"
#include "dialect/Semantics.h"
#include "tests/support/GuardedBuffer.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace tern;

namespace {

/// `count` values that end at an unreadable page; every byte starts out as 0xa5.
template <typename T> class Guarded {
public:
  explicit Guarded(size_t count)
      : buffer(std::make_unique<test::GuardedBuffer>(count * sizeof(T))),
        values(buffer->tail<T>(count)), count(count) {
    std::memset(values, 0xa5, count * sizeof(T));
  }
  T *data() { return values; }
  const T *data() const { return values; }
  T *begin() { return values; }
  T *end() { return values + count; }
  T &operator[](size_t i) { return values[i]; }
  const T &operator[](size_t i) const { return values[i]; }

private:
  std::unique_ptr<test::GuardedBuffer> buffer;
  T *values;
  size_t count;
};
using Floats = Guarded<float>;

/// Kinds of numbers a row may be made of.
enum class Fill { Usual, Zeros, NegativeZeros, Tiny, Huge, Mixed, Ties };
constexpr Fill kFills[] = {Fill::Usual, Fill::Zeros, Fill::NegativeZeros, Fill::Tiny,
                           Fill::Huge,  Fill::Mixed, Fill::Ties};

class RowKernels : public testing::TestWithParam<size_t> {
protected:
  void SetUp() override {
    std::random_device device;
    seed = device();
    random.seed(seed);
    RecordProperty("seed", std::to_string(seed));
  }
  void TearDown() override {
    if (HasFailure())
      std::printf("seed %u\n", seed);
  }

  const RowKernelModule &kernels() { return RowKernelModule::get(GetParam()); }

  float number(Fill fill) {
    float x = std::normal_distribution<float>()(random);
    switch (fill) {
    case Fill::Usual:
      return x;
    case Fill::Zeros:
      return 0.0f;
    case Fill::NegativeZeros:
      return random() % 3 ? -0.0f : 0.0f;
    case Fill::Tiny:
      return x * 1e-30f;
    case Fill::Huge:
      return x * 1e30f;
    case Fill::Mixed:
      return std::ldexp(x, static_cast<int>(random() % 40) - 20);
    case Fill::Ties:
      return static_cast<float>(static_cast<int>(random() % 254) - 127) + 0.5f;
    }
    return 0.0f;
  }

  /// `n` numbers, then zeros up to `size`.
  Floats row(int64_t n, int64_t size, Fill fill = Fill::Usual) {
    Floats out(static_cast<size_t>(size));
    for (int64_t i = 0; i < size; ++i)
      out[i] = i < n ? number(fill) : 0.0f;
    if (fill == Fill::Ties && n > 0)
      out[0] = 127.0f;
    return out;
  }
  Floats padded(int64_t n, Fill fill = Fill::Usual) { return row(n, paddedRow(n), fill); }

  uint32_t seed;
  std::mt19937 random;
};

/// Equal bits; any NaN equals any other.
testing::AssertionResult same(const float *expected, const float *found, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (std::isnan(expected[i]) && std::isnan(found[i]))
      continue;
    if (std::memcmp(expected + i, found + i, sizeof(float)) != 0)
      return testing::AssertionFailure() << "element " << i << " of " << n << ": expected "
                                         << testing::PrintToString(expected[i]) << ", found "
                                         << testing::PrintToString(found[i]);
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult samePadded(const Floats &expected, const Floats &found, int64_t n) {
  for (int64_t i = n; i < paddedRow(n); ++i)
    if (uint32_t bits; std::memcpy(&bits, &found[i], 4), bits != 0)
      return testing::AssertionFailure() << "padding " << i << " of " << n << " is " << found[i];
  return same(expected.data(), found.data(), n);
}

/// Every so many of the short lengths: an emulated CPU has not the time for all of them.
#ifdef TERN_EMULATED
constexpr int64_t kStride = 5;
#else
constexpr int64_t kStride = 1;
#endif

std::vector<int64_t> lengths() {
  std::vector<int64_t> all;
  for (int64_t n = 1; n <= 130; n += kStride)
    all.push_back(n);
  if (kStride > 1) {
    all.insert(all.end(), {32, 63, 64, 65, 127, 128, 129, 2560});
    return all;
  }
  all.insert(all.end(), {255, 256, 257, 320, 512, 640, 1000, 1408, 2560, 4097, 6912, 13824});
  return all;
}

TEST_P(RowKernels, RmsNormIsExact) {
  for (int64_t n : lengths())
    for (Fill fill : kFills) {
      Floats x = padded(n, fill), gain = padded(n), expected = padded(n), out(paddedRow(n));
      semantics::rmsNorm(x.data(), gain.data(), 1e-5f, n, expected.data());
      kernels().call<void(const float *, const float *, float, int64_t, float *)>(
          RowKernel::RmsNorm, x.data(), gain.data(), 1e-5f, n, out.data());
      ASSERT_TRUE(samePadded(expected, out, n)) << "n " << n << " fill " << int(fill);
    }
}

TEST_P(RowKernels, RmsNormOfAHeadIsExactAndStaysInside) {
  for (int64_t n : lengths())
    for (Fill fill : kFills) {
      // Guard pages lie right behind the last element of each.
      Floats x = row(n, n, fill), gain = row(n, n), expected(n), out(n);
      semantics::rmsNorm(x.data(), gain.data(), 1e-5f, n, expected.data());
      kernels().call<void(const float *, const float *, float, int64_t, float *)>(
          RowKernel::RmsNormHead, x.data(), gain.data(), 1e-5f, n, out.data());
      ASSERT_TRUE(same(expected.data(), out.data(), n)) << "n " << n << " fill " << int(fill);
    }
}

TEST_P(RowKernels, QuantizeRowIsExact) {
  for (int64_t n : lengths())
    for (Fill fill : kFills)
      for (bool norm : {false, true}) {
        std::vector<int64_t> groups{n};
        for (int64_t group = 32; group < n; group *= 2)
          if (n % group == 0)
            groups.push_back(group);
        for (int64_t group : groups) {
          Floats x = padded(n, fill), gain = padded(n), normed = padded(n);
          size_t bytes = static_cast<size_t>(paddedActs(n)), count = n / group;
          Guarded<int8_t> values(bytes), expected(bytes);
          Guarded<int32_t> offsets(count), expectedOffsets(count);
          Floats scale(1), expectedScale(1);
          std::memset(expected.data(), 0, bytes);
          if (norm) {
            semantics::rmsNorm(x.data(), gain.data(), 1e-6f, n, normed.data());
            kernels()
                .call<void(const float *, const float *, float, int64_t, int64_t, int8_t *, float *,
                           int32_t *)>(RowKernel::NormQuantizeRow, x.data(), gain.data(), 1e-6f, n,
                                       group, values.data(), scale.data(), offsets.data());
          } else {
            std::copy(x.begin(), x.end(), normed.begin());
            kernels().call<void(const float *, int64_t, int64_t, int8_t *, float *, int32_t *)>(
                RowKernel::QuantizeRow, x.data(), n, group, values.data(), scale.data(),
                offsets.data());
          }
          semantics::quantizeRow(normed.data(), n, group, expected.data(), expectedScale.data(),
                                 expectedOffsets.data());
          ASSERT_EQ(0, std::memcmp(expected.data(), values.data(), bytes))
              << "n " << n << " fill " << int(fill) << " norm " << norm;
          ASSERT_TRUE(same(expectedScale.data(), scale.data(), 1));
          ASSERT_EQ(0, std::memcmp(expectedOffsets.data(), offsets.data(), count * 4))
              << n << " " << group;
        }
      }
}

TEST_P(RowKernels, QuantizeGroupsIsExact) {
  for (int64_t group : {32, 64, 96, 128})
    for (int64_t groups : {1, 2, 3, 5, 20})
      for (Fill fill : kFills)
        for (bool norm : {false, true}) {
          const int64_t n = group * groups;
          Floats x = padded(n, fill), gain = padded(n), normed = padded(n);
          size_t bytes = static_cast<size_t>(paddedActs(n)), count = static_cast<size_t>(groups);
          Guarded<int8_t> values(bytes), expected(bytes);
          Guarded<int32_t> offsets(count), expectedOffsets(count);
          Floats scales(count), expectedScales(count);
          std::memset(expected.data(), 0, bytes);
          if (norm) {
            semantics::rmsNorm(x.data(), gain.data(), 1e-6f, n, normed.data());
            kernels()
                .call<void(const float *, const float *, float, int64_t, int64_t, int8_t *, float *,
                           int32_t *)>(RowKernel::NormQuantizeGroups, x.data(), gain.data(), 1e-6f,
                                       n, group, values.data(), scales.data(), offsets.data());
          } else {
            std::copy(x.begin(), x.end(), normed.begin());
            kernels().call<void(const float *, int64_t, int64_t, int8_t *, float *, int32_t *)>(
                RowKernel::QuantizeGroups, x.data(), n, group, values.data(), scales.data(),
                offsets.data());
          }
          semantics::quantizeGroups(normed.data(), n, group, expected.data(), expectedScales.data(),
                                    expectedOffsets.data());
          ASSERT_EQ(0, std::memcmp(expected.data(), values.data(), bytes))
              << "n " << n << " group " << group << " fill " << int(fill) << " norm " << norm;
          ASSERT_TRUE(same(expectedScales.data(), scales.data(), groups));
          ASSERT_EQ(0, std::memcmp(expectedOffsets.data(), offsets.data(), count * 4))
              << n << " " << group;
        }
}

TEST_P(RowKernels, RopeIsExact) {
  for (int64_t size : {2, 6, 16, 30, 32, 34, 64, 80, 100, 128, 256})
    for (int64_t heads : {1, 3, 20})
      for (Fill fill : {Fill::Usual, Fill::NegativeZeros, Fill::Huge, Fill::Mixed}) {
        int64_t n = heads * size;
        Floats x = padded(n, fill), angles = padded(size), expected = padded(n), out(paddedRow(n));
        for (int64_t head = 0; head < heads; ++head)
          semantics::rope(x.data() + head * size, angles.data(), size,
                          expected.data() + head * size);
        kernels().call<void(const float *, const float *, int64_t, int64_t, float *)>(
            RowKernel::Rope, x.data(), angles.data(), heads, size, out.data());
        ASSERT_TRUE(samePadded(expected, out, n)) << size << " " << heads;
      }
}

TEST_P(RowKernels, RopeAnglesAreExact) {
  for (int64_t half : {1, 3, 8, 15, 16, 32, 40, 50, 64, 128})
    for (int64_t position : {0, 1, 2, 3, 7, 100, 511, 4095, 131071, 16777217, 1000000000}) {
      Floats frequencies(half), expected = padded(2 * half), out(paddedRow(2 * half));
      for (int64_t i = 0; i < half; ++i)
        frequencies[i] = static_cast<float>(std::pow(10000.0, -double(i) / double(half)));
      semantics::ropeAngles(position, frequencies.data(), half, expected.data());
      kernels().call<void(int64_t, const float *, int64_t, float *)>(
          RowKernel::RopeAngles, position, frequencies.data(), half, out.data());
      ASSERT_TRUE(samePadded(expected, out, 2 * half)) << half << " at " << position;
    }
}

TEST_P(RowKernels, ElementwiseKernelsAreExact) {
  auto add = [](float left, float right) { return left + right; };
  struct Row {
    RowKernel kernel;
    float (*formula)(float, float);
  };
  for (const Row &test : {Row{RowKernel::GatedRelu2, semantics::relu2},
                          Row{RowKernel::GatedSilu, semantics::silu}, Row{RowKernel::Add, add}})
    for (int64_t n : lengths())
      for (Fill fill : kFills) {
        Floats a = padded(n, fill), b = padded(n), expected = padded(n), out(paddedRow(n));
        for (int64_t i = 0; i < n; ++i)
          expected[i] = test.formula(a[i], b[i]);
        kernels().call<void(const float *, const float *, int64_t, float *)>(
            test.kernel, a.data(), b.data(), n, out.data());
        ASSERT_TRUE(samePadded(expected, out, n)) << "n " << n << " fill " << int(fill);
      }
}

TEST_P(RowKernels, EveryHalfFloatHasItsValue) {
  Guarded<uint16_t> bits(1 << 16);
  Floats out(1 << 16);
  for (uint32_t i = 0; i < 1 << 16; ++i)
    bits[i] = static_cast<uint16_t>(i);
  for (RowKernel kernel : {RowKernel::TableRowF16, RowKernel::TableRowBF16}) {
    kernels().call<void(const uint16_t *, int64_t, float *)>(kernel, bits.data(), 1 << 16,
                                                             out.data());
    for (uint32_t i = 0; i < 1 << 16; ++i) {
      float expected = kernel == RowKernel::TableRowF16 ? semantics::fromF16(bits[i])
                                                        : semantics::fromBF16(bits[i]);
      ASSERT_TRUE(same(&expected, &out[i], 1)) << "bits " << i;
    }
  }
}

/// A table element that is no NaN.
template <typename T> T element(std::mt19937 &random) {
  if constexpr (std::is_same_v<T, float>)
    return std::normal_distribution<float>()(random);
  else
    return static_cast<T>(random() & 0xbfff);
}

template <typename T> float decode(RowKernel kernel, T element) {
  if constexpr (std::is_same_v<T, float>)
    return element;
  else
    return kernel == RowKernel::HeadF16 || kernel == RowKernel::TableRowF16
               ? semantics::fromF16(element)
               : semantics::fromBF16(element);
}

template <typename T>
void checkTable(const RowKernelModule &kernels, RowKernel head, RowKernel tableRow, int64_t rows,
                int64_t n, const Floats &x, std::mt19937 &random) {
  int64_t stride = paddedRow(n);
  Guarded<T> table(rows * stride);
  Floats out(rows), expected(rows), oneRow(stride), decoded(stride);
  for (int64_t v = 0; v < rows; ++v) {
    for (int64_t i = 0; i < stride; ++i) {
      table[v * stride + i] = i < n ? element<T>(random) : T(0);
      decoded[i] = decode<T>(head, table[v * stride + i]);
    }
    expected[v] = semantics::rowDot(x.data(), decoded.data(), n);
    kernels.call<void(const T *, int64_t, float *)>(tableRow, &table[v * stride], n, oneRow.data());
    ASSERT_TRUE(samePadded(decoded, oneRow, n));
  }
  kernels.call<void(const float *, const T *, int64_t, int64_t, int64_t, float *)>(
      head, x.data(), table.data(), rows, stride, n, out.data());
  ASSERT_TRUE(same(expected.data(), out.data(), rows)) << rows << " rows of " << n;
}

/// Several rows of x at once: each gets what it would get alone.
template <typename T>
void checkHeadRows(const RowKernelModule &kernels, RowKernel one, RowKernel several, int64_t rows,
                   int64_t n, std::mt19937 &random) {
  int64_t stride = paddedRow(n), xStride = stride + 64, outStride = rows + 3;
  Guarded<T> table(rows * stride);
  for (int64_t i = 0; i < rows * stride; ++i)
    table[i] = i % stride < n ? element<T>(random) : T(0);
  Floats x((kHeadTokens - 1) * xStride + stride), out((kHeadTokens - 1) * outStride + rows);
  for (int64_t t = 0; t < kHeadTokens; ++t)
    for (int64_t i = 0; i < n; ++i)
      x[t * xStride + i] = std::normal_distribution<float>()(random);
  std::fill_n(out.data(), (kHeadTokens - 1) * outStride + rows, 7.0f);
  kernels
      .call<void(const float *, int64_t, const T *, int64_t, int64_t, int64_t, float *, int64_t)>(
          several, x.data(), xStride, table.data(), rows, stride, n, out.data(), outStride);
  for (int64_t t = 0; t < kHeadTokens; ++t) {
    Floats expected(rows);
    kernels.call<void(const float *, const T *, int64_t, int64_t, int64_t, float *)>(
        one, x.data() + t * xStride, table.data(), rows, stride, n, expected.data());
    ASSERT_TRUE(same(expected.data(), out.data() + t * outStride, rows))
        << rows << " rows of " << n << ", token " << t;
    for (int64_t gap = rows; t + 1 < kHeadTokens && gap < outStride; ++gap)
      ASSERT_EQ(out[t * outStride + gap], 7.0f);
  }
}

TEST_P(RowKernels, HeadsOfSeveralRowsEqualThoseOfOne) {
  for (int64_t n : {1, 31, 64, 65, 512, 2560})
    for (int64_t rows : {1, 2, 5, 50}) {
      checkHeadRows<float>(kernels(), RowKernel::HeadF32, RowKernel::HeadRowsF32, rows, n, random);
      checkHeadRows<uint16_t>(kernels(), RowKernel::HeadF16, RowKernel::HeadRowsF16, rows, n,
                              random);
      checkHeadRows<uint16_t>(kernels(), RowKernel::HeadBF16, RowKernel::HeadRowsBF16, rows, n,
                              random);
    }
}

TEST_P(RowKernels, TablesAreExact) {
  for (int64_t n : {1, 2, 31, 32, 33, 63, 64, 65, 100, 128, 300, 512, 2560})
    for (int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 50}) {
      Floats x = padded(n);
      checkTable<float>(kernels(), RowKernel::HeadF32, RowKernel::TableRowF32, rows, n, x, random);
      checkTable<uint16_t>(kernels(), RowKernel::HeadF16, RowKernel::TableRowF16, rows, n, x,
                           random);
      checkTable<uint16_t>(kernels(), RowKernel::HeadBF16, RowKernel::TableRowBF16, rows, n, x,
                           random);
    }
}

TEST_P(RowKernels, ZeroPaddingFillsTheRow) {
  for (int64_t n : lengths()) {
    Floats x(paddedRow(n)), before(paddedRow(n));
    kernels().call<void(float *, int64_t)>(RowKernel::ZeroPadding, x.data(), n);
    ASSERT_TRUE(samePadded(before, x, n));
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, RowKernels,
                         testing::Range<size_t>(0, RowKernelModule::levels().size()),
                         [](const auto &info) {
                           std::string name = RowKernelModule::levels()[info.param];
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
