/*===- consumer.c - uses the installed runtime ---------------------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#include <stdio.h>
#include <tern/tern.h>

int main(void) {
  tern_model_t *model = NULL;
  tern_status_t status = tern_model_open("no such file", NULL, &model);
  printf("tern %s: %s\n", tern_version(), tern_error_message());
  return status == TERN_STATUS_NOT_FOUND ? 0 : 1;
}
