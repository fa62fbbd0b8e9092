//===- Jit.h - a checkpoint or library in, a running model out --*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_JIT_JIT_H
#define TERN_FRONTENDS_JIT_JIT_H

#include "codegen/Compiler.h"
#include "frontends/import/Import.h"
#include "frontends/jit/ModelCache.h"
#include "tern/tern.h"

#include "llvm/Support/Error.h"

#include <memory>
#include <optional>
#include <string>

namespace tern {

/// The calling thread's last runtime error, as an llvm::Error. For a status that is not OK.
llvm::Error runtimeError();
/// Success, or runtimeError().
llvm::Error checkStatus(tern_status_t status);

/// True when `path` is a file that begins like an ELF or Mach-O library, or a model for Metal.
bool isCompiledLibrary(llvm::StringRef path);

struct OpenOptions {
  std::string level; ///< force a CPU level by name; empty: the best
  tern_load_t load = TERN_LOAD_AUTO;
  std::optional<ModelCache> cache; ///< of compiled checkpoints
  import::ImportOptions import;    ///< when it is a checkpoint
  CompileOptions compile;          ///< when the model has to be compiled first
};

/// A model of the runtime together with what keeps its code alive. Movable; closes on destruction.
class RunningModel {
public:
  /// A compiled library is opened; any other path is imported and compiled, into the cache or into
  /// this process.
  static llvm::Expected<RunningModel> open(llvm::StringRef path, const OpenOptions &options);
  static llvm::Expected<RunningModel> openLibrary(llvm::StringRef path, const OpenOptions &options);
  /// Compiles an imported model (or any module with a `ternary.entry`) into this process.
  static llvm::Expected<RunningModel> compile(const import::ImportedModel &model,
                                              const OpenOptions &options);
  RunningModel(RunningModel &&other) noexcept;
  RunningModel &operator=(RunningModel &&other) noexcept;
  ~RunningModel();

  tern_model_t *get() const { return model; }
  /// Of code compiled here with CompileOptions::probes.
  llvm::ArrayRef<Probe> probes() const { return code ? code->probes() : llvm::ArrayRef<Probe>(); }

private:
  RunningModel() = default;
  static bool keep(const import::ImportedModel &model, const OpenOptions &options,
                   const std::string &entry);

  std::unique_ptr<JitModel> code;
  tern_model_t *model = nullptr;
};

/// Registers every dialect and translation that import and compilation need.
void registerCompilerDialects(mlir::DialectRegistry &registry);

} // namespace tern

#endif // TERN_FRONTENDS_JIT_JIT_H
