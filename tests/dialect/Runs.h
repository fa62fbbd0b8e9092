//===- Runs.h - runs of small programs on the interpreter -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_DIALECT_RUNS_H
#define TERN_TESTS_DIALECT_RUNS_H

#include "Program.h"

#include "llvm/Support/FormatVariadic.h"

#include <random>

namespace tern {

inline std::vector<float> randomFloats(unsigned seed, int64_t count) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-3.0f, 3.0f);
  std::vector<float> values(count);
  for (float &value : values)
    value = uniform(random);
  return values;
}

/// One run whose result is a float tensor.
inline std::vector<float> floatsOf(Interpreter &interpreter, llvm::StringRef function,
                                   std::vector<RuntimeValue> arguments) {
  auto results = interpreter.run(function, arguments);
  if (!results) {
    ADD_FAILURE() << llvm::toString(results.takeError());
    return {};
  }
  return asTensor((*results)[0]).f32;
}

inline std::string failure(Program &program, llvm::StringRef function,
                           std::vector<RuntimeValue> arguments) {
  WeightFiles files;
  return message(Interpreter(*program.module, files).run(function, arguments));
}

inline std::string weightText(llvm::StringRef name, llvm::StringRef type, llvm::StringRef shape) {
  return llvm::formatv("ternary.weight @{0} : tensor<{1}> from [#ternary.source<file = 0, "
                       "offset = {3}, bytes = 0, shape = [{2}], encoding = random>]\n",
                       name, type, shape, name.size())
      .str();
}

} // namespace tern

#endif // TERN_TESTS_DIALECT_RUNS_H
