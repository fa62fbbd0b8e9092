/* Continues several texts at once, a line each, reading the weights once for all:
     batch model.so "Once upon a time" "The dog" "A girl" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tern/tern.h"

enum { MOST = 16, TOKENS = 40 };

static int failed(void) {
  fprintf(stderr, "batch: %s\n", tern_error_message());
  return 1;
}

static int prefill(tern_model_t *model, tern_session_t *session, const char *text) {
  int32_t ids[256];
  size_t count = 0;
  if (tern_tokenize(model, text, strlen(text), TERN_TOKENIZE_ADD_BOS, ids, 256, &count))
    return 1;
  if (count > 256)
    return fprintf(stderr, "batch: a text of %zu tokens is too long\n", count), exit(2), 1;
  return tern_prefill(session, ids, count) != TERN_STATUS_OK;
}

int main(int argc, char **argv) {
  tern_model_t *model = NULL;
  tern_session_t *sessions[MOST] = {NULL};
  tern_sampler_t *samplers[MOST] = {NULL};
  int32_t ids[MOST], said[MOST][TOKENS];
  int texts = argc - 2;
  if (texts < 1 || texts > MOST)
    return fprintf(stderr, "usage: batch MODEL.so TEXT... (at most %d)\n", MOST), 2;
  if (tern_model_open(argv[1], NULL, &model))
    return failed();
  for (int i = 0; i < texts; ++i) {
    /* The first session's threads work for all. */
    tern_session_options_t options = {.struct_size = sizeof options, .threads = i ? 1 : 0};
    if (tern_session_create(model, &options, &sessions[i]) ||
        tern_sampler_create(NULL, &samplers[i]) || prefill(model, sessions[i], argv[2 + i]))
      return failed();
  }
  for (int step = 0; step < TOKENS; ++step) {
    for (int i = 0; i < texts; ++i) {
      if (tern_sample(samplers[i], sessions[i], &ids[i]))
        return failed();
      said[i][step] = ids[i];
    }
    if (tern_decode_batch(sessions, ids, (size_t)texts))
      return failed();
  }
  for (int i = 0; i < texts; ++i) {
    char text[4096];
    size_t bytes = 0;
    if (tern_detokenize(model, said[i], TOKENS, 1, text, sizeof text, &bytes))
      return failed();
    printf("%s%.*s\n", argv[2 + i], (int)(bytes < sizeof text ? bytes : sizeof text), text);
    tern_sampler_destroy(samplers[i]);
    tern_session_destroy(sessions[i]);
  }
  tern_model_close(model);
  return 0;
}
