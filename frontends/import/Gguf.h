//===- Gguf.h - models in GGUF files ----------------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_GGUF_H
#define TERN_FRONTENDS_IMPORT_GGUF_H

#include "frontends/import/GgufMetadata.h"
#include "frontends/import/GgufTypes.h"
#include "frontends/import/Safetensors.h"

namespace tern::import {

/// One tensor as its info states it. Views into the file.
struct GgufTensor {
  llvm::StringRef name;
  uint32_t type = 0;
  llvm::SmallVector<uint64_t, 4> dims; ///< dims[0] runs fastest
  uint64_t offset = 0;                 ///< from the file's first byte
  uint64_t room = 0;                   ///< bytes to the next tensor, or to the end of the file
};

/// What lies before the tensors' data.
struct GgufHeader {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors; ///< in file order
  uint64_t alignment = 32;
  std::vector<std::string> notes; ///< what is odd but harmless
};

/// Reads and checks the header of a whole file. Types are not looked at yet.
llvm::Expected<GgufHeader> parseGguf(llvm::StringRef file, llvm::ArrayRef<uint8_t> bytes);

/// The tensors with their types, each of which fits the room it has.
llvm::Expected<std::vector<TensorInfo>> resolveTensors(llvm::StringRef file,
                                                       const GgufHeader &header, Q2Group group);

/// A model in a GGUF file of version 2 or 3, or in the parts of a split one.
class GgufFile {
public:
  /// Maps the file, checks all of it but the tensors' values, and resolves every tensor's type. A
  /// first part brings in the others, which lie beside it.
  static llvm::Expected<GgufFile> open(llvm::StringRef path);

  /// Whether the file begins as GGUF does.
  static bool isGguf(llvm::StringRef path);

  /// Of the first part, which has all of it.
  const GgufMetadata &metadata() const { return keys; }
  /// The tensors: TensorInfo::dtype is one of F32, F16, BF16, I2_S, TQ1_0, TQ2_0, Q2_0, PQ2_0,
  /// PTQ1_0, IQ1_BN, IQ2_BN, Q8_0, Q4_0, Q4_1, Q5_0, Q4_K, Q5_K, Q6_K. files() are the parts.
  const Checkpoint &checkpoint() const { return tensors; }
  /// What is odd but harmless, for the user.
  llvm::ArrayRef<std::string> warnings() const { return notes; }

private:
  Checkpoint tensors;
  GgufMetadata keys;
  std::vector<std::string> notes;
};

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_GGUF_H
