//===- ModelBuilder.cpp - decoder models as IR ----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/ModelBuilder.h"

#include "frontends/import/BlockBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace tern::ternary;

namespace tern::import {

namespace {
class ModelBuilder {
public:
  ModelBuilder(MLIRContext &context, const ModelSpec &spec)
      : spec(spec), b(&context), loc(b.getUnknownLoc()) {}

  OwningOpRef<ModuleOp> build() {
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    setAttributes(*module);
    b.setInsertionPointToStart(module->getBody());
    declareWeights();
    buildBlocks();
    buildForward();
    return module;
  }

private:
  void setAttributes(ModuleOp module) {
    SmallVector<StringRef> files(spec.files.begin(), spec.files.end());
    module->setAttr("ternary.files", b.getStrArrayAttr(files));
    module->setAttr(
        "ternary.model",
        b.getDictionaryAttr({b.getNamedAttr("architecture", b.getStringAttr(spec.architecture)),
                             number("hidden", spec.hidden),
                             number("layers", static_cast<int64_t>(spec.layers.size())),
                             number("vocabulary", spec.vocabulary),
                             number("max_positions", spec.maxPositions)}));
  }
  NamedAttribute number(StringRef name, int64_t value) {
    return b.getNamedAttr(name, b.getI64IntegerAttr(value));
  }

  void declare(StringRef name, const WeightSpec &weight) {
    WeightOp::create(b, loc, b.getStringAttr(name), TypeAttr::get(weight.type),
                     b.getArrayAttr({weight.source}), DenseI64ArrayAttr(), DenseI64ArrayAttr());
  }
  static std::string slotName(size_t layer, const LayerSlot &slot) {
    return ("blk." + Twine(layer) + "." + slot.name).str();
  }
  void declareWeights() {
    declare("embed", spec.embedding);
    for (auto [index, layer] : llvm::enumerate(spec.layers))
      for (const LayerSlot &slot : layerSlots(layer)) {
        std::string name = slotName(index, slot);
        if (slot.norm) {
          declare(name, *slot.norm);
        } else if (slot.linear->scale) {
          declare(name, slot.linear->weight);
          declare(name + ".scale", *slot.linear->scale);
        } else {
          declare(name + ".master", slot.linear->weight);
        }
      }
    declare("output_norm", spec.outputNorm);
    if (std::optional<WeightSpec> head = ownHead())
      declare("output", *head);
  }

  /// The head's table where it is not the embedding.
  std::optional<WeightSpec> ownHead() const {
    const WeightSpec &stored = spec.storedHead();
    const WeightSpec head = {headType(stored.type, spec.headElement), stored.source};
    if (!spec.head && head.type == stored.type)
      return std::nullopt;
    return head;
  }

  /// One function a distinct type: layers differ only in types and weights.
  void buildBlocks() {
    for (const LayerSpec &layer : spec.layers) {
      FunctionType type = blockType(*b.getContext(), spec, layer);
      auto [entry, isNew] = blocks.try_emplace(type);
      if (!isNew)
        continue;
      std::string name = "block";
      if (blocks.size() > 1)
        name += "_" + std::to_string(blocks.size() - 1);
      entry->second = buildBlock(b, name, type, spec, layer);
    }
  }

  Value load(StringRef name, const WeightSpec &weight) {
    return LoadOp::create(b, loc, weight.type, name);
  }
  void pushSlot(size_t layer, const LayerSlot &slot, SmallVectorImpl<Value> &out) {
    std::string name = slotName(layer, slot);
    if (slot.norm) {
      out.push_back(load(name, *slot.norm));
      return;
    }
    const LinearSpec &linear = *slot.linear;
    if (linear.scale) {
      out.push_back(load(name, linear.weight));
      out.push_back(load(name + ".scale", *linear.scale));
      return;
    }
    auto trits =
        RankedTensorType::get(linear.weight.type.getShape(), TritType::get(b.getContext()));
    auto quantized =
        QuantizeWeightOp::create(b, loc, trits, RankedTensorType::get({1}, b.getF32Type()),
                                 load(name + ".master", linear.weight));
    out.push_back(quantized.getTrits());
    out.push_back(quantized.getScale());
  }

  func::FuncOp declareForward() {
    SmallVector<Type> inputs = {RankedTensorType::get({ShapedType::kDynamic}, b.getI32Type()),
                                b.getIndexType(), b.getIndexType()};
    Type cache = KVCacheType::get(b.getContext(), spec.kvHeads, spec.headSize,
                                  typeOf(*b.getContext(), spec.cache));
    inputs.append(spec.layers.size(), cache);
    auto forward =
        func::FuncOp::create(b, loc, "forward", b.getFunctionType(inputs, {rows(spec.vocabulary)}));
    forward->setAttr("ternary.entry", b.getUnitAttr());
    return forward;
  }
  RankedTensorType rows(int64_t columns) {
    return RankedTensorType::get({ShapedType::kDynamic, columns}, b.getF32Type());
  }

  void buildForward() {
    func::FuncOp forward = declareForward();
    Block *body = forward.addEntryBlock();
    b.setInsertionPointToStart(body);
    Value ids = body->getArgument(0), position = body->getArgument(1),
          wanted = body->getArgument(2);
    Value table = load("embed", spec.embedding);
    Value h = EmbeddingOp::create(b, loc, rows(spec.hidden), ids, table);
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value count = tensor::DimOp::create(b, loc, ids, zero);
    auto frequencies = DenseElementsAttr::get(
        RankedTensorType::get({static_cast<int64_t>(spec.frequencies.size())}, b.getF32Type()),
        ArrayRef<float>(spec.frequencies));
    Value angles = RopeAnglesOp::create(b, loc, rows(spec.headSize), position, count, frequencies);
    for (auto [index, layer] : llvm::enumerate(spec.layers)) {
      SmallVector<Value> arguments = {h, angles, position, body->getArgument(3 + index)};
      for (const LayerSlot &slot : layerSlots(layer))
        pushSlot(index, slot, arguments);
      func::FuncOp block = blocks[blockType(*b.getContext(), spec, layer)];
      h = func::CallOp::create(b, loc, block, arguments).getResult(0);
    }
    finishForward(h, count, wanted, table);
  }

  /// Logits of the last `wanted` rows.
  void finishForward(Value h, Value count, Value wanted, Value table) {
    Value first = arith::SubIOp::create(b, loc, count, wanted);
    Value tail = tensor::ExtractSliceOp::create(
        b, loc, rows(spec.hidden), h, {first, b.getIndexAttr(0)},
        {wanted, b.getIndexAttr(spec.hidden)}, {b.getIndexAttr(1), b.getIndexAttr(1)});
    Value normed =
        RmsNormOp::create(b, loc, tail.getType(), tail, load("output_norm", spec.outputNorm),
                          b.getF32FloatAttr(spec.epsilon), nullptr);
    std::optional<WeightSpec> own = ownHead();
    Value head = own ? load("output", *own) : table;
    Value logits = HeadOp::create(b, loc, rows(spec.vocabulary), normed, head);
    func::ReturnOp::create(b, loc, logits);
  }

  const ModelSpec &spec;
  OpBuilder b;
  Location loc;
  llvm::MapVector<FunctionType, func::FuncOp> blocks;
};
} // namespace

Type typeOf(MLIRContext &context, CacheElement element) {
  Builder b(&context);
  if (element == CacheElement::Int8)
    return b.getI8Type();
  return element == CacheElement::F16 ? Type(b.getF16Type()) : Type(b.getF32Type());
}

RankedTensorType headType(RankedTensorType stored, HeadElement element) {
  MLIRContext *context = stored.getContext();
  switch (element) {
  case HeadElement::Stored:
    return stored;
  case HeadElement::F16:
    return RankedTensorType::get(stored.getShape(), Float16Type::get(context));
  case HeadElement::BF16:
    return RankedTensorType::get(stored.getShape(), BFloat16Type::get(context));
  case HeadElement::Int8:
  case HeadElement::Q6:
    return RankedTensorType::get(stored.getShape(), stored.getElementType(),
                                 ScreenAttr::get(context, element == HeadElement::Int8 ? 8 : 6));
  }
  llvm_unreachable("all elements are handled");
}

OwningOpRef<ModuleOp> buildModel(MLIRContext &context, const ModelSpec &spec) {
  context
      .loadDialect<TernaryDialect, func::FuncDialect, arith::ArithDialect, tensor::TensorDialect>();
  return ModelBuilder(context, spec).build();
}

} // namespace tern::import
