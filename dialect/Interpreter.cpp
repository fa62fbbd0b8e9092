//===- Interpreter.cpp - runs a module slowly: the oracle -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Interpreter.h"

#include "dialect/InterpreterOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace tern;
using namespace tern::interpret;
using namespace tern::ternary;
using llvm::ArrayRef;
using llvm::Error;
using llvm::Expected;
using llvm::formatv;

struct Interpreter::State {
  ModuleOp module;
  const WeightFiles &files;
  Observer observer;
  llvm::StringMap<std::shared_ptr<const TensorValue>> weights;
  size_t depth = 0;

  Expected<std::vector<RuntimeValue>> call(func::FuncOp function, ArrayRef<RuntimeValue> arguments);
  Expected<std::vector<RuntimeValue>> runBody(func::FuncOp function,
                                              ArrayRef<RuntimeValue> arguments);
  Expected<Results> evaluate(Operation *op, ArrayRef<RuntimeValue> operands);
  Expected<RuntimeValue> load(LoadOp op);
};

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Error interpret::opError(Operation *op, const llvm::Twine &what) {
  auto function = op->getParentOfType<func::FuncOp>();
  return llvm::createStringError("@" + (function ? function.getSymName() : "?") + ": " +
                                 op->getName().getStringRef() + ": " + what);
}

std::optional<Packing> interpret::packingOf(RankedTensorType type) {
  auto attribute = dyn_cast_if_present<PackingAttr>(type.getEncoding());
  if (!attribute)
    return std::nullopt;
  auto kind =
      attribute.getKind() == PackingKind::TwoBit ? Packing::Kind::TwoBit : Packing::Kind::Base3;
  return Packing{kind, attribute.getRows(), attribute.getK()};
}

static std::string text(Type type) {
  std::string result;
  llvm::raw_string_ostream(result) << type;
  return result;
}

static std::string text(ArrayRef<int64_t> shape) {
  std::string result = "[";
  llvm::raw_string_ostream stream(result);
  llvm::interleaveComma(shape, stream);
  return result + "]";
}

static bool fits(RankedTensorType type, ArrayRef<int64_t> shape) {
  if (type.getRank() != static_cast<int64_t>(shape.size()))
    return false;
  for (auto [declared, actual] : llvm::zip_equal(type.getShape(), shape))
    if (actual < 0 || (!ShapedType::isDynamic(declared) && declared != actual))
      return false;
  return true;
}

/// Elements that a tensor of `type` holds (bytes for packed trits); nothing when there are too
/// many.
static std::optional<int64_t> storedElements(RankedTensorType type, ArrayRef<int64_t> shape) {
  int64_t elements = 1;
  for (int64_t size : shape)
    if (llvm::MulOverflow(elements, size, elements) || elements > kMaxElements)
      return std::nullopt;
  if (std::optional<Packing> packing = packingOf(type))
    return packing->packedBytes(shape[0], shape[1]);
  return elements;
}

Expected<std::shared_ptr<TensorValue>> interpret::makeTensor(Operation *op, Type type,
                                                             ArrayRef<int64_t> shape) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !fits(tensor, shape))
    return opError(op, "expected a result of type " + text(type) + ", got shape " + text(shape));
  std::optional<int64_t> size = storedElements(tensor, shape);
  if (!size)
    return opError(op, "shape " + text(shape) + " is too large to interpret");
  auto value = std::make_shared<TensorValue>();
  value->type = tensor;
  value->shape.assign(shape.begin(), shape.end());
  Type element = tensor.getElementType();
  if (isa<FloatType>(element))
    value->f32.resize(*size);
  else if (element.isInteger(32))
    value->i32.resize(*size);
  else if (element.isInteger(8) || isa<TritType>(element))
    value->i8.resize(*size);
  else
    return opError(op, "no tensors of " + text(type) + " in the interpreter");
  return value;
}

/// Callers outside give arguments: nothing about them is taken on trust.
static Error checkArgument(unsigned index, Type type, const RuntimeValue &value) {
  auto mismatch = [&](const llvm::Twine &got) {
    return llvm::createStringError("argument " + llvm::Twine(index) + ": expected " + text(type) +
                                   ", got " + got);
  };
  if (type.isIndex())
    return std::holds_alternative<int64_t>(value) ? Error::success() : mismatch("no index");
  if (auto declared = dyn_cast<KVCacheType>(type)) {
    auto *cache = std::get_if<std::shared_ptr<CacheValue>>(&value);
    if (!cache || !*cache)
      return mismatch("no cache");
    const CacheValue &got = **cache;
    if (got.heads != declared.getHeads() || got.headSize != declared.getHeadSize())
      return mismatch(formatv("{0} heads of size {1}", got.heads, got.headSize).str());
    if (got.keys.size() != got.values.size() || got.keys.size() % (got.heads * got.headSize))
      return mismatch(formatv("{0} keys and {1} values", got.keys.size(), got.values.size()).str());
    size_t scales = declared.getElementType().isInteger(8) ? got.keys.size() / got.headSize : 0;
    if (got.keyScales.size() != scales || got.valueScales.size() != scales)
      return mismatch(formatv("{0} scales of keys and {1} of values", got.keyScales.size(),
                              got.valueScales.size())
                          .str());
    return Error::success();
  }
  auto declared = dyn_cast<RankedTensorType>(type);
  auto *tensor = std::get_if<std::shared_ptr<const TensorValue>>(&value);
  if (!declared || !tensor || !*tensor)
    return mismatch("no tensor");
  if (!fits(declared, (*tensor)->shape))
    return mismatch("shape " + text((*tensor)->shape));
  Type element = declared.getElementType();
  RankedTensorType given = (*tensor)->type;
  if (!given || given.getElementType() != element || given.getEncoding() != declared.getEncoding())
    return mismatch(given ? text(given) : std::string("a tensor without a type"));
  size_t size = isa<FloatType>(element) ? (*tensor)->f32.size()
                : element.isInteger(32) ? (*tensor)->i32.size()
                                        : (*tensor)->i8.size();
  std::optional<int64_t> expected = storedElements(declared, (*tensor)->shape);
  if (!expected || size != static_cast<size_t>(*expected))
    return mismatch(formatv("shape {0} with {1} elements", text((*tensor)->shape), size).str());
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

static Error readPacked(const WeightReader &reader, const Packing &packing, int8_t *out) {
  int64_t columns = reader.columns();
  std::vector<int8_t> rows(packing.rows * columns);
  auto *bytes = reinterpret_cast<uint8_t *>(out);
  for (int64_t row = 0; row < reader.rows(); row += packing.rows) {
    int64_t count = std::min(packing.rows, reader.rows() - row);
    if (Error failed = reader.readTrits(row, count, rows.data()))
      return failed;
    packing.encodeBlock(rows.data(), count, columns, columns, bytes);
    bytes += packing.blockBytes(columns);
  }
  return Error::success();
}

Expected<RuntimeValue> Interpreter::State::load(LoadOp op) {
  std::shared_ptr<const TensorValue> &cached = weights[op.getWeight()];
  if (cached)
    return cached;
  auto weight = module.lookupSymbol<WeightOp>(op.getWeight());
  if (!weight || weight.getType() != op.getType())
    return opError(op,
                   "expected a weight of type " + text(op.getType()) + " named @" + op.getWeight());
  auto type = cast<RankedTensorType>(op.getType());
  Expected<std::shared_ptr<TensorValue>> value = makeTensor(op, type, type.getShape());
  if (!value)
    return value.takeError();
  Expected<WeightReader> reader = WeightReader::create(weight, files);
  if (!reader)
    return reader.takeError();
  std::optional<Packing> packing = packingOf(type);
  if (Error failed = !reader->isTrits()
                         ? reader->readFloats(0, reader->rows(), (*value)->f32.data())
                     : packing ? readPacked(*reader, *packing, (*value)->i8.data())
                               : reader->readTrits(0, reader->rows(), (*value)->i8.data()))
    return std::move(failed);
  cached = *value;
  return cached;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Expected<Results> Interpreter::State::evaluate(Operation *op, ArrayRef<RuntimeValue> operands) {
  if (auto loading = dyn_cast<LoadOp>(op)) {
    Expected<RuntimeValue> value = load(loading);
    if (!value)
      return value.takeError();
    return Results{*value};
  }
  if (auto calling = dyn_cast<func::CallOp>(op)) {
    auto callee = module.lookupSymbol<func::FuncOp>(calling.getCallee());
    if (!callee)
      return opError(op, "no function named @" + calling.getCallee());
    Expected<std::vector<RuntimeValue>> values = call(callee, operands);
    if (!values)
      return values.takeError();
    return Results(values->begin(), values->end());
  }
  for (auto *family : {evaluateLinear, evaluateRows, evaluateBuiltin})
    if (auto results = family(op, operands))
      return std::move(*results);
  return opError(op, "the interpreter does not know this op");
}

Expected<std::vector<RuntimeValue>> Interpreter::State::runBody(func::FuncOp function,
                                                                ArrayRef<RuntimeValue> arguments) {
  llvm::DenseMap<Value, RuntimeValue> values;
  Block &body = function.getBody().front();
  for (auto [argument, value] : llvm::zip_equal(body.getArguments(), arguments))
    values[argument] = value;
  for (Operation &op : body) {
    std::vector<RuntimeValue> operands;
    for (Value operand : op.getOperands())
      operands.push_back(values.at(operand));
    if (isa<func::ReturnOp>(op))
      return operands;
    Expected<Results> results = evaluate(&op, operands);
    if (!results)
      return results.takeError();
    for (auto [result, value] : llvm::zip_equal(op.getResults(), *results))
      values[result] = value;
    if (observer)
      observer(&op, *results);
  }
  return llvm::createStringError("@" + function.getSymName() +
                                 ": expected a func.return at its end");
}

Expected<std::vector<RuntimeValue>> Interpreter::State::call(func::FuncOp function,
                                                             ArrayRef<RuntimeValue> arguments) {
  llvm::StringRef name = function.getSymName();
  if (!function.getBody().hasOneBlock())
    return llvm::createStringError("@" + name + ": expected a body of one block");
  if (arguments.size() != function.getNumArguments())
    return llvm::createStringError(formatv("@{0}: expected {1} arguments, got {2}", name,
                                           function.getNumArguments(), arguments.size())
                                       .str());
  for (auto [index, type] : llvm::enumerate(function.getArgumentTypes()))
    if (Error failed = checkArgument(index, type, arguments[index]))
      return llvm::createStringError("@" + name + ": " + llvm::toString(std::move(failed)));
  if (depth == kMaxCallDepth)
    return llvm::createStringError(
        formatv("@{0}: calls are more than {1} deep", name, kMaxCallDepth).str());
  ++depth;
  auto results = runBody(function, arguments);
  --depth;
  return results;
}

Interpreter::Interpreter(ModuleOp module, const WeightFiles &files)
    : state(new State{module, files, {}, {}, 0}) {}

Interpreter::~Interpreter() = default;

void Interpreter::setObserver(Observer observer) { state->observer = std::move(observer); }

Expected<std::vector<RuntimeValue>> Interpreter::run(llvm::StringRef function,
                                                     ArrayRef<RuntimeValue> arguments) {
  auto symbol = state->module.lookupSymbol<func::FuncOp>(function);
  if (!symbol)
    return llvm::createStringError("expected a function named @" + function);
  return state->call(symbol, arguments);
}
