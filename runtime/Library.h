//===- Library.h - code and payload of a compiled model ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_LIBRARY_H
#define TERN_RUNTIME_LIBRARY_H

#include "runtime/Payload.h"
#include "runtime/metal/Plan.h"

#include <optional>

namespace tern {

/// The code of a model, and the payload that belongs to it, both checked.
class Library {
public:
  Library() = default;
  Library(const Library &) = delete;
  Library &operator=(const Library &) = delete;
  ~Library();

  /// Loads the library at `path`, or a model compiled for Metal.
  Status open(const char *path, const tern_open_options_t &options);
  /// Code already in the process; `memory` null: the payload is in or beside the file that holds
  /// it.
  Status openLinked(tern_query_fn query, const void *memory, uint64_t bytes,
                    const tern_open_options_t &options);

  const tern_descriptor_t &code() const { return *descriptor; }
  const Payload &payload() const { return loaded; }
  /// Of a model compiled for Metal; else null.
  const metal::Plan *plan() const { return gpu ? &*gpu : nullptr; }

private:
  Status ask(tern_query_fn query);
  Status openPlan(const File &file, tern_verify_t verify);
  /// From `file`, which lies at `path`, or from the sidecar the descriptor names; checked.
  Status loadPayload(const File &file, const std::string &path, const tern_open_options_t &options);
  /// The payload that is `range` of `file`; checked.
  Status usePayload(const File &file, FileRange range, const tern_open_options_t &options);

  void *handle = nullptr;
  std::optional<metal::Plan> gpu;
  tern_descriptor_t gpuDescriptor = {}; ///< what the plan says, in the terms of a library
  const tern_descriptor_t *descriptor = nullptr;
  Payload loaded;
};

} // namespace tern

#endif // TERN_RUNTIME_LIBRARY_H
