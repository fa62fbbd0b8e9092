//===- GgufMetadata.h - the key-value pairs of a GGUF file ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_GGUFMETADATA_H
#define TERN_FRONTENDS_IMPORT_GGUFMETADATA_H

#include "frontends/import/Reader.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <vector>

namespace tern::import {

/// Value types of metadata, numbered as in the file.
enum class GgufValueType : uint32_t {
  U8,
  I8,
  U16,
  I16,
  U32,
  I32,
  F32,
  Bool,
  String,
  Array,
  U64,
  I64,
  F64
};

/// The key-value pairs at the head of a GGUF file, checked and still in the file's bytes, which
/// must outlive this. Errors of getters read "file: key: expected ..., found ...".
class GgufMetadata {
public:
  struct Entry {
    llvm::StringRef key;
    GgufValueType type;
    GgufValueType element;         ///< of an array
    uint64_t count;                ///< of an array's elements; 1 of a scalar
    llvm::ArrayRef<uint8_t> bytes; ///< of the value; an array's elements one after another
  };

  llvm::ArrayRef<Entry> entries() const { return list; } ///< in file order
  const Entry *find(llvm::StringRef key) const;
  bool has(llvm::StringRef key) const { return find(key); }

  // Scalars. Any integer type is taken where an integer is asked for, f32 or f64 for a number.
  llvm::Expected<int64_t> getInteger(llvm::StringRef key, int64_t least = INT64_MIN,
                                     int64_t most = INT64_MAX) const;
  llvm::Expected<double> getNumber(llvm::StringRef key) const; ///< finite
  llvm::Expected<bool> getBoolean(llvm::StringRef key) const;
  llvm::Expected<llvm::StringRef> getString(llvm::StringRef key) const;
  /// The same, with `otherwise` where the key is absent.
  llvm::Expected<int64_t> getIntegerOr(llvm::StringRef key, int64_t otherwise,
                                       int64_t least = INT64_MIN, int64_t most = INT64_MAX) const;
  llvm::Expected<double> getNumberOr(llvm::StringRef key, double otherwise) const;
  llvm::Expected<bool> getBooleanOr(llvm::StringRef key, bool otherwise) const;
  llvm::Expected<llvm::StringRef> getStringOr(llvm::StringRef key, llvm::StringRef otherwise) const;

  // Arrays. Strings are views into the file; their bytes may be any.
  llvm::Expected<std::vector<llvm::StringRef>> getStrings(llvm::StringRef key) const;
  llvm::Expected<std::vector<int64_t>> getIntegers(llvm::StringRef key, int64_t least = INT64_MIN,
                                                   int64_t most = INT64_MAX) const;
  llvm::Expected<std::vector<float>> getNumbers(llvm::StringRef key) const; ///< finite

  /// file: key: message
  llvm::Error error(llvm::StringRef key, const llvm::Twine &message) const;

private:
  friend class GgufParser;
  llvm::Expected<const Entry *> need(llvm::StringRef key) const;
  llvm::Expected<const Entry *> needArray(llvm::StringRef key, llvm::StringRef elements,
                                          llvm::function_ref<bool(GgufValueType)> suits) const;
  llvm::Error expected(const Entry &entry, const llvm::Twine &what) const;

  std::string file;
  std::vector<Entry> list;
  llvm::DenseMap<llvm::StringRef, size_t> byKey;
};

/// Bytes of a value of that type; 0 of strings and arrays.
unsigned valueBytes(GgufValueType type);
/// "u32", "a string", ...
llvm::StringRef valueName(GgufValueType type);

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_GGUFMETADATA_H
