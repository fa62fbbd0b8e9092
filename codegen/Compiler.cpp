//===- Compiler.cpp - module and targets in, artefact out -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Compiler.h"

#include "codegen/EmitObject.h"
#include "codegen/LinkLibrary.h"
#include "codegen/Pipeline.h"
#include "passes/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include <mutex>
#include <optional>

using namespace tern;

llvm::Expected<Stage> tern::parseStage(llvm::StringRef name) {
  auto stage = llvm::StringSwitch<std::optional<Stage>>(name)
                   .Case("import", Stage::Import)
                   .Case("ternary", Stage::Ternary)
                   .Case("packed", Stage::Packed)
                   .Case("llvm", Stage::LLVM)
                   .Case("ll", Stage::LL)
                   .Case("asm", Stage::Asm)
                   .Case("obj", Stage::Obj)
                   .Case("so", Stage::So)
                   .Case("msl", Stage::Msl)
                   .Case("ptx", Stage::Ptx)
                   .Default(std::nullopt);
  if (stage)
    return *stage;
  return llvm::createStringError("unknown stage '%s', expected import, ternary, packed, llvm, ll, "
                                 "asm, obj, so, msl or ptx",
                                 name.str().c_str());
}

static void report(const CompileOptions &options, llvm::StringRef stage, double fraction) {
  if (options.progress)
    options.progress(stage, fraction);
}

static llvm::Expected<std::vector<Target>> targetsOf(const CompileOptions &options) {
  if (options.targets.empty())
    return parseTargets("all");
  for (const Target &target : options.targets)
    if (!sameSystem(target, options.targets.front()))
      return llvm::createStringError(
          "targets %s and %s do not fit one library, which holds code for one architecture and one "
          "system: compile once for each",
          options.targets.front().name.c_str(), target.name.c_str());
  return options.targets;
}

static llvm::Error emitText(mlir::ModuleOp module, llvm::raw_ostream &out) {
  module.print(out);
  out << '\n';
  return llvm::Error::success();
}

llvm::Error tern::emitStage(const CompileInput &input, const CompileOptions &options, Stage stage,
                            llvm::raw_ostream &out) {
  if (stage == Stage::So)
    return llvm::createStringError("a library is written to a file, not to a stream");
  if (stage == Stage::Import)
    return emitText(input.module, out);
  if (stage == Stage::Ternary) {
    llvm::Expected<bool> sparse = skipsZeros(options);
    if (!sparse)
      return sparse.takeError();
    auto build = [&](mlir::PassManager &passes) {
      buildFuse(passes, *sparse);
      return llvm::Error::success();
    };
    if (llvm::Error error = runPasses(input.module, options, "preparing the model", build))
      return error;
    return emitText(input.module, out);
  }
  if (stage == Stage::Msl || stage == Stage::Ptx)
    return emitGpuText(input, options, stage, out);
  if (llvm::Error error = preparePacked(input, options))
    return error;
  if (stage == Stage::Packed)
    return emitText(input.module, out);
  auto targets = targetsOf(options);
  if (!targets)
    return targets.takeError();
  if (stage == Stage::LLVM) {
    auto lowered = lowerVariant(input.module, options, targets->front());
    if (!lowered)
      return lowered.takeError();
    return emitText(**lowered, out);
  }
  auto variant = compileVariant(input.module, options, targets->front());
  if (!variant)
    return variant.takeError();
  if (stage == Stage::LL) {
    variant->module->print(out, nullptr);
    return llvm::Error::success();
  }
  auto type =
      stage == Stage::Asm ? llvm::CodeGenFileType::AssemblyFile : llvm::CodeGenFileType::ObjectFile;
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (llvm::Error error = emitModule(*variant->module, *variant->machine, type, stream))
    return error;
  out.write(bytes.data(), bytes.size());
  return llvm::Error::success();
}

/// The object that holds `tern_query` and the payload's section. It runs before anything is known
/// of the CPU.
static llvm::Expected<llvm::SmallVector<char, 0>> descriptorObject(const DescriptorInfo &info,
                                                                   const Target &of) {
  Target target = of;
  target.cpu = "generic";
  target.features.clear();
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  llvm::Module module("descriptor", context);
  module.setTargetTriple((*machine)->getTargetTriple());
  module.setDataLayout((*machine)->createDataLayout());
  addDescriptor(module, info);
  if ((*machine)->getTargetTriple().isOSBinFormatELF())
    addPayloadPlaceholder(module);
  optimiseModule(module, target, **machine, {"tern_query"});
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (llvm::Error error = emitModule(module, **machine, llvm::CodeGenFileType::ObjectFile, stream))
    return std::move(error);
  return bytes;
}

static llvm::Error addRuntime(const CompileOptions &options, const Target &target,
                              LinkInput &link) {
  const llvm::Triple host(llvm::sys::getDefaultTargetTriple()), triple(target.triple);
  if (triple.getArch() != host.getArch() || triple.getOS() != host.getOS())
    return llvm::createStringError("a standalone library brings this machine's runtime (%s) and "
                                   "cannot be made for target %s",
                                   host.getArchName().str().c_str(), target.name.c_str());
  if (options.runtimeObject.empty())
    return llvm::createStringError(
        "this compiler carries no runtime to put into a standalone library");
  auto bytes = options.runtimeObject;
  link.objects.emplace_back(bytes.begin(), bytes.end());
  auto libraries = hostSystemLibraries();
  if (!libraries)
    return libraries.takeError();
  link.libraries = std::move(*libraries);
  link.exports.push_back("tern_*");
  return llvm::Error::success();
}

/// Adds a variant and its object for each target. What works on MLIR goes one after the other;
/// optimisation and machine code, most of the time, go to all cores: each variant has a context.
static llvm::Error addVariants(mlir::ModuleOp packed, const CompileOptions &options,
                               llvm::ArrayRef<Target> targets, DescriptorInfo &info,
                               LinkInput &link) {
  std::vector<Variant> variants;
  for (const Target &target : targets) {
    auto variant = translateVariant(packed, options, target);
    if (!variant)
      return variant.takeError();
    info.variants.push_back(variant->entry);
    variants.push_back(std::move(*variant));
  }
  link.objects.resize(targets.size());
  std::mutex mutex; // of what follows
  llvm::Error errors = llvm::Error::success();
  size_t done = 0;
  report(options, "code", 0);
  llvm::DefaultThreadPool pool;
  for (size_t i = 0; i < targets.size(); ++i)
    pool.async([&, i] {
      Variant &variant = variants[i];
      optimiseModule(*variant.module, targets[i], *variant.machine, variant.exports);
      llvm::raw_svector_ostream stream(link.objects[i]);
      llvm::Error error =
          emitModule(*variant.module, *variant.machine, llvm::CodeGenFileType::ObjectFile, stream);
      std::lock_guard<std::mutex> lock(mutex);
      errors = llvm::joinErrors(std::move(errors), std::move(error));
      report(options, "code", static_cast<double>(++done) / static_cast<double>(targets.size()));
    });
  pool.wait();
  return errors;
}

llvm::Error tern::compileLibrary(const CompileInput &input, const CompileOptions &options,
                                 llvm::StringRef path) {
  auto targets = targetsOf(options);
  if (!targets)
    return targets.takeError();
  report(options, "prepare", 0);
  if (llvm::Error error = preparePacked(input, options))
    return error;
  auto info = describe(input);
  if (!info)
    return info.takeError();
  if (options.sidecar)
    info->sidecar = (llvm::sys::path::filename(path) + ".weights").str();

  LinkInput link;
  llvm::Triple triple(targets->front().triple);
  link.machO = triple.isOSBinFormatMachO();
  link.machine = triple.isAArch64() ? "aarch64linux" : "elf_x86_64";
  link.exports = {"tern_query"};
  if (llvm::Error error = addVariants(input.module, options, *targets, *info, link))
    return error;
  auto descriptor = descriptorObject(*info, targets->front());
  if (!descriptor)
    return descriptor.takeError();
  link.objects.push_back(std::move(*descriptor));
  if (options.standalone)
    if (llvm::Error error = addRuntime(options, targets->front(), link))
      return error;
  report(options, "link", 0);
  return linkLibrary(link, describePayload(input, options, *info), options.sidecar, path);
}
