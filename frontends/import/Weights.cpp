//===- Weights.cpp - tensors of a checkpoint as weights -------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Weights.h"

#include "dialect/BlockFormats.h"
#include "frontends/import/TernaryFloats.h"
#include "frontends/import/families/Family.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace llvm;
using namespace tern::ternary;
using mlir::RankedTensorType;

namespace tern::import {

Weights::Weights(mlir::MLIRContext &context, const Checkpoint &checkpoint, const Config &config,
                 Encoding i2sLayout)
    : context(context), checkpoint(checkpoint), config(config), i2sLayout(i2sLayout) {
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
  return checkpoint.error(tensor, "expected shape " + describeShape(shape) + " from " +
                                      config.place + ", found " + tensor.describe());
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

Expected<Weights::FloatTensor> Weights::needFloats(StringRef name) {
  Expected<const TensorInfo *> found = need(name);
  if (!found)
    return found.takeError();
  Expected<Encoding> encoding = floatEncoding(**found);
  if (!encoding)
    return encoding.takeError();
  return FloatTensor{**found, *encoding};
}

/// The encoding of a GGUF block type.
static std::optional<Encoding> blockEncoding(StringRef dtype) {
  return StringSwitch<std::optional<Encoding>>(dtype)
      .Case("I2_S", Encoding::I2S)
      .Case("TQ1_0", Encoding::TQ1_0)
      .Case("TQ2_0", Encoding::TQ2_0)
      .Case("Q2_0", Encoding::Q2_0)
      .Case("PQ2_0", Encoding::PQ2_0)
      .Case("PTQ1_0", Encoding::PTQ1_0)
      .Case("IQ1_BN", Encoding::IQ1_BN)
      .Case("IQ2_BN", Encoding::IQ2_BN)
      .Case("Q8_0", Encoding::Q8_0)
      .Case("Q4_0", Encoding::Q4_0)
      .Case("Q4_1", Encoding::Q4_1)
      .Case("Q5_0", Encoding::Q5_0)
      .Case("Q4_K", Encoding::Q4_K)
      .Case("Q5_K", Encoding::Q5_K)
      .Case("Q6_K", Encoding::Q6_K)
      .Default(std::nullopt);
}

static blocks::Format formatOf(Encoding encoding) {
  return static_cast<blocks::Format>(static_cast<uint32_t>(encoding));
}

SourceAttr Weights::source(const TensorInfo &tensor, ArrayRef<int64_t> shape, Encoding encoding,
                           Derivation derive) const {
  return SourceAttr::get(&context, tensor.file, static_cast<int64_t>(tensor.offset),
                         static_cast<int64_t>(tensor.bytes), shape, encoding, derive);
}

/// Many scales stay in 16 bits where that is exact: there is less to read for each token.
RankedTensorType Weights::scaleType(ArrayRef<int64_t> shape, bool halves) const {
  mlir::Type element = mlir::Float32Type::get(&context);
  if (halves && shape.size() == 2)
    element = mlir::Float16Type::get(&context);
  return RankedTensorType::get(shape, element);
}

WeightSpec Weights::asStored(const TensorInfo &tensor, ArrayRef<int64_t> shape,
                             Encoding encoding) const {
  mlir::Type element = mlir::Float32Type::get(&context);
  if (encoding == Encoding::F16)
    element = mlir::Float16Type::get(&context);
  if (encoding == Encoding::BF16)
    element = mlir::BFloat16Type::get(&context);
  return {RankedTensorType::get(shape, element), source(tensor, shape, encoding, Derivation::None)};
}

Expected<WeightSpec> Weights::gain(StringRef module, int64_t size) {
  Expected<FloatTensor> found = needFloats((module + ".weight").str());
  if (!found)
    return found.takeError();
  auto [tensor, encoding] = *found;
  if (Error error = expectShape(tensor, {size}))
    return error;
  for (int64_t i = 0; i < size; ++i)
    if (!std::isfinite(floatAt(checkpoint.bytes(tensor), encoding, i)))
      return checkpoint.error(tensor, "element " + Twine(i) + " is not finite");
  counts.floats += size;
  return WeightSpec{RankedTensorType::get({size}, mlir::Float32Type::get(&context)),
                    source(tensor, {size}, encoding, Derivation::None)};
}

Expected<WeightSpec> Weights::table(StringRef module, int64_t rows, int64_t columns) {
  Expected<const TensorInfo *> found = need((module + ".weight").str());
  if (!found)
    return found.takeError();
  const TensorInfo &tensor = **found;
  counts.floats += rows * columns;
  mlir::Type f16 = mlir::Float16Type::get(&context), f32 = mlir::Float32Type::get(&context);
  if (config.form == WeightForm::Mlx && tensor.dtype == "U32") {
    Expected<LinearSpec> codes = mlx(tensor, module, rows, columns);
    if (!codes)
      return codes.takeError();
    SourceAttr trits = codes->weight.source;
    SourceAttr source = SourceAttr::get(&context, trits.getFile(), trits.getOffset(),
                                        trits.getBytes(), trits.getShape(), trits.getEncoding(),
                                        Derivation::None, 0, codes->scale->source);
    bool half = codes->scale->source.getEncoding() == Encoding::F16;
    return WeightSpec{RankedTensorType::get({rows, columns}, half ? f16 : f32), source};
  }
  if (Error error = expectShape(tensor, {rows, columns}))
    return error;
  if (std::optional<Encoding> encoding = blockEncoding(tensor.dtype)) {
    if (*encoding == Encoding::I2S)
      return checkpoint.error(tensor, "a token table of type I2_S is broken: its one scale cannot "
                                      "hold an embedding; convert the model again with the "
                                      "embedding in F16");
    // A ternary block's values are its f16 scale, 0, or the scale negated.
    bool half = blocks::isTernary(formatOf(*encoding)) && *encoding != Encoding::IQ2_BN;
    return WeightSpec{RankedTensorType::get({rows, columns}, half ? f16 : f32),
                      source(tensor, {rows, columns}, *encoding, Derivation::None)};
  }
  Expected<Encoding> encoding = floatEncoding(tensor);
  if (!encoding)
    return encoding.takeError();
  return asStored(tensor, {rows, columns}, *encoding);
}

Expected<std::vector<float>> Weights::factors(StringRef name, int64_t size) {
  Expected<FloatTensor> found = needFloats(name);
  if (!found)
    return found.takeError();
  auto [tensor, encoding] = *found;
  if (Error error = expectShape(tensor, {size}))
    return error;
  std::vector<float> values(size);
  for (int64_t i = 0; i < size; ++i) {
    values[i] = floatAt(checkpoint.bytes(tensor), encoding, i);
    if (!(values[i] > 0) || !std::isnormal(values[i]))
      return checkpoint.error(tensor, "element " + Twine(i) + ": expected a number above 0");
  }
  return values;
}

Expected<LinearSpec> Weights::linear(StringRef module, int64_t rows, int64_t columns,
                                     int64_t ropeHeads) {
  Expected<const TensorInfo *> found = need((module + ".weight").str());
  if (!found)
    return found.takeError();
  counts.ternary += rows * columns;
  counts.types.insert((*found)->dtype);
  Expected<LinearSpec> linear = readLinear(**found, module, rows, columns);
  if (linear && ropeHeads && config.interleavedRope)
    permute(*linear, ropeHeads);
  return linear;
}

Expected<LinearSpec> Weights::readLinear(const TensorInfo &tensor, StringRef module, int64_t rows,
                                         int64_t columns) {
  if (config.form == WeightForm::Mlx && tensor.dtype == "U32")
    return mlx(tensor, module, rows, columns);
  if (config.form == WeightForm::Gguf)
    if (std::optional<Encoding> encoding = blockEncoding(tensor.dtype))
      return blocks(tensor, *encoding, module, rows, columns);
  // Some writers declare the packed bytes signed.
  bool isPacked = tensor.dtype == "U8" || tensor.dtype == "I8";
  return isPacked ? packed(tensor, module, rows, columns) : floats(tensor, module, rows, columns);
}

void Weights::permute(LinearSpec &linear, int64_t heads) const {
  auto permuted = [&](SourceAttr source) {
    return SourceAttr::get(&context, source.getFile(), source.getOffset(), source.getBytes(),
                           source.getShape(), source.getEncoding(), source.getDerive(), heads,
                           source.getScales());
  };
  linear.weight.source = permuted(linear.weight.source);
  // One scale for the tensor has no rows.
  if (linear.scale && linear.scale->type.getDimSize(0) != 1)
    linear.scale->source = permuted(linear.scale->source);
}

Expected<LinearSpec> Weights::blocks(const TensorInfo &tensor, Encoding encoding, StringRef module,
                                     int64_t rows, int64_t columns) {
  if (!blocks::isTernary(formatOf(encoding)))
    return checkpoint.error(
        tensor, "expected a ternary type for a linear layer, found " + tensor.dtype +
                    ": writers fall back to it where columns do not fill the blocks; convert with "
                    "type I2_S or F16, or take the original checkpoint");
  if (Error error = expectShape(tensor, {rows, columns}))
    return error;
  if (Error error = refuseExtraScale(module))
    return error;
  bool whole = encoding == Encoding::I2S;
  if (whole)
    encoding = i2sLayout;
  blocks::Format format = formatOf(encoding);
  if (std::optional<int64_t> bytes = blocks::tensorBytes(format, rows, columns);
      !bytes || *bytes != static_cast<int64_t>(tensor.bytes))
    return checkpoint.error(tensor, "expected " + Twine(blocks::shapeRule(format)) + ", found " +
                                        tensor.describe());
  int64_t groups = whole ? 1 : columns / blocks::scaleColumns(format, columns);
  SmallVector<int64_t, 2> shape = {whole ? 1 : rows};
  if (groups > 1)
    shape.push_back(groups);
  WeightSpec trits = {RankedTensorType::get({rows, columns}, TritType::get(&context)),
                      source(tensor, {rows, columns}, encoding, Derivation::None)};
  WeightSpec scales = {scaleType(shape, /*halves=*/true),
                       source(tensor, {rows, columns}, encoding, Derivation::BlockScale)};
  return LinearSpec{trits, scales};
}

/// Tensors that tell of another block than this one.
Error Weights::refuseKnown(const TensorInfo &tensor) const {
  StringRef name = tensor.name;
  if (name.ends_with(".bias"))
    return checkpoint.error(tensor, "a bias, which no block of this importer adds");
  if (name.contains("_norm_in.") || name.ends_with("_proj.norm.weight"))
    return checkpoint.error(
        tensor, "a norm in front of each projection (BitNet embedding models) is not supported");
  if (name.ends_with("_proj.rms_norm.weight"))
    return checkpoint.error(tensor, "a norm inside each linear layer is not supported");
  if (name.contains("_sub_norm.") || name.contains("inner_attn_ln") || name.contains("q_norm."))
    return checkpoint.error(tensor, "a norm that blocks of the family " + config.family->name +
                                        " do not have: is the architecture right?");
  if (name.contains("_exps.") || name.contains(".experts.") || name.contains("ffn_gate_inp."))
    return checkpoint.error(tensor, "mixtures of experts are not supported");
  return Error::success();
}

Error Weights::checkSurplus() const {
  std::string text, known;
  size_t surplus = 0, knownCount = 0;
  constexpr size_t kListed = 5;
  for (const TensorInfo &tensor : checkpoint.tensors()) {
    StringRef name = tensor.name;
    // Old files carry the rotary frequencies, which follow from config.json.
    if (used.contains(name) || name.ends_with(".rotary_emb.inv_freq"))
      continue;
    if (Error error = refuseKnown(tensor)) {
      std::string reason = toString(std::move(error));
      if (!knownCount++)
        known = std::move(reason);
    }
    if (++surplus <= kListed)
      text += (surplus > 1 ? ", \"" : "\"") + tensor.name + "\"";
  }
  if (!surplus)
    return Error::success();
  // Among others, as in a layer too many, a reason of its own would lead astray.
  if (knownCount == surplus)
    return createStringError(inconvertibleErrorCode(), Twine(known));
  if (surplus > kListed)
    text += (" and " + Twine(surplus - kListed) + " more").str();
  return createStringError(inconvertibleErrorCode(),
                           "tensors that no part of the model uses: " + Twine(text));
}

} // namespace tern::import
