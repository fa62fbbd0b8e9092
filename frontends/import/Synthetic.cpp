//===- Synthetic.cpp - models of random weights ---------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Assemble.h"
#include "frontends/import/Card.h"
#include "frontends/import/Decoder.h"
#include "frontends/import/Import.h"
#include "frontends/import/families/Family.h"

#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace llvm;
using namespace tern::ternary;
using mlir::RankedTensorType;

namespace tern::import {

extern const Family kBitnet, kQwen3;

namespace {
struct Shape {
  StringLiteral name;
  int64_t hidden, layers, heads, kvHeads, headSize, feedForward, vocabulary, maxPositions;
  double theta;
  GateFunction gate;
  const Family *family = &kBitnet;
  int64_t group = 0; ///< columns of a scale; 0: one scale a matrix
};

// The published shapes of BitNet b1.58 2B4T, of 1bitLLM's bitnet_b1_58 large, xl and 3B, and of
// Ternary Bonsai 1.7B; then four for tests: "tiny" has every size small, "tiny-odd" has sizes that
// no tile divides, "tiny-bonsai" has float activations and scale groups.
constexpr GateFunction kRelu2 = GateFunction::Relu2, kSilu = GateFunction::Silu;
constexpr Shape kShapes[] = {
    {"bitnet-2b4t", 2560, 30, 20, 5, 128, 6912, 128256, 4096, 500000, kRelu2},
    {"bitnet-3b", 3200, 26, 32, 32, 100, 8640, 32002, 2048, 10000, kSilu},
    {"bitnet-xl", 2048, 24, 32, 32, 64, 5460, 32002, 2048, 10000, kSilu},
    {"bitnet-0.7b", 1536, 24, 16, 16, 96, 4096, 32002, 2048, 10000, kSilu},
    {"bonsai-1.7b", 2048, 28, 16, 8, 128, 6144, 151669, 32768, 1000000, kSilu, &kQwen3, 128},
    {"tiny-stories", 512, 6, 8, 4, 64, 1408, 4096, 512, 10000, kRelu2},
    {"tiny", 64, 2, 4, 2, 16, 128, 96, 64, 10000, kRelu2},
    {"tiny-odd", 60, 3, 5, 1, 12, 92, 77, 48, 10000, kSilu},
    {"tiny-bonsai", 128, 2, 4, 2, 64, 256, 96, 64, 10000, kSilu, &kQwen3, 64},
};
constexpr StringRef kNames[] = {kShapes[0].name, kShapes[1].name, kShapes[2].name,
                                kShapes[3].name, kShapes[4].name, kShapes[5].name,
                                kShapes[6].name, kShapes[7].name, kShapes[8].name};
static_assert(std::size(kNames) == std::size(kShapes));

/// Hands out weights, each with a seed of its own.
class RandomWeights {
public:
  RandomWeights(mlir::MLIRContext &context, int64_t group) : context(context), group(group) {}

  /// A vector of which `zeros` in a thousand are zero.
  WeightSpec gain(int64_t size, int64_t zeros = 0) {
    counts.floats += size;
    return {RankedTensorType::get({size}, mlir::Float32Type::get(&context)),
            source({size}, Derivation::None, zeros)};
  }
  WeightSpec table(int64_t rows, int64_t columns) {
    counts.floats += rows * columns;
    return {RankedTensorType::get({rows, columns}, mlir::BFloat16Type::get(&context)),
            source({rows, columns}, Derivation::None)};
  }
  LinearSpec linear(int64_t rows, int64_t columns) {
    counts.ternary += rows * columns;
    WeightSpec trits = {RankedTensorType::get({rows, columns}, TritType::get(&context)),
                        source({rows, columns}, Derivation::None)};
    auto float32 = mlir::Float32Type::get(&context);
    if (group)
      return {trits, WeightSpec{RankedTensorType::get({rows, columns / group},
                                                      mlir::Float16Type::get(&context)),
                                source({rows, columns / group}, Derivation::None)}};
    // The mean magnitude of a few random floats: a scale must be above 0.
    return {trits, WeightSpec{RankedTensorType::get({1}, float32),
                              source({1, 64}, Derivation::AbsmeanScale)}};
  }
  const WeightSummary &summary() const { return counts; }

private:
  SourceAttr source(ArrayRef<int64_t> shape, Derivation derive, int64_t zeros = 0) {
    return SourceAttr::get(&context, /*file=*/0, /*offset=*/++seed, /*bytes=*/zeros, shape,
                           Encoding::Random, derive);
  }

  mlir::MLIRContext &context;
  const int64_t group;
  int64_t seed = 0;
  WeightSummary counts;
};
} // namespace

static Config makeConfig(const Shape &shape) {
  Config config;
  config.family = shape.family;
  config.architecture = shape.family->architectures.front().str();
  config.activations = shape.family->weightOnly ? ActivationMode::Float : ActivationMode::Int8;
  config.hidden = shape.hidden, config.layers = shape.layers, config.heads = shape.heads;
  config.kvHeads = shape.kvHeads, config.headSize = shape.headSize;
  config.feedForward = shape.feedForward, config.vocabulary = shape.vocabulary;
  config.maxPositions = shape.maxPositions;
  config.epsilon = 1e-5f;
  config.ropeTheta = shape.theta;
  config.gate = shape.gate;
  config.tied = true;
  config.form = WeightForm::Multiply;
  return config;
}

static int64_t thousandths(double share) {
  return static_cast<int64_t>(std::clamp(share, 0.0, 1.0) * 1000 + 0.5);
}

/// Gates of random weights are open by half, so those of scale 0 close the rest. Quantization
/// leaves about 37 of a hundred results of open gates other than zero where scales and gains are
/// random; gains of 0 take the rest away.
static void setActivity(const SyntheticActivity &activity, const Config &config,
                        RandomWeights &random, LayerSpec &layer) {
  constexpr double kQuantized = 0.37;
  layer.gate.scale = random.gain(config.feedForward, thousandths(1 - 2 * activity.gates));
  const double natural = kQuantized * activity.gates;
  const double kept = natural > 0 ? activity.inputs / natural : 1;
  layer.feedForwardSubNorm = random.gain(config.feedForward, thousandths(1 - kept));
}

static ModelSpec makeSpec(const Config &config, const ImportOptions &options,
                          RandomWeights &random) {
  ModelSpec spec = emptySpec(config);
  spec.embedding = random.table(config.vocabulary, config.hidden);
  int64_t attention = config.heads * config.headSize, kv = config.kvHeads * config.headSize;
  for (int64_t i = 0; i < config.layers; ++i) {
    LayerSpec layer;
    layer.attentionNorm = random.gain(config.hidden);
    layer.query = random.linear(attention, config.hidden);
    layer.key = random.linear(kv, config.hidden);
    layer.value = random.linear(kv, config.hidden);
    const bool subNorms = config.family == &kBitnet;
    if (subNorms) {
      layer.attentionSubNorm = random.gain(attention);
    } else {
      layer.queryNorm = random.gain(config.headSize);
      layer.keyNorm = random.gain(config.headSize);
    }
    layer.output = random.linear(config.hidden, attention);
    layer.feedForwardNorm = random.gain(config.hidden);
    layer.gate = random.linear(config.feedForward, config.hidden);
    layer.up = random.linear(config.feedForward, config.hidden);
    if (subNorms)
      layer.feedForwardSubNorm = random.gain(config.feedForward);
    layer.down = random.linear(config.hidden, config.feedForward);
    if (options.activity)
      setActivity(*options.activity, config, random, layer);
    spec.layers.push_back(std::move(layer));
  }
  spec.outputNorm = random.gain(config.hidden);
  return spec;
}

Expected<ImportedModel> syntheticModel(mlir::MLIRContext &context, StringRef name,
                                       const ImportOptions &options) {
  const Shape *shape = find_if(kShapes, [&](const Shape &s) { return s.name == name; });
  if (shape == std::end(kShapes))
    return createStringError(inconvertibleErrorCode(), "no synthetic model \"" + name +
                                                           "\"; expected one of " +
                                                           join(ArrayRef<StringRef>(kNames), ", "));
  context.loadDialect<TernaryDialect>();
  Config config = makeConfig(*shape);
  const ActivationMode stated = config.activations;
  setFree(options, config);
  RandomWeights random(context, shape->group);
  if (options.activity && (config.family != &kBitnet || config.gate != kRelu2 || shape->group))
    return createStringError(inconvertibleErrorCode(),
                             "shape \"" + name +
                                 "\": expected ReLU-squared gates and a norm behind them, for "
                                 "levels of activity");
  ModelSpec spec = makeSpec(config, options, random);
  if (Error error = checkActivations(spec))
    return error;
  if (Error error = checkHead(spec))
    return error;
  ImportedModel model;
  model.module = buildModel(context, spec);
  if (failed(mlir::verify(*model.module)))
    return createStringError(inconvertibleErrorCode(), "the synthetic module does not verify");
  model.card = makeCard({config, stated, Generation(), spec, random.summary(), ""});
  return model;
}

ArrayRef<StringRef> syntheticShapes() { return kNames; }

} // namespace tern::import
