//===- IRText.h - bounds of IR files before they are parsed -----*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_IRTEXT_H
#define TERN_FRONTENDS_CLI_IRTEXT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace tern::cli {

/// Refuses what MLIR's parser would overflow its stack or fill the memory with: it descends once a
/// bracket, makes room for as many results as a number says, and takes bytecode by its word.
/// An error begins with the line.
llvm::Error checkIRText(llvm::StringRef text);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_IRTEXT_H
