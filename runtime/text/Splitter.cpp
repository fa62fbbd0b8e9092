//===- Splitter.cpp - cuts text into the pieces that merges stay in -------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Splitter.h"

#include "runtime/text/Utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

namespace tern {

namespace {
struct Release {
  void operator()(pcre2_code *p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data *p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context *p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_jit_stack *p) const { pcre2_jit_stack_free(p); }
};
template <typename T> using Owned = std::unique_ptr<T, Release>;
} // namespace

struct Splitter::Step {
  tern_tokenizer_step_t record;
  std::string_view text;
  Owned<pcre2_code> code;
};

/// A part of a piece, by offsets within it.
struct Splitter::Part {
  size_t begin, end;
  bool matches;
};

/// What PCRE2 writes to while it matches: one for each call of split.
struct Splitter::Matching {
  Matching()
      : data(pcre2_match_data_create(1, nullptr)), context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(size_t{32} << 10, size_t{1} << 20, nullptr)) {
    if (context && stack)
      pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
  Owned<pcre2_match_data> data;
  Owned<pcre2_match_context> context;
  Owned<pcre2_jit_stack> stack;
};

Splitter::Splitter() = default;
Splitter::~Splitter() = default;

Status Splitter::compile(const BlobView &blob, uint32_t index, Step &step) {
  step.record = blob.step(blob.header().split, index);
  step.text = blob.text(step.record.a);
  if (step.record.kind != TERN_TOKENIZER_SPLIT_REGEX)
    return Status();
  int error = 0;
  PCRE2_SIZE at = 0;
  step.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(step.text.data()), step.text.size(),
                                TERN_TOKENIZER_PCRE2_OPTIONS, &error, &at, nullptr));
  if (!step.code) {
    char reason[256] = "out of memory";
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR *>(reason), sizeof(reason));
    return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO,
                         "tokenizer: split[" + std::to_string(index) + "]: the expression \"" +
                             std::string(step.text.substr(0, 200)) +
                             "\" does not compile: " + reason + " (at " + std::to_string(at) + ")");
  }
  // Where the system allows no fresh code, matching is interpreted.
  (void)pcre2_jit_compile(step.code.get(), PCRE2_JIT_COMPLETE);
  return Status();
}

Status Splitter::create(const BlobView &blob, std::unique_ptr<Splitter> *out) {
  std::unique_ptr<Splitter> splitter(new Splitter());
  splitter->steps.resize(blob.header().split.count);
  for (uint32_t i = 0; i < blob.header().split.count; ++i)
    if (Status status = compile(blob, i, splitter->steps[i]); !status.ok())
      return status;
  *out = std::move(splitter);
  return Status();
}

void Splitter::findRegex(const Step &step, std::string_view piece, Matching &matching,
                         std::vector<Part> &parts) const {
  // A run of n spaces costs a few steps for each; past this the expression is a bad one.
  size_t limit = std::min<size_t>(UINT32_MAX, 100'000 + 16 * piece.size());
  if (matching.context)
    pcre2_set_match_limit(matching.context.get(), static_cast<uint32_t>(limit));
  size_t done = 0, at = 0;
  while (matching.data && at < piece.size()) {
    auto match = [&](uint32_t options) {
      return pcre2_match(step.code.get(), reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(),
                         at, PCRE2_NO_UTF_CHECK | options, matching.data.get(),
                         matching.context.get());
    };
    int result = match(0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
      result = match(PCRE2_NO_JIT);
    if (result < 0)
      break;
    const PCRE2_SIZE *where = pcre2_get_ovector_pointer(matching.data.get());
    size_t begin = where[0], end = where[1];
    // "\K" in a lookahead can move the start behind the end; such expressions cut nothing here.
    if (begin < done || end < begin)
      break;
    if (begin > done)
      parts.push_back({done, begin, false});
    if (end > begin)
      parts.push_back({begin, end, true});
    done = end;
    at = end > begin || end == piece.size() ? end : end + readUtf8(piece, end).bytes;
  }
  if (done < piece.size())
    parts.push_back({done, piece.size(), false});
}

void Splitter::findLiteral(const Step &step, std::string_view piece, std::vector<Part> &parts) {
  size_t done = 0;
  for (size_t at; (at = piece.find(step.text, done)) != std::string_view::npos;) {
    if (at > done)
      parts.push_back({done, at, false});
    done = at + step.text.size();
    parts.push_back({at, done, true});
  }
  if (done < piece.size())
    parts.push_back({done, piece.size(), false});
}

void Splitter::findCharacters(const Step &step, std::string_view piece, std::vector<Part> &parts) {
  bool digits = step.record.kind == TERN_TOKENIZER_SPLIT_DIGITS;
  for (size_t at = 0; at < piece.size();) {
    Utf8Character c = readUtf8(piece, at);
    bool matches = digits ? isNumeric(c.code) : isPunctuation(c.code);
    if (!matches && !parts.empty() && !parts.back().matches)
      parts.back().end = at + c.bytes;
    else
      parts.push_back({at, at + c.bytes, matches});
    at += c.bytes;
  }
}

void Splitter::join(const Step &step, std::vector<Part> &parts) {
  if (step.record.invert != 0)
    for (Part &part : parts)
      part.matches = !part.matches;
  auto behaviour = static_cast<tern_tokenizer_behaviour_t>(step.record.behaviour);
  if (behaviour == TERN_TOKENIZER_ISOLATED)
    return;
  if (behaviour == TERN_TOKENIZER_REMOVED) {
    std::erase_if(parts, [](const Part &part) { return part.matches; });
    return;
  }
  // Merging with the next is merging with the previous, seen from the end.
  bool backwards = behaviour == TERN_TOKENIZER_MERGED_WITH_NEXT;
  if (backwards)
    std::reverse(parts.begin(), parts.end());
  std::vector<Part> joined;
  bool previous = false;
  for (const Part &part : parts) {
    bool attach = behaviour == TERN_TOKENIZER_CONTIGUOUS ? part.matches == previous
                                                         : part.matches && !previous;
    if (attach && !joined.empty()) {
      joined.back().begin = std::min(joined.back().begin, part.begin);
      joined.back().end = std::max(joined.back().end, part.end);
    } else {
      joined.push_back(part);
    }
    previous = part.matches;
  }
  if (backwards)
    std::reverse(joined.begin(), joined.end());
  parts = std::move(joined);
}

void Splitter::prefixSpaces(std::string &text, std::vector<Piece> &pieces) {
  std::string out;
  out.reserve(text.size() + pieces.size());
  for (Piece &piece : pieces) {
    size_t begin = out.size();
    if (text[piece.begin] != ' ')
      out += ' ';
    out.append(text, piece.begin, piece.end - piece.begin);
    piece = {begin, out.size()};
  }
  text = std::move(out);
}

void Splitter::toAlphabet(std::string &text, std::vector<Piece> &pieces) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (Piece &piece : pieces) {
    size_t begin = out.size();
    for (size_t i = piece.begin; i < piece.end; ++i)
      appendUtf8(out, tern_tokenizer_byte_to_alphabet(static_cast<uint8_t>(text[i])));
    piece = {begin, out.size()};
  }
  text = std::move(out);
}

void Splitter::fromAlphabet(std::string &text, std::vector<Piece> &pieces) {
  std::string out;
  out.reserve(text.size());
  for (Piece &piece : pieces) {
    size_t begin = out.size();
    for (size_t at = piece.begin; at < piece.end;) {
      Utf8Character c = readUtf8(text, at);
      if (int byte = tern_tokenizer_alphabet_to_byte(c.code); byte >= 0)
        out += static_cast<char>(byte);
      at += c.bytes;
    }
    piece = {begin, out.size()};
  }
  text = std::move(out);
}

void Splitter::split(std::string &text, std::vector<Piece> &pieces) const {
  pieces.clear();
  if (!text.empty())
    pieces.push_back({0, text.size()});
  Matching matching;
  std::vector<Piece> cut;
  std::vector<Part> parts;
  bool alphabet = false;
  for (const Step &step : steps) {
    if (step.record.kind == TERN_TOKENIZER_PREFIX_SPACE) {
      prefixSpaces(text, pieces);
      continue;
    }
    if (step.record.kind == TERN_TOKENIZER_BYTE_ALPHABET) {
      if (!std::exchange(alphabet, true))
        toAlphabet(text, pieces);
      continue;
    }
    cut.clear();
    for (const Piece &piece : pieces) {
      std::string_view view = std::string_view(text).substr(piece.begin, piece.end - piece.begin);
      parts.clear();
      if (step.record.kind == TERN_TOKENIZER_SPLIT_REGEX)
        findRegex(step, view, matching, parts);
      else if (step.record.kind == TERN_TOKENIZER_SPLIT_LITERAL)
        findLiteral(step, view, parts);
      else
        findCharacters(step, view, parts);
      join(step, parts);
      for (const Part &part : parts)
        cut.push_back({piece.begin + part.begin, piece.begin + part.end});
    }
    std::swap(pieces, cut);
  }
  if (alphabet)
    fromAlphabet(text, pieces);
}

} // namespace tern
