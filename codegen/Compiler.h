//===- Compiler.h - module and targets in, artefact out ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_COMPILER_H
#define TERN_CODEGEN_COMPILER_H

#include "codegen/Probes.h"
#include "codegen/Target.h"
#include "dialect/WeightReader.h"
#include "mlir/IR/BuiltinOps.h"
#include "tern/abi.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mlir {
class PassManager;
}

namespace tern {

/// Where compilation stops and what it writes.
enum class Stage { Import, Ternary, Packed, LLVM, LL, Asm, Obj, So, Msl, Ptx };
llvm::Expected<Stage> parseStage(llvm::StringRef name);

struct CompileInput {
  mlir::ModuleOp module; ///< changed in place by the passes
  const WeightFiles *files = nullptr;
  llvm::StringRef tokenizerBlob; ///< may be empty
  llvm::StringRef card;          ///< JSON text, may be empty
};

struct CompileOptions {
  std::vector<Target>
      targets;           ///< best first; empty: every level of the host's architecture, best first
  int64_t maxRows = 256; ///< tokens a call takes at most
  bool sidecar = false;  ///< payload in `<output>.weights` instead of inside the library
  /// How trits lie in bytes: "two_bit", "base3" (1.6 bits), or "auto", for which see chosenPacking.
  std::string packing = "auto";
  bool probes = false; ///< code that says what it begins; only for JitModel
  /// How the token of the largest logit is found: "two_stage" (a screen of the table first), "full"
  /// (the whole table), or "auto" (by the table's size). The token is the same.
  std::string head = "auto";
  std::vector<std::string> shapes; ///< packings by shape, "6912x2560:base3"; come first
  /// Skipping what ReLU-squared gates make zero: on, off, or auto: where every target is x86-64,
  /// for which there are kernels that gain by it. Results are the same.
  std::string sparse = "auto";
  bool standalone =
      false; ///< bundle the runtime: `runtimeObject`, against this machine's C library
  llvm::ArrayRef<uint8_t> runtimeObject; ///< the runtime as one relocatable object
  /// Hooks on the pass manager (print flags, timing), remarks and progress.
  std::function<void(mlir::PassManager &)> configurePasses;
  std::function<void(llvm::StringRef line)> remark;
  std::function<void(llvm::StringRef stage, double fraction)> progress;
};

/// What `options.packing` means for `options.targets`: auto is base3, the fewer bytes, where every
/// target unpacks it faster than memory delivers it, and two_bit elsewhere.
std::string chosenPacking(const CompileOptions &options);

/// Runs the pipeline up to `stage` and writes its text or bytes to `out` (every stage but So).
llvm::Error emitStage(const CompileInput &input, const CompileOptions &options, Stage stage,
                      llvm::raw_ostream &out);

/// Compiles to a shared library at `path`: written to a temporary file beside it, then renamed.
llvm::Error compileLibrary(const CompileInput &input, const CompileOptions &options,
                           llvm::StringRef path);

/// Compiles for Metal: kernels, plan, weights, tokenizer and card in one file at `path`, written
/// likewise.
llvm::Error compileForMetal(const CompileInput &input, const CompileOptions &options,
                            llvm::StringRef path);

/// A model compiled into this process. Keep it alive while the runtime uses `query` and `payload`.
class JitModel {
public:
  static llvm::Expected<std::unique_ptr<JitModel>> compile(const CompileInput &input,
                                                           const CompileOptions &options);
  ~JitModel();
  tern_query_fn query() const;
  llvm::ArrayRef<uint8_t> payload() const; ///< 4096-aligned
  llvm::ArrayRef<Probe> probes() const;    ///< empty unless asked for

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
  explicit JitModel(std::unique_ptr<Impl> impl);
};

} // namespace tern

#endif // TERN_CODEGEN_COMPILER_H
