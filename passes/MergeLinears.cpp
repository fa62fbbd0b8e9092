//===- MergeLinears.cpp - one product for several on the same rows --------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"
#include "dialect/Product.h"
#include "passes/WeightTrail.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/DebugLog.h"

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

#define DEBUG_TYPE "ternary-merge-linears"

namespace tern {
#define GEN_PASS_DEF_MERGELINEARS
#include "passes/Passes.h.inc"
} // namespace tern

namespace {

using Group = SmallVector<Product>;

RankedTensorType tensorType(Value value) { return cast<RankedTensorType>(value.getType()); }
int64_t outputs(Product op) { return op.weightType().getDimSize(0); }
int64_t groupsOf(RankedTensorType scale) { return scale.getRank() == 2 ? scale.getDimSize(1) : 1; }

/// An argument may be passed on to a merged one only if this product is all it is for.
bool hasOtherUses(Value weight) { return isa<BlockArgument>(weight) && !weight.hasOneUse(); }

/// Why `op` cannot be part of a merged product, or null.
const char *reasonAgainst(Product op, const WeightTrail &trail) {
  if (op.residual())
    return "it has a residual";
  if (op.gate())
    return "it has a gate";
  if (llvm::any_of(op->getUsers(), [](Operation *user) { return isa<func::ReturnOp>(user); }))
    return "its result is returned, and slices have no storage of their own";
  if (op.weightType().getEncoding() || op.scaleType().getEncoding())
    return "its weight is packed already";
  if (hasOtherUses(op.weight()) || hasOtherUses(op.scale()))
    return "its weight argument has another use";
  if (!trail.reachesLoads(op.weight()) || !trail.reachesLoads(op.scale()))
    return "its weight is neither a load nor the argument of a function with known callers";
  return nullptr;
}

bool canJoin(Product first, Product op, const WeightTrail &trail) {
  return first->getBlock() == op->getBlock() &&
         llvm::equal(first.activations(), op.activations()) &&
         groupsOf(first.scaleType()) == groupsOf(op.scaleType()) &&
         first.scaleType().getElementType() == op.scaleType().getElementType() &&
         trail.reachesLoads({first.weight(), op.weight()}) &&
         trail.reachesLoads({first.scale(), op.scale()});
}

/// Products that can become one, in program order; groups of one left out.
SmallVector<Group> findGroups(ModuleOp module, const WeightTrail &trail) {
  SmallVector<Group> groups;
  module.walk([&](Operation *candidate) {
    Product op(candidate);
    if (!op)
      return;
    if (const char *reason = reasonAgainst(op, trail)) {
      LDBG() << "not merged, since " << reason << ": " << *candidate;
      return;
    }
    auto *group =
        llvm::find_if(groups, [&](Group &group) { return canJoin(group.front(), op, trail); });
    if (group != groups.end())
      group->push_back(op);
    else
      groups.push_back({op});
  });
  llvm::erase_if(groups, [](const Group &group) { return group.size() < 2; });
  return groups;
}

/// `blk.0.attn_q.scale`, `blk.0.attn_k.scale` -> `blk.0.attn_q+attn_k.scale`.
std::string mergedName(ArrayRef<WeightOp> weights) {
  auto names = llvm::map_to_vector(weights, [](WeightOp weight) { return weight.getSymName(); });
  StringRef prefix = names.front();
  for (StringRef name : names)
    while (!name.starts_with(prefix))
      prefix = prefix.drop_back();
  size_t lastDot = prefix.rfind('.');
  prefix = lastDot == StringRef::npos ? StringRef() : prefix.take_front(lastDot + 1);
  for (StringRef &name : names)
    name = name.drop_front(prefix.size());
  StringRef suffix = names.front();
  for (StringRef name : names)
    while (!name.ends_with(suffix))
      suffix = suffix.drop_front();
  size_t firstDot = suffix.find('.');
  suffix = firstDot == StringRef::npos ? StringRef() : suffix.drop_front(firstDot);
  for (StringRef &name : names)
    name = name.drop_back(suffix.size());
  return (prefix + llvm::join(names, "+") + suffix).str();
}

/// Rows that each source of `weight` fills, when the weight is spread over `rows` rows.
SmallVector<int64_t> sourceRows(WeightOp weight, int64_t rows) {
  SmallVector<int64_t> filled;
  if (auto given = weight.getSegmentRows())
    filled.assign(given->begin(), given->end());
  else
    for (auto source : weight.getSources().getAsRange<SourceAttr>())
      filled.push_back(source.getDerive() == Derivation::AbsmeanScale ? 1 : source.getShape()[0]);
  int64_t before = 0;
  for (int64_t count : ArrayRef(filled).drop_back())
    before += count;
  filled.back() = rows - before;
  return filled;
}

/// Merged weights, one for each list of originals: calls that share weights share the merged one.
class MergedWeights {
public:
  WeightOp get(ArrayRef<WeightOp> originals, ArrayRef<int64_t> segments, RankedTensorType type) {
    std::vector<const void *> key(originals.begin(), originals.end());
    key.push_back(type.getAsOpaquePointer());
    WeightOp &merged = made[std::move(key)];
    if (merged)
      return merged;
    SmallVector<Attribute> sources;
    SmallVector<int64_t> rows;
    SmallVector<Location> locations;
    for (auto [original, segment] : llvm::zip_equal(originals, segments)) {
      WeightOp weight = original;
      llvm::append_range(sources, weight.getSources());
      llvm::append_range(rows, sourceRows(weight, segment));
      locations.push_back(weight.getLoc());
    }
    OpBuilder builder(originals.front());
    return merged = WeightOp::create(builder, FusedLoc::get(builder.getContext(), locations),
                                     mergedName(originals), type, builder.getArrayAttr(sources),
                                     builder.getDenseI64ArrayAttr(rows), DenseI64ArrayAttr());
  }

private:
  std::map<std::vector<const void *>, WeightOp> made; // looked up only
};

/// Replaces a group's results by slices of `merged`, one at the start of each segment.
void replaceBySlices(const Group &group, ArrayRef<int64_t> segments, Value merged) {
  OpBuilder builder(group.front().getOperation());
  OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
  OpFoldResult rows = builder.getIndexAttr(tensorType(merged).getDimSize(0));
  if (tensorType(merged).isDynamicDim(0))
    rows = tensor::DimOp::create(builder, merged.getLoc(), merged, 0).getResult();
  int64_t column = 0;
  for (auto [part, segment] : llvm::zip_equal(group, segments)) {
    Product op = part;
    OpFoldResult offset = builder.getIndexAttr(column), size = builder.getIndexAttr(outputs(op));
    auto slice = tensor::ExtractSliceOp::create(builder, op->getLoc(), tensorType(op.result()),
                                                merged, ArrayRef<OpFoldResult>{zero, offset},
                                                ArrayRef<OpFoldResult>{rows, size},
                                                ArrayRef<OpFoldResult>{one, one});
    op.result().replaceAllUsesWith(slice.getResult());
    column += segment;
  }
  for (Product op : group)
    op->erase();
}

void mergeGroup(const Group &group, int64_t segmentRows, WeightTrail &trail,
                MergedWeights &mergedWeights) {
  SmallVector<Value> weights, scales;
  SmallVector<Location> locations;
  SmallVector<int64_t> segments;
  int64_t total = 0;
  for (Product op : group) {
    weights.push_back(op.weight());
    scales.push_back(op.scale());
    locations.push_back(op->getLoc());
    total += segments.emplace_back(roundUp(outputs(op), segmentRows));
  }
  Product first = group.front();
  auto weight = first.weightType(), result = tensorType(first.result());
  SmallVector<int64_t> scaleShape = {total};
  if (int64_t groups = groupsOf(first.scaleType()); groups > 1)
    scaleShape.push_back(groups);

  auto replace = [&](ArrayRef<Value> values, RankedTensorType type) {
    return trail.replace(values, type, first.getOperation(), [&](ArrayRef<WeightOp> originals) {
      return mergedWeights.get(originals, segments, type);
    });
  };
  Value mergedWeight = replace(
      weights, RankedTensorType::get({total, weight.getDimSize(1)}, weight.getElementType()));
  Value mergedScale =
      replace(scales, RankedTensorType::get(scaleShape, first.scaleType().getElementType()));
  OpBuilder builder(first.getOperation());
  Product merged =
      first.rebuild(builder, FusedLoc::get(builder.getContext(), locations),
                    RankedTensorType::get({result.getDimSize(0), total}, result.getElementType()),
                    mergedWeight, mergedScale, /*newResidual=*/Value());
  replaceBySlices(group, segments, merged.result());
}

struct MergeLinears : tern::impl::MergeLinearsBase<MergeLinears> {
  using MergeLinearsBase::MergeLinearsBase;

  void runOnOperation() override {
    if (segmentRows < 1) {
      getOperation().emitError("expected segment-rows of at least 1, got ")
          << segmentRows.getValue();
      return signalPassFailure();
    }
    WeightTrail trail(getOperation());
    MergedWeights mergedWeights;
    for (const Group &group : findGroups(getOperation(), trail))
      mergeGroup(group, segmentRows, trail, mergedWeights);
    trail.eraseUnused();
  }
};

} // namespace
