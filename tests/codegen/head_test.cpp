//===- head_test.cpp - the two-stage head finds what the full one says ----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Compiler.h"
#include "dialect/HeadScreen.h"
#include "dialect/Semantics.h"
#include "tests/support/RunForward.h"
#include "tests/support/RunModule.h"
#include "gtest/gtest.h"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

using namespace tern;
using namespace tern::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Answer {
  int32_t id = -1;
  float logit = -kInfinity;
  uint32_t computed = 0;

  bool operator==(const Answer &other) const {
    return id == other.id && std::bit_cast<uint32_t>(logit) == std::bit_cast<uint32_t>(other.logit);
  }
};

/// What tern_best_t must say, from logits by the row rule.
Answer expected(const std::vector<float> &table, const std::vector<float> &x) {
  Answer best;
  const auto columns = static_cast<int64_t>(x.size());
  for (size_t v = 0; v < table.size() / x.size(); ++v) {
    float logit = semantics::rowDot(x.data(), &table[v * x.size()], columns);
    if (logit > best.logit)
      best = {static_cast<int32_t>(v), logit, 0};
  }
  return best;
}

/// A compiled head of f32 whose table the test writes.
class Head {
public:
  /// `bits`: of a table in integers; 0: of floats, with a screen.
  Head(int64_t vocabulary, int64_t columns, const Target &target, int64_t bits = 0)
      : vocabulary(vocabulary), columns(columns), bits(bits), context(makeContext()) {
    std::string table = std::to_string(vocabulary) + "x" + std::to_string(columns) + "xf32";
    if (bits)
      table += ", #ternary.screen<bits = " + std::to_string(bits) + ">";
    std::string n = std::to_string(columns), v = std::to_string(vocabulary);
    module = parse(
        *context, "module attributes {ternary.files = []} {\n"
                  "ternary.weight @table : tensor<" +
                      table + "> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [" +
                      v + ", " + n +
                      "], encoding = random>]\n"
                      "func.func @main(%x: tensor<?x" +
                      n + "xf32>) -> tensor<?x" + v +
                      "xf32> attributes {ternary.entry} {\n"
                      "%t = ternary.load @table : tensor<" +
                      table +
                      ">\n"
                      "%l = ternary.head %x, %t : tensor<?x" +
                      n + "xf32>, tensor<" + table + "> -> tensor<?x" + v +
                      "xf32>\n"
                      "return %l : tensor<?x" +
                      v + "xf32>\n}}");
    CompileOptions options;
    options.targets = {target};
    options.head = bits ? "full" : "two_stage";
    auto made = JitModel::compile(CompileInput{*module, nullptr, "", ""}, options);
    if (!made) {
      ADD_FAILURE() << llvm::toString(made.takeError());
      return;
    }
    compiled = std::move(*made);
    llvm::ArrayRef<uint8_t> bytes = compiled->payload();
    payload.reset(
        static_cast<uint8_t *>(std::aligned_alloc(4096, (bytes.size() + 4095) / 4096 * 4096)));
    std::memcpy(payload.get(), bytes.data(), bytes.size());
  }

  bool ready() const { return compiled != nullptr; }
  const tern_descriptor_t &descriptor() const { return *compiled->query()(TERN_ABI_VERSION); }

  /// Puts screen and table where the packed module has them: one behind the other.
  void write(const std::vector<float> &table) {
    uint8_t *weights = payload.get() + findSection(payload.get(), TERN_SECTION_WEIGHTS)->offset;
    const int64_t stride = paddedRow(columns);
    const HeadScreen screen = this->screen();
    const int64_t floatBytes = bits ? 0 : vocabulary * stride * 4;
    uint8_t *block = weights, *rows = weights + screen.packedBytes(vocabulary, columns);
    for (int64_t v = 0; v < vocabulary && !bits; ++v)
      std::memcpy(rows + v * stride * 4, &table[v * columns], columns * 4);
    ASSERT_EQ(uint64_t(floatBytes + screen.packedBytes(vocabulary, columns)),
              descriptor().weights_bytes);
    for (int64_t v = 0; v < vocabulary; v += HeadScreen::kRows, block += screen.blockBytes(columns))
      screen.encodeBlock(&table[v * columns], std::min(HeadScreen::kRows, vocabulary - v), columns,
                         block);
  }

  Answer find(const std::vector<float> &x, uint32_t threads, Schedule schedule) {
    return findEach(x, threads, schedule).front();
  }
  /// For each row of `x`.
  std::vector<Answer> findEach(const std::vector<float> &x, uint32_t threads, Schedule schedule) {
    const size_t rows = x.size() / static_cast<size_t>(columns);
    std::vector<tern_best_t> slots(rows * threads, {NAN, -kInfinity, -1, 0, {}});
    std::vector<float> bounds(rows * static_cast<size_t>(vocabulary));
    ForwardRun run(&descriptor(), payload.get(), 0);
    run.best = slots.data();
    run.run(0, threads, static_cast<int64_t>(rows), {x.data()}, {}, {bounds.data()}, schedule);
    std::vector<Answer> found(rows);
    for (size_t i = 0; i < slots.size(); ++i) {
      const tern_best_t &slot = slots[i];
      Answer &best = found[i / threads];
      best.computed += slot.computed;
      if (slot.id >= 0 &&
          (slot.logit > best.logit || (slot.logit == best.logit && slot.id < best.id)))
        best = {slot.id, slot.logit, best.computed};
    }
    return found;
  }

  /// All logits of the rows of `x`.
  std::vector<float> logits(const std::vector<float> &x, uint32_t threads, Schedule schedule) {
    const auto rows = static_cast<int64_t>(x.size()) / columns;
    std::vector<float> out(static_cast<size_t>(rows * vocabulary), 99.0f);
    ForwardRun(&descriptor(), payload.get(), 0)
        .run(0, threads, rows, {x.data()}, {}, {out.data()}, schedule);
    return out;
  }
  HeadScreen screen() const { return HeadScreen{bits ? bits : 6}; }

  const int64_t vocabulary, columns, bits;

private:
  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<JitModel> compiled;
  std::unique_ptr<uint8_t, decltype(&std::free)> payload{nullptr, &std::free};
};

std::vector<float> normals(std::mt19937_64 &random, int64_t count, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = normal(random);
  return values;
}

/// A table and a row.
struct Case {
  const char *name;
  std::function<void(std::mt19937_64 &, int64_t columns, std::vector<float> &table,
                     std::vector<float> &x)>
      change;
};

std::vector<float *> someRows(std::mt19937_64 &random, std::vector<float> &table, int64_t columns,
                              int count) {
  std::vector<float *> rows;
  for (int i = 0; i < count; ++i)
    rows.push_back(&table[random() % (table.size() / columns) * columns]);
  return rows;
}

const Case kCases[] = {
    {"random", [](auto &, int64_t, auto &, auto &) {}},
    {"all rows equal",
     [](auto &, int64_t columns, auto &table, auto &) {
       for (size_t i = columns; i < table.size(); ++i)
         table[i] = table[i % columns];
     }},
    {"the best rows are equal",
     [](auto &random, int64_t columns, auto &table, auto &x) {
       for (float *row : someRows(random, table, columns, 5))
         std::copy(x.begin(), x.end(), row);
     }},
    {"the best rows differ in one bit of one element",
     [](auto &random, int64_t columns, auto &table, auto &x) {
       for (float *row : someRows(random, table, columns, 9)) {
         std::copy(x.begin(), x.end(), row);
         float &one = row[random() % columns];
         one = std::bit_cast<float>(std::bit_cast<uint32_t>(one) + 1 - uint32_t(random() % 3));
       }
     }},
    {"zeros",
     [](auto &, int64_t, auto &table, auto &) { std::fill(table.begin(), table.end(), 0.0f); }},
    {"the row is zero",
     [](auto &, int64_t, auto &, auto &x) { std::fill(x.begin(), x.end(), 0.0f); }},
    {"one element counts", [](auto &, int64_t columns, auto &, auto &x) { x[columns / 2] = 1e6f; }},
    {"tiny",
     [](auto &, int64_t, auto &, auto &x) {
       for (float &value : x)
         value *= 1e-38f;
     }},
    {"subnormal products",
     [](auto &, int64_t, auto &table, auto &x) {
       for (float &value : x)
         value *= 1e-20f;
       for (float &value : table)
         value *= 1e-22f;
     }},
    {"huge",
     [](auto &, int64_t, auto &table, auto &x) {
       for (float &value : x)
         value *= 1e18f;
       for (float &value : table)
         value *= 1e17f;
     }},
    {"logits overflow",
     [](auto &, int64_t, auto &table, auto &x) {
       for (float &value : x)
         value *= 1e30f;
       for (float &value : table)
         value *= 1e20f;
     }},
    {"infinite", [](auto &, int64_t, auto &, auto &x) { x[0] = kInfinity; }},
    {"not a number", [](auto &, int64_t, auto &, auto &x) { x[0] = NAN; }},
    {"rows of very different sizes",
     [](auto &random, int64_t columns, auto &table, auto &) {
       for (size_t v = 0; v < table.size() / columns; ++v) {
         float scale = std::ldexp(1.0f, static_cast<int>(random() % 60) - 30);
         for (int64_t k = 0; k < columns; ++k)
           table[v * columns + k] *= scale;
       }
     }},
};

std::vector<Target> runnableTargets() {
  std::vector<Target> targets;
  for (const Target &target : allTargets())
    if (hostCanRun(target.cpuFeatures))
      targets.push_back(target);
  return targets;
}

} // namespace

TEST(HeadScreen, BoundsHoldWhatTheyLeaveOut) {
  std::mt19937_64 random(1);
  constexpr int64_t kColumns = 100;
  for (int64_t bits : {6, 8}) {
    const HeadScreen screen{bits};
    std::vector<float> rows = normals(random, 5 * kColumns, 0.02f);
    std::fill_n(rows.begin() + 2 * kColumns, kColumns, 0.0f);
    std::vector<uint8_t> bytes(screen.blockBytes(kColumns));
    screen.encodeBlock(rows.data(), 5, kColumns, bytes.data());
    auto at = [&](int64_t offset, int64_t index) {
      float value;
      std::memcpy(&value, bytes.data() + offset + 4 * index, 4);
      return value;
    };
    std::vector<int64_t> codes(HeadScreen::kRows * kColumns);
    for (int64_t part = 0; part < screen.parts(); ++part) {
      const Packing packing = screen.packing(part);
      std::vector<int8_t> integers(codes.size());
      // A two_bit code 3 is none of a trit's, but is decoded.
      const bool trits =
          packing.decodeBlock(bytes.data() + screen.partOffset(part, kColumns), HeadScreen::kRows,
                              kColumns, kColumns, integers.data());
      EXPECT_TRUE(trits || packing.kind == Packing::Kind::TwoBit);
      for (size_t i = 0; i < codes.size(); ++i)
        codes[i] += (integers[i] - packing.least()) << screen.shift(part);
    }
    for (int64_t r = 0; r < 5; ++r) {
      double error = 0, norm = 0, step = at(screen.scalesOffset(kColumns), r);
      for (int64_t k = 0; k < kColumns; ++k) {
        const int64_t code = codes[r * kColumns + k];
        double value = rows[r * kColumns + k];
        double meant = step * (double(code) - double(screen.levels()) / 2);
        error += (value - meant) * (value - meant);
        norm += std::max(value * value, 0.0);
      }
      EXPECT_GE(at(screen.errorsOffset(kColumns), r), std::sqrt(error)) << r;
      EXPECT_GE(at(screen.normsOffset(kColumns), r), std::sqrt(norm)) << r;
      // Codes are spread over the row's whole range.
      EXPECT_LE(std::sqrt(error), 0.51 * step * std::sqrt(double(kColumns))) << r;
    }
    EXPECT_EQ(at(screen.errorsOffset(kColumns), 5), kInfinity);
  }
}

TEST(TwoStageHead, FindsTheLargestLogitOfAnyTable) {
  for (const Target &target : runnableTargets())
    for (auto [vocabulary, columns] : {std::pair<int64_t, int64_t>{1, 1}, {47, 100}, {512, 320}}) {
      Head head(vocabulary, columns, target);
      ASSERT_TRUE(head.ready()) << target.name;
      for (const Case &one : kCases) {
        std::mt19937_64 random(static_cast<uint64_t>(vocabulary));
        std::vector<float> table = normals(random, vocabulary * columns, 0.05f);
        std::vector<float> x = normals(random, columns, 2);
        one.change(random, columns, table, x);
        head.write(table);
        const Answer truth = expected(table, x);
        for (uint32_t threads : {1u, 2u, 3u})
          for (Schedule schedule :
               {Schedule::Together, Schedule::Ascending, Schedule::Descending}) {
            Answer found = head.find(x, threads, schedule);
            EXPECT_TRUE(found == truth)
                << one.name << ", " << vocabulary << " rows of " << columns << ", " << target.name
                << ", " << threads << " threads: expected " << truth.id << " (" << truth.logit
                << "), found " << found.id << " (" << found.logit << ")";
          }
      }
    }
}

TEST(TwoStageHead, FindsTheLargestLogitOfEachOfSeveralRows) {
  for (const Target &target : runnableTargets()) {
    Head head(47, 100, target);
    ASSERT_TRUE(head.ready()) << target.name;
    std::mt19937_64 random(11);
    std::vector<float> table = normals(random, 47 * 100, 0.05f);
    head.write(table);
    for (int64_t rows : {2, 8, 9, 19}) {
      std::vector<float> x = normals(random, rows * 100, 2);
      x[100] = NAN; // of the second row only
      for (Schedule schedule : {Schedule::Together, Schedule::Ascending, Schedule::Descending}) {
        std::vector<Answer> found = head.findEach(x, 3, schedule);
        for (int64_t r = 0; r < rows; ++r) {
          std::vector<float> row(&x[r * 100], &x[r * 100] + 100);
          EXPECT_TRUE(found[r] == expected(table, row)) << target.name << ", row " << r;
        }
      }
    }
  }
}

TEST(IntegerHead, IsTheProductOfItsRule) {
  for (const Target &target : runnableTargets())
    for (int64_t bits : {6, 8})
      for (auto [vocabulary, columns] : {std::pair<int64_t, int64_t>{1, 1}, {47, 100}, {64, 321}}) {
        Head head(vocabulary, columns, target, bits);
        ASSERT_TRUE(head.ready()) << target.name;
        for (const Case &one : kCases) {
          std::mt19937_64 random(static_cast<uint64_t>(vocabulary));
          std::vector<float> table = normals(random, vocabulary * columns, 0.05f);
          std::vector<float> x = normals(random, columns, 2);
          one.change(random, columns, table, x);
          std::vector<float> more = normals(random, 10 * columns, 3);
          x.insert(x.end(), more.begin(), more.end());
          head.write(table);
          std::vector<float> expected;
          for (size_t row = 0; row < x.size(); row += columns) {
            const SplitRow split(&x[row], columns);
            for (int64_t v = 0; v < vocabulary; ++v)
              expected.push_back(head.screen().product(split, &table[v * columns]));
          }
          for (Schedule schedule : {Schedule::Ascending, Schedule::Descending}) {
            std::vector<float> found = head.logits(x, 2, schedule);
            for (size_t i = 0; i < found.size(); ++i)
              ASSERT_TRUE(std::bit_cast<uint32_t>(found[i]) ==
                              std::bit_cast<uint32_t>(expected[i]) ||
                          (std::isnan(found[i]) && std::isnan(expected[i])))
                  << one.name << ", " << bits << " bits, " << vocabulary << " rows of " << columns
                  << ", " << target.name << ", logit " << i << ": expected " << expected[i]
                  << ", found " << found[i];
          }
        }
      }
}

/// Rounding errors of 8 bits are a few thousandths of a logit's spread.
TEST(IntegerHead, IsNearTheFloatHead) {
  std::mt19937_64 random(7);
  constexpr int64_t kColumns = 512;
  std::vector<float> x = normals(random, kColumns, 2), row = normals(random, kColumns, 0.05f);
  const SplitRow split(x.data(), kColumns);
  const double spread = 2 * 0.05 * std::sqrt(double(kColumns));
  const double exact = semantics::rowDot(x.data(), row.data(), kColumns);
  EXPECT_NEAR(HeadScreen{8}.product(split, row.data()), exact, 0.03 * spread);
  EXPECT_NEAR(HeadScreen{6}.product(split, row.data()), exact, 0.12 * spread);
}

/// Most rows are ruled out: a screen that rules out none would pass the test above.
TEST(TwoStageHead, ComputesFewRows) {
  for (const Target &target : runnableTargets()) {
    Head head(4096, 512, target);
    ASSERT_TRUE(head.ready());
    std::mt19937_64 random(5);
    std::vector<float> table = normals(random, 4096 * 512, 0.05f), x = normals(random, 512, 2);
    head.write(table);
    Answer found = head.find(x, 2, Schedule::Together);
    EXPECT_TRUE(found == expected(table, x));
    EXPECT_LT(found.computed, 4096u / 10) << target.name;
    EXPECT_EQ(head.descriptor().screened_bytes, 4096u * 512 * 4);
  }
}
