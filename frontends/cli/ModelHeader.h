//===- ModelHeader.h - the C header beside a library ------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_MODELHEADER_H
#define TERN_FRONTENDS_CLI_MODELHEADER_H

#include "llvm/ADT/StringRef.h"

#include <string>

namespace tern::cli {

/// `model.h` for `model.so`.
std::string headerPath(llvm::StringRef library);

/// Its text. A standalone library has the runtime in it, so its header has the runtime's
/// declarations in it too; any other includes tern/tern.h.
std::string modelHeader(llvm::StringRef library, bool standalone);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_MODELHEADER_H
