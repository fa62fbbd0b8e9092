//===- Writers.h - a source to a file or a folder ---------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_WRITERS_H
#define TERN_FRONTENDS_CONVERT_WRITERS_H

#include "frontends/convert/Convert.h"
#include "frontends/convert/Matrices.h"

#include <functional>

namespace tern::convert {

/// What goes beside the weights.
struct Extras {
  llvm::StringRef in;            ///< the path the model came from
  llvm::StringRef tokenizerBlob; ///< may be empty
  std::string chatTemplate;      ///< may be empty
  std::string name;
  std::vector<int64_t> eos;
  std::optional<int64_t> bos;
};

llvm::Error writeGguf(const Source &source, const Extras &extras, const Options &options,
                      llvm::StringRef out);
llvm::Error writeHuggingFace(const Source &source, const Extras &extras, llvm::StringRef out);

/// A tensor of an output file; its bytes are made when it is their turn.
struct OutTensor {
  std::string name;
  std::string dtype;          ///< of safetensors
  uint32_t type = 0;          ///< of GGUF
  std::vector<int64_t> shape; ///< rows first
  uint64_t bytes = 0;
  std::function<llvm::Expected<std::vector<uint8_t>>()> make;
};

/// A float weight as it is (tables), or as binary32 (gains).
llvm::Expected<OutTensor> floatTensor(const Source &source, llvm::StringRef weight,
                                      std::string name);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_WRITERS_H
