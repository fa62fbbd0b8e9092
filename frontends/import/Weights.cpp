//===- Weights.cpp - tensors of a checkpoint as weights -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Weights.h"

#include "frontends/import/TernaryFloats.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace llvm;
using namespace tern::ternary;
using mlir::RankedTensorType;

namespace tern::import {

/// Bytes of each matrix that the card's share of zeros is counted from.
static constexpr size_t kSampleBytes = 65536;

Weights::Weights(mlir::MLIRContext &context, const Checkpoint &checkpoint, const Config &config)
    : context(context), checkpoint(checkpoint), config(config) {
  context.loadDialect<TernaryDialect>();
}

Expected<const TensorInfo *> Weights::need(StringRef name) {
  used.insert(name);
  if (const TensorInfo *tensor = checkpoint.find(name))
    return tensor;
  return createStringError(inconvertibleErrorCode(), "missing tensor \"" + name + "\"");
}

Error Weights::expectShape(const TensorInfo &tensor, ArrayRef<int64_t> shape) const {
  if (ArrayRef<int64_t>(tensor.shape) == shape)
    return Error::success();
  return checkpoint.error(tensor, "expected shape " + describeShape(shape) +
                                      " from config.json, found " + tensor.describe());
}

Expected<Encoding> Weights::floatEncoding(const TensorInfo &tensor) const {
  if (tensor.dtype == "F32")
    return Encoding::F32;
  if (tensor.dtype == "F16")
    return Encoding::F16;
  if (tensor.dtype == "BF16")
    return Encoding::BF16;
  return checkpoint.error(tensor, "expected F32, F16 or BF16, found " + tensor.describe());
}

SourceAttr Weights::source(const TensorInfo &tensor, ArrayRef<int64_t> shape, Encoding encoding,
                           Derivation derive) const {
  return SourceAttr::get(&context, tensor.file, static_cast<int64_t>(tensor.offset),
                         static_cast<int64_t>(tensor.bytes), shape, encoding, derive);
}

Expected<WeightSpec> Weights::gain(StringRef module, int64_t size) {
  Expected<const TensorInfo *> found = need((module + ".weight").str());
  if (!found)
    return found.takeError();
  const TensorInfo &tensor = **found;
  Expected<Encoding> encoding = floatEncoding(tensor);
  if (!encoding)
    return encoding.takeError();
  if (Error error = expectShape(tensor, {size}))
    return error;
  for (int64_t i = 0; i < size; ++i)
    if (!std::isfinite(floatAt(checkpoint.bytes(tensor), *encoding, i)))
      return checkpoint.error(tensor, "element " + Twine(i) + " is not finite");
  counts.floats += size;
  return WeightSpec{RankedTensorType::get({size}, mlir::Float32Type::get(&context)),
                    source(tensor, {size}, *encoding, Derivation::None)};
}

static mlir::Type elementType(mlir::MLIRContext &context, Encoding encoding) {
  switch (encoding) {
  case Encoding::F16:
    return mlir::Float16Type::get(&context);
  case Encoding::BF16:
    return mlir::BFloat16Type::get(&context);
  default:
    return mlir::Float32Type::get(&context);
  }
}

Expected<WeightSpec> Weights::table(StringRef module, int64_t rows, int64_t columns) {
  Expected<const TensorInfo *> found = need((module + ".weight").str());
  if (!found)
    return found.takeError();
  const TensorInfo &tensor = **found;
  Expected<Encoding> encoding = floatEncoding(tensor);
  if (!encoding)
    return encoding.takeError();
  if (Error error = expectShape(tensor, {rows, columns}))
    return error;
  counts.floats += rows * columns;
  return WeightSpec{RankedTensorType::get({rows, columns}, elementType(context, *encoding)),
                    source(tensor, {rows, columns}, *encoding, Derivation::None)};
}

Expected<LinearSpec> Weights::linear(StringRef module, int64_t rows, int64_t columns) {
  Expected<const TensorInfo *> found = need((module + ".weight").str());
  if (!found)
    return found.takeError();
  counts.ternary += rows * columns;
  // Some writers declare the packed bytes signed.
  bool isPacked = (*found)->dtype == "U8" || (*found)->dtype == "I8";
  return isPacked ? packed(**found, module, rows, columns) : floats(**found, module, rows, columns);
}

Expected<LinearSpec> Weights::packed(const TensorInfo &tensor, StringRef module, int64_t rows,
                                     int64_t columns) {
  if (config.form == WeightForm::Masters)
    return checkpoint.error(tensor,
                            "expected float masters (F32, F16 or BF16) in online mode, found " +
                                tensor.describe());
  if (rows % 4)
    return checkpoint.error(
        tensor, "expected a multiple of 4 output rows for packed trits, found " + Twine(rows));
  if (Error error = expectShape(tensor, {rows / 4, columns}))
    return error;
  if (Error error = samplePacked(tensor))
    return error;
  Expected<WeightSpec> factor = scale(module);
  if (!factor)
    return factor.takeError();
  counts.packed = true;
  WeightSpec trits = {RankedTensorType::get({rows, columns}, TritType::get(&context)),
                      source(tensor, {rows, columns}, Encoding::HFPacked, Derivation::None)};
  return LinearSpec{trits, *factor};
}

Error Weights::samplePacked(const TensorInfo &tensor) {
  ArrayRef<uint8_t> bytes = checkpoint.bytes(tensor).take_front(kSampleBytes);
  for (auto [index, byte] : llvm::enumerate(bytes)) {
    // Codes 0, 1, 2 stand for -1, 0, +1; both bits set is no trit.
    if (byte & (byte >> 1) & 0x55)
      return checkpoint.error(tensor,
                              "byte " + Twine(index) + " holds the code 3, which is no trit");
    counts.sampledZeros += llvm::popcount(static_cast<unsigned>(byte & 0x55));
  }
  counts.sampledTrits += 4 * static_cast<int64_t>(bytes.size());
  return Error::success();
}

void Weights::sampleFloats(const TensorInfo &tensor, Encoding encoding, int64_t elements) {
  int64_t sample = std::min<int64_t>(elements, kSampleBytes);
  for (int64_t i = 0; i < sample; ++i)
    counts.sampledZeros += floatAt(checkpoint.bytes(tensor), encoding, i) == 0;
  counts.sampledTrits += sample;
}

Expected<WeightSpec> Weights::scale(StringRef module) {
  Expected<const TensorInfo *> found = need((module + ".weight_scale").str());
  if (!found)
    return found.takeError();
  const TensorInfo &tensor = **found;
  Expected<Encoding> encoding = floatEncoding(tensor);
  if (!encoding)
    return encoding.takeError();
  if (!tensor.shape.empty())
    if (Error error = expectShape(tensor, {1}))
      return error;
  float value = floatAt(checkpoint.bytes(tensor), *encoding, 0);
  bool divide = config.form == WeightForm::Divide;
  float effective = divide ? 1.0f / value : value;
  if (!(value > 0) || !std::isnormal(value) || !std::isnormal(effective))
    return checkpoint.error(tensor,
                            formatv("expected a finite scale above 0 (a normal 32-bit float), "
                                    "found {0}",
                                    value)
                                .str());
  counts.leastScale = std::min(counts.leastScale, effective);
  counts.mostScale = std::max(counts.mostScale, effective);
  return WeightSpec{
      RankedTensorType::get({1}, mlir::Float32Type::get(&context)),
      source(tensor, {1}, *encoding, divide ? Derivation::Reciprocal : Derivation::None)};
}

Expected<LinearSpec> Weights::masters(const TensorInfo &tensor, Encoding encoding, int64_t rows,
                                      int64_t columns) {
  std::optional<TernaryScales> scales =
      detectTernary(checkpoint.bytes(tensor), encoding, rows, columns);
  checkpoint.release(tensor);
  if (scales && scales->rows == 1)
    return checkpoint.error(
        tensor,
        "expected float masters in online mode, found values that are already ternary: absmean "
        "would shrink their scale; quantization_mode \"offline\" takes them as they are");
  counts.masters = true;
  return LinearSpec{{RankedTensorType::get({rows, columns}, elementType(context, encoding)),
                     source(tensor, {rows, columns}, encoding, Derivation::None)},
                    std::nullopt};
}

Expected<LinearSpec> Weights::floats(const TensorInfo &tensor, StringRef module, int64_t rows,
                                     int64_t columns) {
  Expected<Encoding> encoding = floatEncoding(tensor);
  if (!encoding)
    return encoding.takeError();
  if (Error error = expectShape(tensor, {rows, columns}))
    return error;
  if (config.form == WeightForm::Masters)
    return masters(tensor, *encoding, rows, columns);

  std::optional<TernaryScales> scales =
      detectTernary(checkpoint.bytes(tensor), *encoding, rows, columns);
  checkpoint.release(tensor);
  if (!scales)
    return checkpoint.error(
        tensor,
        config.form == WeightForm::Unstated
            ? "the values are not ternary and config.json has no quantization_config: with masters "
              "of a "
              "BitNet model it must say quant_method \"bitnet\", linear_class \"autobitlinear\", "
              "quantization_mode \"online\"; a dense model cannot be imported"
            : "expected trits in offline mode (packed, or floats -s, 0, +s with one s for the "
              "tensor, a row "
              "or a group of columns), found other floats; masters need quantization_mode "
              "\"online\"");
  sampleFloats(tensor, *encoding, rows * columns);
  counts.ternaryFloats = true;
  WeightSpec trits = {RankedTensorType::get({rows, columns}, TritType::get(&context)),
                      source(tensor, {rows, columns}, *encoding, Derivation::SignTrits)};
  if (checkpoint.find((module + ".weight_scale").str())) {
    if (scales->least != 1 || scales->most != 1)
      return checkpoint.error(tensor,
                              "expected -1, 0 and 1 beside a weight_scale, found other magnitudes");
    Expected<WeightSpec> factor = scale(module);
    if (!factor)
      return factor.takeError();
    return LinearSpec{trits, *factor};
  }
  counts.leastScale = std::min(counts.leastScale, scales->least);
  counts.mostScale = std::max(counts.mostScale, scales->most);
  SmallVector<int64_t, 2> shape = {scales->rows};
  if (scales->groups > 1)
    shape.push_back(scales->groups);
  WeightSpec factor = {RankedTensorType::get(shape, mlir::Float32Type::get(&context)),
                       source(tensor, {rows, columns}, *encoding, Derivation::MagnitudeScale)};
  return LinearSpec{trits, factor};
}

Error Weights::checkSurplus() const {
  std::string text;
  size_t surplus = 0;
  constexpr size_t kListed = 5;
  for (const TensorInfo &tensor : checkpoint.tensors()) {
    StringRef name = tensor.name;
    // Old files carry the rotary frequencies, which follow from config.json.
    if (used.contains(name) || name.ends_with(".rotary_emb.inv_freq"))
      continue;
    if (++surplus <= kListed)
      text += (surplus > 1 ? ", \"" : "\"") + tensor.name + "\"";
  }
  if (!surplus)
    return Error::success();
  if (surplus > kListed)
    text += (" and " + Twine(surplus - kListed) + " more").str();
  return createStringError(inconvertibleErrorCode(),
                           "tensors that no part of the model uses: " + Twine(text));
}

} // namespace tern::import
