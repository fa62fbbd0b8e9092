//===- Tokenizer.cpp - text to token ids and back -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/Tokenizer.h"

#include "runtime/text/AddedTokens.h"
#include "runtime/text/BlobView.h"
#include "runtime/text/Merger.h"
#include "runtime/text/Splitter.h"
#include "runtime/text/Utf8.h"

namespace tern {

struct Tokenizer::Impl {
  explicit Impl(const BlobView &view)
      : blob(view), raw(blob, false), normalized(blob, true), merger(blob) {}

  std::string normalizeText(std::string_view text) const;
  void encodeSegment(std::string_view text, bool special, std::vector<int32_t> &ids) const;
  void encodePieces(std::string text, std::vector<int32_t> &ids) const;
  void appendTable(tern_tokenizer_table_t table, std::vector<int32_t> &ids) const;
  void appendDecoded(const tern_tokenizer_token_t &token, std::string &out) const;

  BlobView blob;
  AddedTokens raw, normalized;
  Merger merger;
  std::unique_ptr<Splitter> splitter;
  std::vector<int32_t> end;
};

static std::string replaceAll(std::string_view text, std::string_view a, std::string_view b) {
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(a, done)) != std::string_view::npos; done = at + a.size()) {
    out += text.substr(done, at - done);
    out += b;
  }
  out += text.substr(done);
  return out;
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

Status Tokenizer::load(std::string_view bytes, std::unique_ptr<Tokenizer> *out) {
  BlobView view;
  if (Status status = BlobView::open(bytes, &view); !status.ok())
    return status;
  auto impl = std::make_unique<Impl>(view);
  if (Status status = Splitter::create(view, &impl->splitter); !status.ok())
    return status;
  impl->appendTable(view.header().end, impl->end);
  out->reset(new Tokenizer(std::move(impl)));
  return Status();
}

void Tokenizer::Impl::appendTable(tern_tokenizer_table_t table, std::vector<int32_t> &ids) const {
  for (uint32_t i = 0; i < table.count; ++i)
    ids.push_back(static_cast<int32_t>(blob.get<uint32_t>(table, i)));
}

std::string Tokenizer::Impl::normalizeText(std::string_view text) const {
  std::string out(text);
  for (uint32_t i = 0; i < blob.header().normalize.count; ++i) {
    tern_tokenizer_step_t step = blob.step(blob.header().normalize, i);
    switch (step.kind) {
    case TERN_TOKENIZER_PREPEND:
      if (!out.empty())
        out.insert(0, blob.text(step.a));
      break;
    case TERN_TOKENIZER_REPLACE:
      out = replaceAll(out, blob.text(step.a), blob.text(step.b));
      break;
    default:
      out = normalize(out, static_cast<Normalization>(step.kind - TERN_TOKENIZER_NFC));
    }
  }
  return out;
}

void Tokenizer::Impl::encodePieces(std::string text, std::vector<int32_t> &ids) const {
  std::vector<Splitter::Piece> pieces;
  splitter->split(text, pieces);
  Merger::Scratch scratch;
  for (const Splitter::Piece &piece : pieces)
    merger.append(std::string_view(text).substr(piece.begin, piece.end - piece.begin), ids,
                  scratch);
}

void Tokenizer::Impl::encodeSegment(std::string_view text, bool special,
                                    std::vector<int32_t> &ids) const {
  std::string clean = normalizeText(text);
  if (normalized.empty())
    return encodePieces(std::move(clean), ids);
  for (const AddedTokens::Segment &segment : normalized.cut(clean, special)) {
    if (segment.id != TERN_TOKENIZER_NONE)
      ids.push_back(static_cast<int32_t>(segment.id));
    else
      encodePieces(std::string(segment.text), ids);
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::string repaired;
  if (!isUtf8(text)) {
    repaired = repairUtf8(text);
    text = repaired;
  }
  std::vector<int32_t> ids;
  if (options.addBos)
    impl->appendTable(impl->blob.header().prefix, ids);
  for (const AddedTokens::Segment &segment : impl->raw.cut(text, options.parseSpecial)) {
    if (segment.id != TERN_TOKENIZER_NONE)
      ids.push_back(static_cast<int32_t>(segment.id));
    else
      impl->encodeSegment(segment.text, options.parseSpecial, ids);
  }
  if (options.addBos)
    impl->appendTable(impl->blob.header().suffix, ids);
  return ids;
}

void Tokenizer::Impl::appendDecoded(const tern_tokenizer_token_t &token, std::string &out) const {
  std::string changed;
  std::string_view text = blob.text(token.text);
  for (uint32_t i = 0; i < blob.header().decode.count; ++i) {
    tern_tokenizer_step_t step = blob.step(blob.header().decode, i);
    if (step.kind == TERN_TOKENIZER_BYTES && (token.flags & TERN_TOKENIZER_TOKEN_BYTE)) {
      out += static_cast<char>(token.byte);
      return;
    }
    if (step.kind == TERN_TOKENIZER_REPLACE)
      text = changed = replaceAll(text, blob.text(step.a), blob.text(step.b));
  }
  out += text;
}

std::string Tokenizer::decode(const int32_t *ids, size_t count, bool skipSpecial,
                              Place place) const {
  const BlobView &blob = impl->blob;
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || ids[i] >= size())
      continue;
    tern_tokenizer_token_t token = blob.token(static_cast<uint32_t>(ids[i]));
    if (!(skipSpecial && (token.flags & TERN_TOKENIZER_TOKEN_SPECIAL)))
      impl->appendDecoded(token, out);
  }
  for (uint32_t i = 0; place == Place::Start && i < blob.header().decode.count; ++i) {
    tern_tokenizer_step_t step = blob.step(blob.header().decode, i);
    if (step.kind != TERN_TOKENIZER_STRIP)
      continue;
    std::string_view rest = out, a = blob.text(step.a);
    for (uint32_t n = 0; n < step.behaviour && rest.starts_with(a); ++n)
      rest.remove_prefix(a.size());
    out.erase(0, out.size() - rest.size());
  }
  return out;
}

int32_t Tokenizer::size() const { return static_cast<int32_t>(impl->blob.size()); }
const std::vector<int32_t> &Tokenizer::endTokens() const { return impl->end; }

} // namespace tern
