//===- GgufTypes.cpp - tensor types of GGUF -------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/GgufTypes.h"

#include "frontends/import/Reader.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

namespace tern::import {

namespace {
constexpr GgufType kTypes[] = {
    {0, "F32", 1, 4},
    {1, "F16", 1, 2},
    {30, "BF16", 1, 2},
    {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},
    {8, "Q8_0", 32, 34},
    {12, "Q4_K", 256, 144},
    {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},
    {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},
    {36, "I2_S", 128, 32, 0, 32, true},
    {42, "Q2_0", 64, 18},
    {142, "PQ2_0", 128, 34},
    {143, "PTQ1_0", 128, 28},
    {134, "IQ1_BN", 64, 13, 2},
    {135, "IQ2_BN", 64, 16, 4},
};

/// What a refused type is, and so what to do about it.
enum class Refusal { Removed, Repacked, Tables, RunTime, Binary, NotTernary, NotFloat };

struct RefusedType {
  uint32_t id;
  StringLiteral name;
  Refusal why;
};
constexpr RefusedType kRefused[] = {
    {4, "Q4_2", Refusal::Removed},
    {5, "Q4_3", Refusal::Removed},
    {7, "Q5_1", Refusal::NotTernary},
    {9, "Q8_1", Refusal::RunTime},
    {10, "Q2_K", Refusal::NotTernary},
    {11, "Q3_K", Refusal::NotTernary},
    {15, "Q8_K", Refusal::RunTime},
    {16, "IQ2_XXS", Refusal::NotTernary},
    {17, "IQ2_XS", Refusal::NotTernary},
    {18, "IQ3_XXS", Refusal::NotTernary},
    {19, "IQ1_S", Refusal::NotTernary},
    {20, "IQ4_NL", Refusal::NotTernary},
    {21, "IQ3_S", Refusal::NotTernary},
    {22, "IQ2_S", Refusal::NotTernary},
    {23, "IQ4_XS", Refusal::NotTernary},
    {24, "I8", Refusal::NotFloat},
    {25, "I16", Refusal::NotFloat},
    {26, "I32", Refusal::NotFloat},
    {27, "I64", Refusal::NotFloat},
    {28, "F64", Refusal::NotFloat},
    {29, "IQ1_M", Refusal::NotTernary},
    {31, "Q4_0_4_4", Refusal::Repacked},
    {32, "Q4_0_4_8", Refusal::Repacked},
    {33, "Q4_0_8_8", Refusal::Repacked},
    {37, "I8_S or IQ4_NL_4_8", Refusal::RunTime},
    {38, "TL1 or IQ4_NL_8_8", Refusal::Tables},
    {40, "NVFP4", Refusal::NotTernary},
    {41, "Q1_0", Refusal::Binary},
    {335, "IQ2_BN_R4", Refusal::Repacked},
};

StringRef advice(Refusal why) {
  switch (why) {
  case Refusal::Removed:
    return "llama.cpp dropped this type; convert the original model again";
  case Refusal::Repacked:
    return "its rows are interleaved for one engine's kernels; convert the original model again, "
           "to I2_S, TQ2_0 or TQ1_0, without run-time repacking";
  case Refusal::Tables:
    return "the order of its elements depends on tile sizes that are not in the file; convert the "
           "original model to I2_S, TQ2_0 or safetensors instead";
  case Refusal::RunTime:
    return "it is an engine's run-time type and does not belong in a file; convert the original "
           "model again";
  case Refusal::Binary:
    return "it has one bit a weight, and binary models are not read";
  case Refusal::NotTernary:
    return "it is neither ternary nor one of the float types read here; convert the original model "
           "with TQ2_0 or I2_S matrices, and with F16, BF16, Q8_0, Q4_K or Q6_K for embedding and "
           "output";
  case Refusal::NotFloat:
    return "weights of that type are not read; convert the original model to F32, F16 or BF16";
  }
  llvm_unreachable("every refusal has its advice");
}

/// Types of ik_llama.cpp from here to 399 are its row-interleaved ones.
constexpr uint32_t kFirstInterleaved = 200, kLastInterleaved = 399;

const GgufType *findType(uint32_t id) {
  const auto *type = find_if(kTypes, [&](const GgufType &type) { return type.id == id; });
  return type == std::end(kTypes) ? nullptr : type;
}

/// Size as blocks of a type that is not read.
std::optional<uint64_t> blockSize(const GgufSpan &tensor, uint16_t block, uint16_t bytes) {
  return GgufType{0, "", block, bytes}.size(tensor.dims);
}

Error typeError(StringRef file, const GgufSpan &tensor, const Twine &message) {
  return fileError(file,
                   "tensor \"" + tensor.name + "\": type " + Twine(tensor.type) + " " + message);
}

Error refuse(StringRef file, const GgufSpan &tensor, StringRef name, Refusal why) {
  return typeError(file, tensor, "(" + name + "): " + advice(why));
}

std::string sizeText(std::optional<uint64_t> bytes) {
  return bytes ? std::to_string(*bytes) + " bytes" : "another shape";
}

/// A number with other meanings elsewhere: taken only where the bytes fit exactly.
Expected<const GgufType *> resolveBySize(StringRef file, const GgufSpan &tensor,
                                         const GgufType &type, const Twine &otherwise) {
  std::optional<uint64_t> bytes = type.size(tensor.dims);
  if (tensor.holds(bytes))
    return &type;
  return typeError(file, tensor,
                   "has more than one meaning: " + type.name + " needs " + sizeText(bytes) +
                       ", found " + Twine(tensor.room) +
                       " to the next tensor or the end of the file; " + otherwise);
}
} // namespace

std::optional<uint64_t> GgufType::size(ArrayRef<uint64_t> dims) const {
  std::optional<uint64_t> elements = 1;
  for (uint64_t dimension : dims)
    elements = elements ? checkedMul(*elements, dimension) : std::nullopt;
  if (!elements || *elements == 0 || (flat ? *elements : dims[0]) % block)
    return std::nullopt;
  std::optional<uint64_t> blocks = checkedMul(*elements / block, bytes);
  std::optional<uint64_t> headers = checkedMul(*elements / dims[0], header);
  if (!blocks || !headers)
    return std::nullopt;
  std::optional<uint64_t> sum = checkedAdd(*blocks, *headers);
  return sum ? checkedAdd(*sum, tail) : std::nullopt;
}

bool GgufSpan::holds(std::optional<uint64_t> bytes) const {
  return bytes && *bytes <= room && (room == *bytes || room == alignTo(*bytes, alignment));
}

Expected<Q2Group> decideQ2Group(StringRef file, ArrayRef<GgufSpan> tensors) {
  const GgufSpan *not64 = nullptr, *not128 = nullptr, *last = nullptr;
  for (const GgufSpan &tensor : tensors) {
    if (tensor.type != 42)
      continue;
    last = &tensor;
    if (!not64 && !tensor.holds(blockSize(tensor, 64, 18)))
      not64 = &tensor;
    if (!not128 && !tensor.holds(blockSize(tensor, 128, 34)))
      not128 = &tensor;
  }
  if (!last)
    return Q2Group::None;
  if (!not64 && not128)
    return Q2Group::G64;
  if (not64 && !not128)
    return Q2Group::G128;
  if (!not64)
    return typeError(file, *last,
                     "fits both Q2_0 in groups of 64 and the legacy Q2_0 in groups of 128, here "
                     "and in every tensor of that type; convert the original model to TQ2_0 or "
                     "PQ2_0");
  return typeError(file, *not64,
                   "has " + Twine(not64->room) + " bytes of room: Q2_0 in groups of 64 needs " +
                       sizeText(blockSize(*not64, 64, 18)) +
                       (not128 == not64 ? ", and the legacy Q2_0 in groups of 128 " +
                                              sizeText(blockSize(*not64, 128, 34))
                                        : std::string(", and groups of 128 do not fit tensor \"") +
                                              not128->name.str() + "\"") +
                       "; this may be another fork's type: convert the original model to TQ2_0");
}

Expected<const GgufType *> resolveType(StringRef file, const GgufSpan &tensor, Q2Group group) {
  const GgufType *type = findType(tensor.type);
  switch (tensor.type) {
  case 36:
    if (!tensor.holds(type->size(tensor.dims)) && tensor.holds(blockSize(tensor, 32, 18)))
      return refuse(file, tensor, "IQ4_NL_4_4", Refusal::Repacked);
    return resolveBySize(file, tensor, *type, "IQ4_NL_4_4 of older llama.cpp does not fit either");
  case 39:
    return tensor.holds(blockSize(tensor, 32, 17))
               ? refuse(file, tensor, "MXFP4", Refusal::NotTernary)
               : refuse(file, tensor, "TL2", Refusal::Tables);
  case 42:
    return group == Q2Group::G128 ? findType(142) : type;
  case 134:
  case 135:
  case 142:
  case 143:
    return resolveBySize(file, tensor, *type,
                         "other forks give the number to types that are not read: convert the "
                         "original model to TQ2_0");
  default:
    break;
  }
  if (type)
    return type;
  for (const RefusedType &refused : kRefused)
    if (refused.id == tensor.type)
      return refuse(file, tensor, refused.name, refused.why);
  if (tensor.type >= kFirstInterleaved && tensor.type <= kLastInterleaved)
    return refuse(file, tensor, "a row-interleaved type of ik_llama.cpp", Refusal::Repacked);
  return typeError(
      file, tensor,
      "is not known: convert the original model to TQ2_0 or I2_S, or use a newer Tern");
}

} // namespace tern::import
