//===- Safetensors.h - tensors of a checkpoint, where they lie --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_SAFETENSORS_H
#define TERN_FRONTENDS_IMPORT_SAFETENSORS_H

#include "frontends/import/Json.h"
#include "frontends/import/Reader.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <vector>

namespace tern::import {

/// One tensor of a safetensors or GGUF file: offsets are from the file's first byte, already
/// checked.
struct TensorInfo {
  std::string name;
  std::string dtype; ///< as the file spells it: "BF16", "U8", ...; of GGUF: "I2_S", "TQ1_0", ...
  llvm::SmallVector<int64_t, 4> shape; ///< rows first; of GGUF: its dimensions reversed
  uint64_t offset = 0, bytes = 0;
  unsigned file = 0; ///< index into Checkpoint::files

  /// "BF16 [512, 1408]"
  std::string describe() const;
};

/// "[512, 1408]"
std::string describeShape(llvm::ArrayRef<int64_t> shape);

/// Reads and checks the header of a whole safetensors file. Tensors come in the order of their
/// bytes, which cover the data area without hole or overlap.
llvm::Expected<std::vector<TensorInfo>> parseSafetensors(llvm::StringRef file,
                                                         llvm::ArrayRef<uint8_t> bytes);

/// Tensor name and file name of each entry of a model.safetensors.index.json; file names are plain.
using ShardMap = std::vector<std::pair<std::string, std::string>>;
llvm::Expected<ShardMap> parseShardIndex(llvm::StringRef file, llvm::StringRef text);

/// The tensors of a Hugging Face folder (model.safetensors, or the shards of its index), or of a
/// GGUF model and its parts.
class Checkpoint {
public:
  static llvm::Expected<Checkpoint> open(llvm::StringRef folder);

  /// File names relative to the folder.
  const std::vector<std::string> &files() const { return names; }
  const std::vector<TensorInfo> &tensors() const { return infos; }
  /// Null where there is no such tensor.
  const TensorInfo *find(llvm::StringRef name) const;
  llvm::ArrayRef<uint8_t> bytes(const TensorInfo &tensor) const {
    return mapped[tensor.file].bytes().slice(tensor.offset, tensor.bytes);
  }
  /// After a scan of a whole tensor: its pages no longer count as this process's memory.
  void release(const TensorInfo &tensor) const { mapped[tensor.file].release(); }
  /// folder/file: tensor "name": message
  llvm::Error error(const TensorInfo &tensor, const llvm::Twine &message) const;

private:
  friend class GgufFile;
  llvm::Error addFile(llvm::StringRef folder, llvm::StringRef name);
  llvm::Error addTensors(llvm::StringRef path, std::vector<TensorInfo> tensors);
  llvm::Error addShards(llvm::StringRef folder, llvm::StringRef index);

  std::string folder;
  std::vector<std::string> names;
  std::vector<MappedFile> mapped;
  std::vector<TensorInfo> infos;
  llvm::StringMap<size_t> byName;
};

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_SAFETENSORS_H
