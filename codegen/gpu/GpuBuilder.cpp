//===- GpuBuilder.cpp - the words GPU kernels are written in --------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/GpuBuilder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace tern::gpu {

GpuBuilder::GpuBuilder(mlir::gpu::GPUModuleOp module)
    : ImplicitLocOpBuilder(module.getLoc(), module.getContext()), module(module) {}

VectorType GpuBuilder::quadType() { return VectorType::get({4}, getI32Type()); }

static Type elementType(OpBuilder &b, Element element) {
  switch (element) {
  case Element::I8:
    return b.getI8Type();
  case Element::I32:
    return b.getI32Type();
  case Element::F32:
    return b.getF32Type();
  case Element::F16:
  case Element::BF16:
    return b.getIntegerType(16);
  case Element::Quad:
    return VectorType::get({4}, b.getI32Type());
  }
  llvm_unreachable("all elements are handled");
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

void GpuBuilder::kernel(const KernelInfo &kernel) {
  info = &kernel;
  SmallVector<Type> types, shared;
  SmallVector<Attribute> names;
  for (const KernelInfo::Buffer &buffer : kernel.buffers) {
    types.push_back(MemRefType::get({ShapedType::kDynamic}, elementType(*this, buffer.element)));
    names.push_back(getStringAttr(buffer.name));
  }
  for (const KernelInfo::Scalar &scalar : kernel.scalars) {
    types.push_back(scalar.isFloat ? Type(getF32Type()) : Type(getI32Type()));
    names.push_back(getStringAttr(scalar.name));
  }
  if (kernel.sharedCount)
    shared.push_back(MemRefType::get(
        {kernel.sharedCount}, elementType(*this, kernel.sharedElement), MemRefLayoutAttrInterface(),
        mlir::gpu::AddressSpaceAttr::get(getContext(), mlir::gpu::AddressSpace::Workgroup)));
  setInsertionPointToEnd(module.getBody());
  current = mlir::gpu::GPUFuncOp::create(*this, kernel.name, getFunctionType(types, {}), shared);
  current->setAttr(mlir::gpu::GPUDialect::getKernelFuncAttrName(), getUnitAttr());
  current->setAttr("tern.names", getArrayAttr(names));
  current->setAttr("tern.comment", getStringAttr(kernel.comment));
  current.setKnownBlockSizeAttr(getDenseI32ArrayAttr({static_cast<int32_t>(kernel.threads), 1, 1}));
  setInsertionPointToStart(&current.getBody().front());
  kernel.build(*this, kernel);
  mlir::gpu::ReturnOp::create(*this);
}

Nums GpuBuilder::function(StringRef name, StringRef comment, TypeRange arguments, Type result) {
  setInsertionPointToEnd(module.getBody());
  auto function = func::FuncOp::create(*this, name, getFunctionType(arguments, result));
  function.setPrivate();
  function->setAttr("tern.comment", getStringAttr(comment));
  Block *entry = function.addEntryBlock();
  setInsertionPointToStart(entry);
  Nums values;
  for (Value argument : entry->getArguments())
    values.push_back(wrap(argument));
  return values;
}

void GpuBuilder::finish(Num result) { func::ReturnOp::create(*this, result.value); }

Num GpuBuilder::call(StringRef function, ArrayRef<Num> arguments) {
  auto callee = module.lookupSymbol<func::FuncOp>(function);
  SmallVector<Value> values;
  for (Num argument : arguments)
    values.push_back(argument.value);
  auto call = func::CallOp::create(*this, callee, values);
  note(call);
  return wrap(call.getResult(0));
}

//===----------------------------------------------------------------------===//
// Memory and threads
//===----------------------------------------------------------------------===//

Num GpuBuilder::scalar(StringRef name) {
  for (auto [i, scalar] : llvm::enumerate(info->scalars))
    if (scalar.name == name)
      return wrap(current.getArgument(static_cast<unsigned>(info->buffers.size() + i)));
  llvm_unreachable("the kernel has no such scalar");
}

Value GpuBuilder::buffer(StringRef name) {
  for (auto [i, buffer] : llvm::enumerate(info->buffers))
    if (buffer.name == name)
      return current.getArgument(static_cast<unsigned>(i));
  llvm_unreachable("the kernel has no such buffer");
}

Value GpuBuilder::index(Num value) {
  return createOrFold<arith::IndexCastUIOp>(getIndexType(), value.value);
}

void GpuBuilder::note(Operation *op) {
  if (pendingComment.empty())
    return;
  op->setAttr("tern.comment", getStringAttr(pendingComment));
  pendingComment.clear();
}

void GpuBuilder::comment(StringRef text) { pendingComment = text.str(); }

Num GpuBuilder::name(StringRef name, Num value) {
  if (Operation *op = value.value.getDefiningOp())
    op->setLoc(NameLoc::get(getStringAttr(name)));
  return value;
}

Num GpuBuilder::load(StringRef name, Num at) {
  auto op = memref::LoadOp::create(*this, buffer(name), ValueRange{index(at)});
  note(op);
  return wrap(op.getResult());
}

void GpuBuilder::store(Num value, StringRef name, Num at) {
  note(memref::StoreOp::create(*this, value.value, buffer(name), ValueRange{index(at)}));
}

Num GpuBuilder::loadShared(Num at) {
  auto op =
      memref::LoadOp::create(*this, current.getWorkgroupAttributions()[0], ValueRange{index(at)});
  note(op);
  return wrap(op.getResult());
}

void GpuBuilder::storeShared(Num value, Num at) {
  note(memref::StoreOp::create(*this, value.value, current.getWorkgroupAttributions()[0],
                               ValueRange{index(at)}));
}

static Num fromIndex(GpuBuilder &b, Value index) {
  return b.wrap(arith::IndexCastUIOp::create(b, b.getI32Type(), index));
}

Num GpuBuilder::thread() {
  return fromIndex(*this, mlir::gpu::ThreadIdOp::create(*this, mlir::gpu::Dimension::x));
}
Num GpuBuilder::lane() {
  return fromIndex(*this, mlir::gpu::LaneIdOp::create(*this, /*upper_bound=*/IntegerAttr()));
}
Num GpuBuilder::simdgroup() { return name("simdgroup", thread() / kSimdWidth); }
Num GpuBuilder::group(int dimension) {
  return fromIndex(
      *this, mlir::gpu::BlockIdOp::create(*this, static_cast<mlir::gpu::Dimension>(dimension)));
}
void GpuBuilder::barrier() { note(mlir::gpu::BarrierOp::create(*this)); }

Num GpuBuilder::shuffleXor(Num value, int lanes) {
  auto op = mlir::gpu::ShuffleOp::create(*this, value.value, i32(lanes).value,
                                         i32(kSimdWidth).value, mlir::gpu::ShuffleMode::XOR);
  note(op);
  return wrap(op.getShuffleResult());
}

Num GpuBuilder::simdSum(Num value, int from, int to) {
  for (int lanes = from; lanes >= to; lanes /= 2)
    value = value + shuffleXor(value, lanes);
  return value;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

template <typename Op, typename... Args> Value GpuBuilder::make(Args &&...args) {
  return createOrFold<Op>(std::forward<Args>(args)...);
}

Num GpuBuilder::i32(int64_t value) {
  return wrap(arith::ConstantOp::create(*this, getI32IntegerAttr(static_cast<int32_t>(value))));
}
Num GpuBuilder::f32(float value) {
  return wrap(arith::ConstantOp::create(*this, getF32FloatAttr(value)));
}
Num GpuBuilder::toFloat(Num value) {
  return wrap(make<arith::SIToFPOp>(getF32Type(), value.value));
}
Num GpuBuilder::toInt(Num value) { return wrap(make<arith::FPToSIOp>(getI32Type(), value.value)); }
Num GpuBuilder::signedByte(Num value) {
  return wrap(make<arith::ExtSIOp>(getI32Type(), value.value));
}
Num GpuBuilder::lowByte(Num value) { return wrap(make<arith::TruncIOp>(getI8Type(), value.value)); }
Num GpuBuilder::bits(Num value) {
  Type type = value.isFloat() ? Type(getI32Type()) : Type(getF32Type());
  return wrap(make<arith::BitcastOp>(type, value.value));
}
Num GpuBuilder::shiftRightSigned(Num value, int64_t bits) {
  return wrap(make<arith::ShRSIOp>(value.value, i32(bits).value));
}
static Value low16(GpuBuilder &b, Num bits) {
  Type i16 = b.getIntegerType(16);
  return bits.value.getType() == i16 ? bits.value
                                     : b.createOrFold<arith::TruncIOp>(i16, bits.value);
}
Num GpuBuilder::half(Num bits16) {
  Value half = make<arith::BitcastOp>(getF16Type(), low16(*this, bits16));
  return wrap(make<arith::ExtFOp>(getF32Type(), half));
}
Num GpuBuilder::brainFloat(Num bits16) {
  return bits(wrap(make<arith::ExtUIOp>(getI32Type(), low16(*this, bits16))) << 16);
}
Num GpuBuilder::element(Num quad, int64_t at) {
  return wrap(vector::ExtractOp::create(*this, quad.value, ArrayRef<int64_t>{at}));
}
Num GpuBuilder::zeroQuad() {
  return wrap(arith::ConstantOp::create(*this, getZeroAttr(quadType())));
}
Num GpuBuilder::select(Num condition, Num yes, Num no) {
  return wrap(make<arith::SelectOp>(condition.value, yes.value, no.value));
}
Num GpuBuilder::sqrt(Num value) { return wrap(math::SqrtOp::create(*this, value.value)); }
Num GpuBuilder::rint(Num value) { return wrap(math::RoundEvenOp::create(*this, value.value)); }
Num GpuBuilder::abs(Num value) { return wrap(math::AbsFOp::create(*this, value.value)); }
Num GpuBuilder::fusedMultiplyAdd(Num a, Num b, Num c) {
  return wrap(math::FmaOp::create(*this, a.value, b.value, c.value));
}
Num GpuBuilder::negate(Num value) { return wrap(arith::NegFOp::create(*this, value.value)); }
Num GpuBuilder::larger(Num a, Num b) { return select(a > b, a, b); }
Num GpuBuilder::smaller(Num a, Num b) { return select(a < b, a, b); }

#define TERN_NUM_OPERATOR(SYMBOL, FLOAT, INT)                                                      \
  Num operator SYMBOL(Num a, Num b) {                                                              \
    return a.b->wrap(a.isFloat() ? a.b->createOrFold<arith::FLOAT>(a.value, b.value)               \
                                 : a.b->createOrFold<arith::INT>(a.value, b.value));               \
  }
TERN_NUM_OPERATOR(+, AddFOp, AddIOp)
TERN_NUM_OPERATOR(-, SubFOp, SubIOp)
TERN_NUM_OPERATOR(*, MulFOp, MulIOp)
TERN_NUM_OPERATOR(/, DivFOp, DivSIOp)
TERN_NUM_OPERATOR(%, RemFOp, RemSIOp)
#undef TERN_NUM_OPERATOR

Num operator&(Num a, Num b) {
  return a.b->wrap(a.b->createOrFold<arith::AndIOp>(a.value, b.value));
}
Num operator|(Num a, Num b) { return a.b->wrap(a.b->createOrFold<arith::OrIOp>(a.value, b.value)); }
Num operator<<(Num a, int64_t bits) {
  return a.b->wrap(a.b->createOrFold<arith::ShLIOp>(a.value, a.b->i32(bits).value));
}
Num operator>>(Num a, int64_t bits) {
  return a.b->wrap(a.b->createOrFold<arith::ShRUIOp>(a.value, a.b->i32(bits).value));
}

static Num compare(Num a, Num b, arith::CmpFPredicate floats, arith::CmpIPredicate ints) {
  if (a.isFloat())
    return a.b->wrap(arith::CmpFOp::create(*a.b, floats, a.value, b.value));
  return a.b->wrap(arith::CmpIOp::create(*a.b, ints, a.value, b.value));
}
Num operator<(Num a, Num b) {
  return compare(a, b, arith::CmpFPredicate::OLT, arith::CmpIPredicate::slt);
}
Num operator>(Num a, Num b) {
  return compare(a, b, arith::CmpFPredicate::OGT, arith::CmpIPredicate::sgt);
}
Num operator==(Num a, Num b) {
  return compare(a, b, arith::CmpFPredicate::OEQ, arith::CmpIPredicate::eq);
}

Num operator+(Num a, int64_t b) { return b ? a + a.b->i32(b) : a; }
Num operator-(Num a, int64_t b) { return a - a.b->i32(b); }
Num operator*(Num a, int64_t b) { return b == 1 ? a : a * a.b->i32(b); }
Num operator/(Num a, int64_t b) { return a / a.b->i32(b); }
Num operator%(Num a, int64_t b) { return a % a.b->i32(b); }
Num operator&(Num a, int64_t b) { return a & a.b->i32(b); }
Num operator<(Num a, int64_t b) { return a < a.b->i32(b); }
Num operator==(Num a, int64_t b) { return a == a.b->i32(b); }

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

Nums GpuBuilder::loop(StringRef index, Num begin, Num end, int64_t step, ArrayRef<Num> init,
                      function_ref<Nums(Num, ArrayRef<Num>)> body) {
  SmallVector<Value> values;
  for (Num one : init)
    values.push_back(one.value);
  auto loop = scf::ForOp::create(*this, begin.value, end.value, i32(step).value, values);
  loop->setLoc(NameLoc::get(getStringAttr(index)));
  note(loop);
  {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPointToStart(loop.getBody());
    Nums state, next;
    for (Value one : loop.getRegionIterArgs())
      state.push_back(wrap(one));
    next = body(wrap(loop.getInductionVar()), state);
    values.clear();
    for (Num one : next)
      values.push_back(one.value);
    // A loop without state has its terminator already.
    if (!values.empty())
      scf::YieldOp::create(*this, values);
  }
  Nums results;
  for (Value one : loop.getResults())
    results.push_back(wrap(one));
  return results;
}

void GpuBuilder::loop(StringRef index, Num begin, Num end, int64_t step,
                      function_ref<void(Num)> body) {
  loop(index, begin, end, step, {}, [&](Num i, ArrayRef<Num>) {
    body(i);
    return Nums{};
  });
}

void GpuBuilder::when(Num condition, function_ref<void()> body) {
  auto branch = scf::IfOp::create(*this, condition.value, /*withElseRegion=*/false);
  note(branch);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  body();
}

Num GpuBuilder::choose(Num condition, function_ref<Num()> yes, function_ref<Num()> no) {
  // Built apart first: the type of the result is that of the branches.
  auto region = [&](function_ref<Num()> build, OpBuilder &b, Location) {
    OpBuilder::InsertionGuard guard(*this);
    setInsertionPoint(b.getInsertionBlock(), b.getInsertionPoint());
    scf::YieldOp::create(*this, build().value);
  };
  auto branch = scf::IfOp::create(
      *this, condition.value, [&](OpBuilder &b, Location loc) { region(yes, b, loc); },
      [&](OpBuilder &b, Location loc) { region(no, b, loc); });
  note(branch);
  return wrap(branch.getResult(0));
}

} // namespace tern::gpu
