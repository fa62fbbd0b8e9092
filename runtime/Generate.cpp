//===- Generate.cpp - prompt to streamed text -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Generate.h"

#include <algorithm>

#include "runtime/text/Sampler.h"
#include "runtime/text/TextStream.h"

using namespace tern;

static Status prefillPrompt(tern_session &session, std::string_view prompt, Sampler &sampler) {
  Tokenizer::EncodeOptions options;
  options.addBos = session.position() == 0;
  options.parseSpecial = true;
  std::vector<int32_t> ids = session.model().tokenizer->encode(prompt, options);
  for (int32_t id : ids)
    sampler.accept(id);
  if (!ids.empty())
    return session.append(ids.data(), ids.size(), nullptr).within("prompt");
  if (session.lastLogits())
    return {};
  return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_TENSOR,
                       "the prompt has no tokens, and the session has no logits to go on from");
}

Status tern::generate(tern_session &session, std::string_view prompt,
                      const tern_generate_options_t &options, tern_text_fn onText,
                      void *context) {
  if (Status status = session.model().needTokenizer(); !status.ok())
    return status;
  const Tokenizer &tokenizer = *session.model().tokenizer;
  Sampler sampler(options.sampler);
  if (Status status = prefillPrompt(session, prompt, sampler); !status.ok())
    return status;
  TextStream stream({options.stop, options.stop + options.stop_count});
  const std::vector<int32_t> &ends = tokenizer.endTokens();
  int32_t id = 0;
  bool stop = false;
  auto pass = [&](const std::string &text) {
    stop |= !text.empty() && onText(context, text.data(), text.size(), id) != 0;
  };
  const uint32_t most = options.max_tokens ? options.max_tokens : UINT32_MAX;
  uint32_t made = 0;
  bool full = false;
  while (made < most && !full && !stop && !stream.stopped()) {
    id = sampler.sample(session.lastLogits(), session.model().code().vocabulary);
    sampler.accept(id);
    if (!options.ignore_eos && std::find(ends.begin(), ends.end(), id) != ends.end())
      break;
    ++made;
    pass(stream.push(tokenizer.decode(&id, 1, true)));
    full = session.position() == session.capacity();
    if (full)
      continue;
    if (Status status = session.append(&id, 1, nullptr); !status.ok())
      return status;
  }
  if (!stop)
    pass(stream.finish());
  if (stop)
    return Status::error(TERN_STATUS_CANCELLED, TERN_CATEGORY_NONE, "stopped by the callback");
  if (!full || stream.stopped() || options.max_tokens == 0 || made == most)
    return {};
  return Status::error(TERN_STATUS_CONTEXT_FULL, TERN_CATEGORY_MEMORY,
                       format("all %u positions are used", session.capacity()));
}
