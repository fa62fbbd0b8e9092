//===- TernaryOps.cpp - verifiers and folders -----------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Packing.h"
#include "dialect/TernaryDialect.h"

#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace tern::ternary;

/// `int8_per_token`, `float` and so on, bare between the parentheses of ternary.linear.
static ParseResult parseActivations(OpAsmParser &parser, ActivationsAttr &attribute) {
  FailureOr<Activations> value = FieldParser<Activations>::parse(parser);
  if (failed(value))
    return failure();
  attribute = ActivationsAttr::get(parser.getContext(), *value);
  return success();
}

static void printActivations(OpAsmPrinter &printer, LinearOp, ActivationsAttr attribute) {
  printer << stringifyActivations(attribute.getValue());
}

#define GET_OP_CLASSES
#include "dialect/TernaryOps.cpp.inc"

/// Above this, a sum of int8 x trit products could need more than the 24 bits binary32 holds
/// exactly.
static constexpr int64_t kMaxColumns = 132104;
static constexpr int64_t kMinGroup = 32;

//===----------------------------------------------------------------------===//
// Shape checks shared by the verifiers
//===----------------------------------------------------------------------===//

static LogicalResult checkRank(Operation *op, StringRef name, Type type, int64_t rank) {
  auto tensor = cast<ShapedType>(type);
  if (!tensor.hasRank() || tensor.getRank() != rank)
    return op->emitOpError("expected ") << name << " of rank " << rank << ", got " << type;
  return success();
}

/// Sizes agree when they are equal or one of them is dynamic.
static LogicalResult checkSize(Operation *op, StringRef what, int64_t expected, int64_t got) {
  if (ShapedType::isDynamic(expected) || ShapedType::isDynamic(got) || expected == got)
    return success();
  return op->emitOpError("expected ") << what << " = " << expected << ", got " << got;
}

static int64_t dim(Type type, int64_t index) { return cast<ShapedType>(type).getDimSize(index); }

static LogicalResult checkTritMatrix(Operation *op, Type weight) {
  if (failed(checkRank(op, "weight", weight, 2)))
    return failure();
  if (!cast<ShapedType>(weight).hasStaticShape())
    return op->emitOpError("expected a weight of static shape, got ") << weight;
  if (dim(weight, 1) > kMaxColumns)
    return op->emitOpError("expected at most ")
           << kMaxColumns << " columns, so that sums are exact, got " << dim(weight, 1);
  return success();
}

/// Checks that `scale` suits a weight of `rows` x `columns`; returns its number of groups.
static FailureOr<int64_t> checkScale(Operation *op, Type scale, int64_t rows, int64_t columns) {
  auto type = cast<RankedTensorType>(scale);
  if (type.getRank() == 1 && (type.getDimSize(0) == 1 || type.getDimSize(0) == rows))
    return 1;
  if (type.getRank() != 2 || type.getDimSize(0) != rows)
    return op->emitOpError("expected a scale of shape [1], [")
           << rows << "] or [" << rows << ", groups], got " << scale;
  int64_t groups = type.getDimSize(1);
  if (groups < 1 || columns % groups)
    return op->emitOpError("expected a number of groups that divides ")
           << columns << " columns, got " << groups;
  if (groups > 1 && columns / groups % kMinGroup)
    return op->emitOpError("expected groups of a multiple of ")
           << kMinGroup << " columns, got " << columns / groups;
  return groups;
}

/// Scales of int8 rows: one a row, or one a row and group.
static LogicalResult checkRowScales(Operation *op, StringRef name, Type type) {
  auto tensor = cast<ShapedType>(type);
  if (!tensor.hasRank() || tensor.getRank() < 1 || tensor.getRank() > 2)
    return op->emitOpError("expected ") << name << " of rank 1 or 2, got " << type;
  return success();
}

/// Whether sums over `groups` groups suit the scales of rows and those of the weight.
static LogicalResult checkGroups(Operation *op, Type rowScales, int64_t groups,
                                 int64_t scaleGroups) {
  if (groups < 1)
    return op->emitOpError("expected a static number of groups, at least 1, got ")
           << (ShapedType::isDynamic(groups) ? "?" : "0");
  if (cast<ShapedType>(rowScales).getRank() == 1)
    return checkSize(op, "groups", groups, scaleGroups);
  if (failed(checkSize(op, "scales a row", groups, dim(rowScales, 1))))
    return failure();
  if (groups % scaleGroups)
    return op->emitOpError("expected a number of the weight's scale groups that divides ")
           << groups << " groups, got " << scaleGroups;
  return success();
}

/// out[M, N] = in[M, K] * weight[N, K].
static LogicalResult checkProduct(Operation *op, Type input, Type weight, Type result) {
  if (failed(checkTritMatrix(op, weight)) || failed(checkRank(op, "input", input, 2)) ||
      failed(checkSize(op, "input columns", dim(weight, 1), dim(input, 1))) ||
      failed(checkSize(op, "result rows", dim(input, 0), dim(result, 0))) ||
      failed(checkSize(op, "result columns", dim(weight, 0), dim(result, 1))))
    return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static bool derivesTrits(SourceAttr source) {
  switch (source.getDerive()) {
  case Derivation::AbsmeanTrits:
  case Derivation::SignTrits:
    return true;
  case Derivation::None:
    if (auto format = tern::blockFormat(source.getEncoding()))
      return tern::blocks::isTernary(*format) && !source.getScales();
    return source.getEncoding() == Encoding::HFPacked || source.getEncoding() == Encoding::Random;
  default:
    return false;
  }
}

static bool derivesFloats(SourceAttr source) {
  if (source.getEncoding() == Encoding::MLX2)
    return source.getScales() != nullptr;
  return source.getEncoding() != Encoding::HFPacked &&
         source.getDerive() != Derivation::AbsmeanTrits &&
         source.getDerive() != Derivation::SignTrits;
}

/// Whether one value stands for the whole source.
static bool isOneScale(SourceAttr source) {
  return source.getDerive() == Derivation::AbsmeanScale ||
         (source.getDerive() == Derivation::BlockScale &&
          tern::blocks::isI2S(*tern::blockFormat(source.getEncoding())));
}

/// The columns that a source gives to a weight, where its derivation does not leave that open.
static std::optional<int64_t> sourceColumns(SourceAttr source) {
  int64_t columns = source.getShape().size() == 2 ? source.getShape()[1] : 1;
  if (source.getDerive() == Derivation::BlockScale)
    return columns / tern::blocks::scaleColumns(*tern::blockFormat(source.getEncoding()), columns);
  if (source.getDerive() == Derivation::MagnitudeScale)
    return std::nullopt;
  return columns;
}

/// Rows a source gives to a weight of `type`.
static int64_t sourceRows(SourceAttr source, RankedTensorType type) {
  switch (source.getDerive()) {
  case Derivation::AbsmeanScale:
    return 1;
  case Derivation::MagnitudeScale:
    return type.getDimSize(0) == 1 ? 1 : source.getShape().front();
  default:
    return source.getShape().front();
  }
}

LogicalResult WeightOp::verify() {
  auto type = dyn_cast<RankedTensorType>(getType());
  if (!type || type.getRank() < 1 || type.getRank() > 2)
    return emitOpError("expected a tensor of rank 1 or 2, got ") << getType();
  if (getSources().empty())
    return emitOpError("expected at least one source");
  bool trits = isa<TritType>(type.getElementType());
  if (trits && type.getRank() != 2)
    return emitOpError("expected a trit matrix of rank 2, got ") << type;
  if (getSegmentRows() && getSegmentRows()->size() != getSources().size())
    return emitOpError("expected a number of segment rows for each of ")
           << getSources().size() << " sources, got " << getSegmentRows()->size();

  int64_t rows = 0;
  for (auto [index, attribute] : llvm::enumerate(getSources())) {
    auto source = cast<SourceAttr>(attribute);
    if (trits ? !derivesTrits(source) : !derivesFloats(source))
      return emitOpError("expected source ")
             << index << " to give " << (trits ? "trits" : "floats") << ", got encoding "
             << stringifyEncoding(source.getEncoding()) << " with derivation "
             << stringifyDerivation(source.getDerive());
    bool single = source.getShape().front() == 1 && source.getShape().back() == 1;
    bool filling = !trits && (single || isOneScale(source));
    std::optional<int64_t> columns = filling ? std::nullopt : sourceColumns(source);
    int64_t width = type.getRank() == 2 ? type.getDimSize(1) : 1;
    bool narrowed = source.getDerive() == Derivation::BlockScale;
    if (columns && (type.getRank() == 2 || narrowed) && *columns != width)
      return emitOpError("expected source ")
             << index << " to have " << width << " columns, got " << *columns;
    int64_t own = filling ? 1 : sourceRows(source, type);
    int64_t segment = getSegmentRows()                      ? (*getSegmentRows())[index]
                      : filling && getSources().size() == 1 ? type.getDimSize(0)
                                                            : own;
    if (segment < own)
      return emitOpError("expected segment ")
             << index << " to hold the " << own << " rows of its source, got " << segment;
    rows += segment;
  }
  if (rows != type.getDimSize(0))
    return emitOpError("expected the sources to give ")
           << type.getDimSize(0) << " rows, got " << rows;
  if (getSection() && (getSection()->size() != 2 || (*getSection())[0] < 0 ||
                       (*getSection())[0] % 64 || (*getSection())[1] < 0))
    return emitOpError("expected a section [offset, bytes] with a 64-byte aligned offset");
  return success();
}

LogicalResult LoadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("expected a ternary.weight named ") << getWeightAttr();
  if (weight.getType() != getType())
    return emitOpError("expected the weight's type ") << weight.getType() << ", got " << getType();
  return success();
}

LogicalResult QuantizeWeightOp::verify() {
  if (getTrits().getType().getShape() != getWeight().getType().getShape())
    return emitOpError("expected trits of the weight's shape ")
           << getWeight().getType() << ", got " << getTrits().getType();
  if (getScale().getType().getShape() != ArrayRef<int64_t>{1})
    return emitOpError("expected one scale, got ") << getScale().getType();
  return checkTritMatrix(*this, getTrits().getType());
}

/// `packed` must be `plain` with a #ternary.packing.
static LogicalResult checkPacked(Operation *op, RankedTensorType plain, RankedTensorType packed) {
  if (plain.getEncoding())
    return op->emitOpError("expected unpacked trits, got ") << plain;
  if (!isa_and_nonnull<PackingAttr>(packed.getEncoding()))
    return op->emitOpError("expected trits with a #ternary.packing, got ") << packed;
  if (plain.getShape() != packed.getShape())
    return op->emitOpError("expected both types to have one shape, got ")
           << plain << " and " << packed;
  return success();
}

LogicalResult PackOp::verify() {
  return checkPacked(*this, cast<RankedTensorType>(getTrits().getType()),
                     cast<RankedTensorType>(getPacked().getType()));
}

LogicalResult UnpackOp::verify() {
  return checkPacked(*this, cast<RankedTensorType>(getTrits().getType()),
                     cast<RankedTensorType>(getPacked().getType()));
}

OpFoldResult PackOp::fold(FoldAdaptor) {
  auto unpack = getTrits().getDefiningOp<UnpackOp>();
  if (unpack && unpack.getPacked().getType() == getPacked().getType())
    return unpack.getPacked();
  return {};
}

OpFoldResult UnpackOp::fold(FoldAdaptor) {
  if (auto pack = getPacked().getDefiningOp<PackOp>())
    return pack.getTrits();
  return {};
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

int64_t tern::ternary::activationGroup(Activations activations) {
  switch (activations) {
  case Activations::Int8Per32:
    return 32;
  case Activations::Int8Per64:
    return 64;
  case Activations::Int8Per128:
    return 128;
  case Activations::Int8PerToken:
  case Activations::Float:
    return 0;
  }
  llvm_unreachable("all precisions are handled");
}

LogicalResult LinearOp::verify() {
  Type weight = getWeight().getType();
  if (failed(checkRank(*this, "result", getResult().getType(), 2)) ||
      failed(checkProduct(*this, getInput().getType(), weight, getResult().getType())))
    return failure();
  FailureOr<int64_t> groups =
      checkScale(*this, getScale().getType(), dim(weight, 0), dim(weight, 1));
  if (failed(groups))
    return failure();
  int64_t group = activationGroup(getActivations()), scaled = dim(weight, 1) / *groups;
  if (group && scaled % group)
    return emitOpError("expected columns that share a scale to be a multiple of the ")
           << group << " of " << stringifyActivations(getActivations()) << ", got " << scaled;
  if (!getResidual())
    return success();
  if (getActivations() != Activations::Float)
    return emitOpError("expected float activations with a residual, got ")
           << stringifyActivations(getActivations());
  if (getResidual().getType() != getResult().getType())
    return emitOpError("expected a residual of the result's type ")
           << getResult().getType() << ", got " << getResidual().getType();
  return success();
}

LogicalResult QuantizeRowsOp::verify() {
  Type input = getInput().getType();
  if (failed(checkRank(*this, "input", input, 2)) ||
      failed(checkRank(*this, "values", getValues().getType(), 2)) ||
      failed(checkRowScales(*this, "scales", getScales().getType())) ||
      failed(checkRank(*this, "offsets", getOffsets().getType(), 2)))
    return failure();
  int64_t columns = dim(input, 1), group = getGroup();
  if (ShapedType::isDynamic(columns))
    return emitOpError("expected a static number of columns, got ") << input;
  if (getGain() && getGain().getType().getShape() != ArrayRef<int64_t>{columns})
    return emitOpError("expected a gain of ")
           << columns << " elements, got " << getGain().getType();
  if (static_cast<bool>(getGain()) != getEpsilon().has_value())
    return emitOpError("expected gain and epsilon together");
  if (group < 1 || columns % group)
    return emitOpError("expected a group that divides ") << columns << " columns, got " << group;
  if (failed(checkSize(*this, "value columns", columns, dim(getValues().getType(), 1))) ||
      failed(checkSize(*this, "offsets a row", columns / group, dim(getOffsets().getType(), 1))) ||
      failed(checkSize(*this, "value rows", dim(input, 0), dim(getValues().getType(), 0))) ||
      failed(checkSize(*this, "scales", dim(input, 0), dim(getScales().getType(), 0))) ||
      failed(checkSize(*this, "rows of offsets", dim(input, 0), dim(getOffsets().getType(), 0))))
    return failure();
  if (getScales().getType().getRank() == 1)
    return success();
  if (group % kMinGroup)
    return emitOpError("expected groups with scales of a multiple of ")
           << kMinGroup << " columns, got " << group;
  return checkSize(*this, "scales a row", columns / group, dim(getScales().getType(), 1));
}

LogicalResult MatmulOp::verify() {
  Type weight = getWeight().getType(), result = getResult().getType();
  if (failed(checkRank(*this, "result", result, 3)) ||
      failed(checkProduct(*this, getActs().getType(), weight, result)))
    return failure();
  int64_t groups = dim(result, 2);
  if (groups < 1 || dim(weight, 1) % groups)
    return emitOpError("expected a number of groups that divides ")
           << dim(weight, 1) << " columns, got " << groups;
  return success();
}

LogicalResult RescaleOp::verify() {
  Type acc = getAcc().getType(), result = getResult().getType();
  if (failed(checkRank(*this, "acc", acc, 3)) || failed(checkRank(*this, "result", result, 2)) ||
      failed(checkRowScales(*this, "rowScales", getRowScales().getType())) ||
      failed(checkSize(*this, "result rows", dim(acc, 0), dim(result, 0))) ||
      failed(checkSize(*this, "result columns", dim(acc, 1), dim(result, 1))) ||
      failed(checkSize(*this, "row scales", dim(acc, 0), dim(getRowScales().getType(), 0))))
    return failure();
  auto scale = cast<RankedTensorType>(getScale().getType());
  int64_t groups = scale.getRank() == 2 ? scale.getDimSize(1) : 1;
  bool perTensor = scale.getRank() == 1 && scale.getDimSize(0) == 1;
  if (scale.getRank() > 2 || (!perTensor && scale.getDimSize(0) != dim(acc, 1)))
    return emitOpError("expected a scale of shape [1], [")
           << dim(acc, 1) << "] or [" << dim(acc, 1) << ", groups], got " << scale;
  return checkGroups(*this, getRowScales().getType(), dim(acc, 2), groups);
}

/// What fused_linear and gated_linear have in common.
template <typename Op> static LogicalResult checkFusedProduct(Op op) {
  Type weight = op.getWeight().getType(), result = op.getResult().getType();
  if (failed(checkRank(op, "result", result, 2)) ||
      failed(checkRowScales(op, "rowScales", op.getRowScales().getType())) ||
      failed(checkRank(op, "offsets", op.getOffsets().getType(), 2)) ||
      failed(checkProduct(op, op.getActs().getType(), weight, result)))
    return failure();
  FailureOr<int64_t> scaleGroups =
      checkScale(op, op.getScale().getType(), dim(weight, 0), dim(weight, 1));
  int64_t groups = dim(op.getOffsets().getType(), 1);
  if (failed(scaleGroups) ||
      failed(checkGroups(op, op.getRowScales().getType(), groups, *scaleGroups)) ||
      failed(checkSize(op, "row scales", dim(op.getActs().getType(), 0),
                       dim(op.getRowScales().getType(), 0))))
    return failure();
  if (dim(weight, 1) % groups)
    return op.emitOpError("expected a number of groups that divides ")
           << dim(weight, 1) << " columns, got " << groups;
  return success();
}

LogicalResult FusedLinearOp::verify() {
  if (failed(checkFusedProduct(*this)))
    return failure();
  if (getResidual() && getResidual().getType() != getResult().getType())
    return emitOpError("expected a residual of the result's type ")
           << getResult().getType() << ", got " << getResidual().getType();
  return success();
}

LogicalResult GatedLinearOp::verify() {
  if (failed(checkFusedProduct(*this)))
    return failure();
  if (dim(getOffsets().getType(), 1) != 1 || getRowScales().getType().getRank() != 1)
    return emitOpError("expected one group, got offsets of type ")
           << getOffsets().getType() << " and row scales of type " << getRowScales().getType();
  if (dim(getWeight().getType(), 1) > kMostSkippedColumns)
    return emitOpError("expected up to ")
           << kMostSkippedColumns << " columns, got " << dim(getWeight().getType(), 1);
  if (getGate().getType() != getResult().getType())
    return emitOpError("expected a gate of the result's type ")
           << getResult().getType() << ", got " << getGate().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Around the products
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::verify() {
  Type input = getInput().getType();
  if (failed(checkRank(*this, "input", input, 2)) ||
      failed(checkRank(*this, "gain", getGain().getType(), 1)))
    return failure();
  int64_t columns = dim(input, 1), heads = getHeads();
  if (heads < 1)
    return emitOpError("expected at least 1 head, got ") << heads;
  if (heads > 1 && (ShapedType::isDynamic(columns) || columns % heads))
    return emitOpError("expected columns that are a multiple of ")
           << heads << " heads, got " << input;
  if (failed(checkSize(*this, "gain elements", heads > 1 ? columns / heads : columns,
                       dim(getGain().getType(), 0))))
    return failure();
  if (!(getEpsilon().convertToFloat() >= 0))
    return emitOpError("expected an epsilon of at least 0, got ") << getEpsilonAttr();
  return success();
}

LogicalResult RopeAnglesOp::verify() {
  Type result = getResult().getType();
  auto frequencies = dyn_cast<RankedTensorType>(getFrequencies().getType());
  if (!frequencies || frequencies.getRank() != 1 || !frequencies.getElementType().isF32())
    return emitOpError("expected frequencies of type tensor<...xf32>, got ")
           << getFrequencies().getType();
  if (failed(checkRank(*this, "result", result, 2)) ||
      failed(checkSize(*this, "result columns", 2 * frequencies.getDimSize(0), dim(result, 1))))
    return failure();
  return success();
}

LogicalResult RopeOp::verify() {
  Type input = getInput().getType(), angles = getAngles().getType();
  if (failed(checkRank(*this, "input", input, 2)) || failed(checkRank(*this, "angles", angles, 2)))
    return failure();
  if (static_cast<int64_t>(getHeads()) < 1 || dim(angles, 1) % 2)
    return emitOpError("expected at least one head and an even head size, got ")
           << getHeads() << " heads and " << dim(angles, 1) << " angles";
  return checkSize(*this, "input columns", getHeads() * dim(angles, 1), dim(input, 1));
}

LogicalResult AttentionOp::verify() {
  KVCacheType cache = getCache().getType();
  int64_t heads = getHeads(), cacheWidth = cache.getHeads() * cache.getHeadSize();
  for (auto [name, type] : {std::pair<StringRef, Type>{"query", getQuery().getType()},
                            {"key", getKey().getType()},
                            {"value", getValue().getType()}})
    if (failed(checkRank(*this, name, type, 2)))
      return failure();
  if (heads < 1 || heads % cache.getHeads())
    return emitOpError("expected a number of heads that is a multiple of the cache's ")
           << cache.getHeads() << ", got " << heads;
  if (failed(checkSize(*this, "query columns", heads * cache.getHeadSize(),
                       dim(getQuery().getType(), 1))) ||
      failed(checkSize(*this, "key columns", cacheWidth, dim(getKey().getType(), 1))) ||
      failed(checkSize(*this, "value columns", cacheWidth, dim(getValue().getType(), 1))) ||
      failed(
          checkSize(*this, "key rows", dim(getQuery().getType(), 0), dim(getKey().getType(), 0))) ||
      failed(checkSize(*this, "value rows", dim(getQuery().getType(), 0),
                       dim(getValue().getType(), 0))))
    return failure();
  return success();
}

LogicalResult EmbeddingOp::verify() {
  Type table = getTable().getType(), result = getResult().getType();
  if (failed(checkRank(*this, "ids", getIds().getType(), 1)) ||
      failed(checkRank(*this, "table", table, 2)) ||
      failed(checkRank(*this, "result", result, 2)) ||
      failed(checkSize(*this, "result rows", dim(getIds().getType(), 0), dim(result, 0))) ||
      failed(checkSize(*this, "result columns", dim(table, 1), dim(result, 1))))
    return failure();
  if (auto type = dyn_cast<RankedTensorType>(table); type && type.getEncoding())
    return emitOpError("expected a table of floats as they are, got ") << table;
  return success();
}

ScreenAttr HeadOp::integerTable() {
  auto type = dyn_cast<RankedTensorType>(getTable().getType());
  return type ? dyn_cast_if_present<ScreenAttr>(type.getEncoding()) : ScreenAttr();
}

LogicalResult HeadOp::verify() {
  Type input = getInput().getType(), table = getTable().getType(), result = getResult().getType();
  if (failed(checkRank(*this, "input", input, 2)) || failed(checkRank(*this, "table", table, 2)) ||
      failed(checkRank(*this, "result", result, 2)) ||
      failed(checkSize(*this, "input columns", dim(table, 1), dim(input, 1))) ||
      failed(checkSize(*this, "result rows", dim(input, 0), dim(result, 0))) ||
      failed(checkSize(*this, "result columns", dim(table, 0), dim(result, 1))))
    return failure();
  if (!getScreen())
    return success();
  if (integerTable())
    return emitOpError("expected a screen only of a table of floats, got ") << table;
  auto whole = cast<RankedTensorType>(table),
       screen = dyn_cast<RankedTensorType>(getScreen().getType());
  if (!screen || screen.getShape() != whole.getShape() ||
      screen.getElementType() != whole.getElementType() ||
      !isa_and_present<ScreenAttr>(screen.getEncoding()))
    return emitOpError("expected a screen of type ")
           << whole << " with the encoding #ternary.screen, got " << getScreen().getType();
  return success();
}
