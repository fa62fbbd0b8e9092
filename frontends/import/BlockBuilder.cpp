//===- BlockBuilder.cpp - one decoder block as IR -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/BlockBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace tern::ternary;

namespace tern::import {

llvm::SmallVector<LayerSlot, 13> layerSlots(const LayerSpec &layer) {
  llvm::SmallVector<LayerSlot, 13> slots;
  auto norm = [&](llvm::StringLiteral name, const std::optional<WeightSpec> &gain) {
    if (gain)
      slots.push_back({name, &*gain, nullptr});
  };
  auto linear = [&](llvm::StringLiteral name, const LinearSpec &spec) {
    slots.push_back({name, nullptr, &spec});
  };
  slots.push_back({"attn_norm", &layer.attentionNorm, nullptr});
  linear("attn_q", layer.query);
  linear("attn_k", layer.key);
  linear("attn_v", layer.value);
  norm("attn_q_norm", layer.queryNorm);
  norm("attn_k_norm", layer.keyNorm);
  norm("attn_sub_norm", layer.attentionSubNorm);
  linear("attn_output", layer.output);
  slots.push_back({"ffn_norm", &layer.feedForwardNorm, nullptr});
  linear("ffn_gate", layer.gate);
  linear("ffn_up", layer.up);
  norm("ffn_sub_norm", layer.feedForwardSubNorm);
  linear("ffn_down", layer.down);
  return slots;
}

static RankedTensorType rowsOf(MLIRContext &context, int64_t columns) {
  return RankedTensorType::get({ShapedType::kDynamic, columns}, Float32Type::get(&context));
}

FunctionType blockType(MLIRContext &context, const ModelSpec &spec, const LayerSpec &layer) {
  Type h = rowsOf(context, spec.hidden);
  Type f32 = Float32Type::get(&context);
  SmallVector<Type> inputs = {
      h, rowsOf(context, spec.headSize), IndexType::get(&context),
      KVCacheType::get(&context, spec.kvHeads, spec.headSize, typeOf(context, spec.cache))};
  for (const LayerSlot &slot : layerSlots(layer)) {
    if (slot.norm) {
      inputs.push_back(slot.norm->type);
      continue;
    }
    inputs.push_back(
        RankedTensorType::get(slot.linear->weight.type.getShape(), TritType::get(&context)));
    inputs.push_back(slot.linear->scale ? slot.linear->scale->type
                                        : RankedTensorType::get({1}, f32));
  }
  return FunctionType::get(&context, inputs, {h});
}

namespace {
/// Takes a block's weight arguments in the order of layerSlots and applies them.
class BlockBuilder {
public:
  BlockBuilder(OpBuilder &builder, const ModelSpec &spec, Block::BlockArgListType arguments)
      : b(builder), loc(builder.getUnknownLoc()), spec(spec), weights(arguments.drop_front(4)) {}

  /// Of the whole row, or of each of `heads` parts.
  Value norm(Value x, int64_t heads = 1) {
    Value gain = next();
    return RmsNormOp::create(b, loc, x.getType(), x, gain, b.getF32FloatAttr(spec.epsilon),
                             heads > 1 ? b.getI64IntegerAttr(heads) : IntegerAttr());
  }
  Value linear(Value x) {
    Value weight = next(), scale = next();
    int64_t rows = cast<RankedTensorType>(weight.getType()).getDimSize(0);
    return LinearOp::create(b, loc, rowsOf(*b.getContext(), rows), x, weight, scale,
                            spec.activations);
  }
  Value rope(Value x, Value angles, int64_t heads) {
    return RopeOp::create(b, loc, x.getType(), x, angles, b.getI64IntegerAttr(heads));
  }
  Value attention(Value q, Value k, Value v, Value cache, Value position) {
    return AttentionOp::create(b, loc, q.getType(), q, k, v, cache, position,
                               b.getI64IntegerAttr(spec.heads));
  }
  Value gated(Value gate, Value up) {
    return GatedActivationOp::create(b, loc, gate.getType(), spec.gate, gate, up);
  }
  Value add(Value residual, Value x) { return arith::AddFOp::create(b, loc, residual, x); }
  void finish(Value result) { func::ReturnOp::create(b, loc, result); }

private:
  Value next() {
    Value weight = weights.front();
    weights = weights.drop_front();
    return weight;
  }

  OpBuilder &b;
  Location loc;
  const ModelSpec &spec;
  Block::BlockArgListType weights;
};
} // namespace

func::FuncOp buildBlock(OpBuilder &builder, llvm::StringRef name, FunctionType type,
                        const ModelSpec &spec, const LayerSpec &layer) {
  auto function = func::FuncOp::create(builder, builder.getUnknownLoc(), name, type);
  function.setPrivate();
  OpBuilder::InsertionGuard guard(builder);
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  Value h = body->getArgument(0), angles = body->getArgument(1);
  Value position = body->getArgument(2), cache = body->getArgument(3);
  BlockBuilder block(builder, spec, body->getArguments());

  Value x = block.norm(h);
  Value q = block.linear(x), k = block.linear(x), v = block.linear(x);
  if (layer.queryNorm)
    q = block.norm(q, spec.heads);
  if (layer.keyNorm)
    k = block.norm(k, spec.kvHeads);
  q = block.rope(q, angles, spec.heads);
  k = block.rope(k, angles, spec.kvHeads);
  Value a = block.attention(q, k, v, cache, position);
  if (layer.attentionSubNorm)
    a = block.norm(a);
  h = block.add(h, block.linear(a));

  x = block.norm(h);
  Value gate = block.linear(x), up = block.linear(x);
  Value f = block.gated(gate, up);
  if (layer.feedForwardSubNorm)
    f = block.norm(f);
  h = block.add(h, block.linear(f));
  block.finish(h);
  return function;
}

} // namespace tern::import
