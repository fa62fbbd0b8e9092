//===- Writers.h - a source to a file or a folder ---------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_WRITERS_H
#define TERN_FRONTENDS_CONVERT_WRITERS_H

#include "frontends/convert/Convert.h"
#include "frontends/convert/Source.h"

#include <functional>

namespace tern::convert {

/// What goes beside the weights, and what came of it.
struct Extras {
  llvm::StringRef in;            ///< the path the model came from
  llvm::StringRef tokenizerBlob; ///< may be empty
  std::string chatTemplate;      ///< may be empty
  std::string name, licence;
  std::vector<int64_t> eos;
  std::optional<int64_t> bos;
  bool samples = false;           ///< the model suggests how to sample
  std::vector<std::string> notes; ///< what the output does not hold
};

llvm::Error writeGguf(const Source &source, Extras &extras, const Options &options,
                      llvm::StringRef out);
llvm::Error writeHuggingFace(const Source &source, Extras &extras, llvm::StringRef out);

/// A tensor of an output file; its bytes are made when it is their turn.
struct OutTensor {
  std::string name;
  std::string dtype;          ///< of safetensors
  uint32_t type = 0;          ///< of GGUF
  std::vector<int64_t> shape; ///< rows first
  uint64_t bytes = 0;
  std::function<llvm::Error(llvm::raw_ostream &)> write;
};

/// A float weight in its own element type.
llvm::Expected<OutTensor> floatTensor(const Source &source, llvm::StringRef weight,
                                      std::string name);
/// Writes the bytes of one tensor, and gives the pages of what was read for it back.
llvm::Error writeTensor(const Source &source, const OutTensor &tensor, llvm::raw_ostream &out);
/// A file that appears whole or not at all.
llvm::Error writeOutput(llvm::StringRef path,
                        llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write);

/// Rotary divisors beside the scaling that the config states: none where there are none. An error
/// where float32 holds no such divisors.
llvm::Expected<std::vector<float>> ropeDivisors(const Source &source, const import::Config &stated);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_WRITERS_H
