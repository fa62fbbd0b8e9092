//===- LinkRowKernels.cpp - Halide bitcode into a model's module ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model calls plain functions (tern_row_*). Here each gets its body, which wraps the operands
// into halide_buffer_t structures and calls the Halide function or functions; inlining dissolves
// the structures.
//
//===----------------------------------------------------------------------===//

#include "codegen/HalideKernels.h"
#include "codegen/Target.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Transforms/Utils/LowerMemIntrinsics.h"

using namespace llvm;

// Made by codegen/halide/CMakeLists.txt.
extern "C" const char tern_halide_x86_64_v4[], tern_halide_x86_64_v4_end[];
extern "C" const char tern_halide_x86_64_v3[], tern_halide_x86_64_v3_end[];
extern "C" const char tern_halide_x86_64[], tern_halide_x86_64_end[];
extern "C" const char tern_halide_aarch64[], tern_halide_aarch64_end[];

namespace tern {

namespace {

struct Bitcode {
  const char *level;
  const char *begin;
  const char *end;
};
const Bitcode kBitcode[] = {
    {"x86-64-v4", tern_halide_x86_64_v4, tern_halide_x86_64_v4_end},
    {"x86-64-v3", tern_halide_x86_64_v3, tern_halide_x86_64_v3_end},
    {"x86-64", tern_halide_x86_64, tern_halide_x86_64_end},
    {"aarch64", tern_halide_aarch64, tern_halide_aarch64_end},
};

Expected<std::unique_ptr<llvm::Module>> parseLevel(LLVMContext &context, const Target &target) {
  const Bitcode *found =
      find_if(kBitcode, [&](const Bitcode &bitcode) { return target.rowKernels == bitcode.level; });
  if (found == std::end(kBitcode))
    return createStringError("row kernels: no bitcode for target '" + target.name + "'");
  StringRef bytes(found->begin, static_cast<size_t>(found->end - found->begin));
  return parseBitcodeFile(MemoryBufferRef(bytes, "tern_rows"), context);
}

/// Halide takes an output that a later stage reads for an aligned allocation of its own. Only
/// stack storage is known to be aligned.
void lowerAlignment(Instruction &instruction) {
  const Value *pointer = getLoadStorePointerOperand(&instruction);
  if (!pointer || isa<AllocaInst>(getUnderlyingObject(pointer, /*MaxLookup=*/0)))
    return;
  Type *element = getLoadStoreType(&instruction)->getScalarType();
  if (!element->isIntegerTy() && !element->isFloatTy())
    return;
  Align natural(element->getScalarSizeInBits() / 8);
  if (auto *load = dyn_cast<LoadInst>(&instruction))
    load->setAlignment(std::min(load->getAlign(), natural));
  else if (auto *store = dyn_cast<StoreInst>(&instruction))
    store->setAlignment(std::min(store->getAlign(), natural));
}

/// Halide's metadata speaks of its own code generator, and its alias classes hold for one kernel
/// only: two kernels inlined into one function may well share a buffer.
void dropAssumptions(llvm::Module &rows) {
  while (!rows.named_metadata_empty())
    rows.eraseNamedMetadata(&*rows.named_metadata_begin());
  for (Function &function : rows)
    for (Instruction &instruction : instructions(function)) {
      instruction.setMetadata(LLVMContext::MD_tbaa, nullptr);
      lowerAlignment(instruction);
    }
}

/// Compiled models have no libc: fills of a known size become vector stores, fills and copies of a
/// size only known at run time become loops.
void expandMemoryCalls(Function &function) {
  TargetTransformInfo costs(function.getDataLayout());
  SmallVector<MemIntrinsic *> calls;
  for (Instruction &instruction : instructions(function))
    if (auto *call = dyn_cast<MemIntrinsic>(&instruction))
      calls.push_back(call);
  for (MemIntrinsic *call : calls) {
    auto *set = dyn_cast<MemSetInst>(call);
    auto *length = dyn_cast<ConstantInt>(call->getLength());
    if (set && length && length->getZExtValue() <= 512) {
      IRBuilder<> builder(call);
      for (uint64_t at = 0, bytes = length->getZExtValue(); at < bytes; at += 64)
        builder.CreateAlignedStore(
            builder.CreateVectorSplat(std::min<uint64_t>(bytes - at, 64), set->getValue()),
            builder.CreateConstGEP1_64(builder.getInt8Ty(), set->getDest(), at), Align(1));
    } else if (set) {
      expandMemSetAsLoop(set);
    } else if (auto *copy = dyn_cast<MemCpyInst>(call)) {
      expandMemCpyAsLoop(copy, costs);
    } else {
      continue;
    }
    call->eraseFromParent();
  }
}

/// The one function Halide's code calls: a half float's value, by the level's own instruction.
/// Halide asks for each lane of a vector; a vector asked for whole is converted whole.
void defineFromF16(llvm::Module &rows) {
  Function *function = rows.getFunction("tern_halide_from_f16");
  if (!function)
    return;
  MapVector<Value *, SmallVector<std::pair<uint64_t, CallInst *>>> vectors;
  for (User *user : function->users()) {
    auto *call = cast<CallInst>(user);
    if (auto *lane = dyn_cast<ExtractElementInst>(call->getArgOperand(0)))
      if (auto *index = dyn_cast<ConstantInt>(lane->getIndexOperand()))
        vectors[lane->getVectorOperand()].push_back({index->getZExtValue(), call});
  }
  auto convert = [](IRBuilder<> &builder, Value *bits) {
    Type *half = bits->getType()->getWithNewType(builder.getHalfTy());
    Type *single = bits->getType()->getWithNewType(builder.getFloatTy());
    return builder.CreateFPExt(builder.CreateBitCast(bits, half), single);
  };
  for (auto &[bits, lanes] : vectors) {
    auto *source = dyn_cast<LoadInst>(bits);
    if (!source || lanes.size() < cast<FixedVectorType>(bits->getType())->getNumElements())
      continue;
    IRBuilder<> builder(source->getNextNode());
    Value *values = convert(builder, source);
    for (auto [lane, call] : lanes) {
      call->replaceAllUsesWith(builder.CreateExtractElement(values, lane));
      call->eraseFromParent();
    }
  }
  IRBuilder<> builder(BasicBlock::Create(rows.getContext(), "", function));
  builder.CreateRet(convert(builder, function->getArg(0)));
}

/// Halide asks for lines that bypass the caches, which hides little latency: they shall come into
/// the second level, which waits for more lines at once than the first, and be asked for again
/// shortly before their use.
void prefetchIntoCaches(llvm::Module &rows) {
  constexpr int64_t kLater = 7168;
  SmallVector<IntrinsicInst *> prefetches;
  for (Function &function : rows)
    for (Instruction &instruction : instructions(function))
      if (auto *call = dyn_cast<IntrinsicInst>(&instruction);
          call && call->getIntrinsicID() == Intrinsic::prefetch)
        prefetches.push_back(call);
  for (IntrinsicInst *first : prefetches) {
    IRBuilder<> builder(first);
    first->setArgOperand(2, builder.getInt32(2));
    auto *again = cast<IntrinsicInst>(first->clone());
    again->setArgOperand(2, builder.getInt32(3));
    again->setArgOperand(0, builder.CreateGEP(builder.getInt8Ty(), first->getArgOperand(0),
                                              builder.getInt64(static_cast<uint64_t>(-kLater))));
    again->insertAfter(first->getIterator());
  }
}

/// Writes the body of one tern_row_* function.
class Wrapper {
public:
  Wrapper(Function &function, llvm::Module &rows)
      : function(function), rows(rows), context(function.getContext()),
        builder(BasicBlock::Create(context, "", &function)) {
    Type *i32 = builder.getInt32Ty(), *i64 = builder.getInt64Ty(), *ptr = builder.getPtrTy();
    bufferType = StructType::get(context, {i64, ptr, ptr, i64, i32, i32, ptr, ptr});
    for (Argument &argument : function.args())
      (argument.getType()->isPointerTy() ? pointers : scalars).push_back(&argument);
  }

  void build() {
    StringRef name = function.getName();
    name.consume_front("tern_row_");
    if (name == "rope")
      scalars.push_back(builder.CreateLShr(scalars[1], 1));
    call(name, pointers, scalars);
    if (name == "rope")
      zeroPadding(builder.CreateMul(scalars[0], scalars[1]));
    if (name == "rope_angles")
      zeroPadding(builder.CreateShl(scalars[1], 1));
    builder.CreateRetVoid();
  }

private:
  /// The Halide function takes buffers and scalars in its own order; among buffers and among
  /// scalars the order is ours.
  void call(StringRef name, ArrayRef<Value *> buffers, ArrayRef<Value *> numbers) {
    std::string symbol = ("tern_halide_" + name).str();
    Function *source = rows.getFunction(symbol);
    assert(source && "every kernel has its Halide function");
    FunctionCallee callee =
        function.getParent()->getOrInsertFunction(symbol, source->getFunctionType());
    SmallVector<Value *> arguments;
    for (Type *type : source->getFunctionType()->params()) {
      if (type->isPointerTy()) {
        arguments.push_back(buffer(buffers.consume_front()));
        continue;
      }
      Value *number = numbers.consume_front();
      arguments.push_back(type->isIntegerTy(32) ? builder.CreateTrunc(number, type) : number);
    }
    builder.CreateCall(callee, arguments);
  }

  Value *buffer(Value *host) {
    // Minima, extents and strides: the kernels take those they need as scalars.
    auto *dimensions = ArrayType::get(builder.getInt32Ty(), 3 * 4);
    IRBuilder<> entry(&function.getEntryBlock(), function.getEntryBlock().begin());
    AllocaInst *storage = entry.CreateAlloca(bufferType), *dims = entry.CreateAlloca(dimensions);
    builder.CreateStore(ConstantAggregateZero::get(dimensions), dims);
    Value *value = ConstantAggregateZero::get(bufferType);
    value = builder.CreateInsertValue(value, host, 2);
    value = builder.CreateInsertValue(value, dims, 6);
    builder.CreateStore(value, storage);
    return storage;
  }

  void zeroPadding(Value *n) { call("zero_padding", pointers.back(), n); }

  Function &function;
  llvm::Module &rows;
  LLVMContext &context;
  IRBuilder<> builder;
  StructType *bufferType;
  SmallVector<Value *> pointers, scalars;
};

void setAttributes(Function &function, const Target &target) {
  function.setAttributes({});
  function.setLinkage(GlobalValue::InternalLinkage);
  function.addFnAttr(Attribute::NoUnwind);
  function.addFnAttr("target-cpu", target.cpu);
  function.addFnAttr("target-features", target.features);
  if (!target.tune.empty())
    function.addFnAttr("tune-cpu", target.tune);
}

} // namespace

Error linkRowKernels(llvm::Module &module, const Target &target) {
  SmallVector<Function *> wanted;
  for (Function &function : module)
    if (function.isDeclaration() && function.getName().starts_with("tern_row_"))
      wanted.push_back(&function);
  if (wanted.empty())
    return Error::success();

  Expected<std::unique_ptr<llvm::Module>> rows = parseLevel(module.getContext(), target);
  if (!rows)
    return rows.takeError();
  (*rows)->setDataLayout(module.getDataLayout());
  (*rows)->setTargetTriple(module.getTargetTriple());
  dropAssumptions(**rows);
  defineFromF16(**rows);
  prefetchIntoCaches(**rows);
  for (Function *function : wanted) {
    Wrapper(*function, **rows).build();
    setAttributes(*function, target);
    // One copy of each kernel: rows are long, a call is nothing beside them.
    function->addFnAttr(Attribute::NoInline);
  }
  if (Linker::linkModules(module, std::move(*rows), Linker::Flags::LinkOnlyNeeded))
    return createStringError("row kernels: cannot link the bitcode of target '" + target.name +
                             "'");
  for (Function &function : module) {
    if (function.isDeclaration() || !function.getName().starts_with("tern_halide_"))
      continue;
    setAttributes(function, target);
    function.addFnAttr(Attribute::AlwaysInline);
    expandMemoryCalls(function);
  }
  return Error::success();
}

} // namespace tern
