//===- Families.cpp - the table of families -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/families/Bitnet.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace tern::import {

static constexpr const Family *kFamilies[] = {&kBitnet};

const Family *findFamily(StringRef architecture) {
  for (const Family *family : kFamilies)
    if (any_of(family->architectures,
               [&](StringRef name) { return name.equals_insensitive(architecture); }))
      return family;
  return nullptr;
}

std::string knownArchitectures() {
  std::string text;
  for (const Family *family : kFamilies)
    for (StringRef name : family->architectures)
      text += (text.empty() ? "" : ", ") + name.str();
  return text;
}

} // namespace tern::import
