/* The same with nothing but dlopen and one file: a library compiled with --standalone holds the
   runtime too.
     plugin model-standalone.so "Once upon a time" */
#include <dlfcn.h>
#include <stdio.h>

#include "tern/tern.h"

static int print(void *context, const char *text, size_t bytes, int32_t id) {
  (void)context, (void)id;
  fwrite(text, 1, bytes, stdout);
  return fflush(stdout) != 0;
}

/* ISO C has no cast from an object to a function pointer; POSIX gives this form. */
#define LOAD(name) (*(void **)(&name) = dlsym(library, "tern_" #name))

int main(int argc, char **argv) {
  tern_status_t (*model_open_linked)(tern_query_fn, const void *, uint64_t,
                                     const tern_open_options_t *, tern_model_t **);
  tern_status_t (*session_create)(tern_model_t *, const tern_session_options_t *,
                                  tern_session_t **);
  tern_status_t (*generate)(tern_session_t *, const char *, const tern_generate_options_t *,
                            tern_text_fn, void *);
  void (*session_destroy)(tern_session_t *), (*model_close)(tern_model_t *);
  const char *(*error_message)(void);
  tern_query_fn query;
  tern_model_t *model = NULL;
  tern_session_t *session = NULL;
  tern_generate_options_t options = {.struct_size = sizeof options, .max_tokens = 200};

  if (argc != 3)
    return fprintf(stderr, "usage: plugin MODEL.so TEXT\n"), 2;
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return fprintf(stderr, "plugin: %s\n", dlerror()), 1;
  if (!LOAD(query) || !LOAD(model_open_linked) || !LOAD(session_create) || !LOAD(generate) ||
      !LOAD(session_destroy) || !LOAD(model_close) || !LOAD(error_message))
    return fprintf(stderr, "plugin: %s\n", dlerror()), 1;

  printf("%s", argv[2]);
  if (model_open_linked(query, NULL, 0, NULL, &model) || session_create(model, NULL, &session) ||
      generate(session, argv[2], &options, print, NULL))
    return fprintf(stderr, "plugin: %s\n", error_message()), 1;
  printf("\n");
  session_destroy(session);
  model_close(model);
  return 0;
}
