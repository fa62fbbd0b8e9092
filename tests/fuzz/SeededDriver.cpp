//===- SeededDriver.cpp - a fuzz target as a plain test -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: TARGET [iterations [seed]], or TARGET FILE...: runs those inputs once
//
//===----------------------------------------------------------------------===//

#include "tests/fuzz/Fuzz.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

static void runOne(const std::string &input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(input.data()), input.size());
}

/// A few random edits: bytes, runs cut out or doubled, and the numbers that parsers trip over.
static std::string mutate(std::string text, std::mt19937_64 &random) {
  static const char *const words[] = {"-1",
                                      "0",
                                      "9223372036854775807",
                                      "18446744073709551615",
                                      "4294967296",
                                      "1e999",
                                      "null",
                                      "\"",
                                      "{",
                                      "[",
                                      "]",
                                      "}",
                                      ",",
                                      "\\u0000",
                                      "\xff",
                                      "0.5"};
  for (uint64_t edits = 1 + random() % 4; edits && !text.empty(); --edits) {
    size_t at = random() % text.size(), length = 1 + random() % 8;
    switch (random() % 5) {
    case 0:
      text[at] = static_cast<char>(random());
      break;
    case 1:
      text.erase(at, length);
      break;
    case 2:
      text.insert(at, text.substr(random() % text.size(), length));
      break;
    case 3:
      text.insert(at, words[random() % std::size(words)]);
      break;
    default:
      text.replace(at, std::min(length, text.size() - at), words[random() % std::size(words)]);
    }
  }
  return text;
}

int main(int argc, char **argv) {
  char *end = nullptr;
  uint64_t iterations = argc > 1 ? std::strtoull(argv[1], &end, 10) : 100'000;
  if (end && *end) {
    for (int i = 1; i < argc; ++i) {
      std::ifstream file(argv[i], std::ios::binary);
      runOne(std::string(std::istreambuf_iterator<char>(file), {}));
    }
    return 0;
  }
  uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 20261122;
  std::printf("%llu iterations, seed %llu\n", static_cast<unsigned long long>(iterations),
              static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  std::vector<std::string> seeds = tern::test::fuzzSeeds();
  for (const std::string &input : seeds)
    runOne(input);
  for (uint64_t i = 0; i < iterations; ++i)
    runOne(mutate(seeds[random() % seeds.size()], random));
  return 0;
}
