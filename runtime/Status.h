//===- Status.h - success, or a failure with its contexts -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_STATUS_H
#define TERN_RUNTIME_STATUS_H

#include "tern/tern.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tern {

/// A success, or a failure with its code, category and contexts. No exceptions cross the runtime.
class [[nodiscard]] Status {
public:
  Status() = default;
  static Status error(tern_status_t code, tern_category_t category, std::string message);

  bool ok() const { return !failure; }
  tern_status_t code() const { return failure ? failure->code : TERN_STATUS_OK; }
  tern_category_t category() const { return failure ? failure->category : TERN_CATEGORY_NONE; }
  /// From the outside in.
  std::vector<std::string> contexts() const;
  /// Contexts joined with ": ".
  std::string message() const;
  /// Adds an outer context: "opening model.so".
  Status within(std::string context) &&;
  /// Makes this the calling thread's last error (what tern_error_message shows) and returns its
  /// code.
  tern_status_t publish() &&;

private:
  struct Failure {
    tern_status_t code;
    tern_category_t category;
    std::vector<std::string> contexts; ///< from the inside out
  };
  std::unique_ptr<Failure> failure;
};

/// Makes "out of memory" the calling thread's last error, without allocating.
tern_status_t publishOutOfMemory();

/// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string format(const char *pattern, ...);
/// What the system calls an error: "No such file or directory".
std::string systemText(int error);

} // namespace tern

#endif // TERN_RUNTIME_STATUS_H
