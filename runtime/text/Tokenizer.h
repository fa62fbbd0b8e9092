//===- Tokenizer.h - text to token ids and back -----------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_TOKENIZER_H
#define TERN_RUNTIME_TEXT_TOKENIZER_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/Status.h"

namespace tern {

/// Text to token ids and back, from the blob that travels inside a compiled model
/// (tern/tokenizer_blob.h). Byte-level BPE and SentencePiece-style BPE. Immutable after load: may
/// be shared by threads.
class Tokenizer {
public:
  /// `blob` must outlive the tokenizer. Every length in it is checked.
  static Status load(std::string_view blob, std::unique_ptr<Tokenizer> *out);
  ~Tokenizer();

  struct EncodeOptions {
    bool addBos = false;       ///< what the template puts around a text: as a rule, a begin token
    bool parseSpecial = false; ///< special tokens written out in the text become those tokens
  };
  /// Ill-formed UTF-8 is read as U+FFFD, one for each maximal part.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options) const;

  enum class Place {
    Start,       ///< the ids begin a text: SentencePiece's first space is no part of it
    Continuation ///< they follow others
  };
  /// Bytes of the text; ids out of range are skipped. May end inside a UTF-8 sequence.
  std::string decode(const int32_t *ids, size_t count, bool skipSpecial,
                     Place place = Place::Start) const;

  int32_t size() const;
  const std::vector<int32_t> &endTokens() const;

private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_TOKENIZER_H
