/*===- tern.h - run compiled ternary models -----------------------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* Objects are opaque; out-parameters come last and are written only on       *|
|* TERN_STATUS_OK. Option structs start with struct_size: set it with          *|
|* sizeof, zero the rest for defaults. A model may be shared by threads; a     *|
|* session or sampler belongs to one thread at a time.                        *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TERN_H
#define TERN_H

#include "tern/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TERN_API
#else
#define TERN_API __attribute__((visibility("default")))
#endif

typedef enum tern_status {
  TERN_STATUS_OK = 0,
  TERN_STATUS_INVALID_ARGUMENT = 1, /* fix the call */
  TERN_STATUS_NOT_FOUND = 2,        /* no such file, tokenizer or section */
  TERN_STATUS_IO = 3,               /* the system refused a read, map or write */
  TERN_STATUS_CORRUPT = 4,          /* not a compiled model, truncated, or checksums differ */
  TERN_STATUS_VERSION = 5,          /* recompile with this release */
  TERN_STATUS_CPU = 6,              /* the model holds no code this CPU can run */
  TERN_STATUS_OUT_OF_MEMORY = 7,
  TERN_STATUS_CONTEXT_FULL = 8, /* the session's positions are used up: reset or trim */
  TERN_STATUS_CANCELLED = 9,    /* a callback asked to stop */
  TERN_STATUS_UNSUPPORTED = 10,
  TERN_STATUS_INTERNAL = 11
} tern_status_t;

typedef enum tern_category {
  TERN_CATEGORY_NONE = 0,
  TERN_CATEGORY_MEMORY = 1,
  TERN_CATEGORY_DEVICE = 2,
  TERN_CATEGORY_QUANTIZATION = 3,
  TERN_CATEGORY_TENSOR = 4,
  TERN_CATEGORY_IO = 5
} tern_category_t;

typedef struct tern_model tern_model_t;
typedef struct tern_session tern_session_t;
typedef struct tern_sampler tern_sampler_t;

/* "0.1.0" */
TERN_API const char *tern_version(void);
TERN_API const char *tern_status_name(tern_status_t status);

/* The calling thread's last failure: category, and contexts from the outside in (0 is the
   outermost, NULL past the end). tern_error_message joins them with ": ". Valid until
   the thread's next Tern call that fails. */
TERN_API const char *tern_error_message(void);
TERN_API tern_category_t tern_error_category(void);
TERN_API const char *tern_error_context(size_t index);

/* --- models ----------------------------------------------------------------*/

typedef enum tern_verify {
  TERN_VERIFY_AUTO = 0, /* everything, but weights only up to 64 MiB */
  TERN_VERIFY_FULL = 1,
  TERN_VERIFY_NONE = 2 /* header and layout only */
} tern_verify_t;

/* Weights are used in the mapped file, which processes share, or in a copy in anonymous huge
   pages. */
typedef enum tern_load {
  TERN_LOAD_AUTO = 0, /* a copy where the mapping gets no huge pages, and there is memory for it */
  TERN_LOAD_MAP = 1,
  TERN_LOAD_COPY = 2
} tern_load_t;

typedef struct tern_open_options {
  size_t struct_size;
  const char *level; /* force a CPU level by name; NULL: the best that passes the self-test */
  tern_verify_t verify;
  /* Called with one line a warning (NULL: stderr). */
  void (*warn)(void *context, const char *text);
  void *warn_context;
  tern_load_t load; /* of models that come from files */
} tern_open_options_t;

/* Opens a compiled library (options may be NULL). Close with tern_model_close after
   its sessions are gone. The file stays mapped: to replace it, rename a new one over it. */
TERN_API tern_status_t tern_model_open(const char *path, const tern_open_options_t *options,
                                       tern_model_t **out);
/* Opens a model whose code is already in the process: linked in, or just compiled. With
   `payload` NULL the payload is read from the file that holds `query` (or its sidecar);
   else it is `payload_bytes` at `payload`, 4096-aligned, owned by the caller and unchanged until
   the model is closed. */
TERN_API tern_status_t tern_model_open_linked(tern_query_fn query, const void *payload,
                                              uint64_t payload_bytes,
                                              const tern_open_options_t *options,
                                              tern_model_t **out);
TERN_API void tern_model_close(tern_model_t *model);

typedef struct tern_model_info {
  size_t struct_size;
  uint32_t vocabulary, hidden, layers, max_positions, max_rows;
  uint32_t has_tokenizer;
  uint64_t weights_bytes, arena_bytes, kv_bytes_per_position;
  const char *level;            /* the CPU level chosen */
  const char *compiler_version; /* that made the library */
  uint64_t screened_bytes;      /* of weights_bytes, what tern_decode_greedy spares most of */
} tern_model_info_t;
TERN_API tern_status_t tern_model_get_info(const tern_model_t *model, tern_model_info_t *out);
/* The model card as JSON text, NUL-terminated; lives as long as the model. */
TERN_API const char *tern_model_card(const tern_model_t *model);
/* Runs every kernel of every level this CPU has against plain C. `report` (may be NULL) gets one
 * line a kernel. */
TERN_API tern_status_t tern_model_self_test(const tern_model_t *model,
                                            void (*report)(void *context, const char *line),
                                            void *context);

/* --- sessions: one stream of positions ---------------------------------------*/

typedef struct tern_session_options {
  size_t struct_size;
  uint32_t threads;   /* 0: one a core this process may use */
  uint32_t positions; /* room in the cache; 0: the model's maximum, at most 4096 */
} tern_session_options_t;

TERN_API tern_status_t tern_session_create(tern_model_t *model,
                                           const tern_session_options_t *options,
                                           tern_session_t **out);
TERN_API void tern_session_destroy(tern_session_t *session);
/* Forgets positions from `positions` on (0: all). */
TERN_API tern_status_t tern_session_trim(tern_session_t *session, uint32_t positions);
/* Listens to code compiled with probes (abi.h; NULL: to none); other code calls no probe. */
TERN_API tern_status_t tern_session_set_probe(tern_session_t *session, tern_probe_fn probe,
                                              void *context);
/* What the memory of a session and its model is, as far as the system tells. */
typedef struct tern_memory {
  size_t struct_size;
  uint64_t weights_bytes, weights_resident, weights_huge; /* huge: resident in huge pages */
  uint64_t cache_bytes, cache_resident;
  uint64_t work_bytes, work_resident; /* arena, scratch memory and logits */
  uint32_t weights_copied;            /* 1: not used in the mapped file */
} tern_memory_t;
TERN_API tern_status_t tern_session_memory(const tern_session_t *session, tern_memory_t *out);
TERN_API uint32_t tern_session_position(const tern_session_t *session);

/* Appends tokens; afterwards tern_session_logits holds the last one's logits. */
TERN_API tern_status_t tern_prefill(tern_session_t *session, const int32_t *ids, size_t count);
TERN_API tern_status_t tern_decode(tern_session_t *session, int32_t id);
typedef struct tern_greedy {
  size_t struct_size;
  int32_t id;             /* the token of the largest logit, the first of equal ones */
  float logit;            /* its logit */
  uint32_t rows_computed; /* logits that were computed in full to find it */
} tern_greedy_t;
/* tern_decode, and what a sampler of temperature 0 would choose after it: the same token and logit,
   but where the model has a screen of its head, most of the head is not read. tern_session_logits
   computes the logits if they are asked for. */
TERN_API tern_status_t tern_decode_greedy(tern_session_t *session, int32_t id, tern_greedy_t *out);
/* Appends ids[i] to sessions[i], for all `count` of them, reading the weights once: as tern_decode
   of each, with the same bits, in much less time. The sessions are of one model, no two the same;
   at most max_rows of them. The work is done by the threads and in the memory of sessions[0], which
   must have room for every session's position (the others need no threads of their own: make them
   with `threads` 1). All belong to this call while it runs. On failure none has moved.
   TERN_STATUS_UNSUPPORTED for a model opened on Metal. */
TERN_API tern_status_t tern_decode_batch(tern_session_t *const *sessions, const int32_t *ids,
                                         size_t count);
/* tern_decode_batch, and what tern_decode_greedy of each would find, into out[0 .. count - 1],
   whose struct_size are all set. */
TERN_API tern_status_t tern_decode_batch_greedy(tern_session_t *const *sessions, const int32_t *ids,
                                                size_t count, tern_greedy_t *out);
/* Appends tokens and writes the logits of all of them: float [count][vocabulary]. */
TERN_API tern_status_t tern_prefill_logits(tern_session_t *session, const int32_t *ids,
                                           size_t count, float *logits, size_t capacity);
/* float [vocabulary], valid until the session runs again. */
TERN_API tern_status_t tern_session_logits(const tern_session_t *session, const float **logits,
                                           size_t *count);

/* Runs any compiled module: frame inputs and outputs as abi.h has them. Sizes of buffers are not
   passed: each must hold what the entry's type says, with `rows` rows where they are dynamic.
   The indices of a language model are checked; those of other modules must keep slices and caches
   (the session's positions) in bounds. */
TERN_API tern_status_t tern_session_run(tern_session_t *session, int64_t rows,
                                        const void *const *inputs, size_t input_count,
                                        const int64_t *indices, size_t index_count,
                                        void *const *outputs, size_t output_count);

/* --- text ------------------------------------------------------------------*/

#define TERN_TOKENIZE_ADD_BOS 1u       /* as the model's tokenizer says it starts a text */
#define TERN_TOKENIZE_PARSE_SPECIAL 2u /* "<|eot_id|>" in the text becomes that token */

/* Writes at most `capacity` ids; *count is how many there are in all. */
TERN_API tern_status_t tern_tokenize(const tern_model_t *model, const char *text, size_t bytes,
                                     uint32_t flags, int32_t *ids, size_t capacity, size_t *count);
/* Writes at most `capacity` bytes (no terminator); *bytes is how many there are in all. */
TERN_API tern_status_t tern_detokenize(const tern_model_t *model, const int32_t *ids, size_t count,
                                       int skip_special, char *text, size_t capacity,
                                       size_t *bytes);

typedef struct tern_sampler_options {
  size_t struct_size;
  float temperature;         /* 0: greedy */
  int32_t top_k;             /* 0: off */
  float top_p;               /* 0 or 1: off */
  float min_p;               /* 0: off */
  float repetition_penalty;  /* 0 or 1: off */
  int32_t repetition_window; /* tokens looked back on; 0: 64 */
  uint64_t seed;
} tern_sampler_options_t;

TERN_API tern_status_t tern_sampler_create(const tern_sampler_options_t *options,
                                           tern_sampler_t **out);
TERN_API void tern_sampler_destroy(tern_sampler_t *sampler);
/* Chooses the next token from the session's logits and remembers it for the penalty. */
TERN_API tern_status_t tern_sample(tern_sampler_t *sampler, const tern_session_t *session,
                                   int32_t *id);

typedef struct tern_generate_options {
  size_t struct_size;
  uint32_t max_tokens;     /* 0: until the cache is full */
  int32_t ignore_eos;      /* go on after end tokens */
  const char *const *stop; /* texts that end the output (not part of it) */
  size_t stop_count;
  tern_sampler_options_t sampler; /* its struct_size may stay 0: greedy */
} tern_generate_options_t;

/* Called once for every new token `id`, with the whole UTF-8 text that has become certain (maybe
   none); text still held back at the end comes in one more call with id -1. Return nonzero to stop.
 */
typedef int (*tern_text_fn)(void *context, const char *text, size_t bytes, int32_t id);

/* Tokenizes `prompt` (with BOS at position 0), prefills and streams the continuation. Every new
   token but an end token is appended to the session too, so that a further call goes on from there.
   TERN_STATUS_CONTEXT_FULL when the cache was full before max_tokens. */
TERN_API tern_status_t tern_generate(tern_session_t *session, const char *prompt,
                                     const tern_generate_options_t *options, tern_text_fn on_text,
                                     void *context);
/* The same from ids; `count` may be 0 when the session has logits. Models without a tokenizer give
   no text and have no end tokens. */
TERN_API tern_status_t tern_generate_ids(tern_session_t *session, const int32_t *prompt,
                                         size_t count, const tern_generate_options_t *options,
                                         tern_text_fn on_text, void *context);

/* --- this machine ------------------------------------------------------------*/

TERN_API uint64_t tern_cpu_features(void);
/* The name of feature bit 0 .. 63 ("avx2"), or NULL. */
TERN_API const char *tern_cpu_feature_name(uint32_t bit);

#ifdef __cplusplus
}
#endif

#endif /* TERN_H */
