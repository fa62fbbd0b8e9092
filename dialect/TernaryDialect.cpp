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
// #ternary.packing, #ternary.source
//===----------------------------------------------------------------------===//

LogicalResult PackingAttr::verify(function_ref<InFlightDiagnostic()> emitError, PackingKind kind,
                                  int64_t rows, int64_t k) {
  return success();
}

LogicalResult PackingAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                          function_ref<InFlightDiagnostic()> emitError) const {
  return success();
}

LogicalResult ScalesAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t rows) {
  return success();
}

LogicalResult ScalesAttr::verifyEncoding(ArrayRef<int64_t> shape, Type elementType,
                                         function_ref<InFlightDiagnostic()> emitError) const {
  return success();
}

LogicalResult SourceAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t file,
                                 int64_t offset, int64_t bytes, ArrayRef<int64_t> shape,
                                 Encoding encoding, Derivation derive) {
  return success();
}
