/* Opens a compiled model and prints how it continues a text:
     story model.so "Once upon a time" */
#include <stdio.h>

#include "tern/tern.h"

static int print(void *context, const char *text, size_t bytes, int32_t id) {
  (void)context, (void)id;
  fwrite(text, 1, bytes, stdout);
  return fflush(stdout) != 0;
}

int main(int argc, char **argv) {
  tern_model_t *model = NULL;
  tern_session_t *session = NULL;
  tern_generate_options_t options = {.struct_size = sizeof options, .max_tokens = 200};
  if (argc != 3)
    return fprintf(stderr, "usage: story MODEL.so TEXT\n"), 2;
  printf("%s", argv[2]);
  if (tern_model_open(argv[1], NULL, &model) || tern_session_create(model, NULL, &session) ||
      tern_generate(session, argv[2], &options, print, NULL))
    return fprintf(stderr, "story: %s\n", tern_error_message()), 1;
  printf("\n");
  tern_session_destroy(session);
  tern_model_close(model);
  return 0;
}
