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

Status tern::tokenizePrompt(const tern_session &session, std::string_view prompt,
                            std::vector<int32_t> *ids) {
  if (Status status = session.model().needTokenizer(); !status.ok())
    return status;
  Tokenizer::EncodeOptions options;
  options.addBos = session.position() == 0;
  options.parseSpecial = true;
  *ids = session.model().tokenizer->encode(prompt, options);
  return {};
}

namespace {

/// One generation in progress.
class Generation {
public:
  Generation(tern_session &session, const tern_generate_options_t &options, tern_text_fn onText,
             void *context)
      : session(session), tokenizer(session.model().tokenizer.get()), options(options),
        onText(onText), context(context), sampler(options.sampler),
        greedy(options.sampler.temperature == 0.0f && (options.sampler.repetition_penalty == 0.0f ||
                                                       options.sampler.repetition_penalty == 1.0f)),
        stream({options.stop, options.stop + options.stop_count}) {}

  Status prefill(const int32_t *prompt, size_t count);
  Status run();

private:
  bool isEnd(int32_t id) const {
    if (!tokenizer || options.ignore_eos)
      return false;
    const std::vector<int32_t> &ends = tokenizer->endTokens();
    return std::find(ends.begin(), ends.end(), id) != ends.end();
  }
  void pass(const std::string &text, int32_t id) {
    cancelled |= onText(context, text.data(), text.size(), id) != 0;
  }

  tern_session &session;
  const Tokenizer *tokenizer;
  const tern_generate_options_t &options;
  tern_text_fn onText;
  void *context;
  /// Appends tokens; `choose` then gives the next one.
  Status append(const int32_t *ids, size_t count);
  int32_t choose() {
    return greedy ? best.id
                  : sampler.sample(session.lastLogits(), session.model().code().vocabulary);
  }

  Sampler sampler;
  bool greedy; ///< the token of the largest logit is all that is asked for
  tern_session::Best best;
  TextStream stream;
  bool cancelled = false;
};

} // namespace

Status Generation::prefill(const int32_t *prompt, size_t count) {
  if (options.stop_count != 0)
    if (Status status = session.model().needTokenizer(); !status.ok())
      return std::move(status).within("stop texts");
  if (count == 0)
    if (Status status = session.needLogits(); !status.ok())
      return status;
  if (count == 0 && session.lastLogits()) {
    if (greedy)
      best.id = sampler.sample(session.lastLogits(), session.model().code().vocabulary);
    return {};
  }
  if (count == 0)
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_TENSOR,
                         "the prompt has no tokens, and the session has no logits to go on from");
  if (Status status = append(prompt, count); !status.ok())
    return std::move(status).within("prompt");
  for (size_t i = 0; i < count; ++i)
    sampler.accept(prompt[i]);
  return {};
}

Status Generation::append(const int32_t *ids, size_t count) {
  return greedy ? session.appendForBest(ids, count, &best) : session.append(ids, count, nullptr);
}

Status Generation::run() {
  const uint32_t most = options.max_tokens ? options.max_tokens : UINT32_MAX;
  uint32_t made = 0;
  bool full = false;
  while (made < most && !full && !cancelled && !stream.stopped()) {
    int32_t id = choose();
    if (isEnd(id))
      break;
    sampler.accept(id);
    ++made;
    std::string bytes;
    if (tokenizer)
      bytes = tokenizer->decode(&id, 1, true, Tokenizer::Place::Continuation);
    pass(stream.push(bytes), id);
    full = session.position() == session.capacity();
    if (full)
      continue;
    if (Status status = append(&id, 1); !status.ok())
      return status;
  }
  if (std::string rest = stream.finish(); !rest.empty() && !cancelled)
    pass(rest, -1);
  if (cancelled)
    return Status::error(TERN_STATUS_CANCELLED, TERN_CATEGORY_NONE, "stopped by the callback");
  if (!full || stream.stopped() || options.max_tokens == 0 || made == most)
    return {};
  return Status::error(TERN_STATUS_CONTEXT_FULL, TERN_CATEGORY_MEMORY,
                       format("all %u positions are used", session.capacity()));
}

Status tern::generate(tern_session &session, const int32_t *prompt, size_t count,
                      const tern_generate_options_t &options, tern_text_fn onText, void *context) {
  Generation generation(session, options, onText, context);
  if (Status status = generation.prefill(prompt, count); !status.ok())
    return status;
  return generation.run();
}
