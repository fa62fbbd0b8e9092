//===- GgufTypes.h - tensor types of GGUF -----------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_GGUFTYPES_H
#define TERN_FRONTENDS_IMPORT_GGUFTYPES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>

/// Which layout a type number means. Forks gave some numbers two meanings; those are told apart by
/// the number of bytes the tensor occupies in the file, never by general.file_type.
namespace tern::import {

/// A type that is read: its name as ggml spells it and its size. `block` elements of a row take
/// `bytes`; a row begins with `header` bytes, the tensor ends with `tail`. `block` must divide a
/// row, or, where `flat`, the whole tensor.
struct GgufType {
  uint32_t id;
  llvm::StringLiteral name;
  uint16_t block, bytes;
  uint16_t header = 0, tail = 0;
  bool flat = false;

  /// Of dimensions in GGUF order (dims[0] runs fastest); nothing where they do not fit the blocks
  /// or the size leaves 63 bits.
  std::optional<uint64_t> size(llvm::ArrayRef<uint64_t> dims) const;
};

/// A tensor as its info states it, and how far it is to the next one in the file.
struct GgufSpan {
  llvm::StringRef name;
  uint32_t type;
  llvm::ArrayRef<uint64_t> dims;
  uint64_t room;      ///< bytes to the next tensor, or to the end of the file
  uint64_t alignment; ///< of the tensors' offsets

  /// Whether exactly `bytes` bytes, padded or not, fill the room.
  bool holds(std::optional<uint64_t> bytes) const;
};

/// How type 42 is to be read in a whole model.
enum class Q2Group { None, G64, G128 };

/// Settles type 42 over every tensor of a model: exactly one group size must fit all. An error
/// otherwise.
llvm::Expected<Q2Group> decideQ2Group(llvm::StringRef file, llvm::ArrayRef<GgufSpan> tensors);

/// The type of a tensor, or an error that says why it is refused and what to do.
llvm::Expected<const GgufType *> resolveType(llvm::StringRef file, const GgufSpan &tensor,
                                             Q2Group group);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_GGUFTYPES_H
