//===- TokenizerTables.h - the tables of a tokenizer blob -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_TOKENIZERTABLES_H
#define TERN_FRONTENDS_CONVERT_TOKENIZERTABLES_H

#include "tern/tokenizer_blob.h"
#include "llvm/ADT/StringRef.h"

#include <cstring>
#include <string>
#include <vector>

namespace tern::convert {

/// The tables of a blob that the importer made; it must outlive this.
class TokenizerTables {
public:
  explicit TokenizerTables(llvm::StringRef blob);

  template <typename T> std::vector<T> table(tern_tokenizer_table_t place) const {
    std::vector<T> records(place.count);
    if (place.count)
      std::memcpy(records.data(), blob.data() + place.offset, place.count * sizeof(T));
    return records;
  }
  llvm::StringRef text(tern_tokenizer_text_t place) const {
    return blob.substr(header.texts.offset + place.offset, place.bytes);
  }
  bool has(uint32_t flag) const { return header.flags & flag; }
  bool byteLevel() const { return has(TERN_TOKENIZER_BYTE_LEVEL); }
  bool isModel(uint32_t id) const { return tokens[id].flags & TERN_TOKENIZER_TOKEN_MODEL; }
  /// A token as vocabularies write it.
  std::string spelling(uint32_t id) const;
  /// Splitting steps that cut; the byte-level alphabet is but a form of the pieces.
  std::vector<tern_tokenizer_step_t> split() const;

  llvm::StringRef blob;
  tern_tokenizer_header_t header;
  std::vector<tern_tokenizer_token_t> tokens;
  std::vector<tern_tokenizer_merge_t> merges; ///< by rank
  std::vector<tern_tokenizer_added_t> added;  ///< by id
};

/// What two blobs do otherwise, for a message: "normalization, added tokens"; empty where texts
/// become the same ids and ids the same texts. Merges of one token count as tied.
std::string difference(const TokenizerTables &a, const TokenizerTables &b);

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_TOKENIZERTABLES_H
