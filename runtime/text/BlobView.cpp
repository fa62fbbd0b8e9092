//===- BlobView.cpp - a checked view of a tokenizer blob ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/text/BlobView.h"

#include "runtime/text/Utf8.h"

#include <algorithm>

namespace tern {

static Status corrupt(const std::string &message) {
  return Status::error(TERN_STATUS_CORRUPT, TERN_CATEGORY_IO, "tokenizer: " + message);
}

static Status corruptAt(const char *table, uint32_t index, const char *message) {
  return corrupt(std::string(table) + "[" + std::to_string(index) + "]: " + message);
}

Status BlobView::open(std::string_view blob, BlobView *out) {
  BlobView view;
  view.blob = blob;
  if (blob.size() < sizeof(view.head))
    return corrupt("expected at least " + std::to_string(sizeof(view.head)) + " bytes, found " +
                   std::to_string(blob.size()));
  std::memcpy(&view.head, blob.data(), sizeof(view.head));
  const tern_tokenizer_header_t &head = view.head;
  if (Status status = view.checkHeader(); !status.ok())
    return status;
  if (Status status = view.checkTokens(); !status.ok())
    return status;
  if (Status status = view.checkMerges(); !status.ok())
    return status;
  if (Status status = view.checkAdded(); !status.ok())
    return status;
  if (Status status =
          view.checkSteps("normalize", head.normalize, TERN_TOKENIZER_NFC, TERN_TOKENIZER_REPLACE);
      !status.ok())
    return status;
  if (Status status = view.checkSteps("split", head.split, TERN_TOKENIZER_SPLIT_REGEX,
                                      TERN_TOKENIZER_BYTE_ALPHABET);
      !status.ok())
    return status;
  if (Status status =
          view.checkSteps("decode", head.decode, TERN_TOKENIZER_REPLACE, TERN_TOKENIZER_STRIP);
      !status.ok())
    return status;
  if (Status status = view.checkIds("slots", head.slots, true); !status.ok())
    return status;
  if (Status status = view.checkIds("prefix", head.prefix, false); !status.ok())
    return status;
  if (Status status = view.checkIds("suffix", head.suffix, false); !status.ok())
    return status;
  if (Status status = view.checkIds("end", head.end, false); !status.ok())
    return status;
  *out = view;
  return Status();
}

Status BlobView::checkHeader() const {
  if (std::memcmp(head.magic, TERN_TOKENIZER_MAGIC, sizeof(head.magic)) != 0)
    return corrupt("expected it to begin with " TERN_TOKENIZER_MAGIC);
  if (head.header_bytes != sizeof(head))
    return corrupt("expected a header of " + std::to_string(sizeof(head)) + " bytes, found " +
                   std::to_string(head.header_bytes));
  if (head.total_bytes != blob.size())
    return corrupt("expected " + std::to_string(head.total_bytes) + " bytes, found " +
                   std::to_string(blob.size()));
  constexpr uint32_t kFlags = TERN_TOKENIZER_BYTE_LEVEL | TERN_TOKENIZER_IGNORE_MERGES |
                              TERN_TOKENIZER_BYTE_FALLBACK | TERN_TOKENIZER_FUSE_UNKNOWN;
  if ((head.flags & ~kFlags) != 0)
    return corrupt("unknown flags " + std::to_string(head.flags));
  struct Table {
    const char *name;
    tern_tokenizer_table_t at;
    uint64_t recordBytes, most;
  };
  const Table tables[] = {
      {"texts", head.texts, 1, UINT32_MAX},
      {"tokens", head.tokens, sizeof(tern_tokenizer_token_t), TERN_TOKENIZER_MAX_IDS},
      {"slots", head.slots, 4, UINT32_MAX},
      {"merges", head.merges, sizeof(tern_tokenizer_merge_t), UINT32_MAX},
      {"added", head.added, sizeof(tern_tokenizer_added_t), TERN_TOKENIZER_MAX_IDS},
      {"normalize", head.normalize, sizeof(tern_tokenizer_step_t), TERN_TOKENIZER_MAX_STEPS},
      {"split", head.split, sizeof(tern_tokenizer_step_t), TERN_TOKENIZER_MAX_STEPS},
      {"decode", head.decode, sizeof(tern_tokenizer_step_t), TERN_TOKENIZER_MAX_STEPS},
      {"prefix", head.prefix, 4, TERN_TOKENIZER_MAX_STEPS},
      {"suffix", head.suffix, 4, TERN_TOKENIZER_MAX_STEPS},
      {"end", head.end, 4, TERN_TOKENIZER_MAX_STEPS}};
  for (const Table &table : tables) {
    if (table.at.count > table.most)
      return corrupt(std::string(table.name) + ": expected at most " + std::to_string(table.most) +
                     " records, found " + std::to_string(table.at.count));
    if (table.at.offset < sizeof(head) || table.at.offset > blob.size() ||
        table.at.count * table.recordBytes > blob.size() - table.at.offset)
      return corrupt(std::string(table.name) + " does not lie within the " +
                     std::to_string(blob.size()) + " bytes");
  }
  if (head.unknown_id != TERN_TOKENIZER_NONE && head.unknown_id >= head.tokens.count)
    return corrupt("the unknown token's id " + std::to_string(head.unknown_id) + " is no token");
  if (head.max_probes > TERN_TOKENIZER_MAX_PROBES)
    return corrupt("expected at most 1024 probes, found " + std::to_string(head.max_probes));
  return Status();
}

Status BlobView::checkTokens() const {
  constexpr uint32_t kFlags =
      TERN_TOKENIZER_TOKEN_MODEL | TERN_TOKENIZER_TOKEN_SPECIAL | TERN_TOKENIZER_TOKEN_BYTE;
  for (uint32_t id = 0; id < head.tokens.count; ++id) {
    tern_tokenizer_token_t record = token(id);
    if (!holds(record.text))
      return corruptAt("tokens", id, "its text lies outside the texts");
    if ((record.flags & ~kFlags) != 0 || record.byte > 255)
      return corruptAt("tokens", id, "unknown flags or byte");
  }
  return Status();
}

Status BlobView::checkMerges() const {
  uint32_t ids = head.tokens.count;
  for (uint32_t i = 0; i < head.merges.count; ++i) {
    auto m = get<tern_tokenizer_merge_t>(head.merges, i);
    if (m.left != TERN_TOKENIZER_NONE && (m.left >= ids || m.right >= ids || m.result >= ids))
      return corruptAt("merges", i, "an id is no token");
  }
  return Status();
}

Status BlobView::checkAdded() const {
  constexpr uint32_t kFlags = 2 * TERN_TOKENIZER_ADDED_SINGLE_WORD - 1;
  auto place = [&](const tern_tokenizer_added_t &a) {
    return std::pair((a.flags & TERN_TOKENIZER_ADDED_NORMALIZED) != 0, text(a.text));
  };
  for (uint32_t i = 0; i < head.added.count; ++i) {
    tern_tokenizer_added_t record = added(i);
    if (!holds(record.text) || record.text.bytes == 0 || !isUtf8(text(record.text)))
      return corruptAt("added", i, "its text is empty, not UTF-8 or outside the texts");
    if (record.id >= head.tokens.count || (record.flags & ~kFlags) != 0)
      return corruptAt("added", i, "its id is no token, or its flags are unknown");
    if (i > 0 && place(added(i - 1)) >= place(record))
      return corruptAt("added", i, "not in order");
  }
  return Status();
}

Status BlobView::checkSteps(const char *name, tern_tokenizer_table_t table, uint32_t least,
                            uint32_t most) const {
  uint64_t growth = 1;
  for (uint32_t i = 0; i < table.count; ++i) {
    tern_tokenizer_step_t s = step(table, i);
    bool known =
        s.kind >= least && s.kind <= most &&
        (s.kind <= TERN_TOKENIZER_REPLACE || s.kind >= TERN_TOKENIZER_SPLIT_REGEX) &&
        (s.kind <= TERN_TOKENIZER_BYTE_ALPHABET || s.kind >= TERN_TOKENIZER_BYTES) &&
        (least != TERN_TOKENIZER_REPLACE || s.kind == least || s.kind >= TERN_TOKENIZER_BYTES);
    if (!known)
      return corruptAt(name, i, "a kind that does not belong here");
    if (s.invert > 1 || (s.kind != TERN_TOKENIZER_STRIP && s.behaviour > TERN_TOKENIZER_CONTIGUOUS))
      return corruptAt(name, i, "unknown behaviour");
    if (!holds(s.a) || !holds(s.b) || !isUtf8(text(s.a)) || !isUtf8(text(s.b)))
      return corruptAt(name, i, "its text is not UTF-8 or outside the texts");
    bool needsText = s.kind == TERN_TOKENIZER_PREPEND || s.kind == TERN_TOKENIZER_REPLACE ||
                     s.kind == TERN_TOKENIZER_SPLIT_REGEX ||
                     s.kind == TERN_TOKENIZER_SPLIT_LITERAL || s.kind == TERN_TOKENIZER_STRIP;
    if (needsText && s.a.bytes == 0)
      return corruptAt(name, i, "an empty text");
    if (s.kind == TERN_TOKENIZER_REPLACE)
      growth *= std::max<uint64_t>(1, (uint64_t{s.b.bytes} + s.a.bytes - 1) / s.a.bytes);
    if (growth > TERN_TOKENIZER_MAX_GROWTH)
      return corruptAt(name, i, "replacements that make a text more than 64 times as long");
  }
  return Status();
}

Status BlobView::checkIds(const char *name, tern_tokenizer_table_t table, bool mayBeNone) const {
  for (uint32_t i = 0; i < table.count; ++i) {
    uint32_t id = get<uint32_t>(table, i);
    if (id >= head.tokens.count && !(mayBeNone && id == TERN_TOKENIZER_NONE))
      return corruptAt(name, i, "an id that is no token");
  }
  return Status();
}

uint32_t BlobView::find(std::string_view wanted) const {
  uint32_t count = head.slots.count;
  uint64_t slot = uint64_t{tern_tokenizer_hash_text(wanted.data(), wanted.size())} * count >> 32;
  for (uint32_t probe = 0; probe < head.max_probes && probe < count; ++probe) {
    uint32_t id = get<uint32_t>(head.slots, static_cast<uint32_t>(slot));
    if (id == TERN_TOKENIZER_NONE || text(token(id).text) == wanted)
      return id;
    slot = slot + 1 == count ? 0 : slot + 1;
  }
  return TERN_TOKENIZER_NONE;
}

tern_tokenizer_merge_t BlobView::merge(uint32_t left, uint32_t right) const {
  uint32_t count = head.merges.count;
  uint64_t slot = uint64_t{tern_tokenizer_hash_pair(left, right)} * count >> 32;
  for (uint32_t probe = 0; probe < head.max_probes && probe < count; ++probe) {
    auto m = get<tern_tokenizer_merge_t>(head.merges, static_cast<uint32_t>(slot));
    if (m.left == TERN_TOKENIZER_NONE || (m.left == left && m.right == right))
      return m;
    slot = slot + 1 == count ? 0 : slot + 1;
  }
  return {TERN_TOKENIZER_NONE, 0, 0, 0};
}

} // namespace tern
