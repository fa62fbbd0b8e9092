/*===- FakeModel.h - a compiled model, written by hand -------------*- C -*-===*\
|*                                                                            *|
|* Part of Tern, under the Apache License v2.0 with LLVM Exceptions.          *|
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception                    *|
|*                                                                            *|
|* The language model's next token after ids t[0] .. t[n-1] is certain:       *|
|* sum of (t[p] + 1) * (p + 1), mod FAKE_VOCABULARY. Its logit is 100 above   *|
|* its bias; the biases are the weights.                                      *|
|*                                                                            *|
\*===----------------------------------------------------------------------===*/

#ifndef TERN_TESTS_RUNTIME_FAKEMODEL_H
#define TERN_TESTS_RUNTIME_FAKEMODEL_H

#include "tern/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  FAKE_VOCABULARY = 300,
  FAKE_MAX_ROWS = 4,
  FAKE_MAX_POSITIONS = 64,
  FAKE_WEIGHTS_BYTES = 1280 /* 320 floats */
};
#define FAKE_LAYOUT_ID {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
#define FAKE_SYMBOL(name) fake##name
#ifndef FAKE_SIDECAR
#define FAKE_SIDECAR NULL
#endif

/* The copy inside the test program. Tests may change these, and put them back. */
extern tern_kernel_t fakeKernels[3];
extern tern_variant_t fakeVariants[3];
extern tern_variant_t fakeGenericVariant;
extern tern_descriptor_t fakeDescriptor;
const tern_descriptor_t *fake_query(uint32_t abi_version);

#ifdef __cplusplus
}
#endif

#endif /* TERN_TESTS_RUNTIME_FAKEMODEL_H */
