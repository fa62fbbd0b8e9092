//===- Guard.h - where C calls enter ----------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_GUARD_H
#define TERN_RUNTIME_GUARD_H

#include <cstring>
#include <new>
#include <stdexcept>

#include "runtime/Status.h"

namespace tern {

/// Runs the body of a C function: its failure becomes the thread's last error, and the standard
/// library's failed allocations end here.
template <typename Body> tern_status_t guarded(const char *call, Body body) {
  try {
    Status status = body();
    if (!status.ok() && status.code() == TERN_STATUS_INVALID_ARGUMENT)
      return std::move(status).within(call).publish();
    return std::move(status).publish();
  } catch (const std::bad_alloc &) {
    return publishOutOfMemory();
  } catch (const std::length_error &) {
    return publishOutOfMemory();
  }
}

inline Status missing(const char *argument) {
  return Status::error(TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
                       format("%s is NULL", argument));
}

/// Copies a caller's option struct, of this or another release; NULL means defaults. What this
/// release does not know must be zero.
template <typename Options> Status readOptions(const Options *in, Options *out) {
  *out = {};
  out->struct_size = sizeof(Options);
  if (!in)
    return {};
  size_t size = in->struct_size;
  if (size < sizeof(size_t) || size > 4096)
    return Status::error(
        TERN_STATUS_INVALID_ARGUMENT, TERN_CATEGORY_NONE,
        format("struct_size of the options is %zu, expected %zu", size, sizeof(Options)));
  const char *bytes = reinterpret_cast<const char *>(in);
  for (size_t i = sizeof(Options); i < size; ++i)
    if (bytes[i] != 0)
      return Status::error(TERN_STATUS_UNSUPPORTED, TERN_CATEGORY_NONE,
                           format("an option of a later release is set (byte %zu)", i));
  std::memcpy(static_cast<void *>(out), in, size < sizeof(Options) ? size : sizeof(Options));
  out->struct_size = sizeof(Options);
  return {};
}

} // namespace tern

#endif // TERN_RUNTIME_GUARD_H
