//===- LanguageModel.cpp - what the runtime relies on ---------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/LanguageModel.h"

#include "dialect/Product.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/TypeSwitch.h"

#include <map>

using namespace mlir;
using namespace tern::ternary;
using llvm::Twine;

namespace tern {

namespace {

/// What an index, or the number of a tensor's rows, is in terms of the entry's call.
struct Count {
  enum Kind {
    Other,
    Constant,
    Rows,     ///< ids given
    Wanted,   ///< at most Rows
    Skipped,  ///< Rows - Wanted
    Position, ///< positions already in the cache: Position + Rows fit in it
    Cache     ///< no count
  };
  Kind kind = Other;
  int64_t number = 0; ///< of a Constant

  auto operator<=>(const Count &) const = default;
  /// From 0 to the rows of the call, whatever they are.
  bool isOfCall() const { return kind == Rows || kind == Wanted; }
};
using Counts = std::vector<Count>;

/// Operands that have one row for each row of the results; the others must be static.
SmallVector<Value> rowOperands(Operation *op) {
  if (Product product(op); product) {
    SmallVector<Value> values(product.activations());
    if (product.residual())
      values.push_back(product.residual());
    if (product.gate())
      values.push_back(product.gate());
    return values;
  }
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([](AttentionOp op) -> SmallVector<Value> {
        return {op.getQuery(), op.getKey(), op.getValue()};
      })
      .Case([](RopeAnglesOp) { return SmallVector<Value>(); })
      .Case<RopeOp, GatedActivationOp, arith::AddFOp>([](Operation *op) -> SmallVector<Value> {
        return {op->getOperand(0), op->getOperand(1)};
      })
      .Default([](Operation *op) -> SmallVector<Value> {
        if (op->getNumOperands() == 0)
          return {};
        return {op->getOperand(0)};
      });
}

/// Follows counts from the entry's arguments through every function.
class RowCheck {
public:
  explicit RowCheck(uint32_t vocabulary) : vocabulary(vocabulary) {}

  /// The counts of what `function` returns.
  llvm::Expected<Counts> run(func::FuncOp function, const Counts &arguments) {
    auto key = std::make_pair(function.getOperation(), arguments);
    if (auto known = done.find(key); known != done.end())
      return known->second;
    // Blocks are called alike; what differs in more ways than this was not made by an importer.
    constexpr size_t kMaxWays = 4096;
    if (done.size() == kMaxWays)
      return llvm::createStringError("functions are called with too many row counts");
    llvm::DenseMap<Value, Count> counts;
    for (auto [argument, count] : llvm::zip_equal(function.getArguments(), arguments)) {
      if (llvm::Error error = set(function, argument, count, counts))
        return std::move(error);
    }
    for (Operation &op : function.getBody().front())
      if (llvm::Error error = visit(&op, counts))
        return std::move(error);
    Counts results;
    for (Value value : function.getBody().front().getTerminator()->getOperands())
      results.push_back(counts.lookup(value));
    return done[key] = results;
  }

private:
  using Known = llvm::DenseMap<Value, Count>;

  static llvm::Error error(Operation *op, const Twine &text) {
    auto function = op->getParentOfType<func::FuncOp>();
    StringRef name = function ? function.getSymName() : cast<func::FuncOp>(op).getSymName();
    return llvm::createStringError("@" + name + ": " + op->getName().getStringRef() + ": " + text);
  }

  /// A tensor's own type says how many rows it has, or that they are not known; then storage is
  /// made for the rows of a call.
  llvm::Error set(Operation *op, Value value, Count count, Known &counts) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (type && type.getRank() > 0) {
      if (llvm::any_of(type.getShape().drop_front(), ShapedType::isDynamic))
        return error(op, "expected only the number of rows to be dynamic");
      if (!type.isDynamicDim(0)) {
        Count own = {Count::Constant, type.getDimSize(0)};
        if (count.kind != Count::Other && count != own)
          return error(op, "expected " + Twine(own.number) + " rows, got another number of them");
        count = own;
      } else if (!count.isOfCall()) {
        return error(op, "cannot tell that there are as many rows as the call has, or fewer");
      }
    }
    counts[value] = count;
    return llvm::Error::success();
  }

  llvm::Error visit(Operation *op, Known &counts) {
    if (auto call = dyn_cast<func::CallOp>(op))
      return visitCall(call, counts);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
      return visitSlice(slice, counts);
    if (isa<func::ReturnOp>(op))
      return llvm::Error::success();
    if (op->getNumResults() == 1 && op->getResult(0).getType().isIndex()) {
      counts[op->getResult(0)] = index(op, counts);
      return llvm::Error::success();
    }
    return visitRows(op, counts);
  }

  static Count index(Operation *op, const Known &counts) {
    if (std::optional<int64_t> number = getConstantIntValue(op->getResult(0)))
      return {Count::Constant, *number};
    if (auto dim = dyn_cast<tensor::DimOp>(op))
      return dim.getConstantIndex() == 0 ? counts.lookup(dim.getSource()) : Count();
    if (isa<arith::SubIOp>(op) && counts.lookup(op->getOperand(0)).kind == Count::Rows &&
        counts.lookup(op->getOperand(1)).kind == Count::Wanted)
      return {Count::Skipped};
    return {};
  }

  llvm::Error visitCall(func::CallOp call, Known &counts) {
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, call.getCalleeAttr());
    assert(callee && !callee.isExternal() && "memory has been planned");
    Counts arguments;
    for (Value operand : call.getOperands())
      arguments.push_back(counts.lookup(operand));
    llvm::Expected<Counts> results = run(callee, arguments);
    if (!results)
      return results.takeError();
    for (auto [value, count] : llvm::zip_equal(call.getResults(), *results))
      if (llvm::Error error = set(call, value, count, counts))
        return error;
    return llvm::Error::success();
  }

  llvm::Error visitSlice(tensor::ExtractSliceOp slice, Known &counts) {
    auto count = [&](OpFoldResult item) {
      if (std::optional<int64_t> number = getConstantIntValue(item))
        return Count{Count::Constant, *number};
      return counts.lookup(cast<Value>(item));
    };
    Count source = counts.lookup(slice.getSource());
    Count first = count(slice.getMixedOffsets()[0]), size = count(slice.getMixedSizes()[0]);
    bool fromStart = first == Count{Count::Constant, 0} && size == source;
    bool last =
        first.kind == Count::Skipped && size.kind == Count::Wanted && source.kind == Count::Rows;
    bool fixed = source.kind == Count::Constant && first.kind == Count::Constant &&
                 size.kind == Count::Constant && first.number >= 0 && size.number >= 0 &&
                 size.number <= source.number && first.number <= source.number - size.number;
    if (!fromStart && !last && !fixed)
      return error(slice,
                   "cannot tell that the rows lie inside the source: expected all of them, or "
                   "the last `wanted` ones");
    return set(slice, slice.getResult(), size, counts);
  }

  llvm::Error visitRows(Operation *op, Known &counts) {
    SmallVector<Value> rowValues = rowOperands(op);
    Count rows;
    if (auto angles = dyn_cast<RopeAnglesOp>(op))
      rows = counts.lookup(angles.getRows());
    for (auto [i, value] : llvm::enumerate(rowValues)) {
      Count found = counts.lookup(value);
      if (i != 0 && found != rows)
        return error(op, "operands have different numbers of rows");
      rows = found;
    }
    for (Value operand : op->getOperands())
      if (auto type = dyn_cast<RankedTensorType>(operand.getType()))
        if (!llvm::is_contained(rowValues, operand) && !type.hasStaticShape())
          return error(op, "expected a weight of a static shape");
    if (auto attention = dyn_cast<AttentionOp>(op))
      if (counts.lookup(attention.getPosition()).kind != Count::Position || !rows.isOfCall())
        return error(op, "expected the cache to be used at the entry's position, by rows of the "
                         "call");
    if (auto angles = dyn_cast<RopeAnglesOp>(op))
      if (counts.lookup(angles.getPosition()).kind != Count::Position)
        return error(op, "expected angles of the entry's position");
    if (auto embedding = dyn_cast<EmbeddingOp>(op))
      if (embedding.getTable().getType().getDimSize(0) < vocabulary)
        return error(op, "expected a table of " + Twine(vocabulary) + " rows, one an id, got " +
                             Twine(embedding.getTable().getType().getDimSize(0)));
    // A weight is as its type says.
    if (isa<LoadOp>(op))
      rows = {};
    for (Value result : op->getResults())
      if (llvm::Error error = set(op, result, rows, counts))
        return error;
    // A batch has one position a row of the call.
    if (isa<RopeAnglesOp>(op) && !rows.isOfCall())
      return error(op, "expected a row of angles for each row of the call");
    return llvm::Error::success();
  }

  int64_t vocabulary;
  std::map<std::pair<Operation *, Counts>, Counts> done; // looked up only
};

} // namespace

/// Argument and result types of a language model's entry.
static llvm::Error checkTypes(func::FuncOp entry, uint32_t vocabulary) {
  auto isRows = [](Type type, bool matrix) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.getRank() == (matrix ? 2 : 1) && tensor.isDynamicDim(0) &&
           (matrix ? tensor.getElementType().isF32() : tensor.getElementType().isInteger(32));
  };
  ArrayRef<Type> arguments = entry.getArgumentTypes(), results = entry.getResultTypes();
  bool inputs = arguments.size() >= 3 && isRows(arguments[0], false) && arguments[1].isIndex() &&
                arguments[2].isIndex() &&
                llvm::all_of(arguments.drop_front(3), llvm::IsaPred<ternary::KVCacheType>);
  bool outputs = results.size() == 1 && isRows(results[0], true) &&
                 cast<RankedTensorType>(results[0]).getDimSize(1) == int64_t(vocabulary);
  if (inputs && outputs)
    return llvm::Error::success();
  std::string found;
  llvm::raw_string_ostream(found) << entry.getFunctionType();
  return llvm::createStringError(
      "@" + entry.getSymName() +
      ": expected the entry of a language model to be (tensor<?xi32>, index, index, caches...) -> "
      "tensor<?x" +
      llvm::Twine(vocabulary) + "xf32>, found " + found);
}

llvm::Error checkLanguageModel(func::FuncOp entry, const tern_descriptor_t &numbers) {
  if (llvm::Error error = checkTypes(entry, numbers.vocabulary))
    return error;
  // Without an end, a session would not know how large its cache may become.
  if (numbers.max_positions == 0)
    return llvm::createStringError(
        "ternary.model: expected a language model to have max_positions, found none");
  Counts arguments = {{Count::Rows}, {Count::Position}, {Count::Wanted}};
  arguments.resize(entry.getNumArguments(), {Count::Cache});
  llvm::Expected<Counts> results = RowCheck(numbers.vocabulary).run(entry, arguments);
  if (!results)
    return results.takeError();
  if (results->front().kind != Count::Wanted)
    return llvm::createStringError("@" + entry.getSymName() +
                                   ": expected a language model to return the last `wanted` rows "
                                   "(its third argument)");
  return llvm::Error::success();
}

llvm::Error readModelNumbers(DictionaryAttr model, tern_descriptor_t &n) {
  struct {
    StringRef name;
    uint32_t &value;
    int64_t most;
  } fields[] = {{"vocabulary", n.vocabulary, 1 << 24},
                {"hidden", n.hidden, 1 << 24},
                {"layers", n.layers, 1 << 16},
                {"max_positions", n.max_positions, 1 << 28}};
  for (auto &field : fields) {
    Attribute attribute = model.get(field.name);
    if (!attribute)
      continue;
    auto number = dyn_cast<IntegerAttr>(attribute);
    if (!number || !number.getType().isInteger(64) || number.getInt() < 1 ||
        number.getInt() > field.most) {
      std::string found;
      llvm::raw_string_ostream(found) << attribute;
      return llvm::createStringError("ternary.model: expected " + field.name + " from 1 to " +
                                     llvm::Twine(field.most) + " : i64, found " + found);
    }
    field.value = static_cast<uint32_t>(number.getInt());
  }
  return llvm::Error::success();
}

} // namespace tern
