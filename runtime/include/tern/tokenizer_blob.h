/*===- tokenizer_blob.h - the tokenizer inside a compiled model ---*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* Freestanding. Importers write it, the runtime reads it in place. All       *|
|* little-endian; no alignment is promised. A header, then tables of fixed    *|
|* records; texts lie in one table of bytes. Offsets count from the blob's    *|
|* first byte, text offsets from that of the text table.                      *|
|*                                                                            *|
|* Texts are the bytes they stand for: the byte-level token "Gthe" (G for     *|
|* U+0120) is kept as " the". The work goes                                   *|
|*   added tokens, normalize steps, split steps, merges, template             *|
|* and back through the decode steps.                                         *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TERN_TOKENIZER_BLOB_H
#define TERN_TOKENIZER_BLOB_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_TOKENIZER_MAGIC "TERNTOK1"
#define TERN_TOKENIZER_NONE UINT32_MAX /* no id; an empty slot */
#define TERN_TOKENIZER_MAX_IDS (1u << 24)
#define TERN_TOKENIZER_MAX_PROBES 1024u

/* Header flags. */
#define TERN_TOKENIZER_BYTE_LEVEL 1u    /* symbols are bytes; else they are characters */
#define TERN_TOKENIZER_IGNORE_MERGES 2u /* a piece that is a token is that token */
#define TERN_TOKENIZER_BYTE_FALLBACK 4u /* characters without a token become byte tokens */
#define TERN_TOKENIZER_FUSE_UNKNOWN 8u  /* a run of unknown characters becomes one token */

typedef struct tern_tokenizer_text {
  uint32_t offset, bytes;
} tern_tokenizer_text_t;

/* Where a table is, and how many records it has. */
typedef struct tern_tokenizer_table {
  uint32_t offset, count;
} tern_tokenizer_table_t;

typedef struct tern_tokenizer_header {
  char magic[8];
  uint32_t header_bytes; /* sizeof this struct */
  uint32_t flags;
  uint64_t total_bytes;
  uint32_t unknown_id; /* or NONE: characters without a token vanish */
  uint32_t max_probes; /* no search in `slots` or `merges` needs more; at most MAX_PROBES */
  tern_tokenizer_table_t texts;  /* bytes */
  tern_tokenizer_table_t tokens; /* tern_tokenizer_token_t, by id */
  tern_tokenizer_table_t slots;  /* uint32_t ids: a hash table of MODEL tokens by their text */
  tern_tokenizer_table_t merges; /* tern_tokenizer_merge_t: a hash table by (left, right) */
  tern_tokenizer_table_t added;  /* tern_tokenizer_added_t, rising in (normalized, text) */
  tern_tokenizer_table_t normalize, split, decode; /* tern_tokenizer_step_t, in order */
  tern_tokenizer_table_t prefix, suffix; /* uint32_t ids the template puts around a text */
  tern_tokenizer_table_t end;            /* uint32_t ids that end a generation */
} tern_tokenizer_header_t;

#define TERN_TOKENIZER_TOKEN_MODEL 1u   /* merges may make it */
#define TERN_TOKENIZER_TOKEN_SPECIAL 2u /* left out where special tokens are skipped */
#define TERN_TOKENIZER_TOKEN_BYTE 4u    /* "<0x41>": the decode step BYTES makes it `byte` */

typedef struct tern_tokenizer_token {
  tern_tokenizer_text_t text; /* empty: an id that stands for nothing */
  uint32_t flags;
  uint32_t byte;
} tern_tokenizer_token_t;

typedef struct tern_tokenizer_merge {
  uint32_t left, right; /* left = NONE: an empty slot */
  uint32_t rank;        /* lowest first, leftmost among equals */
  uint32_t result;
} tern_tokenizer_merge_t;

#define TERN_TOKENIZER_ADDED_SPECIAL 1u
#define TERN_TOKENIZER_ADDED_NORMALIZED 2u /* its text is, and it is searched after that */
#define TERN_TOKENIZER_ADDED_LSTRIP 4u     /* takes the white space before it along */
#define TERN_TOKENIZER_ADDED_RSTRIP 8u
#define TERN_TOKENIZER_ADDED_SINGLE_WORD 16u /* not within a word */

typedef struct tern_tokenizer_added {
  tern_tokenizer_text_t text;
  uint32_t id;
  uint32_t flags;
} tern_tokenizer_added_t;

typedef enum tern_tokenizer_step_kind {
  /* normalize */
  TERN_TOKENIZER_NFC = 1,
  TERN_TOKENIZER_NFD = 2,
  TERN_TOKENIZER_NFKC = 3,
  TERN_TOKENIZER_NFKD = 4,
  TERN_TOKENIZER_PREPEND = 5, /* a before a text that is not empty */
  TERN_TOKENIZER_REPLACE = 6, /* every a by b; in decode, within each token */
  /* split: each cuts every piece that the one before left */
  TERN_TOKENIZER_SPLIT_REGEX = 16,       /* a: a PCRE2 expression; behaviour, invert */
  TERN_TOKENIZER_SPLIT_LITERAL = 17,     /* a: a text; behaviour, invert */
  TERN_TOKENIZER_SPLIT_DIGITS = 18,      /* characters of category N; behaviour */
  TERN_TOKENIZER_SPLIT_PUNCTUATION = 19, /* ASCII punctuation and category P; behaviour */
  TERN_TOKENIZER_PREFIX_SPACE = 20,      /* a space before each piece that has none */
  TERN_TOKENIZER_BYTE_ALPHABET = 21,     /* later steps see the byte-level alphabet */
  /* decode */
  TERN_TOKENIZER_BYTES = 32, /* byte tokens become bytes */
  TERN_TOKENIZER_STRIP = 33  /* up to `behaviour` times a at the start of the text */
} tern_tokenizer_step_kind_t;

/* What expressions are compiled with, where they are checked and where they are used. */
#define TERN_TOKENIZER_PCRE2_OPTIONS (PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C)

/* What becomes of the parts that match. */
typedef enum tern_tokenizer_behaviour {
  TERN_TOKENIZER_ISOLATED = 0,
  TERN_TOKENIZER_REMOVED = 1,
  TERN_TOKENIZER_MERGED_WITH_PREVIOUS = 2,
  TERN_TOKENIZER_MERGED_WITH_NEXT = 3,
  TERN_TOKENIZER_CONTIGUOUS = 4
} tern_tokenizer_behaviour_t;

/* Texts are UTF-8. REPLACE steps together may make a text at most MAX_GROWTH times as long. */
#define TERN_TOKENIZER_MAX_STEPS 64u
#define TERN_TOKENIZER_MAX_GROWTH 64u
typedef struct tern_tokenizer_step {
  uint32_t kind;
  uint32_t behaviour;
  uint32_t invert; /* 1: what does not match counts as the match */
  uint32_t reserved;
  tern_tokenizer_text_t a, b;
} tern_tokenizer_step_t;

/* The alphabet of byte-level BPE: 188 bytes are the character of their number, the others follow
   U+0100 in rising order: 0-32, 127-160, 173. */
static inline int tern_tokenizer_in_alphabet(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte < 256);
}
static inline uint32_t tern_tokenizer_byte_to_alphabet(uint8_t byte) {
  if (tern_tokenizer_in_alphabet(byte))
    return byte;
  return byte <= 32 ? 0x100u + byte : byte == 173 ? 0x143u : 0x121u + (byte - 127u);
}
/* -1 for a character outside the alphabet. */
static inline int tern_tokenizer_alphabet_to_byte(uint32_t character) {
  if (character < 0x100)
    return tern_tokenizer_in_alphabet(character) ? (int)character : -1;
  if (character > 0x143)
    return -1;
  return (int)(character <= 0x120   ? character - 0x100
               : character == 0x143 ? 173
                                    : character - 0x121 + 127);
}

/* Searches start at slot (hash * count) >> 32 and go up by one, round the end, to an empty slot. */
static inline uint32_t tern_tokenizer_mix(uint64_t value) {
  value ^= value >> 32;
  value *= UINT64_C(0xd6e8feb86659fd93);
  value ^= value >> 32;
  value *= UINT64_C(0xd6e8feb86659fd93);
  return (uint32_t)(value >> 32);
}
static inline uint32_t tern_tokenizer_hash_text(const char *text, uint64_t bytes) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ bytes;
  for (uint64_t i = 0; i < bytes; ++i)
    hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
  return tern_tokenizer_mix(hash);
}
static inline uint32_t tern_tokenizer_hash_pair(uint32_t left, uint32_t right) {
  return tern_tokenizer_mix((uint64_t)left << 32 | right);
}

#ifdef __cplusplus
}
#endif

#endif /* TERN_TOKENIZER_BLOB_H */
