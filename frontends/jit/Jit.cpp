//===- Jit.cpp - a checkpoint or library in, a running model out ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/jit/Jit.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/FileSystem.h"

#include <cstring>
#include <utility>

using namespace llvm;

namespace tern {

Error runtimeError() {
  return createStringError(inconvertibleErrorCode(), "%s", tern_error_message());
}

Error checkStatus(tern_status_t status) {
  return status == TERN_STATUS_OK ? Error::success() : runtimeError();
}

bool isCompiledLibrary(StringRef path) {
  // Only regular files: opening a FIFO would wait for a writer.
  sys::fs::file_status status;
  if (sys::fs::status(path, status) || status.type() != sys::fs::file_type::regular_file)
    return false;
  auto file = sys::fs::openNativeFileForRead(path);
  if (!file) {
    consumeError(file.takeError());
    return false;
  }
  char magic[4] = {};
  auto count = sys::fs::readNativeFile(*file, MutableArrayRef<char>(magic, sizeof magic));
  sys::fs::closeFile(*file);
  if (!count) {
    consumeError(count.takeError());
    return false;
  }
  return *count == sizeof magic && (!memcmp(magic,
                                            "\x7f"
                                            "ELF",
                                            4) ||
                                    !memcmp(magic, "\xcf\xfa\xed\xfe", 4) ||
                                    // A model for Metal: a payload alone.
                                    !memcmp(magic, TERN_PAYLOAD_MAGIC, 4));
}

void registerCompilerDialects(mlir::DialectRegistry &registry) {
  registry.insert<ternary::TernaryDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect,
                  mlir::tensor::TensorDialect>();
}

static tern_open_options_t runtimeOptions(const OpenOptions &options) {
  tern_open_options_t result = {};
  result.struct_size = sizeof result;
  result.load = options.load;
  result.level = options.level.empty() ? nullptr : options.level.c_str();
  return result;
}

Expected<RunningModel> RunningModel::openLibrary(StringRef path, const OpenOptions &options) {
  RunningModel result;
  tern_open_options_t runtime = runtimeOptions(options);
  if (Error error = checkStatus(tern_model_open(path.str().c_str(), &runtime, &result.model)))
    return error;
  return result;
}

/// Of an entry of the cache; empty where there is none that can be used.
static std::optional<RunningModel> openEntry(const std::string &entry, const OpenOptions &options) {
  if (!ModelCache::has(entry))
    return std::nullopt;
  auto model = RunningModel::openLibrary(entry, options);
  if (model)
    return std::move(*model);
  consumeError(model.takeError());
  ModelCache::drop(entry);
  return std::nullopt;
}

Expected<RunningModel> RunningModel::open(StringRef path, const OpenOptions &options) {
  if (isCompiledLibrary(path))
    return openLibrary(path, options);
  std::string entry;
  OpenOptions kept = options;
  if (options.cache) {
    if (kept.compile.targets.empty()) {
      auto host = parseTargets("host");
      if (!host)
        return host.takeError();
      kept.compile.targets = std::move(*host);
    }
    entry = options.cache->entryFor(path, options.import, kept.compile);
    if (auto model = openEntry(entry, options))
      return std::move(*model);
  }
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto imported = import::importModel(context, path, options.import);
  if (!imported)
    return imported.takeError();
  if (!entry.empty() && keep(*imported, kept, entry))
    if (auto model = openEntry(entry, options))
      return std::move(*model);
  return compile(*imported, options);
}

/// Compiles a copy to an entry of the cache.
bool RunningModel::keep(const import::ImportedModel &imported, const OpenOptions &options,
                        const std::string &entry) {
  auto files = WeightFiles::open(*imported.module, imported.folder);
  if (!files) {
    consumeError(files.takeError());
    return false;
  }
  mlir::OwningOpRef<mlir::ModuleOp> copy = imported.module.get().clone();
  CompileInput input{*copy, &*files, imported.tokenizerBlob, imported.card};
  ModelCache cache = *options.cache;
  // What is wrong with the module is said when it is compiled again, into memory.
  mlir::ScopedDiagnosticHandler quiet(copy->getContext(),
                                      [](mlir::Diagnostic &) { return mlir::success(); });
  return cache.add(entry, input, options.compile);
}

Expected<RunningModel> RunningModel::compile(const import::ImportedModel &imported,
                                             const OpenOptions &options) {
  auto files = WeightFiles::open(*imported.module, imported.folder);
  if (!files)
    return files.takeError();
  CompileInput input{*imported.module, &*files, imported.tokenizerBlob, imported.card};
  RunningModel result;
  auto code = JitModel::compile(input, options.compile);
  if (!code)
    return code.takeError();
  result.code = std::move(*code);
  tern_open_options_t runtime = runtimeOptions(options);
  ArrayRef<uint8_t> payload = result.code->payload();
  // The payload was written by this process a moment ago: there is nothing to check it against.
  runtime.verify = TERN_VERIFY_NONE;
  if (Error error = checkStatus(tern_model_open_linked(result.code->query(), payload.data(),
                                                       payload.size(), &runtime, &result.model)))
    return error;
  return result;
}

RunningModel::RunningModel(RunningModel &&other) noexcept
    : code(std::move(other.code)), model(std::exchange(other.model, nullptr)) {}

RunningModel &RunningModel::operator=(RunningModel &&other) noexcept {
  std::swap(code, other.code);
  std::swap(model, other.model);
  return *this;
}

RunningModel::~RunningModel() { tern_model_close(model); }

} // namespace tern
