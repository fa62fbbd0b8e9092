//===- Payload.h - weights, tokenizer and card of a model -------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_RUNTIME_PAYLOAD_H
#define TERN_RUNTIME_PAYLOAD_H

#include <string_view>

#include "runtime/File.h"

namespace tern {

/// A checked payload: mapped from a file, or memory that somebody else owns.
class Payload {
public:
  Payload() = default;
  Payload(Payload &&other) noexcept { *this = std::move(other); }
  Payload &operator=(Payload &&other) noexcept;
  ~Payload();

  /// Maps `range` of `file`: pages are shared between processes and read when first touched.
  static Status map(const File &file, FileRange range, Payload *out);
  /// `bytes` at `data`, which must be 4096-aligned and outlive the payload.
  static Status borrow(const void *data, uint64_t bytes, Payload *out);

  /// Checks header and table only: after it, `section` may be asked.
  Status checkStructure() const;
  /// Checks header, table and the sections' checksums as `verify` asks, against what the code
  /// expects.
  Status check(const tern_descriptor_t &code, tern_verify_t verify) const;

  /// Puts the weights of a checked payload, mapped from `fileOffset` of `file` on, where `load`
  /// says. Of the last `rarelyRead` bytes only pages that are used get memory.
  Status loadWeights(const File &file, uint64_t fileOffset, tern_load_t load, uint64_t rarelyRead);
  bool hasCopiedWeights() const { return copied.weights != nullptr; }
  /// Takes the pages of what is rarely read out of this process; they come back from the file when
  /// they are read.
  void releaseRare() const;

  /// Of a checked payload. Empty when there is no such section.
  std::string_view section(uint32_t kind) const;

private:
  Status copyWeights(const File &file, uint64_t fileOffset, uint64_t copiedBytes);
  Status checkHeader() const;
  Status checkTable() const;
  const tern_payload_header_t &header() const;
  const tern_payload_section_t *table() const;

  const uint8_t *data = nullptr;
  uint64_t bytes = 0;
  void *mapping = nullptr; ///< null when borrowed
  uint64_t mappedBytes = 0;
  struct {
    void *mapping = nullptr;
    uint64_t mappedBytes = 0;
    const char *weights = nullptr; ///< inside it, aligned to huge pages
  } copied;                        ///< nulls where weights are used in place
  struct {
    const char *begin = nullptr;
    uint64_t bytes = 0;
  } rare; ///< of the weights, what lies in mapped pages of the file and is rarely read
};

} // namespace tern

#endif // TERN_RUNTIME_PAYLOAD_H
