//===- Sampler.h - logits to the next token ---------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_SAMPLER_H
#define TERN_RUNTIME_TEXT_SAMPLER_H

#include "runtime/Status.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tern {

/// xoshiro256** by D. Blackman and S. Vigna, seeded through splitmix64: the same numbers on every
/// machine.
class Random {
public:
  explicit Random(uint64_t seed);
  uint64_t next();
  /// In [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

private:
  uint64_t state[4];
};

/// Chooses tokens. The order of work, each step on what the one before left:
///  1. repetition penalty: a logit of a token among the last `repetition_window` accepted ones is
///  divided by the penalty
///     when positive, else multiplied by it;
///  2. temperature 0: the first largest logit, and nothing further; else logits are divided by it;
///  3. top-k: the k largest; equal ones in order of their ids (as everywhere below);
///  4. top-p: softmax, then the fewest largest whose probabilities sum to at least p;
///  5. min-p: those whose probability is at least min_p times the largest;
///  6. one draw, in proportion to the probabilities.
/// NaN counts as -inf, which is chosen only where all are; +inf wins over all finite values. The
/// arithmetic is double and calls no library function that may differ: equal logits, options and
/// seed give equal tokens everywhere.
class Sampler {
public:
  /// Whether the options make sense: finite, not negative, top_p and min_p at most 1.
  static Status check(const tern_sampler_options_t &options);

  /// Options must have passed `check`.
  explicit Sampler(const tern_sampler_options_t &options);
  /// The next token for `count` > 0 logits; does not remember it.
  int32_t sample(const float *logits, size_t count);
  /// Remembers a token for the repetition penalty.
  void accept(int32_t id);

private:
  struct Candidate {
    float logit;
    int32_t id;
    double weight; ///< the probability, times a common factor that makes the largest 1
  };
  static bool before(const Candidate &a, const Candidate &b);
  void penalize();
  int32_t greedy() const;
  /// Brings the largest of candidates [from, end) to [from, to), in order.
  void sortLargest(size_t from, size_t to);
  void keepTopK();
  double softmax();
  void keepTopP(double total);
  void keepMinP();
  int32_t draw();

  tern_sampler_options_t options;
  Random random;
  std::vector<int32_t> recent; ///< a ring of the last accepted tokens
  size_t recentNext = 0;
  std::vector<Candidate> candidates; ///< reused from call to call
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_SAMPLER_H
