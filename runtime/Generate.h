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

/// Ids of a prompt, with BOS when the session is empty.
Status tokenizePrompt(const tern_session &session, std::string_view prompt,
                      std::vector<int32_t> *ids);

/// Appends the prompt and what is sampled after it, passing text on as it becomes certain; tern.h
/// has the details.
Status generate(tern_session &session, const int32_t *prompt, size_t count,
                const tern_generate_options_t &options, tern_text_fn onText, void *context);

} // namespace tern

#endif // TERN_RUNTIME_GENERATE_H
