//===- kernel_code.cpp - kernels of one target as an object or as text ----===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Usage: kernel_code kernels|rows TARGET OUTPUT.o|OUTPUT.s
//
// kernels: every ternary kernel the target can run, listed in the arrays tern_kernels_TARGET
// (tern_kernel_t) and tern_kernel_count_TARGET. rows: the row kernels, in the array
// tern_row_kernels_TARGET (void *), by RowKernel.
//
//===----------------------------------------------------------------------===//

#include "codegen/Descriptor.h"
#include "codegen/EmitObject.h"
#include "codegen/HalideKernels.h"
#include "codegen/KernelTable.h"
#include "tests/codegen/RowKernelCallers.h"
#include "tests/support/KernelJit.h"
#include "llvm/IR/Constants.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace tern {

using Symbols = std::vector<std::string>;

/// `tern_kernels_x86_64_v3` with another word for "kernels".
static std::string symbolOf(StringRef what, const Target &target) {
  std::string symbol = kernelsSymbol(target.name);
  return "tern_" + what.str() + symbol.substr(StringRef("tern_kernels").size());
}

static void define(Module &module, StringRef symbol, Constant *value, Symbols &keep) {
  new GlobalVariable(module, value->getType(), /*isConstant=*/true, GlobalValue::ExternalLinkage,
                     value, symbol);
  keep.push_back(symbol.str());
}

static Expected<std::unique_ptr<Module>> kernelModule(const Target &target, LLVMContext &context,
                                                      Symbols &keep) {
  auto module = test::translateKernels(target, context);
  if (!module)
    return module.takeError();
  std::vector<KernelEntry> entries;
  for (const KernelRow &row : allKernels())
    if ((*module)->getFunction(row.name))
      entries.push_back({row.name, row.name, static_cast<uint32_t>(row.packing.kind),
                         static_cast<uint32_t>(row.packing.rows),
                         static_cast<uint32_t>(row.packing.k), static_cast<uint32_t>(row.acts)});
  addKernelArray(**module, target.name, entries);
  keep.push_back(kernelsSymbol(target.name));
  define(**module, symbolOf("kernel_count", target),
         ConstantInt::get(Type::getInt64Ty(context), entries.size()), keep);
  return module;
}

static Expected<std::unique_ptr<Module>> rowModule(const Target &target, TargetMachine &machine,
                                                   LLVMContext &context, Symbols &keep) {
  std::unique_ptr<Module> module = makeRowKernelCallers(context);
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  if (Error error = linkRowKernels(*module, target))
    return std::move(error);
  std::vector<Constant *> callers;
  for (unsigned kernel = 0; kernel < kRowKernelCount; ++kernel)
    callers.push_back(module->getFunction(rowKernelCaller(kernel)));
  auto *type = ArrayType::get(PointerType::get(context, 0), callers.size());
  define(*module, symbolOf("row_kernels", target), ConstantArray::get(type, callers), keep);
  return module;
}

static Error write(StringRef what, StringRef name, StringRef path) {
  auto targets = parseTargets(name);
  if (!targets)
    return targets.takeError();
  const Target &target = targets->front();
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  LLVMContext context;
  Symbols keep;
  auto module = what == "rows" ? rowModule(target, **machine, context, keep)
                               : kernelModule(target, context, keep);
  if (!module)
    return module.takeError();
  optimiseModule(**module, target, **machine, keep);
  std::error_code code;
  raw_fd_ostream out(path, code);
  if (code)
    return createStringError(code, "cannot write %s", path.str().c_str());
  return emitModule(
      **module, **machine,
      path.ends_with(".s") ? CodeGenFileType::AssemblyFile : CodeGenFileType::ObjectFile, out);
}

} // namespace tern

int main(int argc, char **argv) {
  if (argc != 4 || (StringRef(argv[1]) != "kernels" && StringRef(argv[1]) != "rows")) {
    errs() << "usage: kernel_code kernels|rows TARGET OUTPUT.o|OUTPUT.s\n";
    return 2;
  }
  if (Error error = tern::write(argv[1], argv[2], argv[3])) {
    errs() << "kernel_code: " << toString(std::move(error)) << '\n';
    return 1;
  }
  return 0;
}
