//===- BatchBench.h - several sequences at once, timed ----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CLI_BATCHBENCH_H
#define TERN_CLI_BATCHBENCH_H

#include "frontends/cli/Support.h"

namespace tern::cli {

struct BatchPlan {
  uint32_t sequences = 0;
  uint32_t tokens = 0; ///< of each sequence, from an empty context
  uint32_t rounds = 0;
};

/// Tokens a second of all sequences together, the median of the rounds. `session` is the first of
/// them and gives its threads; the others are made here.
llvm::Expected<double> measureBatch(tern_model_t *model, tern_session_t *session,
                                    const BatchPlan &plan);

} // namespace tern::cli

#endif // TERN_CLI_BATCHBENCH_H
