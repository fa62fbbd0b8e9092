//===- Model.h - an open model ----------------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_MODEL_H
#define TERN_RUNTIME_MODEL_H

#include "runtime/Library.h"
#include "runtime/metal/Device.h"
#include "runtime/text/Tokenizer.h"

#include <atomic>

/// Code, payload and text of one model. Immutable once open: sessions and threads share it.
struct tern_model {
  static tern::Status open(const char *path, const tern_open_options_t &options,
                           std::unique_ptr<tern_model> *out);
  static tern::Status openLinked(tern_query_fn query, const void *payload, uint64_t bytes,
                                 const tern_open_options_t &options,
                                 std::unique_ptr<tern_model> *out);

  const tern_descriptor_t &code() const { return library.code(); }
  const uint8_t *weights() const {
    auto section = library.payload().section(TERN_SECTION_WEIGHTS);
    return reinterpret_cast<const uint8_t *>(section.data());
  }
  bool languageModel() const { return code().vocabulary != 0; }
  tern::Status needTokenizer() const;
  /// To be told of table rows that a call has read here and there. Each brings up to 64 KiB of
  /// pages of the file with it; when all may have brought 16 MiB, they are given back.
  void noteRareRows(uint64_t rows) const;

  tern::Library library;
  /// The name of the chosen level, or "metal".
  const char *level() const { return variant ? variant->level : "metal"; }

  const tern_variant_t *variant = nullptr;    ///< the chosen level; null on Metal
  std::unique_ptr<tern::metal::Model> gpu;    ///< null but on Metal
  std::unique_ptr<tern::Tokenizer> tokenizer; ///< null when the model has none
  std::string card;

private:
  mutable std::atomic<uint64_t> rareRows{0};

  tern::Status finish(const tern_open_options_t &options);
  tern::Status openGpu(const tern_open_options_t &options);
  tern::Status chooseForced(const char *level);
  tern::Status chooseBest(const tern_open_options_t &options);
};

#endif // TERN_RUNTIME_MODEL_H
