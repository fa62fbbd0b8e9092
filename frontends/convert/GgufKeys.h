//===- GgufKeys.h - metadata of a GGUF file ---------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CONVERT_GGUFKEYS_H
#define TERN_FRONTENDS_CONVERT_GGUFKEYS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>

namespace tern::convert {

/// Key-value pairs, as the bytes of a GGUF file.
class GgufKeys {
public:
  void string(llvm::StringRef key, llvm::StringRef value) {
    begin(key, 8);
    text(value);
  }
  void number(llvm::StringRef key, uint32_t value) {
    begin(key, 4);
    put(value);
  }
  void real(llvm::StringRef key, float value) {
    begin(key, 6);
    put(value);
  }
  void flag(llvm::StringRef key, bool value) {
    begin(key, 7);
    put(static_cast<uint8_t>(value));
  }
  void strings(llvm::StringRef key, llvm::ArrayRef<std::string> values) {
    array(key, 8, values.size());
    for (llvm::StringRef value : values)
      text(value);
  }
  void integers(llvm::StringRef key, llvm::ArrayRef<int32_t> values) {
    array(key, 5, values.size());
    for (int32_t value : values)
      put(value);
  }
  void reals(llvm::StringRef key, llvm::ArrayRef<float> values) {
    array(key, 6, values.size());
    for (float value : values)
      put(value);
  }
  /// A value as another file has it.
  void raw(llvm::StringRef key, uint32_t type, llvm::StringRef value) {
    begin(key, type);
    bytes += value;
  }
  void rawArray(llvm::StringRef key, uint32_t element, uint64_t count, llvm::StringRef value) {
    array(key, element, count);
    bytes += value;
  }

  uint64_t count = 0;
  std::string bytes;

private:
  template <typename T> void put(T value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  void text(llvm::StringRef value) {
    put(static_cast<uint64_t>(value.size()));
    bytes += value;
  }
  void begin(llvm::StringRef key, uint32_t type) {
    ++count;
    text(key);
    put(type);
  }
  void array(llvm::StringRef key, uint32_t element, uint64_t size) {
    begin(key, 9);
    put(element);
    put(size);
  }
};

} // namespace tern::convert

#endif // TERN_FRONTENDS_CONVERT_GGUFKEYS_H
