//===- Tuning.h - packings that were measured to be the fastest -*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_TUNING_H
#define TERN_FRONTENDS_CLI_TUNING_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <string>
#include <vector>

namespace tern::cli {

/// The file that `tern tune` writes and `--tuning` reads.
struct Tuning {
  struct Time {
    std::string packing;
    double microseconds = 0, gbs = 0;
  };
  struct Shape {
    int64_t rows = 0, columns = 0;
    std::string packing;     ///< the choice
    std::vector<Time> times; ///< for the reader; may be empty
  };

  std::string level; ///< "x86-64-v4-vnni"
  int64_t threads = 0;
  std::vector<Shape> shapes;

  static llvm::Expected<Tuning> read(llvm::StringRef path);
  llvm::json::Value toJson() const;
  /// As the compiler takes them: "6912x2560:base3".
  std::vector<std::string> choices() const;
};

/// The choices of the file at `path`; none for an empty path.
llvm::Expected<std::vector<std::string>> tunedShapes(llvm::StringRef path);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_TUNING_H
