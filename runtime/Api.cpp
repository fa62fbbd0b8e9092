//===- Api.cpp - the C interface: models ----------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <cstring>

#include "runtime/Cpu.h"
#include "runtime/Guard.h"
#include "runtime/Model.h"
#include "runtime/SelfTest.h"

using namespace tern;

extern "C" const char *tern_version(void) { return TERN_VERSION; }

static Status readOpenOptions(const tern_open_options_t *in, tern_open_options_t *out) {
  if (Status status = readOptions(in, out); !status.ok())
    return status;
  if (out->verify < TERN_VERIFY_AUTO || out->verify > TERN_VERIFY_NONE)
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                         format("no verify mode %d", int(out->verify)));
  if (out->load < TERN_LOAD_AUTO || out->load > TERN_LOAD_COPY)
    return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                         format("no load mode %d", int(out->load)));
  return {};
}

extern "C" tern_status_t tern_model_open(const char *path, const tern_open_options_t *options,
                                         tern_model_t **out) {
  return guarded("tern_model_open", [&]() -> Status {
    if (!path || !out)
      return missing(path ? "out" : "path");
    tern_open_options_t known;
    if (Status status = readOpenOptions(options, &known); !status.ok())
      return status;
    std::unique_ptr<tern_model> model;
    Status status = tern_model::open(path, known, &model);
    if (status.ok())
      *out = model.release();
    return status;
  });
}

extern "C" tern_status_t tern_model_open_linked(tern_query_fn query, const void *payload,
                                                uint64_t payload_bytes,
                                                const tern_open_options_t *options,
                                                tern_model_t **out) {
  return guarded("tern_model_open_linked", [&]() -> Status {
    if (!query || !out)
      return missing(query ? "out" : "query");
    tern_open_options_t known;
    if (Status status = readOpenOptions(options, &known); !status.ok())
      return status;
    std::unique_ptr<tern_model> model;
    Status status = tern_model::openLinked(query, payload, payload_bytes, known, &model);
    if (status.ok())
      *out = model.release();
    return status;
  });
}

extern "C" void tern_model_close(tern_model_t *model) { delete model; }

extern "C" tern_status_t tern_model_get_info(const tern_model_t *model, tern_model_info_t *out) {
  return guarded("tern_model_get_info", [&]() -> Status {
    if (!model || !out)
      return missing(model ? "out" : "model");
    size_t size = out->struct_size;
    if (size < sizeof(size_t))
      return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                           format("struct_size is %zu, expected %zu", size, sizeof(*out)));
    const tern_descriptor_t &code = model->code();
    tern_model_info_t info = {};
    info.struct_size = size;
    info.vocabulary = code.vocabulary;
    info.hidden = code.hidden;
    info.layers = code.layers;
    info.max_positions = code.max_positions;
    info.max_rows = code.max_rows;
    info.has_tokenizer = model->tokenizer != nullptr;
    info.weights_bytes = code.weights_bytes;
    info.arena_bytes = code.arena_bytes;
    info.kv_bytes_per_position = code.kv_bytes_per_position;
    info.level = model->level();
    info.compiler_version = code.compiler_version;
    info.screened_bytes = code.screened_bytes;
    std::memcpy(out, &info, std::min(size, sizeof(info)));
    return {};
  });
}

extern "C" const char *tern_model_card(const tern_model_t *model) {
  return model ? model->card.c_str() : nullptr;
}

extern "C" tern_status_t tern_model_self_test(const tern_model_t *model,
                                              void (*report)(void *context, const char *line),
                                              void *context) {
  return guarded("tern_model_self_test", [&]() -> Status {
    if (!model)
      return missing("model");
    Status result;
    const tern_descriptor_t &code = model->code();
    for (uint32_t i = 0; i < code.variant_count; ++i) {
      const tern_variant_t &variant = code.variants[i];
      if (variant.cpu_features & ~cpuFeatures())
        continue;
      for (uint64_t j = 0; j < variant.kernel_count; ++j) {
        const tern_kernel_t &kernel = variant.kernels[j];
        std::string difference = testKernel(kernel);
        std::string line = format("%s: %s: %s", variant.level, kernel.name,
                                  difference.empty() ? "ok" : difference.c_str());
        if (report)
          report(context, line.c_str());
        if (!difference.empty() && result.ok())
          result = Status::error(TERN_STATUS_INTERNAL, TERN_CATEGORY_DEVICE, line)
                       .within("self-test failed");
      }
    }
    return result;
  });
}
