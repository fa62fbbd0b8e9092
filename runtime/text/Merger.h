//===- Merger.h - byte pair encoding of one piece ---------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_MERGER_H
#define TERN_RUNTIME_TEXT_MERGER_H

#include "runtime/text/BlobView.h"

#include <array>
#include <string_view>
#include <vector>

namespace tern {

/// Starts from the tokens of single bytes or characters and merges, again and again, the adjacent
/// pair of lowest rank, the leftmost among equals. A piece of n symbols takes O(n log n).
class Merger {
public:
  explicit Merger(const BlobView &blob);

  /// Buffers that live from piece to piece.
  struct Scratch {
    struct Pair {
      uint32_t rank, result;
    };
    struct Entry {
      uint32_t rank, at; ///< the pair's left symbol
      uint32_t left, right, result;
    };
    std::vector<uint32_t> symbols, next, previous;
    std::vector<Pair> pairs;
    std::vector<Entry> heap;
  };
  void append(std::string_view piece, std::vector<int32_t> &ids, Scratch &scratch) const;

private:
  void start(std::string_view piece, std::vector<uint32_t> &symbols) const;
  void startCharacters(std::string_view piece, std::vector<uint32_t> &symbols) const;
  void mergeShort(Scratch &scratch) const;
  void mergeLong(Scratch &scratch) const;
  void push(Scratch &scratch, uint32_t at) const;

  const BlobView &blob;
  std::array<uint32_t, 256> bytes; ///< the token of each byte: of its own, or of "<0xNN>"
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_MERGER_H
