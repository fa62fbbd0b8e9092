/*===- standalone_main.c - a program that knows only dlopen --------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* Use: standalone_main <library that holds a model and the runtime>. Prints  *|
|* what it got; 0 when the model ran.                                         *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "FakeModel.h"
#include "tern/tern.h"

static void *library;

static void *find(const char *name) {
  void *symbol = dlsym(library, name);
  if (!symbol)
    printf("no symbol %s\n", name);
  return symbol;
}

#define USE(name) __typeof__(&name) my_##name = (__typeof__(&name))find(#name)

int main(int argc, char **argv) {
  if (argc != 2 || !(library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL))) {
    printf("%s\n", dlerror());
    return 2;
  }
  USE(tern_version);
  USE(tern_error_message);
  USE(tern_model_open_linked);
  USE(tern_model_close);
  USE(tern_session_create);
  USE(tern_session_destroy);
  USE(tern_prefill);
  USE(tern_session_logits);
  tern_query_fn query = (tern_query_fn)find("tern_query");
  if (!my_tern_version || !my_tern_model_open_linked || !query)
    return 3;
  printf("version %s\n", my_tern_version());

  tern_model_t *model = NULL;
  if (my_tern_model_open_linked(query, "text", 4, NULL, &model) == TERN_STATUS_OK)
    return 4;
  printf("expected failure: %s\n", my_tern_error_message());
  tern_session_t *session = NULL;
  tern_session_options_t options = {sizeof(options), 2, 0};
  const int32_t ids[] = {7, 8, 9};
  const float *logits = NULL;
  if (my_tern_model_open_linked(query, NULL, 0, NULL, &model) != TERN_STATUS_OK ||
      my_tern_session_create(model, &options, &session) != TERN_STATUS_OK ||
      my_tern_prefill(session, ids, 3) != TERN_STATUS_OK ||
      my_tern_session_logits(session, &logits, NULL) != TERN_STATUS_OK) {
    printf("%s\n", my_tern_error_message());
    return 5;
  }
  int best = (8 * 1 + 9 * 2 + 10 * 3) % FAKE_VOCABULARY;
  int right = logits[best] >= 100.0f;
  my_tern_session_destroy(session);
  my_tern_model_close(model);
  dlclose(library);
  printf(right ? "right\n" : "wrong logits\n");
  return right ? 0 : 6;
}
