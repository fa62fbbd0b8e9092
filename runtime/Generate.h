//===- Generate.h - prompt to streamed text ---------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_GENERATE_H
#define TERN_RUNTIME_GENERATE_H

#include <string_view>

#include "runtime/Session.h"

namespace tern {

/// Appends the prompt and what is sampled after it, passing text on as it becomes certain. Every token
/// but an end token is appended, also the last one: the session can be continued. An empty prompt goes
/// on from the session's logits. CONTEXT_FULL when the cache ends before `max_tokens`.
Status generate(tern_session &session, std::string_view prompt,
                const tern_generate_options_t &options, tern_text_fn onText, void *context);

} // namespace tern

#endif // TERN_RUNTIME_GENERATE_H
