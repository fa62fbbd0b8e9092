//===- AddedTokens.h - finds added tokens in a text -------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_ADDEDTOKENS_H
#define TERN_RUNTIME_TEXT_ADDEDTOKENS_H

#include "runtime/text/BlobView.h"

#include <array>
#include <string_view>
#include <vector>

namespace tern {

/// The added tokens of a blob that are searched before normalization, or those searched after it.
class AddedTokens {
public:
  AddedTokens(const BlobView &blob, bool normalized);

  struct Segment {
    std::string_view text;
    uint32_t id; ///< of an added token, or NONE: text between them
  };
  bool empty() const { return begin == end; }
  /// Cuts `text` at its added tokens, leftmost first, the longest of those that start together;
  /// special ones only with `special`.
  std::vector<Segment> cut(std::string_view text, bool special) const;

private:
  /// The longest token that `text` has at `at`: its index, or NONE.
  uint32_t longest(std::string_view text, size_t at) const;
  static bool standsAlone(std::string_view text, size_t from, size_t to);

  const BlobView &blob;
  uint32_t begin, end; ///< in the blob's table
  std::array<bool, 256> starts = {};
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_ADDEDTOKENS_H
