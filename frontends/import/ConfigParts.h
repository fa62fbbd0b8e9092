//===- ConfigParts.h - what readers of config.json share --------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_CONFIGPARTS_H
#define TERN_FRONTENDS_IMPORT_CONFIGPARTS_H

#include "frontends/import/Config.h"

#include <string>

namespace tern::import {

/// A number as messages show it.
std::string shown(double number);

/// Collects values of `json` and keeps the first failure, so that a list of keys reads as a list.
class Fields {
public:
  explicit Fields(const Json &json) : json(json) {}

  /// From 1 to `most`.
  void integer(llvm::StringRef key, int64_t &out, int64_t most) {
    take(json.getInteger(key, 1, most), out);
  }
  /// A finite number above 0.
  void positive(const Json &object, llvm::StringRef key, double &out);
  template <typename T, typename U> void take(llvm::Expected<T> value, U &out) {
    if (value)
      out = *value;
    else
      fail(value.takeError());
  }
  void fail(llvm::Error error);
  llvm::Error finish() const;

private:
  const Json &json;
  std::string failure;
};

/// Refuses what changes the maths of a block and is not part of these families.
llvm::Error refuseUnsupported(const Json &root);
/// rope_theta, rope_scaling and rope_parameters.
void readRope(const Json &root, Config &config, Fields &fields);
/// How linear weights are stored.
llvm::Error readQuantization(const Json &root, Config &config);
/// A token id, or a list of them; nothing where there is no such key.
llvm::Error readTokens(const Json &root, llvm::StringRef key, int64_t vocabulary,
                       llvm::SmallVectorImpl<int64_t> &out);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_CONFIGPARTS_H
