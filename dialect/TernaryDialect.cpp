//===- TernaryDialect.cpp - registration, types and attributes ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/TernaryDialect.h"
#include "dialect/Packing.h"

#include "dialect/HeadScreen.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace tern::ternary;

/// Parses `[4, 8]`, the shape field of #ternary.source.
static ParseResult parseShape(AsmParser &parser, SmallVectorImpl<int64_t> &shape) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                        [&] { return parser.parseInteger(shape.emplace_back()); });
}

static void printShape(AsmPrinter &printer, ArrayRef<int64_t> shape) {
  printer << '[';
  llvm::interleaveComma(shape, printer);
  printer << ']';
}

#include "dialect/TernaryDialect.cpp.inc"
#include "dialect/TernaryEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialect/TernaryAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialect/TernaryTypes.cpp.inc"

void TernaryDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialect/TernaryTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialect/TernaryAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialect/TernaryOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// !ternary.kv_cache
//===----------------------------------------------------------------------===//

Type KVCacheType::parse(AsmParser &parser) {
  int64_t heads = 0, headSize = 0;
  Type element;
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<int64_t, 2> dimensions;
  if (parser.parseLess() || parser.parseDimensionList(dimensions, /*allowDynamic=*/false) ||
      parser.parseType(element) || parser.parseGreater())
    return {};
  if (dimensions.size() != 2) {
    parser.emitError(loc, "expected heads x headSize x type, got ")
        << dimensions.size() << " dimensions";
    return {};
  }
  heads = dimensions[0], headSize = dimensions[1];
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(), heads, headSize,
                    element);
}

void KVCacheType::print(AsmPrinter &printer) const {
  printer << '<' << getHeads() << 'x' << getHeadSize() << 'x' << getElementType() << '>';
}

LogicalResult KVCacheType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t heads,
                                  int64_t headSize, Type elementType) {
  if (heads < 1 || headSize < 2 || headSize % 2)
    return emitError() << "expected at least one head of an even size, got " << heads
                       << " heads of size " << headSize;
  // Far above any model; keeps the bytes of a position, and sums of them, inside 64 bits.
  constexpr int64_t kMostColumns = int64_t(1) << 24;
  if (heads > kMostColumns || headSize > kMostColumns / heads)
    return emitError() << "expected at most " << kMostColumns << " columns in all heads, got "
                       << heads << " heads of size " << headSize;
  if (!elementType.isF32() && !elementType.isF16() && !elementType.isSignlessInteger(8))
    return emitError() << "expected element type f32, f16 or i8, got " << elementType;
  return success();
}

//===----------------------------------------------------------------------===//
// #ternary.packing, #ternary.scales, #ternary.source
//===----------------------------------------------------------------------===//

LogicalResult PackingAttr::verify(function_ref<InFlightDiagnostic()> emitError, PackingKind kind,
                                  int64_t rows, int64_t k) {
  int64_t expected = kind == PackingKind::Base3 ? 20 : 16;
  int64_t fixedRows = kind == PackingKind::TwoBitRows      ? 16
                      : kind == PackingKind::TwoBitColumns ? kColumnBlockRows
                                                           : 0;
  if (fixedRows && rows != fixedRows)
    return emitError() << "expected " << fixedRows << " rows a block for "
                       << stringifyPackingKind(kind) << ", got " << rows;
  if (!fixedRows && (rows < 1 || rows > 64))
    return emitError() << "expected 1 to 64 rows a block, got " << rows;
  if (k != expected)
    return emitError() << "expected k = " << expected << " for " << stringifyPackingKind(kind)
                       << ", got " << k;
  return success();
}

LogicalResult PackingAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  // Null: the parser asks about an encoding even where the type before it did not parse.
  if (!elementType)
    return failure();
  if (!isa<TritType>(elementType) || shape.size() != 2 || ShapedType::isDynamicShape(shape))
    return emitError() << "expected #ternary.packing on a static matrix of !ternary.trit, got "
                       << shape.size() << " dimensions of " << elementType;
  bool skips = getKind() == PackingKind::TwoBitRows || getKind() == PackingKind::TwoBitColumns;
  if (skips && shape[1] > kMostSkippedColumns)
    return emitError() << "expected up to " << kMostSkippedColumns << " columns for "
                       << stringifyPackingKind(getKind()) << ", got " << shape[1];
  return success();
}

LogicalResult ScalesAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows) {
  if ((rows < 1 || rows > 64) && rows != kColumnBlockRows)
    return emitError() << "expected 1 to 64 or " << kColumnBlockRows << " rows a block, got "
                       << rows;
  return success();
}

LogicalResult ScalesAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  if (!elementType)
    return failure();
  if (!isa<Float32Type, Float16Type>(elementType) || shape.size() != 2 ||
      ShapedType::isDynamicShape(shape))
    return emitError() << "expected #ternary.scales on a static matrix of f32 or f16, got "
                       << shape.size() << " dimensions of " << elementType;
  return success();
}

LogicalResult ScreenAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t bits) {
  if (bits != 6 && bits != 8)
    return emitError() << "expected a screen of 6 or 8 bits, got " << bits;
  return success();
}

LogicalResult ScreenAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  if (!elementType)
    return failure();
  if (!isa<Float32Type, Float16Type, BFloat16Type>(elementType) || shape.size() != 2 ||
      ShapedType::isDynamicShape(shape))
    return emitError() << "expected #ternary.screen on a static matrix of f32, f16 or bf16, got "
                       << shape.size() << " dimensions of " << elementType;
  if (shape[1] > HeadScreen::kMaxColumns)
    return emitError() << "expected #ternary.screen on at most " << HeadScreen::kMaxColumns
                       << " columns, got " << shape[1];
  return success();
}

/// Bytes of a source of `rows` x `columns`, or nothing where the encoding cannot hold that shape.
static std::optional<int64_t> encodedBytes(Encoding encoding, int64_t rows, int64_t columns) {
  switch (encoding) {
  case Encoding::F32:
    return rows * columns * 4;
  case Encoding::F16:
  case Encoding::BF16:
    return rows * columns * 2;
  case Encoding::HFPacked:
    return rows * columns / 4;
  case Encoding::Random:
    return 0;
  default:
    return tern::blocks::tensorBytes(*tern::blockFormat(encoding), rows, columns);
  }
}

using EmitError = function_ref<InFlightDiagnostic()>;

static LogicalResult verifyDerivation(EmitError emitError, Encoding encoding, Derivation derive) {
  auto format = tern::blockFormat(encoding);
  bool scalesInside =
      format && tern::blocks::isTernary(*format) && *format != tern::blocks::Format::MLX2;
  if (derive == Derivation::BlockScale && !scalesInside)
    return emitError() << "expected block_scale of a format with scales in its blocks, got "
                       << stringifyEncoding(encoding);
  if ((format || encoding == Encoding::HFPacked) && derive != Derivation::None &&
      derive != Derivation::BlockScale)
    return emitError() << "expected nothing to be derived from " << stringifyEncoding(encoding)
                       << ", got " << stringifyDerivation(derive);
  return success();
}

static LogicalResult verifyPermute(EmitError emitError, int64_t rows, int64_t heads) {
  if (heads < 0 || (heads > 0 && rows % heads))
    return emitError() << "expected a number of heads that divides " << rows << " rows, got "
                       << heads;
  if (heads > 0 && rows / heads % 2)
    return emitError() << "expected heads of an even number of rows, got " << rows / heads;
  return success();
}

/// The scales of an mlx2 source: one float a row and group of columns.
static LogicalResult verifyScales(EmitError emitError, Encoding encoding, ArrayRef<int64_t> shape,
                                  Attribute attribute) {
  if (encoding != Encoding::MLX2)
    return emitError() << "expected scales only beside mlx2, got " << stringifyEncoding(encoding);
  auto scales = dyn_cast<SourceAttr>(attribute);
  if (!scales)
    return emitError() << "expected scales of #ternary.source, got " << attribute;
  bool floats = scales.getEncoding() == Encoding::F16 || scales.getEncoding() == Encoding::BF16 ||
                scales.getEncoding() == Encoding::F32;
  if (!floats || scales.getDerive() != Derivation::None || scales.getPermute())
    return emitError() << "expected scales that are plain floats, got " << attribute;
  ArrayRef<int64_t> own = scales.getShape();
  if (own.size() != 2 || own[0] != shape[0] || shape[1] % own[1])
    return emitError() << "expected scales for each of " << shape[0] << " rows and groups of "
                       << shape[1] << " columns, got " << attribute;
  return success();
}

LogicalResult SourceAttr::verify(EmitError emitError, int64_t file, int64_t offset, int64_t bytes,
                                 ArrayRef<int64_t> shape, Encoding encoding, Derivation derive,
                                 int64_t permute, Attribute scales) {
  // Keeps every product below far from overflow.
  constexpr int64_t kMaxElements = int64_t(1) << 44;
  if (file < 0 || offset < 0 || bytes < 0)
    return emitError() << "expected file, offset and bytes of at least 0, got " << file << ", "
                       << offset << ", " << bytes;
  if (shape.empty() || shape.size() > 2)
    return emitError() << "expected a shape of one or two dimensions, got " << shape.size();
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (size < 1 || size > kMaxElements / elements)
      return emitError() << "expected dimensions of at least 1 and at most 2^44 elements, got "
                         << size;
    elements *= size;
  }
  if (encoding == Encoding::HFPacked && (shape.size() != 2 || shape[0] % 4))
    return emitError() << "expected hf_u8 rows that are a multiple of 4, got " << shape[0];
  auto format = tern::blockFormat(encoding);
  if (format && shape.size() != 2)
    return emitError() << "expected " << stringifyEncoding(encoding)
                       << " of two dimensions, got one";
  if (failed(verifyDerivation(emitError, encoding, derive)) ||
      failed(verifyPermute(emitError, shape[0], permute)) ||
      (scales && failed(verifyScales(emitError, encoding, shape, scales))))
    return failure();
  auto expected = encodedBytes(encoding, shape[0], elements / shape[0]);
  if (!expected)
    return emitError() << "expected " << stringifyEncoding(encoding) << " of "
                       << tern::blocks::shapeRule(*format) << ", got " << shape[0] << " x "
                       << shape[1];
  if (bytes != *expected)
    return emitError() << "expected " << *expected << " bytes of " << stringifyEncoding(encoding)
                       << ", got " << bytes;
  return success();
}
