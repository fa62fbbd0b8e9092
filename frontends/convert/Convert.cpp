//===- Convert.cpp - models to GGUF files and Hugging Face folders --------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Convert.h"

#include "frontends/convert/Writers.h"
#include "frontends/import/Config.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

#include <cstring>

using namespace llvm;

namespace tern::convert {

Expected<OutTensor> floatTensor(const Source &source, StringRef weight, std::string name) {
  Expected<WeightReader> made = source.reader(weight);
  if (!made)
    return made.takeError();
  auto reader = std::make_shared<WeightReader>(std::move(*made));
  OutTensor tensor;
  tensor.name = std::move(name);
  tensor.shape = source.shape(weight).vec();
  auto element = cast<mlir::ShapedType>(source.weights.lookup(weight).getType()).getElementType();
  uint64_t width = 4;
  tensor.dtype = "F32", tensor.type = 0;
  if (element.isBF16())
    tensor.dtype = "BF16", tensor.type = 30, width = 2;
  else if (element.isF16())
    tensor.dtype = "F16", tensor.type = 1, width = 2;
  tensor.bytes = static_cast<uint64_t>(reader->rows() * reader->columns()) * width;
  uint64_t bytes = tensor.bytes;
  tensor.make = [reader, bytes]() -> Expected<std::vector<uint8_t>> {
    std::vector<uint8_t> result(bytes);
    if (Error error = reader->readRaw(0, reader->rows(), result.data()))
      return std::move(error);
    return result;
  };
  return tensor;
}

/// Sizes come from the card, what is computed from the IR.
static Error readSizes(Source &source, const json::Object &card) {
  const json::Object *sizes = card.getObject("sizes");
  auto family = card.getString("family");
  if (!sizes || !family)
    return createStringError("only decoders can be converted");
  source.family = family->str();
  const std::pair<StringRef, int64_t *> numbers[] = {
      {"hidden", &source.hidden},         {"layers", &source.layers},
      {"heads", &source.heads},           {"kv_heads", &source.kvHeads},
      {"head_size", &source.headSize},    {"feed_forward", &source.feedForward},
      {"vocabulary", &source.vocabulary}, {"max_positions", &source.maxPositions}};
  for (auto [key, out] : numbers)
    *out = sizes->getInteger(key).value_or(0);
  source.ropeTheta = card.getNumber("rope_theta").value_or(0);
  source.relu2 = card.getString("activation").value_or("") == "relu2";
  return Error::success();
}

static Error readIR(Source &source) {
  Error failure = Error::success();
  (void)!failure;
  import::Config plain;
  plain.headSize = source.headSize;
  plain.ropeTheta = source.ropeTheta;
  std::vector<float> expected = import::ropeFrequencies(plain);
  bool scaled = false;
  source.module.walk([&](mlir::Operation *op) {
    if (auto norm = dyn_cast<ternary::RmsNormOp>(op))
      source.epsilon = norm.getEpsilon().convertToFloat();
    if (auto linear = dyn_cast<ternary::LinearOp>(op))
      source.floatActivations = linear.getActivations() != ternary::Activations::Int8PerToken;
    if (auto angles = dyn_cast<ternary::RopeAnglesOp>(op))
      scaled = !equal(angles.getFrequencies().getValues<float>(), expected);
  });
  for (auto weight : source.module.getOps<ternary::WeightOp>()) {
    source.order.push_back(weight.getSymName().str());
    source.weights[weight.getSymName()] = weight;
  }
  if (scaled)
    return createStringError("models with scaled rotary frequencies cannot be converted yet: "
                             "neither form would keep them exactly");
  return failure;
}

static Extras readExtras(const import::ImportedModel &model, const json::Object &card,
                         StringRef in) {
  Extras extras;
  extras.in = in;
  extras.tokenizerBlob = model.tokenizerBlob;
  extras.chatTemplate = card.getString("chat_template").value_or("").str();
  extras.name = sys::path::stem(in.rtrim('/')).str();
  if (const json::Object *tokens = card.getObject("tokens")) {
    if (auto bos = tokens->getInteger("bos"))
      extras.bos = *bos;
    if (const json::Array *eos = tokens->getArray("eos"))
      for (const json::Value &id : *eos)
        extras.eos.push_back(id.getAsInteger().value_or(0));
  }
  return extras;
}

Error convertModel(import::ImportedModel &model, StringRef in, StringRef out,
                   const Options &options) {
  // Masters become trits first.
  mlir::PassManager passes(model.module->getContext());
  passes.addPass(createQuantizeWeights());
  if (failed(passes.run(*model.module)))
    return createStringError("the weights could not be quantized");
  Expected<json::Value> card = json::parse(model.card);
  if (!card)
    return card.takeError();
  Expected<WeightFiles> files = WeightFiles::open(*model.module, model.folder);
  if (!files)
    return files.takeError();
  Source source;
  source.module = *model.module;
  source.files = &*files;
  const json::Object *object = card->getAsObject();
  if (Error error = readSizes(source, object ? *object : json::Object()))
    return error;
  if (Error error = readIR(source))
    return error;
  Extras extras = readExtras(model, *object, in);
  return options.target == Target::HuggingFace ? writeHuggingFace(source, extras, out)
                                               : writeGguf(source, extras, options, out);
}

} // namespace tern::convert
