//===- Splitter.h - cuts text into the pieces that merges stay in -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_SPLITTER_H
#define TERN_RUNTIME_TEXT_SPLITTER_H

#include "runtime/text/BlobView.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tern {

/// The split steps of a blob, with their expressions compiled. Immutable: may be shared by threads.
class Splitter {
public:
  static Status create(const BlobView &blob, std::unique_ptr<Splitter> *out);
  ~Splitter();

  struct Piece {
    size_t begin, end;
    bool operator==(const Piece &) const = default;
  };
  /// Cuts `text`, which is UTF-8 and which steps may rewrite, into pieces; none is empty. An
  /// expression that exceeds its limits on a piece (it backtracks too much) leaves the rest of that
  /// piece whole.
  void split(std::string &text, std::vector<Piece> &pieces) const;

private:
  struct Part;
  struct Step;
  struct Matching;
  Splitter();
  static Status compile(const BlobView &blob, uint32_t index, Step &step);
  void findRegex(const Step &step, std::string_view piece, Matching &matching,
                 std::vector<Part> &parts) const;
  static void findLiteral(const Step &step, std::string_view piece, std::vector<Part> &parts);
  static void findCharacters(const Step &step, std::string_view piece, std::vector<Part> &parts);
  static void join(const Step &step, std::vector<Part> &parts);
  static void prefixSpaces(std::string &text, std::vector<Piece> &pieces);
  static void toAlphabet(std::string &text, std::vector<Piece> &pieces);
  static void fromAlphabet(std::string &text, std::vector<Piece> &pieces);

  std::vector<Step> steps;
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_SPLITTER_H
