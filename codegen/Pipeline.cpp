//===- Pipeline.cpp - module to machine code, step by step ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Pipeline.h"

#include "codegen/AttentionKernel.h"
#include "codegen/CodegenPasses.h"
#include "codegen/EmitObject.h"
#include "codegen/HalideKernels.h"
#include "codegen/KernelTable.h"
#include "codegen/LanguageModel.h"
#include "codegen/Lowering.h"
#include "passes/PackWeights.h"
#include "passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;

namespace tern {

llvm::Error runPasses(ModuleOp module, const CompileOptions &options, StringRef what,
                      llvm::function_ref<llvm::Error(PassManager &)> build) {
  std::string errors;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    std::string line;
    llvm::raw_string_ostream out(line);
    if (auto where = dyn_cast<FileLineColLoc>(diagnostic.getLocation()))
      out << where.getFilename().strref() << ':' << where.getLine() << ':' << where.getColumn()
          << ": ";
    else if (!isa<UnknownLoc>(diagnostic.getLocation()))
      out << diagnostic.getLocation() << ": ";
    out << diagnostic;
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      errors += (errors.empty() ? "" : "; ") + line;
    else if (diagnostic.getSeverity() == DiagnosticSeverity::Remark && options.remark)
      options.remark(line);
    return success();
  });
  PassManager passes(module.getContext());
  if (llvm::Error error = build(passes))
    return error;
  if (options.configurePasses)
    options.configurePasses(passes);
  if (succeeded(passes.run(module)))
    return llvm::Error::success();
  return llvm::createStringError("%s: %s", what.str().c_str(),
                                 errors.empty() ? "a pass failed" : errors.c_str());
}

/// Bytes of the smallest table whose head gets a screen, negative for none.
static std::optional<int64_t> smallestScreened(StringRef head) {
  // Below, the table stays in the cache and reading it all costs less than a token's other work.
  constexpr int64_t kAuto = int64_t(32) << 20;
  return llvm::StringSwitch<std::optional<int64_t>>(head)
      .Case("auto", kAuto)
      .Case("full", -1)
      .Case("two_stage", 0)
      .Default(std::nullopt);
}

llvm::Expected<bool> skipsZeros(const CompileOptions &options) {
  if (options.sparse != "auto" && options.sparse != "on" && options.sparse != "off")
    return llvm::createStringError("sparse '%s' is not known, expected auto, on or off",
                                   options.sparse.c_str());
  const std::string host = llvm::sys::getDefaultTargetTriple();
  auto isX86 = [](llvm::StringRef triple) { return llvm::Triple(triple).isX86_64(); };
  bool x86 = options.targets.empty() ? isX86(host)
                                     : llvm::all_of(options.targets, [&](const Target &target) {
                                         return isX86(target.triple);
                                       });
  return options.sparse == "on" || (options.sparse == "auto" && x86);
}

std::string chosenPacking(const CompileOptions &options) {
  auto unpacksFast = [](const Target &target) {
    constexpr uint64_t vbmi = TERN_CPU_X86_AVX512VBMI, amx = TERN_CPU_X86_AMXINT8;
    return (target.cpuFeatures & (vbmi | amx)) == vbmi;
  };
  if (options.packing != "auto")
    return options.packing;
  return !options.targets.empty() && llvm::all_of(options.targets, unpacksFast) ? "base3"
                                                                                : "two_bit";
}

llvm::Error preparePacked(const CompileInput &input, const CompileOptions &options) {
  if (options.maxRows < 1 || options.maxRows > (1 << 20))
    return llvm::createStringError("rows of a call: expected 1 to 1048576, got %lld",
                                   static_cast<long long>(options.maxRows));
  std::optional<ternary::PackingKind> packing =
      ternary::symbolizePackingKind(chosenPacking(options));
  if (!packing)
    return llvm::createStringError("packing '%s' is not known, expected auto, two_bit or base3",
                                   options.packing.c_str());
  std::optional<int64_t> screenBytes = smallestScreened(options.head);
  if (!screenBytes)
    return llvm::createStringError("head '%s' is not known, expected auto, full or two_stage",
                                   options.head.c_str());
  llvm::Expected<bool> sparse = skipsZeros(options);
  if (!sparse)
    return sparse.takeError();
  return runPasses(input.module, options, "preparing the model", [&](PassManager &passes) {
    PrepareOptions prepare;
    prepare.maxRows = options.maxRows;
    prepare.packing = *packing;
    prepare.screenBytes = *screenBytes;
    for (const std::string &shape : options.shapes)
      prepare.shapes.push_back(shape);
    prepare.sparse = *sparse;
    buildPrepare(passes, prepare);
    return llvm::Error::success();
  });
}

llvm::Error addProbes(ModuleOp packed, const CompileOptions &options) {
  if (!options.probes)
    return llvm::Error::success();
  return runPasses(packed, options, "adding probes", [](PassManager &passes) {
    passes.addPass(createAddProbes());
    return llvm::Error::success();
  });
}

llvm::Expected<OwningOpRef<ModuleOp>> lowerVariant(ModuleOp packed, const CompileOptions &options,
                                                   const Target &target) {
  OwningOpRef<ModuleOp> module(packed.clone());
  llvm::Error error =
      runPasses(*module, options, "compiling for " + target.name, [&](PassManager &passes) {
        passes.addPass(createSelectKernels(SelectKernelsOptions{target.name}));
        passes.addPass(createLowerToLLVM(LowerToLLVMOptions{target.name}));
        return llvm::Error::success();
      });
  if (error)
    return std::move(error);
  return module;
}

/// Kernels that a variant calls, in the table's order.
static std::vector<KernelEntry> usedKernels(const llvm::Module &module) {
  std::vector<KernelEntry> used;
  for (const KernelRow &row : allKernels())
    if (module.getFunction(row.name))
      used.push_back({row.name, row.name, static_cast<uint32_t>(row.packing.kind),
                      static_cast<uint32_t>(row.packing.rows), static_cast<uint32_t>(row.packing.k),
                      static_cast<uint32_t>(row.acts)});
  return used;
}

llvm::Expected<Variant> translateVariant(ModuleOp packed, const CompileOptions &options,
                                         const Target &target, DescriptorInfo *descriptor) {
  auto lowered = lowerVariant(packed, options, target);
  if (!lowered)
    return lowered.takeError();
  Variant variant;
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  variant.machine = std::move(*machine);
  variant.context = std::make_unique<llvm::LLVMContext>();
  registerBuiltinDialectTranslation(*packed.getContext());
  registerLLVMDialectTranslation(*packed.getContext());
  variant.module = translateModuleToLLVMIR(**lowered, *variant.context, target.name);
  if (!variant.module)
    return llvm::createStringError("compiling for %s: the LLVM dialect cannot be translated",
                                   target.name.c_str());
  variant.module->setTargetTriple(variant.machine->getTargetTriple());
  variant.module->setDataLayout(variant.machine->createDataLayout());
  if (llvm::Error error = linkRowKernels(*variant.module, target))
    return llvm::createStringError("compiling for %s: %s", target.name.c_str(),
                                   llvm::toString(std::move(error)).c_str());
  std::vector<KernelEntry> kernels = usedKernels(*variant.module);
  addKernelArray(*variant.module, target.name, kernels);
  variant.entry = {target.name, target.cpuFeatures, kernels.size()};
  variant.exports = {forwardSymbol(target.name), kernelsSymbol(target.name)};
  if (descriptor) {
    descriptor->variants = {variant.entry};
    addDescriptor(*variant.module, *descriptor);
    variant.exports.push_back("tern_query");
  }
  return variant;
}

llvm::Expected<Variant> compileVariant(ModuleOp packed, const CompileOptions &options,
                                       const Target &target, DescriptorInfo *descriptor) {
  auto variant = translateVariant(packed, options, target, descriptor);
  if (variant)
    optimiseModule(*variant->module, target, *variant->machine, variant->exports);
  return variant;
}

static uint64_t number(ModuleOp module, StringRef name) {
  auto attribute = module->getAttrOfType<IntegerAttr>(name);
  return attribute ? static_cast<uint64_t>(attribute.getInt()) : 0;
}

constexpr uint64_t kMostCacheBytes = UINT64_C(1) << 32; ///< a position, in all layers

/// The rows of every tensor the entry takes and gives; 0 if one is dynamic or they differ.
static uint32_t fixedRows(func::FuncOp entry) {
  std::optional<int64_t> rows;
  for (Type type : llvm::concat<const Type>(entry.getArgumentTypes(), entry.getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      continue;
    if (tensor.getRank() == 0 || tensor.isDynamicDim(0) ||
        rows.value_or(tensor.getDimSize(0)) != tensor.getDimSize(0))
      return 0;
    rows = tensor.getDimSize(0);
  }
  return static_cast<uint32_t>(std::min<int64_t>(rows.value_or(0), UINT32_MAX));
}

llvm::Expected<DescriptorInfo> describe(const CompileInput &input) {
  ModuleOp module = input.module;
  DescriptorInfo info;
  tern_descriptor_t &n = info.numbers;
  FailureOr<func::FuncOp> entry = failure();
  {
    ScopedDiagnosticHandler quiet(module.getContext(), [](Diagnostic &) { return success(); });
    entry = findEntry(module);
  }
  if (failed(entry))
    return llvm::createStringError(
        "expected exactly one function with the attribute ternary.entry");
  for (Type type : entry->getArgumentTypes()) {
    if (type.isIndex())
      ++n.index_count;
    else if (auto cache = dyn_cast<ternary::KVCacheType>(type))
      n.kv_bytes_per_position += static_cast<uint64_t>(cacheBytesPerPosition(cache));
    else
      ++n.input_count;
  }
  if (n.kv_bytes_per_position > kMostCacheBytes)
    return llvm::createStringError(
        "@" + entry->getSymName() + ": expected caches of up to " + llvm::Twine(kMostCacheBytes) +
        " bytes a position in all, found " + llvm::Twine(n.kv_bytes_per_position));
  n.output_count = entry->getNumResults();
  n.fixed_rows = fixedRows(*entry);
  module.walk([&](ternary::HeadOp head) {
    auto table = cast<RankedTensorType>(head.getTable().getType());
    if (head.getScreen())
      n.screened_bytes += static_cast<uint64_t>(packedWeightBytes(table).value_or(0));
  });
  module.walk([&](ternary::AttentionOp op) {
    AttentionShape shape(op.getCache().getType(), static_cast<int64_t>(op.getHeads()));
    n.scratch_bytes_per_position = std::max(n.scratch_bytes_per_position,
                                            static_cast<uint64_t>(shape.partialBytesPerPosition()));
  });
  n.max_rows = static_cast<uint32_t>(number(module, "ternary.max_rows"));
  n.arena_bytes = number(module, "ternary.arena_bytes");
  n.weights_bytes = number(module, "ternary.weights_bytes");
  if (auto model = module->getAttrOfType<DictionaryAttr>("ternary.model")) {
    if (llvm::Error error = readModelNumbers(model, n))
      return std::move(error);
    if (n.vocabulary != 0)
      if (llvm::Error error = checkLanguageModel(*entry, n))
        return std::move(error);
  }
  info.layoutId = layoutId(module, input.tokenizerBlob);
  return info;
}

PayloadInfo describePayload(const CompileInput &input, const CompileOptions &options,
                            const DescriptorInfo &descriptor) {
  PayloadInfo payload;
  payload.layoutId = descriptor.layoutId;
  payload.tokenizer = input.tokenizerBlob;
  payload.card = input.card;
  payload.weightsBytes = descriptor.numbers.weights_bytes;
  payload.screenedBytes = descriptor.numbers.screened_bytes;
  payload.writeWeights = [&input, &options](ByteSink sink) {
    static const WeightFiles noFiles;
    return writeWeights(input.module, input.files ? *input.files : noFiles, sink,
                        [&options](uint64_t done, uint64_t total) {
                          if (options.progress && total)
                            options.progress("weights", static_cast<double>(done) /
                                                            static_cast<double>(total));
                        });
  };
  return payload;
}

} // namespace tern
