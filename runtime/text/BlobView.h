//===- BlobView.h - a checked view of a tokenizer blob ----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_TEXT_BLOBVIEW_H
#define TERN_RUNTIME_TEXT_BLOBVIEW_H

#include "runtime/Status.h"
#include "tern/tokenizer_blob.h"

#include <cstring>
#include <string_view>

namespace tern {

/// Reads a blob in place. After `open` every table, text and id in it is within bounds, so that the
/// accessors need no checks.
class BlobView {
public:
  static Status open(std::string_view blob, BlobView *out);

  const tern_tokenizer_header_t &header() const { return head; }
  bool has(uint32_t flag) const { return (head.flags & flag) != 0; }
  uint32_t size() const { return head.tokens.count; }

  template <typename Record> Record get(tern_tokenizer_table_t table, uint32_t index) const {
    Record record;
    std::memcpy(&record, blob.data() + table.offset + uint64_t{index} * sizeof(Record),
                sizeof(Record));
    return record;
  }
  std::string_view text(tern_tokenizer_text_t t) const {
    return blob.substr(head.texts.offset + uint64_t{t.offset}, t.bytes);
  }
  tern_tokenizer_token_t token(uint32_t id) const {
    return get<tern_tokenizer_token_t>(head.tokens, id);
  }
  tern_tokenizer_added_t added(uint32_t index) const {
    return get<tern_tokenizer_added_t>(head.added, index);
  }
  tern_tokenizer_step_t step(tern_tokenizer_table_t table, uint32_t index) const {
    return get<tern_tokenizer_step_t>(table, index);
  }

  /// The model's token of that text, or NONE.
  uint32_t find(std::string_view text) const;
  /// What the pair merges to; `left` is NONE where it does not.
  tern_tokenizer_merge_t merge(uint32_t left, uint32_t right) const;

private:
  Status checkHeader() const;
  Status checkTokens() const;
  Status checkMerges() const;
  Status checkAdded() const;
  Status checkSteps(const char *name, tern_tokenizer_table_t table, uint32_t least,
                    uint32_t most) const;
  Status checkIds(const char *name, tern_tokenizer_table_t table, bool mayBeNone) const;
  bool holds(tern_tokenizer_text_t t) const {
    return t.offset <= head.texts.count && t.bytes <= head.texts.count - t.offset;
  }

  std::string_view blob;
  tern_tokenizer_header_t head = {};
};

} // namespace tern

#endif // TERN_RUNTIME_TEXT_BLOBVIEW_H
