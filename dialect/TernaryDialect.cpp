//===- TernaryDialect.cpp - registration, types and attributes ------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/TernaryDialect.h"

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
  if (!elementType.isF32())
    return emitError() << "expected element type f32, got " << elementType;
  return success();
}

//===----------------------------------------------------------------------===//
// #ternary.packing, #ternary.scales, #ternary.source
//===----------------------------------------------------------------------===//

LogicalResult PackingAttr::verify(function_ref<InFlightDiagnostic()> emitError, PackingKind kind,
                                  int64_t rows, int64_t k) {
  int64_t expected = kind == PackingKind::TwoBit ? 16 : 20;
  if (rows < 1 || rows > 64)
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
  return success();
}

LogicalResult ScalesAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows) {
  if (rows < 1 || rows > 64)
    return emitError() << "expected 1 to 64 rows a block, got " << rows;
  return success();
}

LogicalResult ScalesAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  if (!elementType)
    return failure();
  if (!elementType.isF32() || shape.size() != 2 || ShapedType::isDynamicShape(shape))
    return emitError() << "expected #ternary.scales on a static matrix of f32, got " << shape.size()
                       << " dimensions of " << elementType;
  return success();
}

/// Bytes of `elements` values in `encoding`; hf_u8 stores four trits a byte.
static int64_t encodedBytes(Encoding encoding, int64_t elements) {
  switch (encoding) {
  case Encoding::F32:
    return elements * 4;
  case Encoding::F16:
  case Encoding::BF16:
    return elements * 2;
  case Encoding::HFPacked:
    return elements / 4;
  case Encoding::Random:
    return 0;
  }
  llvm_unreachable("all encodings are handled");
}

LogicalResult SourceAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t file,
                                 int64_t offset, int64_t bytes, ArrayRef<int64_t> shape,
                                 Encoding encoding, Derivation derive) {
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
  if (encoding == Encoding::HFPacked && derive != Derivation::None)
    return emitError() << "expected nothing to be derived from hf_u8, got "
                       << stringifyDerivation(derive);
  if (bytes != encodedBytes(encoding, elements))
    return emitError() << "expected " << encodedBytes(encoding, elements) << " bytes of "
                       << stringifyEncoding(encoding) << ", got " << bytes;
  return success();
}
