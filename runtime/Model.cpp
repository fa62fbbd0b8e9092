//===- Model.cpp - an open model ------------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Model.h"

#include <cstdio>
#include <cstring>

#include "runtime/Cpu.h"
#include "runtime/SelfTest.h"

using namespace tern;

static Status unsuitable(std::string text) {
  return Status::error(TERN_STATUS_CPU, TERN_CATEGORY_DEVICE, std::move(text));
}

static void warn(const tern_open_options_t &options, const std::string &text) {
  if (options.warn)
    options.warn(options.warn_context, text.c_str());
  else
    std::fprintf(stderr, "tern: warning: %s\n", text.c_str());
}

Status tern_model::open(const char *path, const tern_open_options_t &options,
                        std::unique_ptr<tern_model> *out) {
  auto model = std::make_unique<tern_model>();
  Status status = model->library.open(path, options);
  if (status.ok())
    status = model->finish(options);
  if (!status.ok())
    return std::move(status).within(std::string("opening ") + path);
  *out = std::move(model);
  return {};
}

Status tern_model::openLinked(tern_query_fn query, const void *payload, uint64_t bytes,
                              const tern_open_options_t &options,
                              std::unique_ptr<tern_model> *out) {
  auto model = std::make_unique<tern_model>();
  Status status = model->library.openLinked(query, payload, bytes, options);
  if (status.ok())
    status = model->finish(options);
  if (!status.ok())
    return std::move(status).within("opening a linked model");
  *out = std::move(model);
  return {};
}

Status tern_model::finish(const tern_open_options_t &options) {
  Status status = library.plan()  ? openGpu(options)
                  : options.level ? chooseForced(options.level)
                                  : chooseBest(options);
  if (!status.ok())
    return status;
  card = library.payload().section(TERN_SECTION_CARD);
  if (card.empty())
    card = "{}";
  std::string_view blob = library.payload().section(TERN_SECTION_TOKENIZER);
  if (blob.empty())
    return {};
  return Tokenizer::load(blob, &tokenizer).within("tokenizer section");
}

Status tern_model::openGpu(const tern_open_options_t &options) {
  if (options.level && std::strcmp(options.level, level()) != 0)
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_DEVICE,
                         format("no level %s in the model, it has metal", options.level));
  const Payload &payload = library.payload();
  return metal::Model::create(*library.plan(), payload.section(TERN_SECTION_MSL),
                              payload.section(TERN_SECTION_WEIGHTS), &gpu);
}

Status tern_model::chooseForced(const char *level) {
  std::string known;
  for (uint32_t i = 0; i < code().variant_count; ++i) {
    const tern_variant_t &one = code().variants[i];
    known += (i ? ", " : "") + std::string(one.level);
    if (std::strcmp(one.level, level) != 0)
      continue;
    if (uint64_t missing = one.cpu_features & ~cpuFeatures())
      return unsuitable(format("level %s needs %s, which this processor lacks", level,
                               describeFeatures(missing).c_str()));
    variant = &one;
    return {};
  }
  return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_DEVICE,
                       format("no level %s in the model, it has %s", level, known.c_str()));
}

Status tern_model::chooseBest(const tern_open_options_t &options) {
  std::string reasons;
  for (uint32_t i = 0; i < code().variant_count; ++i) {
    const tern_variant_t &one = code().variants[i];
    reasons += reasons.empty() ? "" : "; ";
    if (uint64_t missing = one.cpu_features & ~cpuFeatures()) {
      reasons += format("level %s needs %s", one.level, describeFeatures(missing).c_str());
      continue;
    }
    std::string wrong = testVariant(one);
    if (wrong.empty()) {
      variant = &one;
      return {};
    }
    reasons += format("level %s: self-test failed: %s", one.level, wrong.c_str());
    warn(options,
         format("level %s is not used, its self-test failed: %s", one.level, wrong.c_str()));
  }
  return unsuitable("no code for this processor: " + reasons);
}

void tern_model::noteRareRows(uint64_t rows) const {
  constexpr uint64_t kMost = 256; // each may have brought in 64 KiB
  if (rareRows.fetch_add(rows, std::memory_order_relaxed) + rows < kMost)
    return;
  rareRows.store(0, std::memory_order_relaxed);
  library.payload().releaseRare();
}

Status tern_model::needTokenizer() const {
  if (tokenizer)
    return {};
  return Status::error(TERN_STATUS_NOT_FOUND, TERN_CATEGORY_TENSOR,
                       "the model was compiled without a tokenizer");
}
