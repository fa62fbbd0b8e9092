//===- Source.cpp - what is converted -------------------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Source.h"

#include "frontends/import/families/Family.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"

using namespace llvm;

namespace tern::convert {

bool Source::isTrits(StringRef name) const { return isa<ternary::TritType>(element(name)); }

mlir::Type Source::element(StringRef name) const {
  return cast<mlir::ShapedType>(weights.lookup(name).getType()).getElementType();
}

ArrayRef<int64_t> Source::shape(StringRef name) const {
  return cast<mlir::ShapedType>(weights.lookup(name).getType()).getShape();
}

Expected<WeightReader> Source::reader(StringRef name) const {
  return WeightReader::create(weights.lookup(name), files);
}

static void readScaling(import::Config &config, const json::Object &card) {
  const json::Object *scaling = card.getObject("rope_scaling");
  if (!scaling)
    return;
  import::RopeScaling &out = config.ropeScaling;
  out.factor = scaling->getNumber("factor").value_or(1);
  out.kind = import::RopeScaling::Kind::Linear;
  if (scaling->getString("type") != "llama3")
    return;
  out.kind = import::RopeScaling::Kind::Llama3;
  out.lowFactor = scaling->getNumber("low_factor").value_or(1);
  out.highFactor = scaling->getNumber("high_factor").value_or(1);
  out.original = scaling->getInteger("original_positions").value_or(0);
}

/// Sizes come from the card, what is computed from the IR.
static Error readCard(import::Config &config, const json::Object &card) {
  const json::Object *sizes = card.getObject("sizes");
  config.family = import::familyNamed(card.getString("family").value_or(""));
  if (!sizes || !config.family)
    return createStringError("only decoders can be converted");
  const std::pair<StringRef, int64_t *> numbers[] = {
      {"hidden", &config.hidden},         {"layers", &config.layers},
      {"heads", &config.heads},           {"kv_heads", &config.kvHeads},
      {"head_size", &config.headSize},    {"feed_forward", &config.feedForward},
      {"vocabulary", &config.vocabulary}, {"max_positions", &config.maxPositions}};
  for (auto [key, out] : numbers)
    *out = sizes->getInteger(key).value_or(0);
  config.ropeTheta = card.getNumber("rope_theta").value_or(0);
  readScaling(config, card);
  config.gate = card.getString("activation") == "relu2" ? import::GateFunction::Relu2
                                                        : import::GateFunction::Silu;
  return Error::success();
}

static void readIR(Source &source) {
  source.module.walk([&](mlir::Operation *op) {
    if (auto norm = dyn_cast<ternary::RmsNormOp>(op))
      source.config.epsilon = norm.getEpsilon().convertToFloat();
    if (auto linear = dyn_cast<ternary::LinearOp>(op))
      source.config.activations = static_cast<import::ActivationMode>(linear.getActivations());
    if (auto angles = dyn_cast<ternary::RopeAnglesOp>(op)) {
      auto values = angles.getFrequencies().getValues<float>();
      source.frequencies.assign(values.begin(), values.end());
    }
  });
  for (auto weight : source.module.getOps<ternary::WeightOp>()) {
    source.order.push_back(weight.getSymName().str());
    source.weights[weight.getSymName()] = weight;
  }
}

Expected<Source> Source::open(import::ImportedModel &model, const json::Object &card) {
  mlir::PassManager passes(model.module->getContext());
  passes.addPass(createQuantizeWeights());
  if (failed(passes.run(*model.module)))
    return createStringError("the weights could not be quantized");
  Expected<WeightFiles> files = WeightFiles::open(*model.module, model.folder);
  if (!files)
    return files.takeError();
  Source source;
  source.module = *model.module;
  source.files = std::move(*files);
  if (Error error = readCard(source.config, card))
    return std::move(error);
  readIR(source);
  if (source.config.activations > import::ActivationMode::Float)
    return createStringError("integers in groups stand for the activations, which is a way to "
                             "compute a model and no part of it; convert it without --activations");
  return source;
}

} // namespace tern::convert
