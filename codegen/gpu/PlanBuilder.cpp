//===- PlanBuilder.cpp - values, calls and results of plans ---------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/PlanBuilder.h"

#include "codegen/Places.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <cstring>

using namespace mlir;

namespace tern::gpu {

Linear constant(int64_t value) {
  Linear linear{};
  linear.constant = value;
  return linear;
}

Linear plus(const Linear &a, const Linear &b, int64_t factor) {
  Linear sum = a;
  sum.constant += b.constant * factor;
  sum.rows += b.rows * factor;
  sum.capacity += b.capacity * factor;
  for (unsigned i = 0; i < TERN_GPU_INDICES; ++i)
    sum.indices[i] += b.indices[i] * factor;
  return sum;
}

bool isSame(const Linear &a, const Linear &b) { return std::memcmp(&a, &b, sizeof a) == 0; }
bool isConstant(const Linear &a) { return isSame(a, constant(a.constant)); }

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

PlanBuilder::Step::Step(PlanBuilder &builder, const std::string &name)
    : builder(builder), kernel(*findKernel(name)) {
  bindings.resize(kernel.buffers.size());
  scalars.resize(kernel.scalars.size());
}

PlanBuilder::Step &PlanBuilder::Step::bind(StringRef name, const GpuPlace &place) {
  for (auto [i, buffer] : llvm::enumerate(kernel.buffers))
    if (buffer.name == name)
      bindings[i] = {place.base, place.number, place.offset};
  return *this;
}

PlanBuilder::Step &PlanBuilder::Step::set(StringRef name, const Linear &value) {
  for (auto [i, scalar] : llvm::enumerate(kernel.scalars))
    if (scalar.name == name)
      scalars[i] = value;
  return *this;
}

PlanBuilder::Step &PlanBuilder::Step::set(StringRef name, float value) {
  return set(name, constant(llvm::bit_cast<uint32_t>(value)));
}

void PlanBuilder::Step::run(const Linear &itemsX, const Linear &itemsY, uint32_t when) {
  Plan &plan = builder.plan;
  auto known = llvm::find(plan.kernels, &kernel);
  tern_gpu_step_t step{};
  step.kernel = static_cast<uint32_t>(known - plan.kernels.begin());
  if (known == plan.kernels.end())
    plan.kernels.push_back(&kernel);
  step.when = when;
  step.first_binding = static_cast<uint32_t>(plan.bindings.size());
  step.first_scalar = static_cast<uint32_t>(plan.scalars.size());
  step.items_x = itemsX;
  step.items_y = itemsY;
  plan.bindings.insert(plan.bindings.end(), bindings.begin(), bindings.end());
  plan.scalars.insert(plan.scalars.end(), scalars.begin(), scalars.end());
  plan.steps.push_back(step);
}

//===----------------------------------------------------------------------===//
// The entry and calls
//===----------------------------------------------------------------------===//

PlanBuilder::PlanBuilder(ModuleOp module, int64_t maxRows) : module(module), maxRows(maxRows) {
  for (auto weight : module.getOps<ternary::WeightOp>())
    if (std::optional<ArrayRef<int64_t>> section = weight.getSection())
      sections[weight.getSymName()] = (*section)[0];
}

LogicalResult PlanBuilder::entry(func::FuncOp function) {
  Frame top;
  frame = &top;
  int64_t inputs = 0, indices = 0, cacheBytes = 0;
  for (BlockArgument argument : function.getArguments()) {
    GpuPlace place;
    if (argument.getType().isIndex()) {
      if (indices == TERN_GPU_INDICES)
        return function.emitError("a plan takes at most ") << TERN_GPU_INDICES << " indices";
      top.numbers[argument].indices[indices++] = 1;
      continue;
    }
    if (auto cache = dyn_cast<ternary::KVCacheType>(argument.getType())) {
      place.base = TERN_GPU_CACHE;
      place.offset.capacity = cacheBytes;
      cacheBytes += cacheBytesPerPosition(cache);
    } else {
      auto type = cast<RankedTensorType>(argument.getType());
      place.base = TERN_GPU_INPUT;
      place.number = static_cast<uint32_t>(inputs++);
      place.stride = rowStride(type, /*dense=*/true);
      if (type.isDynamicDim(0))
        place.rows.rows = 1;
      else
        place.rows = constant(type.getDimSize(0));
      plan.tensors.push_back({static_cast<uint64_t>(place.stride), place.rows});
    }
    top.places[argument] = place;
  }
  for (auto [i, type] : llvm::enumerate(function.getResultTypes())) {
    GpuPlace place;
    place.base = TERN_GPU_OUTPUT;
    place.number = static_cast<uint32_t>(i);
    place.stride = rowStride(cast<RankedTensorType>(type), /*dense=*/true);
    top.results.push_back(place);
  }
  if (failed(this->function(function)))
    return failure();
  auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (auto [value, place] : llvm::zip_equal(ret.getOperands(), top.results))
    plan.tensors.push_back({static_cast<uint64_t>(place.stride), top.places[value].rows});
  return success();
}

LogicalResult PlanBuilder::function(func::FuncOp function) {
  // What is computed straight into its place among the results.
  auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (Operation &op : function.getBody().front())
    if (failed(operation(&op)))
      return failure();
  return returned(ret);
}

LogicalResult PlanBuilder::operation(Operation *op) {
  if (isa<ternary::LoadOp, tensor::DimOp, tensor::ExtractSliceOp, arith::ConstantOp, arith::AddIOp,
          arith::SubIOp, arith::MulIOp>(op))
    return view(op);
  if (auto callOp = dyn_cast<func::CallOp>(op))
    return call(callOp);
  if (isa<func::ReturnOp>(op))
    return success();
  return ternaryOp(op);
}

LogicalResult PlanBuilder::call(func::CallOp op) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, op.getCalleeAttr());
  if (!callee || callee.isExternal())
    return op.emitOpError("calls a function that is not here");
  if (failed(placeResults(op, Linear{})))
    return failure();
  Frame inner;
  // A callee's locals lie after its caller's.
  auto bytes =
      op->getParentOfType<func::FuncOp>()->getAttrOfType<IntegerAttr>("ternary.arena_bytes");
  inner.arena = frame->arena + (bytes ? bytes.getInt() : 0);
  for (auto [argument, operand] : llvm::zip_equal(callee.getArguments(), op.getOperands()))
    if (argument.getType().isIndex())
      inner.numbers[argument] = frame->numbers[operand];
    else
      inner.places[argument] = place(operand);
  for (Value result : op.getResults())
    inner.results.push_back(place(result));
  Frame *outer = std::exchange(frame, &inner);
  LogicalResult done = function(callee);
  frame = outer;
  if (failed(done))
    return failure();
  auto ret = cast<func::ReturnOp>(callee.getBody().front().getTerminator());
  for (auto [result, value] : llvm::zip_equal(op.getResults(), ret.getOperands()))
    frame->places[result].rows = inner.places[value].rows;
  return success();
}

LogicalResult PlanBuilder::returned(func::ReturnOp op) {
  for (auto [value, to] : llvm::zip_equal(op.getOperands(), frame->results)) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || type.getRank() != 2 || !type.getElementType().isF32())
      return op.emitOpError("expected f32 matrices as results, got ") << value.getType();
    if (!place(value).isSamePlace(to))
      copyRows(place(value), to, type.getDimSize(1));
  }
  return success();
}

LogicalResult PlanBuilder::placeResults(Operation *op, const Linear &rows) {
  auto offsets = op->getAttrOfType<DenseI64ArrayAttr>("ternary.arena");
  for (OpResult result : op->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    GpuPlace place;
    unsigned number = result.getResultNumber();
    int64_t offset = offsets && number < static_cast<size_t>(offsets.size()) ? offsets[number] : -1;
    auto user = llvm::find_if(result.getUses(),
                              [](OpOperand &use) { return isa<func::ReturnOp>(use.getOwner()); });
    bool returns = user != result.use_end();
    // The entry's results go straight to the caller, whatever was planned for them.
    bool direct = returns && result.hasOneUse() && !isa<func::CallOp>(op) &&
                  frame->results[user->getOperandNumber()].base == TERN_GPU_OUTPUT;
    if (offset >= 0 && !direct) {
      place.offset = constant(frame->arena + offset);
      place.stride = rowStride(type);
    } else if (returns) {
      place = frame->results[user->getOperandNumber()];
    } else {
      return op->emitOpError("expected an arena offset for result #")
             << number << "; run ternary-plan-memory";
    }
    place.rows = type.isDynamicDim(0) ? rows : constant(type.getDimSize(0));
    frame->places[result] = place;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Ops that only name values
//===----------------------------------------------------------------------===//

Linear PlanBuilder::number(OpFoldResult value) {
  std::optional<int64_t> known = getConstantIntValue(value);
  return known ? constant(*known) : frame->numbers[cast<Value>(value)];
}

LogicalResult PlanBuilder::slice(tensor::ExtractSliceOp op) {
  auto type = op.getType();
  if (type.getRank() != op.getSourceType().getRank() || type.getRank() > 2 ||
      !type.getElementType().isIntOrFloat() ||
      llvm::any_of(op.getMixedStrides(), [](OpFoldResult s) { return !isConstantIntValue(s, 1); }))
    return op.emitOpError("expected a slice of whole elements, stride 1, of a matrix");
  GpuPlace view = place(op.getSource());
  SmallVector<OpFoldResult> offsets = op.getMixedOffsets(), sizes = op.getMixedSizes();
  view.offset = plus(view.offset, number(offsets[0]), view.stride);
  if (type.getRank() == 2) {
    std::optional<int64_t> column = getConstantIntValue(offsets[1]);
    if (!column)
      return op.emitOpError("expected a constant first column");
    int64_t bytes = type.getElementType().getIntOrFloatBitWidth() / 8;
    view.offset = plus(view.offset, constant(*column * bytes));
  }
  view.rows = number(sizes[0]);
  frame->places[op.getResult()] = view;
  return success();
}

LogicalResult PlanBuilder::view(Operation *op) {
  if (auto load = dyn_cast<ternary::LoadOp>(op)) {
    auto found = sections.find(load.getWeight());
    if (found == sections.end())
      return load.emitOpError("weight @") << load.getWeight() << " has no section";
    GpuPlace place;
    place.base = TERN_GPU_WEIGHTS;
    place.offset = constant(found->second);
    place.rows = constant(load.getType().getDimSize(0));
    place.stride = rowStride(cast<RankedTensorType>(load.getType()));
    frame->places[load.getResult()] = place;
    return success();
  }
  if (auto sliceOp = dyn_cast<tensor::ExtractSliceOp>(op))
    return slice(sliceOp);
  Value result = op->getResult(0);
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    auto type = cast<RankedTensorType>(dim.getSource().getType());
    if (!index || *index < 0 || *index >= type.getRank())
      return dim.emitOpError("expected the constant number of a dimension");
    frame->numbers[result] =
        *index ? constant(type.getDimSize(*index)) : place(dim.getSource()).rows;
    return success();
  }
  if (!result.getType().isIndex())
    return op->emitOpError("is not supported on values of type ") << result.getType();
  if (auto number = dyn_cast<arith::ConstantOp>(op)) {
    frame->numbers[result] = constant(cast<IntegerAttr>(number.getValue()).getInt());
    return success();
  }
  Linear left = frame->numbers[op->getOperand(0)], right = frame->numbers[op->getOperand(1)];
  if (isa<arith::MulIOp>(op)) {
    if (!isConstant(left) && !isConstant(right))
      return op->emitOpError("a plan has no products of two numbers that calls give");
    frame->numbers[result] = isConstant(left) ? plus(Linear{}, right, left.constant)
                                              : plus(Linear{}, left, right.constant);
    return success();
  }
  frame->numbers[result] = plus(left, right, isa<arith::AddIOp>(op) ? 1 : -1);
  return success();
}

//===----------------------------------------------------------------------===//
// Whole plans
//===----------------------------------------------------------------------===//

llvm::Expected<Plan> buildPlan(func::FuncOp entry, int64_t maxRows) {
  std::string errors;
  ScopedDiagnosticHandler handler(entry.getContext(), [&](Diagnostic &diagnostic) {
    errors += (errors.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  PlanBuilder builder(entry->getParentOfType<ModuleOp>(), maxRows);
  if (failed(builder.entry(entry)))
    return llvm::createStringError("planning for the GPU: " + errors);
  return builder.take();
}

std::vector<std::string> Plan::kernelNames() const {
  std::vector<std::string> names;
  for (const KernelInfo *kernel : kernels)
    names.push_back(kernel->name);
  return names;
}

namespace {
/// Tables one after another, each 8-aligned.
class Blob {
public:
  template <typename T> uint64_t append(const std::vector<T> &table) {
    bytes.resize((bytes.size() + 7) / 8 * 8);
    uint64_t at = bytes.size();
    bytes.append(reinterpret_cast<const char *>(table.data()), table.size() * sizeof(T));
    return at;
  }
  std::string bytes;
};
} // namespace

std::string Plan::serialize(const DescriptorInfo &info) const {
  const tern_descriptor_t &n = info.numbers;
  tern_gpu_plan_t head{};
  std::memcpy(head.magic, TERN_GPU_PLAN_MAGIC, sizeof head.magic);
  std::memcpy(head.layout_id, info.layoutId.data(), sizeof head.layout_id);
  std::vector<char> strings;
  auto string = [&](StringRef text) {
    auto at = static_cast<uint32_t>(strings.size());
    strings.insert(strings.end(), text.begin(), text.end());
    strings.push_back(0);
    return at;
  };
  head.compiler_version = string(TERN_VERSION);
  std::vector<tern_gpu_kernel_t> table;
  for (const KernelInfo *kernel : kernels)
    table.push_back({string(kernel->name), static_cast<uint32_t>(kernel->buffers.size()),
                     static_cast<uint32_t>(kernel->scalars.size()),
                     static_cast<uint32_t>(kernel->threads), static_cast<uint32_t>(kernel->itemsX),
                     static_cast<uint32_t>(kernel->itemsY),
                     static_cast<uint32_t>(kernel->sharedBytes()), 0});
  Blob blob;
  blob.bytes.resize(sizeof head);
  auto place = [&](const auto &list, uint32_t &count, uint64_t &at) {
    count = static_cast<uint32_t>(list.size());
    at = blob.append(list);
  };
  place(table, head.kernel_count, head.kernels_at);
  place(steps, head.step_count, head.steps_at);
  place(bindings, head.binding_count, head.bindings_at);
  place(scalars, head.scalar_count, head.scalars_at);
  place(angles, head.angles_count, head.angles_at);
  place(frequencies, head.frequency_count, head.frequencies_at);
  place(tensors, head.tensor_count, head.tensors_at);
  place(strings, head.string_bytes, head.strings_at);
  head.total_bytes = blob.bytes.size();
  head.arena_bytes = n.arena_bytes;
  head.kv_bytes_per_position = n.kv_bytes_per_position;
  head.scratch_bytes_per_position = scratchBytesPerPosition;
  head.host_bytes = hostBytes;
  head.weights_bytes = n.weights_bytes;
  head.max_rows = n.max_rows;
  head.vocabulary = n.vocabulary;
  head.hidden = n.hidden;
  head.layers = n.layers;
  head.max_positions = n.max_positions;
  head.input_count = n.input_count;
  head.index_count = n.index_count;
  head.output_count = n.output_count;
  std::memcpy(blob.bytes.data(), &head, sizeof head);
  return std::move(blob.bytes);
}

} // namespace tern::gpu
