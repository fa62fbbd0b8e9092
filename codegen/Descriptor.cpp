//===- Descriptor.cpp - abi.h's structs as LLVM constants -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Descriptor.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/IRBuilder.h"

#include <cstddef>

using namespace tern;

// The constants below list the fields in order and rely on natural alignment; a change of abi.h
// must stop here.
static_assert(sizeof(tern_kernel_t) == 32 && offsetof(tern_kernel_t, packing) == 16);
static_assert(sizeof(tern_variant_t) == 40 && offsetof(tern_variant_t, kernels) == 24);
static_assert(sizeof(tern_descriptor_t) == 128 && offsetof(tern_descriptor_t, layout_id) == 24 &&
              offsetof(tern_descriptor_t, variants) == 40 &&
              offsetof(tern_descriptor_t, arena_bytes) == 56 &&
              offsetof(tern_descriptor_t, weights_bytes) == 80 &&
              offsetof(tern_descriptor_t, vocabulary) == 88 &&
              offsetof(tern_descriptor_t, fixed_rows) == 116 &&
              offsetof(tern_descriptor_t, screened_bytes) == 120);

static std::string levelSymbol(llvm::StringRef prefix, llvm::StringRef level) {
  std::string symbol = (prefix + level).str();
  for (char &c : symbol)
    if (!llvm::isAlnum(c))
      c = '_';
  return symbol;
}

std::string tern::forwardSymbol(llvm::StringRef level) {
  return levelSymbol("tern_forward_", level);
}
std::string tern::kernelsSymbol(llvm::StringRef level) {
  return levelSymbol("tern_kernels_", level);
}

namespace {
/// Short names for the constants of one module.
class Constants {
public:
  explicit Constants(llvm::Module &module) : module(module), context(module.getContext()) {}

  llvm::Constant *u32(uint32_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt32Ty(context), value);
  }
  llvm::Constant *u64(uint64_t value) {
    return llvm::ConstantInt::get(llvm::Type::getInt64Ty(context), value);
  }
  llvm::Constant *null() {
    return llvm::ConstantPointerNull::get(llvm::PointerType::get(context, 0));
  }
  llvm::Constant *bytes(llvm::ArrayRef<uint8_t> data) {
    return llvm::ConstantDataArray::get(context, data);
  }
  llvm::Constant *record(llvm::ArrayRef<llvm::Constant *> fields) {
    return llvm::ConstantStruct::getAnon(context, fields);
  }
  llvm::GlobalVariable *global(llvm::Constant *value, const llvm::Twine &name) {
    return new llvm::GlobalVariable(module, value->getType(), /*isConstant=*/true,
                                    llvm::GlobalValue::PrivateLinkage, value, name);
  }
  llvm::Constant *string(llvm::StringRef text) {
    llvm::GlobalVariable *variable =
        global(llvm::ConstantDataArray::getString(context, text), "tern.string");
    variable->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return variable;
  }
  /// A pointer to the first element; null for none.
  llvm::Constant *array(llvm::ArrayRef<llvm::Constant *> elements, const llvm::Twine &name) {
    if (elements.empty())
      return null();
    auto *type = llvm::ArrayType::get(elements.front()->getType(), elements.size());
    return global(llvm::ConstantArray::get(type, elements), name);
  }
  /// A symbol of another object of the library, or of this module.
  llvm::Constant *hidden(llvm::StringRef symbol, llvm::Type *type) {
    if (llvm::GlobalValue *existing = module.getNamedValue(symbol))
      return existing;
    llvm::GlobalValue *declared;
    if (auto *function = llvm::dyn_cast<llvm::FunctionType>(type))
      declared =
          llvm::Function::Create(function, llvm::GlobalValue::ExternalLinkage, symbol, module);
    else
      declared = new llvm::GlobalVariable(module, type, /*isConstant=*/true,
                                          llvm::GlobalValue::ExternalLinkage, nullptr, symbol);
    declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
    declared->setDSOLocal(true);
    return declared;
  }

private:
  llvm::Module &module;
  llvm::LLVMContext &context;
};
} // namespace

void tern::addKernelArray(llvm::Module &module, llvm::StringRef level,
                          llvm::ArrayRef<KernelEntry> kernels) {
  Constants c(module);
  std::vector<llvm::Constant *> rows;
  for (const KernelEntry &kernel : kernels) {
    llvm::Function *run = module.getFunction(kernel.symbol);
    assert(run && "kernel is not in its variant's module");
    rows.push_back(c.record({c.string(kernel.name), run, c.u32(kernel.packing), c.u32(kernel.rows),
                             c.u32(kernel.k), c.u32(kernel.acts)}));
  }
  if (rows.empty())
    return;
  auto *type = llvm::ArrayType::get(rows.front()->getType(), rows.size());
  auto *variable = new llvm::GlobalVariable(
      module, type, /*isConstant=*/true, llvm::GlobalValue::ExternalLinkage,
      llvm::ConstantArray::get(type, rows), kernelsSymbol(level));
  variable->setVisibility(llvm::GlobalValue::HiddenVisibility);
  variable->setDSOLocal(true);
}

static llvm::Constant *variantRecord(Constants &c, llvm::LLVMContext &context,
                                     const VariantEntry &variant) {
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *forward = llvm::FunctionType::get(llvm::Type::getVoidTy(context),
                                          {pointer, llvm::Type::getInt32Ty(context)}, false);
  llvm::Constant *kernels =
      variant.kernelCount ? c.hidden(kernelsSymbol(variant.level), pointer) : c.null();
  return c.record({c.string(variant.level), c.u64(variant.cpuFeatures),
                   c.hidden(forwardSymbol(variant.level), forward), kernels,
                   c.u64(variant.kernelCount)});
}

static void addQuery(llvm::Module &module, llvm::Constant *descriptor) {
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::get(context, 0);
  auto *type = llvm::FunctionType::get(pointer, {llvm::Type::getInt32Ty(context)}, false);
  auto *query =
      llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, "tern_query", module);
  query->setDoesNotThrow();
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "", query));
  llvm::Value *known = b.CreateICmpEQ(query->getArg(0), b.getInt32(TERN_ABI_VERSION));
  b.CreateRet(b.CreateSelect(known, descriptor, llvm::ConstantPointerNull::get(pointer)));
}

void tern::addDescriptor(llvm::Module &module, const DescriptorInfo &info) {
  Constants c(module);
  std::vector<llvm::Constant *> variants;
  for (const VariantEntry &variant : info.variants)
    variants.push_back(variantRecord(c, module.getContext(), variant));
  const tern_descriptor_t &n = info.numbers;
  llvm::Constant *record = c.record({c.u32(sizeof(tern_descriptor_t)),
                                     c.u32(TERN_ABI_VERSION),
                                     c.string("tern " TERN_VERSION),
                                     info.sidecar.empty() ? c.null() : c.string(info.sidecar),
                                     c.bytes(info.layoutId),
                                     c.array(variants, "tern.variants"),
                                     c.u32(info.variants.size()),
                                     c.u32(n.max_rows),
                                     c.u64(n.arena_bytes),
                                     c.u64(n.kv_bytes_per_position),
                                     c.u64(n.scratch_bytes_per_position),
                                     c.u64(n.weights_bytes),
                                     c.u32(n.vocabulary),
                                     c.u32(n.hidden),
                                     c.u32(n.layers),
                                     c.u32(n.max_positions),
                                     c.u32(n.input_count),
                                     c.u32(n.index_count),
                                     c.u32(n.output_count),
                                     c.u32(n.fixed_rows),
                                     c.u64(n.screened_bytes)});
  assert(module.getDataLayout().getTypeAllocSize(record->getType()) == sizeof(tern_descriptor_t) &&
         "the constant does not mirror tern_descriptor_t");
  addQuery(module, c.global(record, "tern.descriptor"));
}

void tern::addPayloadPlaceholder(llvm::Module &module) {
  // Not allocated: the dynamic linker never maps it. IR globals are always allocated, hence text.
  module.appendModuleInlineAsm(".section .tern.payload,\"\",@progbits\n.zero 64\n.previous");
}
