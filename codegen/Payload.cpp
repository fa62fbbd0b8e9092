//===- Payload.cpp - weights, tokenizer and card as one block -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Payload.h"

#include "dialect/TernaryDialect.h"
#include "tern/abi.h"
#include "llvm/ADT/StringExtras.h"

#include <cinttypes>
#include <cstring>
#include <memory>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace tern;

static_assert(sizeof(tern_payload_header_t) == 48 &&
              offsetof(tern_payload_header_t, header_xxh3) == 40);
static_assert(sizeof(tern_payload_section_t) == 32);

static constexpr uint64_t kBlobAlignment = 64;
static constexpr uint64_t kWeightsAlignment = 4096;

static uint64_t alignUp(uint64_t value, uint64_t to) { return (value + to - 1) / to * to; }

static llvm::ArrayRef<uint8_t> bytesOf(llvm::StringRef text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

namespace {
/// The sections of a payload with their places; hashes of the blobs only.
struct Plan {
  std::vector<tern_payload_section_t> table;
  std::vector<llvm::StringRef> blobs; ///< of the sections before the weights
  uint64_t headerBytes = 0;

  explicit Plan(const PayloadInfo &info) {
    auto add = [&](uint32_t kind, llvm::StringRef blob) {
      if (blob.empty())
        return;
      blobs.push_back(blob);
      table.push_back({kind, 0, 0, blob.size(), XXH3_64bits(blob.data(), blob.size())});
    };
    add(TERN_SECTION_TOKENIZER, info.tokenizer);
    add(TERN_SECTION_CARD, info.card);
    for (auto [kind, blob] : info.more)
      add(kind, blob);
    table.push_back({TERN_SECTION_WEIGHTS, 0, 0, info.weightsBytes, 0});
    headerBytes = sizeof(tern_payload_header_t) + table.size() * sizeof(tern_payload_section_t);
    uint64_t end = headerBytes;
    for (tern_payload_section_t &section : table) {
      bool weights = section.kind == TERN_SECTION_WEIGHTS;
      section.offset = alignUp(end, weights ? kWeightsAlignment : kBlobAlignment);
      end = section.offset + section.bytes;
    }
  }
};
} // namespace

uint64_t PayloadInfo::weightsOffset() const { return Plan(*this).table.back().offset; }

std::array<uint8_t, 16> tern::layoutId(mlir::ModuleOp module, llvm::StringRef tokenizer) {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (ternary::WeightOp weight : module.getOps<ternary::WeightOp>()) {
    out << weight.getSymName() << ' ' << weight.getType();
    for (int64_t number : weight.getSection().value_or(llvm::ArrayRef<int64_t>()))
      out << ' ' << number;
    out << '\n';
  }
  XXH128_canonical_t tokens, digest;
  XXH128_canonicalFromHash(&tokens, XXH3_128bits(tokenizer.data(), tokenizer.size()));
  out.write(reinterpret_cast<const char *>(tokens.digest), sizeof(tokens.digest));
  XXH128_canonicalFromHash(&digest, XXH3_128bits(text.data(), text.size()));
  std::array<uint8_t, 16> id;
  std::memcpy(id.data(), digest.digest, id.size());
  return id;
}

static llvm::Error writeWeightsSection(const PayloadInfo &info, tern_payload_section_t &section,
                                       PayloadWriter write) {
  struct Free {
    void operator()(XXH3_state_t *state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> hash(XXH3_createState());
  XXH3_64bits_reset(hash.get());
  uint64_t done = 0;
  auto skipTo = [&](uint64_t offset) {
    static const std::array<uint8_t, 4096> zeros{};
    for (; done < offset; done += std::min<uint64_t>(zeros.size(), offset - done))
      XXH3_64bits_update(hash.get(), zeros.data(), std::min<uint64_t>(zeros.size(), offset - done));
  };
  auto sink = [&](uint64_t offset, llvm::ArrayRef<uint8_t> bytes) -> llvm::Error {
    if (offset < done || offset > section.bytes || bytes.size() > section.bytes - offset)
      return llvm::createStringError("weights leave their section of %" PRIu64
                                     " bytes: %zu bytes at %" PRIu64 " after %" PRIu64,
                                     section.bytes, bytes.size(), offset, done);
    skipTo(offset);
    XXH3_64bits_update(hash.get(), bytes.data(), bytes.size());
    done += bytes.size();
    return write(section.offset + offset, bytes);
  };
  if (info.writeWeights)
    if (llvm::Error error = info.writeWeights(sink))
      return error;
  skipTo(section.bytes);
  section.xxh3 = XXH3_64bits_digest(hash.get());
  return llvm::Error::success();
}

llvm::Error tern::writePayload(const PayloadInfo &info, PayloadWriter write) {
  Plan plan(info);
  if (llvm::Error error = writeWeightsSection(info, plan.table.back(), write))
    return error;
  for (auto [i, blob] : llvm::enumerate(plan.blobs))
    if (llvm::Error error = write(plan.table[i].offset, bytesOf(blob)))
      return error;

  tern_payload_header_t header{};
  std::memcpy(header.magic, TERN_PAYLOAD_MAGIC, sizeof(header.magic));
  header.header_bytes = static_cast<uint32_t>(plan.headerBytes);
  header.section_count = static_cast<uint32_t>(plan.table.size());
  std::memcpy(header.layout_id, info.layoutId.data(), sizeof(header.layout_id));
  header.total_bytes = info.totalBytes();
  std::vector<uint8_t> bytes(plan.headerBytes);
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + sizeof(header), plan.table.data(),
              plan.table.size() * sizeof(tern_payload_section_t));
  header.header_xxh3 = XXH3_64bits(bytes.data(), bytes.size());
  std::memcpy(bytes.data(), &header, sizeof(header));
  return write(0, bytes);
}
