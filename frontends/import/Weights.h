//===- Weights.h - tensors of a checkpoint as weights -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_IMPORT_WEIGHTS_H
#define TERN_FRONTENDS_IMPORT_WEIGHTS_H

#include "frontends/import/Config.h"
#include "frontends/import/ModelBuilder.h"
#include "frontends/import/Safetensors.h"
#include "llvm/ADT/StringSet.h"

namespace tern::import {

/// What was met on the way, for the model card.
struct WeightSummary {
  int64_t ternary = 0, floats = 0; ///< parameters
  int64_t sampledTrits = 0, sampledZeros = 0;
  float leastScale = INFINITY,
        mostScale = 0; ///< after a reciprocal; 0 where scales are derived later
  bool packed = false, ternaryFloats = false, masters = false;
  llvm::StringSet<> types; ///< dtypes of the linear weights
};

/// Turns tensors into weights: checks name, dtype, shape and, where they are small, values.
/// Remembers what was asked for, so that `finish` can name what is missing and what is left over.
class Weights {
public:
  /// `i2sLayout` is how tensors of type I2_S are laid out, which no file tells.
  Weights(mlir::MLIRContext &context, const Checkpoint &checkpoint, const Config &config,
          ternary::Encoding i2sLayout = ternary::Encoding::I2S);

  /// `module`.weight as a gain of `size` floats.
  llvm::Expected<WeightSpec> gain(llvm::StringRef module, int64_t size);
  /// `module`.weight as a float table.
  llvm::Expected<WeightSpec> table(llvm::StringRef module, int64_t rows, int64_t columns);
  /// `module`.weight and its scales. With `ropeHeads` the rows are those of that many heads and lie
  /// interleaved if config.interleavedRope says so.
  llvm::Expected<LinearSpec> linear(llvm::StringRef module, int64_t rows, int64_t columns,
                                    int64_t ropeHeads = 0);
  /// The values of a short tensor of floats, which must be finite and above 0.
  llvm::Expected<std::vector<float>> factors(llvm::StringRef name, int64_t size);

  /// Marks `name` as known, whatever it holds.
  void ignore(llvm::StringRef name) { used.insert(name); }
  /// An error where a tensor was never asked for.
  llvm::Error checkSurplus() const;
  const WeightSummary &summary() const { return counts; }

private:
  llvm::Expected<const TensorInfo *> need(llvm::StringRef name);
  llvm::Error expectShape(const TensorInfo &tensor, llvm::ArrayRef<int64_t> shape) const;
  llvm::Expected<ternary::Encoding> floatEncoding(const TensorInfo &tensor) const;
  struct FloatTensor {
    const TensorInfo &tensor;
    ternary::Encoding encoding;
  };
  llvm::Expected<FloatTensor> needFloats(llvm::StringRef name);
  ternary::SourceAttr source(const TensorInfo &tensor, llvm::ArrayRef<int64_t> shape,
                             ternary::Encoding encoding, ternary::Derivation derive) const;
  /// A tensor of floats, with their type.
  mlir::RankedTensorType scaleType(llvm::ArrayRef<int64_t> shape, bool halves) const;
  WeightSpec asStored(const TensorInfo &tensor, llvm::ArrayRef<int64_t> shape,
                      ternary::Encoding encoding) const;
  void permute(LinearSpec &linear, int64_t heads) const;
  llvm::Expected<LinearSpec> readLinear(const TensorInfo &tensor, llvm::StringRef module,
                                        int64_t rows, int64_t columns);
  /// A GGUF tensor of ternary blocks.
  llvm::Expected<LinearSpec> blocks(const TensorInfo &tensor, ternary::Encoding encoding,
                                    llvm::StringRef module, int64_t rows, int64_t columns);
  /// MLX codes and their scales, whose biases must be the negated scales.
  llvm::Expected<LinearSpec> mlx(const TensorInfo &codes, llvm::StringRef module, int64_t rows,
                                 int64_t columns);
  llvm::Error checkBiases(const TensorInfo &scales, llvm::StringRef module, int64_t count);
  llvm::Error refuseExtraScale(llvm::StringRef module) const;
  llvm::Error refuseKnown(const TensorInfo &tensor) const;
  llvm::Expected<LinearSpec> packed(const TensorInfo &tensor, llvm::StringRef module, int64_t rows,
                                    int64_t columns);
  llvm::Expected<LinearSpec> floats(const TensorInfo &tensor, llvm::StringRef module, int64_t rows,
                                    int64_t columns);
  llvm::Expected<LinearSpec> masters(const TensorInfo &tensor, ternary::Encoding encoding,
                                     int64_t rows, int64_t columns);
  llvm::Expected<WeightSpec> scale(llvm::StringRef module);
  llvm::Error samplePacked(const TensorInfo &tensor);
  void sampleFloats(const TensorInfo &tensor, ternary::Encoding encoding, int64_t elements);

  mlir::MLIRContext &context;
  const Checkpoint &checkpoint;
  const Config &config;
  ternary::Encoding i2sLayout;
  llvm::StringSet<> used;
  WeightSummary counts;
};

} // namespace tern::import

#endif // TERN_FRONTENDS_IMPORT_WEIGHTS_H
