//===- sampler_test.cpp - choosing tokens ---------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

using namespace tern;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

tern_sampler_options_t optionsOf(float temperature) {
  tern_sampler_options_t options = {};
  options.struct_size = sizeof(options);
  options.temperature = temperature;
  options.seed = 7;
  return options;
}

int32_t sampleOnce(const tern_sampler_options_t &options, const std::vector<float> &logits) {
  return Sampler(options).sample(logits.data(), logits.size());
}

std::map<int32_t, int> countDraws(const tern_sampler_options_t &options,
                                  const std::vector<float> &logits, int draws) {
  Sampler sampler(options);
  std::map<int32_t, int> counts;
  for (int i = 0; i < draws; ++i)
    ++counts[sampler.sample(logits.data(), logits.size())];
  return counts;
}

std::set<int32_t> drawn(const tern_sampler_options_t &options, const std::vector<float> &logits) {
  std::set<int32_t> ids;
  for (auto [id, count] : countDraws(options, logits, 1000))
    ids.insert(id);
  return ids;
}

std::vector<float> logsOf(std::vector<double> probabilities) {
  std::vector<float> logits;
  for (double p : probabilities)
    logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Random, GivesTheReferenceSequence) {
  // splitmix64 of seed 0 begins with these two words (published with the generator), which
  // xoshiro256** turns into its first output rotl(state[1] * 5, 7) * 9.
  uint64_t second = UINT64_C(0x6e789e6aa1b965f4);
  uint64_t product = second * 5;
  EXPECT_EQ(Random(0).next(), ((product << 7) | (product >> 57)) * 9);
}

TEST(Random, UniformNumbersFillTheUnitInterval) {
  Random random(1);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(Sampler, GreedyTakesTheFirstOfEqualMaxima) {
  EXPECT_EQ(sampleOnce(optionsOf(0), {1, 3, 2, 3, -1}), 1);
  EXPECT_EQ(sampleOnce(optionsOf(0), {-5}), 0);
  EXPECT_EQ(sampleOnce(optionsOf(0), {-0.0f, 0.0f}), 0);
}

TEST(Sampler, NanLogitsAreNeverChosenBesideOthers) {
  EXPECT_EQ(sampleOnce(optionsOf(0), {kNan, -2, kNan}), 1);
  EXPECT_EQ(sampleOnce(optionsOf(0), {kNan, kNan}), 0);
  EXPECT_EQ(drawn(optionsOf(1), {kNan, 0, kNan, 0}), (std::set<int32_t>{1, 3}));
  int32_t id = sampleOnce(optionsOf(1), {kNan, kNan, kNan});
  EXPECT_GE(id, 0);
  EXPECT_LT(id, 3);
}

TEST(Sampler, InfinitiesRankBeyondAllNumbers) {
  EXPECT_EQ(drawn(optionsOf(1), {5, kInfinity, 3e38f, kInfinity}), (std::set<int32_t>{1, 3}));
  EXPECT_EQ(drawn(optionsOf(1), {-kInfinity, 0, -kInfinity}), (std::set<int32_t>{1}));
  tern_sampler_options_t options = optionsOf(1);
  options.top_k = 2;
  options.top_p = 0.5f;
  options.min_p = 0.5f;
  int32_t id = sampleOnce(options, {-kInfinity, -kInfinity, -kInfinity});
  EXPECT_GE(id, 0);
  EXPECT_LT(id, 3);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  std::map<int32_t, int> counts = countDraws(optionsOf(1), logsOf({0.5, 0.3, 0.15, 0.05}), 100000);
  EXPECT_NEAR(counts[0], 50000, 700);
  EXPECT_NEAR(counts[1], 30000, 700);
  EXPECT_NEAR(counts[2], 15000, 500);
  EXPECT_NEAR(counts[3], 5000, 300);
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  std::vector<float> logits = logsOf({0.8, 0.2});
  // Halving the temperature squares the odds.
  EXPECT_NEAR(countDraws(optionsOf(0.5f), logits, 100000)[1], 100000 * 0.04 / 0.68, 500);
  EXPECT_NEAR(countDraws(optionsOf(1e30f), logits, 100000)[1], 50000, 700);
  EXPECT_EQ(drawn(optionsOf(1e-40f), {5, 4, 5}), (std::set<int32_t>{0, 2}));
}

TEST(Sampler, TopKKeepsTheLargestAndLowerIdsAmongEquals) {
  tern_sampler_options_t options = optionsOf(1);
  options.top_k = 2;
  EXPECT_EQ(drawn(options, {1, 5, 3, 4}), (std::set<int32_t>{1, 3}));
  EXPECT_EQ(drawn(options, {2, 2, 2, 2}), (std::set<int32_t>{0, 1}));
  options.top_k = 1;
  EXPECT_EQ(drawn(options, {2, 7, 7, 2}), (std::set<int32_t>{1}));
  options.top_k = 100;
  EXPECT_EQ(drawn(options, {2, 2, 2}), (std::set<int32_t>{0, 1, 2}));
}

TEST(Sampler, TopPKeepsTheFewestThatReachIt) {
  tern_sampler_options_t options = optionsOf(1);
  std::vector<float> logits = logsOf({0.15, 0.5, 0.05, 0.3});
  options.top_p = 0.45f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{1}));
  options.top_p = 0.75f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{1, 3}));
  options.top_p = 0.9f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{0, 1, 3}));
  options.top_p = 1e-30f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{1}));
}

TEST(Sampler, TopPLooksPastItsFirstSteps) {
  // 1000 equal tokens: half of them are needed, the lower half of the ids.
  tern_sampler_options_t options = optionsOf(1);
  options.top_p = 0.5f;
  std::vector<float> logits(1000, 0.0f);
  std::map<int32_t, int> counts = countDraws(options, logits, 5000);
  EXPECT_EQ(counts.rbegin()->first, 499);
  EXPECT_EQ(counts.begin()->first, 0);
}

TEST(Sampler, MinPCutsRelativeToTheLargest) {
  tern_sampler_options_t options = optionsOf(1);
  std::vector<float> logits = logsOf({0.15, 0.5, 0.05, 0.3});
  options.min_p = 0.5f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{1, 3}));
  options.min_p = 0.2f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{0, 1, 3}));
  options.min_p = 1.0f;
  EXPECT_EQ(drawn(options, logits), (std::set<int32_t>{1}));
}

TEST(Sampler, PenaltyDividesPositiveAndMultipliesNegativeLogits) {
  tern_sampler_options_t options = optionsOf(0);
  options.repetition_penalty = 2.0f;
  Sampler sampler(options);
  std::vector<float> logits = {4, 3, -1, 1.5};
  EXPECT_EQ(sampler.sample(logits.data(), 4), 0);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(logits.data(), 4), 1); // 4 / 2 < 3
  sampler.accept(1);
  sampler.accept(1); // counts once
  EXPECT_EQ(sampler.sample(logits.data(), 4), 0);
  std::vector<float> negative = {-1, -1.5};
  EXPECT_EQ(sampler.sample(negative.data(), 2), 0); // -2 and -3
  sampler.accept(-1);
  sampler.accept(INT32_MAX); // outside the vocabulary: no effect
  EXPECT_EQ(sampler.sample(negative.data(), 2), 0);
}

TEST(Sampler, PenaltyForgetsWhatLeavesItsWindow) {
  tern_sampler_options_t options = optionsOf(0);
  options.repetition_penalty = 2.0f;
  options.repetition_window = 2;
  Sampler sampler(options);
  std::vector<float> logits = {4, 3, 0, 0};
  sampler.accept(0);
  sampler.accept(2);
  EXPECT_EQ(sampler.sample(logits.data(), 4), 1);
  sampler.accept(3); // pushes 0 out
  EXPECT_EQ(sampler.sample(logits.data(), 4), 0);
}

TEST(Sampler, SeedAloneDecidesTheSequence) {
  std::vector<float> logits(300);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = std::sin(static_cast<float>(i)) * 3;
  auto sequence = [&](uint64_t seed) {
    tern_sampler_options_t options = optionsOf(0.8f);
    options.top_p = 0.95f;
    options.top_k = 50;
    options.seed = seed;
    Sampler sampler(options);
    std::vector<int32_t> ids;
    for (int i = 0; i < 64; ++i)
      ids.push_back(sampler.sample(logits.data(), logits.size()));
    return ids;
  };
  EXPECT_EQ(sequence(1), sequence(1));
  EXPECT_NE(sequence(1), sequence(2));
}

TEST(Sampler, KeepsItsSequenceFromReleaseToRelease) {
  tern_sampler_options_t options = optionsOf(1);
  options.seed = 42;
  Sampler sampler(options);
  std::vector<float> logits = {0, 0.5f, 1, 1.5f, 2, 2.5f, 3, 3.5f};
  std::vector<int32_t> ids;
  for (int i = 0; i < 12; ++i)
    ids.push_back(sampler.sample(logits.data(), logits.size()));
  EXPECT_EQ(ids, (std::vector<int32_t>{3, 6, 7, 7, 7, 7, 7, 7, 7, 6, 7, 5}));
}

TEST(Sampler, OptionsThatMakeNoSenseAreRefusedByName) {
  auto refused = [](auto change) {
    tern_sampler_options_t options = optionsOf(1);
    change(options);
    Status status = Sampler::check(options);
    EXPECT_TRUE(status.ok() || status.code() == TERN_STATUS_INVALID_ARGUMENT);
    return status.ok() ? std::string() : status.message();
  };
  using Options = tern_sampler_options_t;
  EXPECT_EQ(refused([](Options &) {}), "");
  EXPECT_EQ(refused([](Options &o) { o.top_p = o.min_p = 1; }), "");
  auto names = [&](const char *name, auto change) {
    EXPECT_NE(refused(change).find(name), std::string::npos) << name;
  };
  names("temperature", [](Options &o) { o.temperature = -1; });
  names("temperature", [](Options &o) { o.temperature = kNan; });
  names("temperature", [](Options &o) { o.temperature = kInfinity; });
  names("top_p", [](Options &o) { o.top_p = 1.01f; });
  names("top_p", [](Options &o) { o.top_p = kNan; });
  names("min_p", [](Options &o) { o.min_p = -0.1f; });
  names("min_p", [](Options &o) { o.min_p = 2; });
  names("repetition_penalty", [](Options &o) { o.repetition_penalty = -1; });
  names("repetition_penalty", [](Options &o) { o.repetition_penalty = kInfinity; });
  names("top_k", [](Options &o) { o.top_k = -1; });
  names("repetition_window", [](Options &o) { o.repetition_window = -1; });
  names("repetition_window", [](Options &o) { o.repetition_window = INT32_MAX; });
}

TEST(Sampler, AgreesWithSortingEverything) {
  // The steps of Sampler.h over one full sort, on random logits and options.
  constexpr uint64_t kSeed = 20261122;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  Random random(kSeed);
  for (int round = 0; round < 60; ++round) {
    std::vector<float> logits(1 + random.next() % 600);
    for (float &logit : logits)
      logit = static_cast<float>(random.next() % 64) / 8;
    tern_sampler_options_t options = optionsOf(0.25f + static_cast<float>(random.uniform()));
    options.top_k = static_cast<int32_t>(random.next() % 100);
    options.top_p = static_cast<float>(random.uniform());
    options.min_p = static_cast<float>(random.uniform()) * 0.5f;

    std::vector<std::pair<double, int32_t>> sorted; // (-logit, id)
    for (size_t i = 0; i < logits.size(); ++i)
      sorted.push_back({-static_cast<double>(logits[i]), static_cast<int32_t>(i)});
    std::sort(sorted.begin(), sorted.end());
    if (options.top_k > 0 && static_cast<size_t>(options.top_k) < sorted.size())
      sorted.resize(static_cast<size_t>(options.top_k));
    double total = 0;
    std::vector<double> weights;
    for (auto [negative, id] : sorted)
      total += weights.emplace_back(
          std::exp((sorted[0].first - negative) / static_cast<double>(options.temperature)));
    std::set<int32_t> allowed;
    double sum = 0;
    for (size_t i = 0; i < sorted.size(); ++i) {
      double minimum = static_cast<double>(options.min_p), share = sum / total;
      double p = static_cast<double>(options.top_p);
      // Ties with the thresholds may fall either way.
      if ((i == 0 || share < p + 1e-9) && weights[i] > minimum - 1e-9)
        allowed.insert(sorted[i].second);
      sum += weights[i];
    }
    for (int32_t id : drawn(options, logits))
      EXPECT_TRUE(allowed.contains(id)) << "round " << round << ", id " << id;
  }
}

} // namespace
