//===- GpuCases.cpp - calls of GPU kernels with their results -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/GpuCases.h"

#include "dialect/Packing.h"
#include "dialect/Semantics.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <random>

using namespace tern;
using namespace tern::test;

namespace {

/// Bytes behind every buffer, and before a result what is not the result.
constexpr uint8_t kUntouched = 0xa5;
constexpr size_t kBehind = 64;

/// Builds one case; buffers and scalars are given by name, in any order.
class Case {
public:
  explicit Case(const std::string &kernel, const std::string &shape) {
    made.kernel = gpu::findKernel(kernel);
    assert(made.kernel && "the kernel exists");
    made.name = kernel + " " + shape;
    made.before.resize(made.kernel->buffers.size());
    made.after.resize(made.kernel->buffers.size());
    made.scalars.resize(made.kernel->scalars.size());
  }

  template <typename T> Case &input(const std::string &name, const std::vector<T> &values) {
    place(name, values, values);
    return *this;
  }
  /// `before` lets a case start from what is there already.
  template <typename T>
  Case &output(const std::string &name, const std::vector<T> &after,
               const std::vector<T> &before = {}) {
    std::vector<T> start = before;
    if (start.empty()) {
      start.resize(after.size());
      std::memset(start.data(), kUntouched, start.size() * sizeof(T));
    }
    place(name, start, after);
    return *this;
  }
  Case &scalar(const std::string &name, int64_t value) {
    made.scalars[scalarAt(name)] = static_cast<uint32_t>(value);
    return *this;
  }
  Case &scalar(const std::string &name, float value) {
    made.scalars[scalarAt(name)] = std::bit_cast<uint32_t>(value);
    return *this;
  }
  GpuCase items(int64_t x, int64_t y = 1) {
    made.grid[0] = static_cast<uint32_t>((x + made.kernel->itemsX - 1) / made.kernel->itemsX);
    made.grid[1] = static_cast<uint32_t>((y + made.kernel->itemsY - 1) / made.kernel->itemsY);
    return std::move(made);
  }

private:
  size_t scalarAt(const std::string &name) const {
    for (size_t i = 0; i < made.kernel->scalars.size(); ++i)
      if (made.kernel->scalars[i].name == name)
        return i;
    assert(false && "the kernel has this scalar");
    return 0;
  }
  template <typename T>
  void place(const std::string &name, const std::vector<T> &before, const std::vector<T> &after) {
    for (size_t i = 0; i < made.kernel->buffers.size(); ++i)
      if (made.kernel->buffers[i].name == name) {
        made.before[i] = bytes(before);
        made.after[i] = bytes(after);
        return;
      }
    assert(false && "the kernel has this buffer");
  }
  template <typename T> static ByteVector bytes(const std::vector<T> &values) {
    ByteVector all(values.size() * sizeof(T) + kBehind, kUntouched);
    if (!values.empty())
      std::memcpy(all.data(), values.data(), values.size() * sizeof(T));
    return all;
  }

  GpuCase made;
};

float untouched() {
  uint32_t bits;
  std::memset(&bits, kUntouched, sizeof bits);
  return std::bit_cast<float>(bits);
}

/// Inputs of cases.
class Source {
public:
  explicit Source(uint64_t seed) : engine(seed) {}
  std::vector<float> floats(int64_t count, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(static_cast<size_t>(count));
    for (float &value : values)
      value = normal(engine);
    return values;
  }
  template <typename T> std::vector<T> integers(int64_t count, int low, int high) {
    std::uniform_int_distribution<int> uniform(low, high);
    std::vector<T> values(static_cast<size_t>(count));
    for (T &value : values)
      value = static_cast<T>(uniform(engine));
    return values;
  }

private:
  std::mt19937_64 engine;
};

std::string shapeName(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (int64_t number : numbers)
    text += (text.empty() ? "" : "x") + std::to_string(number);
  return text;
}

size_t at(int64_t index) { return static_cast<size_t>(index); }

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

struct Weights {
  std::vector<int8_t> trits;
  std::vector<uint8_t> packed;
  std::vector<float> scales, packedScales;
};

/// `halves`: scales that f16 holds.
Weights makeWeights(Source &source, int64_t rows, int64_t columns, int64_t groups, bool halves) {
  Packing packing;
  Weights w;
  w.trits = source.integers<int8_t>(rows * columns, -1, 1);
  w.scales = source.floats(rows * groups);
  if (halves)
    for (float &scale : w.scales)
      scale = semantics::fromF16(semantics::toF16(scale));
  int64_t blocks = packing.rowBlocks(rows), blockBytes = packing.blockBytes(columns);
  w.packed.resize(at(blocks * blockBytes));
  w.packedScales.resize(at(blocks * groups * packing.rows));
  for (int64_t block = 0; block < blocks; ++block) {
    int64_t first = block * packing.rows, valid = std::min(packing.rows, rows - first);
    packing.encodeBlock(w.trits.data() + first * columns, valid, columns, columns,
                        w.packed.data() + block * blockBytes);
    for (int64_t r = 0; r < valid; ++r)
      for (int64_t g = 0; g < groups; ++g)
        w.packedScales[at((block * groups + g) * packing.rows + r)] =
            w.scales[at((first + r) * groups + g)];
  }
  return w;
}

bool takesHalves(const std::string &kernel) { return kernel.ends_with("_f16"); }

void placeScales(Case &made, const Weights &w, bool halves) {
  std::vector<uint16_t> bits;
  for (float scale : w.packedScales)
    bits.push_back(semantics::toF16(scale));
  if (halves)
    made.input("scale", bits);
  else
    made.input("scale", w.packedScales);
}

/// `extreme`: all activations -128 and trits as they come.
GpuCase productCase(const std::string &kernel, int64_t m, int64_t n, int64_t k, int64_t groups,
                    bool residual, bool extreme = false) {
  Source source(static_cast<uint64_t>(m * 1000003 + n * 1009 + k + groups));
  Weights w = makeWeights(source, n, k, groups, takesHalves(kernel));
  int64_t actsStride = paddedActs(k), outStride = n + 3, residualStride = n + 5, group = k / groups;
  std::vector<int8_t> acts(at(m * actsStride), 0);
  std::vector<int32_t> offsets(at(m * groups), 0);
  for (int64_t i = 0; i < m; ++i) {
    auto row = source.integers<int8_t>(k, -128, extreme ? -128 : 127);
    for (int64_t c = 0; c < k; ++c) {
      acts[at(i * actsStride + c)] = row[at(c)];
      offsets[at(i * groups + c / group)] -= row[at(c)];
    }
  }
  std::vector<float> rowScales = source.floats(m), left = source.floats(m * residualStride);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      std::vector<int32_t> acc(at(groups), 0);
      for (int64_t c = 0; c < k; ++c)
        acc[at(c / group)] += acts[at(i * actsStride + c)] * w.trits[at(j * k + c)];
      float value =
          semantics::rescale(acc.data(), &w.scales[at(j * groups)], groups, rowScales[at(i)]);
      out[at(i * outStride + j)] = residual ? left[at(i * residualStride + j)] + value : value;
    }
  Case made(kernel, shapeName({m, n, k, groups, residual}) + (extreme ? " extreme" : ""));
  made.input("weight", w.packed).input("acts", acts);
  placeScales(made, w, takesHalves(kernel));
  made.input("row_scales", rowScales).input("offsets", offsets).input("residual", left);
  made.output("out", out);
  int64_t blocks = Packing().rowBlocks(n);
  made.scalar("rows", n)
      .scalar("k_tiles", Packing().kTiles(k))
      .scalar("has_residual", int64_t(residual));
  if (kernel.starts_with("matvec"))
    return made.items(blocks);
  made.scalar("blocks", blocks).scalar("groups", groups).scalar("tokens", m);
  made.scalar("acts_stride", actsStride / 16).scalar("residual_stride", residualStride);
  made.scalar("out_stride", outStride);
  return made.items(blocks, m);
}

/// Activations with a scale for each of `groups` groups; weights with `scaleGroups`.
GpuCase groupProductCase(int64_t m, int64_t n, int64_t k, int64_t groups, int64_t scaleGroups,
                         bool residual, bool halves) {
  Source source(static_cast<uint64_t>(m * 1013 + n * 31 + k + groups));
  Weights w = makeWeights(source, n, k, scaleGroups, halves);
  int64_t actsStride = paddedActs(k), outStride = n + 3, residualStride = n + 5, group = k / groups;
  std::vector<int8_t> acts(at(m * actsStride), 0);
  std::vector<int32_t> offsets(at(m * groups), 0);
  for (int64_t i = 0; i < m; ++i) {
    auto row = source.integers<int8_t>(k, -128, 127);
    for (int64_t c = 0; c < k; ++c) {
      acts[at(i * actsStride + c)] = row[at(c)];
      offsets[at(i * groups + c / group)] -= row[at(c)];
    }
  }
  std::vector<float> rowScales = source.floats(m * groups),
                     left = source.floats(m * residualStride);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      std::vector<int32_t> acc(at(groups), 0);
      for (int64_t c = 0; c < k; ++c)
        acc[at(c / group)] += acts[at(i * actsStride + c)] * w.trits[at(j * k + c)];
      float value = semantics::rescaleGroups(acc.data(), &rowScales[at(i * groups)], groups,
                                             &w.scales[at(j * scaleGroups)], scaleGroups);
      out[at(i * outStride + j)] = residual ? left[at(i * residualStride + j)] + value : value;
    }
  Case made(halves ? "matmul_groups_two_bit_f16" : "matmul_groups_two_bit",
            shapeName({m, n, k, groups, scaleGroups, residual}));
  made.input("weight", w.packed).input("acts", acts);
  placeScales(made, w, halves);
  made.input("row_scales", rowScales).input("offsets", offsets).input("residual", left);
  made.output("out", out);
  int64_t blocks = Packing().rowBlocks(n);
  made.scalar("rows", n).scalar("k_tiles", Packing().kTiles(k));
  made.scalar("has_residual", int64_t(residual)).scalar("blocks", blocks).scalar("groups", groups);
  made.scalar("tokens", m).scalar("acts_stride", actsStride / 16);
  made.scalar("residual_stride", residualStride).scalar("out_stride", outStride);
  made.scalar("scale_groups", scaleGroups);
  return made.items(blocks, m);
}

GpuCase floatProductCase(int64_t m, int64_t n, int64_t k, int64_t groups, bool residual,
                         bool halves = false) {
  Source source(static_cast<uint64_t>(m * 7919 + n * 31 + k + groups));
  Weights w = makeWeights(source, n, k, groups, halves);
  int64_t stride = k + 3, outStride = n + 1, residualStride = n + 2;
  std::vector<float> x = source.floats(m * stride), left = source.floats(m * residualStride);
  // Beyond the columns there may be anything.
  for (int64_t i = 0; i < m; ++i)
    for (int64_t c = k; c < stride; ++c)
      x[at(i * stride + c)] = std::bit_cast<float>(0x7fc00000u);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float value = semantics::linearFloat(&w.trits[at(j * k)], &x[at(i * stride)], k,
                                           &w.scales[at(j * groups)], groups);
      out[at(i * outStride + j)] = residual ? left[at(i * residualStride + j)] + value : value;
    }
  Case made(halves ? "matmul_f32_two_bit_f16" : "matmul_f32_two_bit",
            shapeName({m, n, k, groups, residual}));
  made.input("weight", w.packed).input("acts", x);
  placeScales(made, w, halves);
  made.input("residual", left).output("out", out);
  made.scalar("rows", n)
      .scalar("k_tiles", Packing().kTiles(k))
      .scalar("has_residual", int64_t(residual));
  made.scalar("groups", groups).scalar("columns", k).scalar("acts_stride", stride);
  made.scalar("residual_stride", residualStride).scalar("out_stride", outStride);
  return made.items(n, m);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

GpuCase normCase(int64_t m, int64_t n, int64_t heads) {
  Source source(static_cast<uint64_t>(m * 31 + n * 7 + heads));
  int64_t stride = n * heads + 2, outStride = n * heads + 1;
  std::vector<float> x = source.floats(m * stride), gain = source.floats(n);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t h = 0; h < heads; ++h)
      semantics::rmsNorm(&x[at(i * stride + h * n)], gain.data(), 1e-5f, n,
                         &out[at(i * outStride + h * n)]);
  Case made("rms_norm", shapeName({m, n, heads}));
  made.input("x", x).input("gain", gain).output("out", out);
  made.scalar("columns", n).scalar("x_stride", stride).scalar("out_stride", outStride);
  made.scalar("epsilon", 1e-5f);
  return made.items(m, heads);
}

/// `grouped`: activations have a scale a group instead of one a row.
GpuCase quantizeCase(bool norm, bool grouped, int64_t m, int64_t n, int64_t group,
                     float scale = 1) {
  Source source(static_cast<uint64_t>(m * 31 + n * 7 + group + norm));
  int64_t stride = n + 2, valuesStride = paddedActs(n), groups = n / group;
  int64_t scalesStride = grouped ? groups : 1;
  std::vector<float> x = source.floats(m * stride, scale), gain = source.floats(n);
  std::vector<int8_t> values(at(m * valuesStride), 0);
  std::vector<float> scales(at(m * scalesStride)), row(at(n));
  std::vector<int32_t> offsets(at(m * groups));
  auto quantize = grouped ? semantics::quantizeGroups : semantics::quantizeRow;
  for (int64_t i = 0; i < m; ++i) {
    std::copy_n(&x[at(i * stride)], n, row.begin());
    if (norm)
      semantics::rmsNorm(&x[at(i * stride)], gain.data(), 1e-6f, n, row.data());
    quantize(row.data(), n, group, &values[at(i * valuesStride)], &scales[at(i * scalesStride)],
             &offsets[at(i * groups)]);
  }
  std::string kernel = grouped ? "quantize_groups" : "quantize_rows";
  Case made(norm ? "norm_" + kernel : kernel, shapeName({m, n, group}));
  made.input("x", x).output("values", values).output("scales", scales).output("offsets", offsets);
  made.scalar("columns", n).scalar("x_stride", stride).scalar("values_stride", valuesStride);
  made.scalar("group", group);
  if (norm)
    made.input("gain", gain).scalar("epsilon", 1e-6f);
  return made.items(m);
}

GpuCase binaryCase(const std::string &kernel, int64_t m, int64_t n) {
  Source source(static_cast<uint64_t>(m * 31 + n));
  int64_t xStride = n + 1, yStride = n + 2, outStride = n + 3;
  std::vector<float> x = source.floats(m * xStride, 20), y = source.floats(m * yStride);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t c = 0; c < n; ++c) {
      float a = x[at(i * xStride + c)], b = y[at(i * yStride + c)];
      out[at(i * outStride + c)] = kernel == "add_rows"      ? a + b
                                   : kernel == "gated_relu2" ? semantics::relu2(a, b)
                                   : kernel == "gated_silu"  ? semantics::silu(a, b)
                                                             : a;
    }
  Case made(kernel, shapeName({m, n}));
  made.input("x", x).output("out", out);
  made.scalar("columns", n).scalar("x_stride", xStride).scalar("out_stride", outStride);
  if (kernel != "copy_rows")
    made.input("y", y).scalar("y_stride", yStride);
  return made.items(n, m);
}

GpuCase ropeCase(int64_t m, int64_t heads, int64_t size) {
  Source source(static_cast<uint64_t>(m * 31 + heads * 5 + size));
  int64_t n = heads * size, stride = n + 3, outStride = n + 1, angleStride = size + 4;
  std::vector<float> x = source.floats(m * stride), angles = source.floats(m * angleStride);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t h = 0; h < heads; ++h)
      semantics::rope(&x[at(i * stride + h * size)], &angles[at(i * angleStride)], size,
                      &out[at(i * outStride + h * size)]);
  Case made("rope", shapeName({m, heads, size}));
  made.input("x", x).input("angles", angles).output("out", out);
  made.scalar("heads", heads).scalar("half", size / 2).scalar("x_stride", stride);
  made.scalar("angles_stride", angleStride).scalar("out_stride", outStride);
  return made.items(n / 2, m);
}

//===----------------------------------------------------------------------===//
// Attention and tables
//===----------------------------------------------------------------------===//

struct Cache {
  int64_t heads, size, capacity, row;
  size_t key(int64_t head, int64_t position) const {
    return at((head * capacity + position) * row);
  }
  size_t value(int64_t head, int64_t position) const { return at(half()) + key(head, position); }
  int64_t half() const { return heads * capacity * row; }
};

GpuCase storeCase(int64_t m, Cache cache, int64_t position) {
  Source source(static_cast<uint64_t>(m * 31 + cache.size + position));
  int64_t n = cache.heads * cache.size, keyStride = n + 1, valueStride = n + 2;
  std::vector<float> key = source.floats(m * keyStride), value = source.floats(m * valueStride);
  std::vector<float> before = source.floats(2 * cache.half()), after = before;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t h = 0; h < cache.heads; ++h)
      for (int64_t d = 0; d < cache.size; ++d) {
        after[cache.key(h, position + i) + at(d)] = key[at(i * keyStride + h * cache.size + d)];
        after[cache.value(h, position + i) + at(d)] =
            value[at(i * valueStride + h * cache.size + d)];
      }
  Case made("store_cache", shapeName({m, cache.heads, cache.size, position}));
  made.input("key", key).input("value", value).output("cache", after, before);
  made.scalar("heads", cache.heads).scalar("head_size", cache.size).scalar("row", cache.row);
  made.scalar("capacity", cache.capacity).scalar("position", position);
  made.scalar("key_stride", keyStride).scalar("value_stride", valueStride);
  return made.items(n, m);
}

/// The weights of the last block of positions, which the kernel leaves behind.
void lastWeights(const float *query, const float *keys, int64_t length, const Cache &cache,
                 float *weights) {
  const float factor = 1.0f / std::sqrt(static_cast<float>(cache.size));
  for (int64_t first = 0; first < length; first += semantics::kAttentionBlock) {
    int64_t count = std::min(semantics::kAttentionBlock, length - first);
    float largest = -INFINITY;
    for (int64_t t = 0; t < count; ++t) {
      float dot = 0.0f;
      for (int64_t d = 0; d < cache.size; ++d)
        dot = std::fma(query[d], keys[(first + t) * cache.row + d], dot);
      weights[t] = dot * factor;
      largest = std::max(largest, weights[t]);
    }
    for (int64_t t = 0; t < count; ++t)
      weights[t] = semantics::exp(weights[t] - largest);
  }
}

GpuCase attentionCase(int64_t m, int64_t heads, Cache cache, int64_t position) {
  Source source(static_cast<uint64_t>(m * 31 + heads * 5 + cache.size + position));
  int64_t n = heads * cache.size, stride = n + 1, outStride = n + 2;
  std::vector<float> query = source.floats(m * stride), store = source.floats(2 * cache.half());
  std::vector<float> out(at(m * outStride), untouched());
  std::vector<float> scratch(at(m * heads * cache.capacity), untouched()), weights = scratch;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      int64_t from = h / (heads / cache.heads);
      semantics::attend(&query[at(i * stride + h * cache.size)],
                        {&store[cache.key(from, 0)], cache.row},
                        {&store[cache.value(from, 0)], cache.row}, position + i + 1, cache.size,
                        &out[at(i * outStride + h * cache.size)]);
      lastWeights(&query[at(i * stride + h * cache.size)], &store[cache.key(from, 0)],
                  position + i + 1, cache, &weights[at((i * heads + h) * cache.capacity)]);
    }
  Case made("attention", shapeName({m, heads, cache.heads, cache.size, position}));
  made.input("query", query).input("cache", store).output("out", out);
  made.output("scratch", weights, scratch);
  made.scalar("heads", heads).scalar("cache_heads", cache.heads);
  made.scalar("heads_a_cache_head", heads / cache.heads).scalar("head_size", cache.size);
  made.scalar("row", cache.row).scalar("capacity", cache.capacity).scalar("position", position);
  made.scalar("query_stride", stride).scalar("out_stride", outStride);
  return made.items(heads, m);
}

/// A table in its element type and as floats. Rows are padded with zeros as in the weights section.
struct Table {
  std::vector<uint16_t> halves;
  std::vector<float> floats;
  int64_t stride;
};

Table makeTable(Source &source, const std::string &kind, int64_t rows, int64_t columns) {
  Table table;
  table.stride = paddedRow(columns);
  table.floats.assign(at(rows * table.stride), 0.0f);
  for (int64_t r = 0; r < rows; ++r) {
    auto row = source.floats(columns);
    for (int64_t c = 0; c < columns; ++c) {
      float &value = table.floats[at(r * table.stride + c)];
      value = row[at(c)];
      if (kind == "f16")
        value = semantics::fromF16(semantics::toF16(value));
      if (kind == "bf16")
        value = semantics::fromBF16(semantics::toBF16(value));
    }
  }
  for (float value : table.floats)
    table.halves.push_back(kind == "f16" ? semantics::toF16(value) : semantics::toBF16(value));
  return table;
}

void placeTable(Case &made, const std::string &kind, const Table &table) {
  if (kind == "f32")
    made.input("table", table.floats);
  else
    made.input("table", table.halves);
}

GpuCase embeddingCase(const std::string &kind, int64_t m, int64_t rows, int64_t columns) {
  Source source(static_cast<uint64_t>(m * 31 + rows + columns));
  Table table = makeTable(source, kind, rows, columns);
  std::vector<int32_t> ids = source.integers<int32_t>(m, 0, static_cast<int>(rows - 1));
  int64_t outStride = columns + 3;
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    std::copy_n(&table.floats[at(ids[at(i)] * table.stride)], columns, &out[at(i * outStride)]);
  Case made("embedding_" + kind, shapeName({m, rows, columns}));
  placeTable(made, kind, table);
  made.input("ids", ids).output("out", out);
  made.scalar("columns", columns).scalar("table_stride", table.stride);
  made.scalar("out_stride", outStride);
  return made.items(columns, m);
}

GpuCase headCase(const std::string &kind, int64_t m, int64_t rows, int64_t columns) {
  Source source(static_cast<uint64_t>(m * 31 + rows + columns));
  Table table = makeTable(source, kind, rows, columns);
  int64_t stride = columns + 1, outStride = rows + 2;
  std::vector<float> x = source.floats(m * stride);
  std::vector<float> out(at(m * outStride), untouched());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t r = 0; r < rows; ++r)
      out[at(i * outStride + r)] =
          semantics::rowDot(&x[at(i * stride)], &table.floats[at(r * table.stride)], columns);
  Case made("head_" + kind, shapeName({m, rows, columns}));
  placeTable(made, kind, table);
  made.input("x", x).output("out", out);
  made.scalar("columns", columns).scalar("rows", rows).scalar("x_stride", stride);
  made.scalar("table_stride", table.stride * (kind == "f32" ? 4 : 2) / 16);
  made.scalar("out_stride", outStride);
  return made.items(rows, m);
}

void addProducts(std::vector<GpuCase> &cases) {
  for (int64_t n : {1, 16, 17})
    for (int64_t k : {16, 129, 700})
      cases.push_back(productCase("matvec_two_bit_f16", 1, n, k, 1, true));
  for (int64_t n : {1, 15, 16, 17, 64, 65, 100})
    for (int64_t k : {1, 16, 17, 127, 128, 129, 512, 700, 1408})
      cases.push_back(productCase("matvec_two_bit", 1, n, k, 1, (n + k) % 2));
  for (int64_t m : {1, 2, 7, 8, 9, 17})
    for (int64_t n : {1, 16, 63, 65, 130})
      for (int64_t k : {1, 16, 129, 512, 513, 700})
        cases.push_back(productCase("matmul_two_bit", m, n, k, 1, (m + n + k) % 2));
  for (int64_t group : {32, 64, 128, 256, 544})
    for (int64_t groups : {2, 3})
      for (int64_t m : {1, 3, 9}) {
        cases.push_back(productCase("matmul_two_bit", m, 33, group * groups, groups, m % 2));
        cases.push_back(floatProductCase(m, 33, group * groups, groups, m % 2));
        cases.push_back(productCase("matmul_two_bit_f16", m, 33, group * groups, groups, m % 2));
        cases.push_back(floatProductCase(m, 33, group * groups, groups, m % 2, true));
      }
  for (int64_t group : {32, 64, 128})
    for (int64_t m : {1, 8, 9})
      for (bool halves : {false, true}) {
        cases.push_back(groupProductCase(m, 33, group * 6, 6, 3, m % 2, halves));
        cases.push_back(groupProductCase(m, 70, group * 5, 5, 1, m % 2, halves));
      }
  cases.push_back(productCase("matvec_two_bit", 1, 32, 6912, 1, true, true));
  cases.push_back(productCase("matmul_two_bit", 2, 32, 6912, 1, true, true));
  for (int64_t m : {1, 2, 5})
    for (int64_t n : {1, 16, 63, 64, 65})
      for (int64_t k : {1, 15, 16, 33, 257})
        cases.push_back(floatProductCase(m, n, k, 1, (m + n) % 2));
}

void addRows(std::vector<GpuCase> &cases) {
  for (int64_t m : {1, 3})
    for (int64_t n : {1, 2, 31, 32, 33, 64, 255, 256, 257, 512, 1000, 2560}) {
      cases.push_back(normCase(m, n, 1));
      cases.push_back(quantizeCase(false, false, m, n, n));
      cases.push_back(quantizeCase(true, false, m, n, n));
      for (const char *kernel : {"add_rows", "gated_relu2", "gated_silu", "copy_rows"})
        cases.push_back(binaryCase(kernel, m, n));
    }
  for (int64_t heads : {2, 5})
    cases.push_back(normCase(2, 64, heads));
  for (int64_t group : {32, 64, 160}) {
    cases.push_back(quantizeCase(true, false, 2, group * 9, group));
    for (int64_t groups : {1, 8, 9})
      for (bool norm : {false, true})
        cases.push_back(quantizeCase(norm, true, 2, group * groups, group));
  }
  cases.push_back(quantizeCase(false, false, 2, 320, 320, 1e-7f));
  cases.push_back(quantizeCase(false, false, 2, 320, 320, 1e30f));
  for (int64_t size : {2, 6, 64, 128})
    for (int64_t heads : {1, 3, 8})
      cases.push_back(ropeCase(1 + heads % 3, heads, size));
}

void addAttention(std::vector<GpuCase> &cases) {
  for (int64_t size : {2, 16, 20, 64, 128, 160}) {
    Cache cache{2, size, 70, roundUp(size, 16)};
    for (int64_t m : {1, 3})
      for (int64_t position : {0, 1, 3, 31, 32, 64})
        cases.push_back(attentionCase(m, size == 64 ? 6 : 2, cache, position));
    if (size == 64) {
      Cache longer{2, size, 640, size};
      for (int64_t position : {254, 255, 256, 511, 600})
        cases.push_back(attentionCase(3, 6, longer, position));
    }
    cases.push_back(storeCase(3, cache, 5));
    cases.push_back(storeCase(1, cache, 69));
  }
}

} // namespace

std::vector<GpuCase> tern::test::gpuCases() {
  std::vector<GpuCase> cases;
  addProducts(cases);
  addRows(cases);
  addAttention(cases);
  for (const char *kind : {"f32", "f16", "bf16"}) {
    for (int64_t columns : {1, 31, 127, 128, 129, 512})
      cases.push_back(embeddingCase(kind, 3, 10, columns));
    for (int64_t rows : {1, 7, 8, 31, 32, 33, 100})
      for (int64_t columns : {1, 31, 32, 33, 64, 200, 512})
        cases.push_back(headCase(kind, 1 + rows % 3, rows, columns));
  }
  return cases;
}

std::vector<GpuCase> tern::test::smallGpuCases() {
  std::vector<GpuCase> cases = {productCase("matvec_two_bit", 1, 33, 700, 1, true),
                                productCase("matmul_two_bit", 9, 70, 576, 3, true),
                                floatProductCase(2, 70, 64, 2, true),
                                productCase("matvec_two_bit_f16", 1, 33, 700, 1, true),
                                productCase("matmul_two_bit_f16", 9, 70, 576, 3, true),
                                floatProductCase(2, 70, 64, 2, true, true),
                                normCase(2, 70, 2),
                                quantizeCase(false, false, 2, 300, 300),
                                quantizeCase(true, false, 2, 320, 32),
                                quantizeCase(false, true, 2, 288, 32),
                                quantizeCase(true, true, 2, 288, 32),
                                groupProductCase(9, 70, 192, 6, 3, true, false),
                                groupProductCase(9, 70, 192, 6, 3, true, true),
                                ropeCase(2, 5, 64),
                                storeCase(2, {2, 70, 8, 80}, 3),
                                attentionCase(2, 4, {2, 20, 40, 32}, 35)};
  for (const char *kernel : {"add_rows", "gated_relu2", "gated_silu", "copy_rows"})
    cases.push_back(binaryCase(kernel, 2, 130));
  for (const char *kind : {"f32", "f16", "bf16"}) {
    cases.push_back(embeddingCase(kind, 2, 10, 130));
    cases.push_back(headCase(kind, 2, 40, 70));
  }
  return cases;
}
