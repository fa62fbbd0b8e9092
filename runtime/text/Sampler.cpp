//===- Sampler.cpp - logits to the next token -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace tern {

namespace {
constexpr int32_t kDefaultWindow = 64;
constexpr int32_t kMaxWindow = 1 << 20;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// exp(x) for x <= 0, from exactly rounded operations only: C libraries differ in the last bits of
/// theirs.
double exponential(double x) {
  if (!(x > -708.0)) // below: subnormal
    return 0.0;
  double k = std::floor(x * 1.4426950408889634 + 0.5);
  double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33; // ln 2 in two parts
  double sum = 1.0;
  // |r| <= 0.35, so r^14 / 14! is below 2^-56.
  for (int i = 13; i >= 1; --i)
    sum = 1.0 + sum * r / i;
  uint64_t scale = static_cast<uint64_t>(static_cast<int64_t>(k) + 1023) << 52;
  return sum * std::bit_cast<double>(scale);
}
} // namespace

Random::Random(uint64_t seed) {
  for (uint64_t &word : state) {
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    word = z ^ (z >> 31);
  }
}

uint64_t Random::next() {
  uint64_t result = std::rotl(state[1] * 5, 7) * 9;
  uint64_t shifted = state[1] << 17;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = std::rotl(state[3], 45);
  return result;
}

Status Sampler::check(const tern_sampler_options_t &options) {
  auto refuse = [](const char *name, const char *range, float found) {
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                         std::string(name) + ": expected " + range + ", found " +
                             std::to_string(found));
  };
  auto within = [](float value, float most) { return value >= 0.0f && value <= most; };
  constexpr float kMost = std::numeric_limits<float>::max();
  if (!within(options.temperature, kMost))
    return refuse("temperature", "a finite number of at least 0", options.temperature);
  if (!within(options.top_p, 1.0f))
    return refuse("top_p", "a number from 0 to 1", options.top_p);
  if (!within(options.min_p, 1.0f))
    return refuse("min_p", "a number from 0 to 1", options.min_p);
  if (!within(options.repetition_penalty, kMost))
    return refuse("repetition_penalty", "a finite number of at least 0",
                  options.repetition_penalty);
  if (options.top_k < 0)
    return refuse("top_k", "at least 0", static_cast<float>(options.top_k));
  if (options.repetition_window < 0 || options.repetition_window > kMaxWindow)
    return refuse("repetition_window", "a number from 0 to 1048576",
                  static_cast<float>(options.repetition_window));
  return Status();
}

Sampler::Sampler(const tern_sampler_options_t &given) : options(given), random(given.seed) {
  if (options.repetition_window <= 0)
    options.repetition_window = kDefaultWindow;
}

void Sampler::accept(int32_t id) {
  if (recent.size() < static_cast<size_t>(options.repetition_window)) {
    recent.push_back(id);
    return;
  }
  recent[recentNext] = id;
  recentNext = (recentNext + 1) % recent.size();
}

bool Sampler::before(const Candidate &a, const Candidate &b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

void Sampler::penalize() {
  float penalty = options.repetition_penalty;
  if (penalty == 0.0f || penalty == 1.0f)
    return;
  std::vector<int32_t> ids = recent;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= candidates.size())
      continue;
    float &logit = candidates[static_cast<size_t>(id)].logit;
    logit = logit > 0.0f ? logit / penalty : logit * penalty;
  }
}

int32_t Sampler::greedy() const {
  const Candidate *best = &candidates.front();
  for (const Candidate &candidate : candidates)
    if (candidate.logit > best->logit)
      best = &candidate;
  return best->id;
}

void Sampler::sortLargest(size_t from, size_t to) {
  auto at = [&](size_t i) { return candidates.begin() + static_cast<ptrdiff_t>(i); };
  if (to < candidates.size())
    std::nth_element(at(from), at(to), candidates.end(), before);
  std::sort(at(from), at(to), before);
}

void Sampler::keepTopK() {
  size_t k = static_cast<size_t>(options.top_k);
  if (k == 0 || k >= candidates.size())
    return;
  sortLargest(0, k);
  candidates.resize(k);
}

double Sampler::softmax() {
  float largest = std::min_element(candidates.begin(), candidates.end(), before)->logit;
  double temperature = static_cast<double>(options.temperature);
  double total = 0.0;
  for (Candidate &c : candidates) {
    // Equal infinities have no difference.
    double below =
        c.logit == largest ? 0.0 : static_cast<double>(c.logit) - static_cast<double>(largest);
    c.weight = exponential(below / temperature);
    total += c.weight;
  }
  return total;
}

void Sampler::keepTopP(double total) {
  double p = static_cast<double>(options.top_p);
  if (p == 0.0 || p == 1.0)
    return;
  double sum = 0.0;
  size_t kept = 0, sorted = 0;
  while (kept < candidates.size() && (kept == 0 || sum < p * total)) {
    if (kept == sorted) {
      // Few are needed as a rule; growing steps keep the rest from being sorted.
      sorted = std::min(candidates.size(), sorted * 8 + 64);
      sortLargest(kept, sorted);
    }
    sum += candidates[kept++].weight;
  }
  candidates.resize(kept);
}

void Sampler::keepMinP() {
  double least = static_cast<double>(options.min_p); // the largest weight is 1
  if (least > 0.0)
    std::erase_if(candidates, [&](const Candidate &c) { return c.weight < least; });
}

int32_t Sampler::draw() {
  double total = 0.0;
  for (const Candidate &c : candidates)
    total += c.weight;
  double target = random.uniform() * total;
  int32_t last = candidates.front().id;
  for (const Candidate &c : candidates) {
    if (c.weight == 0.0)
      continue;
    last = c.id;
    target -= c.weight;
    if (target < 0.0)
      break;
  }
  return last;
}

int32_t Sampler::sample(const float *logits, size_t count) {
  candidates.resize(count);
  for (size_t i = 0; i < count; ++i)
    candidates[i] = {std::isnan(logits[i]) ? -kInfinity : logits[i], static_cast<int32_t>(i), 0.0};
  penalize();
  if (options.temperature == 0.0f)
    return greedy();
  keepTopK();
  keepTopP(softmax());
  keepMinP();
  return draw();
}

} // namespace tern
