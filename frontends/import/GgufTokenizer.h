//===- GgufTokenizer.h - a GGUF file's tokenizer to a blob ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_GGUFTOKENIZER_H
#define TERN_FRONTENDS_IMPORT_GGUFTOKENIZER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace tern::import {

class GgufMetadata;

/// Numbers of `tokenizer.ggml.token_type`.
enum class GgufTokenType : int32_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6
};

/// The keys `tokenizer.ggml.*` of one file. Texts may point into the file.
struct GgufVocabulary {
  std::string file; ///< for messages
  llvm::StringRef model;
  std::optional<llvm::StringRef> pre;
  std::vector<llvm::StringRef> tokens;
  std::vector<int32_t> types; ///< empty: all normal
  std::vector<float> scores;  ///< of model "llama"
  std::vector<llvm::StringRef> merges;
  std::optional<uint64_t> bos, eos, eot, unknown;
  std::optional<bool> addBos, addEos, addSpacePrefix;
};

/// The vocabulary of a file, or nothing where it has none. Arrays that its model does not need are
/// not looked at.
llvm::Expected<std::optional<GgufVocabulary>> readGgufVocabulary(llvm::StringRef file,
                                                                 const GgufMetadata &metadata);

struct GgufTokenizer {
  std::string blob;     ///< tern/tokenizer_blob.h
  std::string warnings; ///< a line each
};

/// `size`: the model's vocabulary, which no id may reach; 0: unknown. What is not known exactly is
/// refused by name.
llvm::Expected<GgufTokenizer> makeGgufTokenizer(const GgufVocabulary &vocabulary, uint64_t size);

/// Both in one; an empty blob where the file has no vocabulary.
llvm::Expected<GgufTokenizer> importGgufTokenizer(llvm::StringRef file,
                                                  const GgufMetadata &metadata, uint64_t size);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_GGUFTOKENIZER_H
