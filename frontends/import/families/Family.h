//===- Family.h - what tells one family of models from another --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_FAMILIES_FAMILY_H
#define TERN_FRONTENDS_IMPORT_FAMILIES_FAMILY_H

#include "frontends/import/Config.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace tern::import {

/// Tensor names of a pre-norm decoder. Those of a layer follow `layer` and its number.
struct TensorNames {
  llvm::StringLiteral embedding, outputNorm, head, layer;
  llvm::StringLiteral attentionNorm, query, key, value, attentionSubNorm, output;
  llvm::StringLiteral feedForwardNorm, gate, up, feedForwardSubNorm, down;
};

/// A family is this data. A new one is a file in this folder and its line in Families.cpp.
struct Family {
  llvm::StringLiteral name;
  /// Class names of config.json's `architectures`, compared without case.
  llvm::ArrayRef<llvm::StringLiteral> architectures;
  llvm::ArrayRef<GateFunction> gates;
  /// Spellings in use; a checkpoint follows the first whose attentionSubNorm its layer 0 has.
  llvm::ArrayRef<TensorNames> names;
  /// The weight form of a config without quantization_config; may be null (then it is Unstated).
  llvm::Expected<WeightForm> (*formWithoutQuantization)(const Json &config);
};

/// Null where no family knows the class.
const Family *findFamily(llvm::StringRef architecture);
/// "BitNetForCausalLM, ..." for messages.
std::string knownArchitectures();

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_FAMILIES_FAMILY_H
