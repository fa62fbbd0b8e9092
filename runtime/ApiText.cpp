//===- ApiText.cpp - the C interface: text --------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <cstring>

#include "runtime/Generate.h"
#include "runtime/Guard.h"
#include "runtime/Session.h"
#include "runtime/text/Sampler.h"

using namespace tern;

struct tern_sampler {
  Sampler sampler;
};

extern "C" tern_status_t tern_tokenize(const tern_model_t *model, const char *text, size_t bytes,
                                       uint32_t flags, int32_t *ids, size_t capacity,
                                       size_t *count) {
  return guarded("tern_tokenize", [&]() -> Status {
    if (!model || !count || (!text && bytes != 0) || (!ids && capacity != 0))
      return missing(!model ? "model" : !count ? "count" : !text && bytes != 0 ? "text" : "ids");
    constexpr uint32_t known = TERN_TOKENIZE_ADD_BOS | TERN_TOKENIZE_PARSE_SPECIAL;
    if (flags & ~known)
      return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                           format("unknown flags 0x%x", flags & ~known));
    if (Status status = model->needTokenizer(); !status.ok())
      return status;
    Tokenizer::EncodeOptions options;
    options.addBos = flags & TERN_TOKENIZE_ADD_BOS;
    options.parseSpecial = flags & TERN_TOKENIZE_PARSE_SPECIAL;
    std::vector<int32_t> all = model->tokenizer->encode({text ? text : "", bytes}, options);
    std::copy_n(all.begin(), std::min(capacity, all.size()), ids);
    *count = all.size();
    return {};
  });
}

extern "C" tern_status_t tern_detokenize(const tern_model_t *model, const int32_t *ids,
                                         size_t count, int skip_special, char *text,
                                         size_t capacity, size_t *bytes) {
  return guarded("tern_detokenize", [&]() -> Status {
    if (!model || !bytes || (!ids && count != 0) || (!text && capacity != 0))
      return missing(!model ? "model" : !bytes ? "bytes" : !ids && count != 0 ? "ids" : "text");
    if (Status status = model->needTokenizer(); !status.ok())
      return status;
    std::string all = model->tokenizer->decode(ids, count, skip_special != 0);
    std::copy_n(all.begin(), std::min(capacity, all.size()), text);
    *bytes = all.size();
    return {};
  });
}

extern "C" tern_status_t tern_sampler_create(const tern_sampler_options_t *options,
                                             tern_sampler_t **out) {
  return guarded("tern_sampler_create", [&]() -> Status {
    if (!out)
      return missing("out");
    tern_sampler_options_t known;
    if (Status status = readOptions(options, &known); !status.ok())
      return status;
    if (Status status = Sampler::check(known); !status.ok())
      return status;
    *out = new tern_sampler{Sampler(known)};
    return {};
  });
}

extern "C" void tern_sampler_destroy(tern_sampler_t *sampler) { delete sampler; }

extern "C" tern_status_t tern_sample(tern_sampler_t *sampler, const tern_session_t *session,
                                     int32_t *id) {
  return guarded("tern_sample", [&]() -> Status {
    if (!sampler || !session || !id)
      return missing(!sampler ? "sampler" : !session ? "session" : "id");
    auto *own = const_cast<tern_session_t *>(session);
    tern_session::Use use(*own);
    if (Status status = use.check(); !status.ok())
      return status;
    if (Status status = own->needLogits(); !status.ok())
      return status;
    const float *logits = session->lastLogits();
    if (!logits)
      return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_TENSOR,
                           "no logits yet: prefill or decode first");
    int32_t chosen = sampler->sampler.sample(logits, session->model().code().vocabulary);
    sampler->sampler.accept(chosen);
    *id = chosen;
    return {};
  });
}

/// The sampler's options inside the others; a struct_size of 0 means greedy.
static Status readGenerateOptions(const tern_generate_options_t *in, tern_generate_options_t *out) {
  if (Status status = readOptions(in, out); !status.ok())
    return status;
  if (out->stop_count != 0 && !out->stop)
    return missing("stop");
  for (size_t i = 0; i < out->stop_count; ++i)
    if (!out->stop[i])
      return missing(format("stop[%zu]", i).c_str());
  tern_sampler_options_t sampler = out->sampler;
  if (sampler.struct_size > sizeof(sampler))
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                         format("struct_size of the sampler is %zu, expected 0 or %zu",
                                sampler.struct_size, sizeof(sampler)));
  if (Status status = readOptions(sampler.struct_size ? &sampler : nullptr, &out->sampler);
      !status.ok())
    return status;
  return Sampler::check(out->sampler);
}

extern "C" tern_status_t tern_generate(tern_session_t *session, const char *prompt,
                                       const tern_generate_options_t *options, tern_text_fn on_text,
                                       void *context) {
  return guarded("tern_generate", [&]() -> Status {
    if (!session || !prompt || !on_text)
      return missing(!session ? "session" : !prompt ? "prompt" : "on_text");
    tern_generate_options_t known;
    if (Status status = readGenerateOptions(options, &known); !status.ok())
      return status;
    tern_session::Use use(*session);
    if (Status status = use.check(); !status.ok())
      return status;
    std::vector<int32_t> ids;
    if (Status status = tokenizePrompt(*session, prompt, &ids); !status.ok())
      return status;
    return generate(*session, ids.data(), ids.size(), known, on_text, context);
  });
}

extern "C" tern_status_t tern_generate_ids(tern_session_t *session, const int32_t *prompt,
                                           size_t count, const tern_generate_options_t *options,
                                           tern_text_fn on_text, void *context) {
  return guarded("tern_generate_ids", [&]() -> Status {
    if (!session || !on_text || (!prompt && count != 0))
      return missing(!session ? "session" : !on_text ? "on_text" : "prompt");
    tern_generate_options_t known;
    if (Status status = readGenerateOptions(options, &known); !status.ok())
      return status;
    tern_session::Use use(*session);
    if (Status status = use.check(); !status.ok())
      return status;
    return generate(*session, prompt, count, known, on_text, context);
  });
}
