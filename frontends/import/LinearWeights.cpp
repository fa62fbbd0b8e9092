//===- LinearWeights.cpp - linear layers in each form of a checkpoint -----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/TernaryFloats.h"
#include "frontends/import/Weights.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace llvm;
using namespace tern::ternary;
using mlir::RankedTensorType;

namespace tern::import {

/// Bytes of each matrix that the card's share of zeros is counted from.
static constexpr size_t kSampleBytes = 65536;

/// Upstream's BitNet files may carry a scale beside the matrix.
Error Weights::refuseExtraScale(StringRef module) const {
  if (const TensorInfo *scale = checkpoint.find((module + ".scale").str()))
    return checkpoint.error(*scale, "a scale beside a matrix that has scales of its own is not "
                                    "supported; convert the original checkpoint again");
  return Error::success();
}

Error Weights::checkBiases(const TensorInfo &scales, StringRef module, int64_t count) {
  Expected<const TensorInfo *> found = need((module + ".biases").str());
  if (!found)
    return found.takeError();
  const TensorInfo &biases = **found;
  if (biases.dtype != scales.dtype || biases.shape != scales.shape)
    return checkpoint.error(biases, "expected " + scales.describe() + " as the scales are, found " +
                                        biases.describe());
  Expected<Encoding> encoding = floatEncoding(scales);
  if (!encoding)
    return encoding.takeError();
  for (int64_t i = 0; i < count; ++i) {
    float scale = floatAt(checkpoint.bytes(scales), *encoding, i);
    float bias = floatAt(checkpoint.bytes(biases), *encoding, i);
    if (!std::isfinite(scale) || scale != -bias)
      return checkpoint.error(
          biases, formatv("element {0}: expected {1}, the negated scale, found {2}: these weights "
                          "are not ternary",
                          i, -scale, bias)
                      .str());
    counts.leastScale = scale == 0 ? counts.leastScale : std::min(counts.leastScale, scale);
    counts.mostScale = std::max(counts.mostScale, scale);
  }
  return Error::success();
}

Expected<LinearSpec> Weights::mlx(const TensorInfo &codes, StringRef module, int64_t rows,
                                  int64_t columns) {
  if (columns % config.mlxGroup)
    return checkpoint.error(codes, "expected columns in groups of " + Twine(config.mlxGroup) +
                                       ", found " + Twine(columns) + " columns");
  if (Error error = expectShape(codes, {rows, columns / 16}))
    return error;
  Expected<FloatTensor> found = needFloats((module + ".scales").str());
  if (!found)
    return found.takeError();
  auto [tensor, encoding] = *found;
  int64_t groups = columns / config.mlxGroup;
  if (Error error = expectShape(tensor, {rows, groups}))
    return error;
  if (Error error = checkBiases(tensor, module, rows * groups))
    return error;
  SmallVector<int64_t, 2> shape = {rows};
  if (groups > 1)
    shape.push_back(groups);
  WeightSpec trits = {RankedTensorType::get({rows, columns}, TritType::get(&context)),
                      source(codes, {rows, columns}, Encoding::MLX2, Derivation::None)};
  WeightSpec scales = {scaleType(shape, encoding == Encoding::F16),
                       source(tensor, {rows, groups}, encoding, Derivation::None)};
  return LinearSpec{trits, scales};
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
  Expected<FloatTensor> found = needFloats((module + ".weight_scale").str());
  if (!found)
    return found.takeError();
  auto [tensor, encoding] = *found;
  if (!tensor.shape.empty())
    if (Error error = expectShape(tensor, {1}))
      return error;
  float value = floatAt(checkpoint.bytes(tensor), encoding, 0);
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
      source(tensor, {1}, encoding, divide ? Derivation::Reciprocal : Derivation::None)};
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
  return LinearSpec{asStored(tensor, {rows, columns}, encoding), std::nullopt};
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
        config.form == WeightForm::Gguf
            ? "the values are not ternary: a dense model, or masters that must be quantized first, "
              "cannot be imported from GGUF"
        : config.form == WeightForm::Unstated
            ? "the values are not ternary and config.json has no quantization_config: with masters "
              "of a "
              "BitNet model it must say quant_method \"bitnet\", linear_class \"autobitlinear\", "
              "quantization_mode \"online\"; a dense model cannot be imported"
            : "expected trits in offline mode (packed, or floats -s, 0, +s with one s for the "
              "tensor, a row "
              "or a group of columns), found other floats; masters need quantization_mode "
              "\"online\"");
  if (Error error = refuseExtraScale(module))
    return error;
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
  WeightSpec factor = {scaleType(shape, *encoding == Encoding::F16),
                       source(tensor, {rows, columns}, *encoding, Derivation::MagnitudeScale)};
  return LinearSpec{trits, factor};
}

} // namespace tern::import
