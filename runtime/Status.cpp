//===- Status.cpp - success, or a failure with its contexts ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Status.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

using namespace tern;

namespace {

/// Plain storage: it must work when memory has run out, and needs no destructor at thread exit.
/// Longer texts are cut.
struct LastError {
  static constexpr size_t kText = 2048;
  static constexpr size_t kContexts = 16;

  tern_category_t category;
  size_t count;
  size_t begins[kContexts];
  char contexts[kText]; ///< NUL-terminated, one after another
  char message[kText];  ///< the contexts joined with ": "

  void clear(tern_category_t newCategory) {
    category = newCategory;
    count = used = joined = 0;
    message[0] = 0;
  }
  void add(const char *text, size_t size) {
    if (count == kContexts || used + 1 >= kText)
      return;
    begins[count++] = used;
    size_t kept = std::min(size, kText - used - 1);
    std::memcpy(contexts + used, text, kept);
    contexts[used + kept] = 0;
    used += kept + 1;
    if (joined != 0)
      append(": ", 2);
    append(text, size);
  }

private:
  void append(const char *text, size_t size) {
    size_t kept = std::min(size, kText - joined - 1);
    std::memcpy(message + joined, text, kept);
    joined += kept;
    message[joined] = 0;
  }
  size_t used, joined;
};

thread_local LastError lastError;

} // namespace

Status Status::error(tern_status_t code, tern_category_t category, std::string message) {
  Status status;
  status.failure = std::make_unique<Failure>();
  status.failure->code = code;
  status.failure->category = category;
  status.failure->contexts.push_back(std::move(message));
  return status;
}

std::vector<std::string> Status::contexts() const {
  if (!failure)
    return {};
  return {failure->contexts.rbegin(), failure->contexts.rend()};
}

std::string Status::message() const {
  std::string text;
  for (const std::string &context : contexts()) {
    if (!text.empty())
      text += ": ";
    text += context;
  }
  return text;
}

Status Status::within(std::string context) && {
  if (failure)
    failure->contexts.push_back(std::move(context));
  return std::move(*this);
}

tern_status_t Status::publish() && {
  if (!failure)
    return TERN_STATUS_OK;
  lastError.clear(failure->category);
  for (auto it = failure->contexts.rbegin(); it != failure->contexts.rend(); ++it)
    lastError.add(it->data(), it->size());
  return failure->code;
}

tern_status_t tern::publishOutOfMemory() {
  static constexpr char text[] = "out of memory";
  lastError.clear(TERN_CATEGORY_MEMORY);
  lastError.add(text, sizeof(text) - 1);
  return TERN_STATUS_OUT_OF_MEMORY;
}

// strerror_r has two forms. std::generic_category would register a handler for the end of the
// process, which a library that is closed before must not.
[[maybe_unused]] static const char *chosen(int, const char *buffer) { return buffer; }
[[maybe_unused]] static const char *chosen(const char *text, const char *) { return text; }

std::string tern::systemText(int error) {
  char buffer[128] = "unknown error";
  return chosen(strerror_r(error, buffer, sizeof buffer), buffer);
}

std::string tern::format(const char *pattern, ...) {
  va_list arguments, again;
  va_start(arguments, pattern);
  va_copy(again, arguments);
  int size = std::vsnprintf(nullptr, 0, pattern, arguments);
  va_end(arguments);
  std::string text(size_t(std::max(size, 0)), 0);
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  return text;
}

extern "C" const char *tern_error_message(void) { return lastError.message; }

extern "C" tern_category_t tern_error_category(void) { return lastError.category; }

extern "C" const char *tern_error_context(size_t index) {
  return index < lastError.count ? lastError.contexts + lastError.begins[index] : nullptr;
}

extern "C" const char *tern_status_name(tern_status_t status) {
  switch (status) {
  case TERN_STATUS_OK:
    return "ok";
  case TERN_STATUS_INVALID_ARGUMENT:
    return "invalid argument";
  case TERN_STATUS_NOT_FOUND:
    return "not found";
  case TERN_STATUS_IO:
    return "input/output error";
  case TERN_STATUS_CORRUPT:
    return "corrupt";
  case TERN_STATUS_VERSION:
    return "version mismatch";
  case TERN_STATUS_CPU:
    return "unsuitable cpu";
  case TERN_STATUS_OUT_OF_MEMORY:
    return "out of memory";
  case TERN_STATUS_CONTEXT_FULL:
    return "context full";
  case TERN_STATUS_CANCELLED:
    return "cancelled";
  case TERN_STATUS_UNSUPPORTED:
    return "unsupported";
  case TERN_STATUS_INTERNAL:
    return "internal error";
  }
  return "unknown status";
}
