//===- Support.h - what several verbs share ---------------------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_FRONTENDS_CLI_SUPPORT_H
#define TERN_FRONTENDS_CLI_SUPPORT_H

#include "frontends/jit/Jit.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace tern::cli {

/// A line on stderr that is redrawn in place on a terminal and silent elsewhere.
class Progress {
public:
  Progress();
  ~Progress();
  void show(llvm::StringRef what, double fraction);

private:
  void clear();
  bool terminal;
  std::chrono::steady_clock::time_point started, drawn;
  std::string stage;
};

struct SessionCloser {
  void operator()(tern_session_t *session) const { tern_session_destroy(session); }
};
using Session = std::unique_ptr<tern_session_t, SessionCloser>;
llvm::Expected<Session> makeSession(tern_model_t *model, uint32_t threads, uint32_t positions = 0);
llvm::Expected<tern_model_info_t> modelInfo(const tern_model_t *model);
/// The model card; an empty object where the model has none.
llvm::json::Object modelCard(const tern_model_t *model);

/// What a checkpoint does not say, as the user spells it.
struct CheckpointFlags {
  std::string activations, gate, layout, cache;
  std::string head = "auto"; ///< elements of its table, or how the likeliest token is found
};
import::ImportOptions importOptions(const CheckpointFlags &flags);
/// CompileOptions::head.
std::string headSearch(const CheckpointFlags &flags);

/// Options every verb that runs a model takes.
struct RunOptions {
  CheckpointFlags checkpoint;
  std::string model;
  std::string level;            ///< empty: the best
  std::string packing = "auto"; ///< of a model that is compiled first
  std::string tuning;           ///< file of `tern tune`, likewise; may be empty
  std::string sparse = "auto";  ///< likewise
  uint32_t threads = 0;
  std::string load = "auto"; ///< weights: map, copy or auto
  bool noCache = false;      ///< of what is compiled
  bool probes = false;       ///< in the code of a model that is compiled first
};
/// MLIR's print and timing flags, where they were given.
void configurePasses(mlir::PassManager &passes);
/// The command line has such flags: somebody wants to see a compilation, not a cached result.
void noteMlirFlags();
/// Opens `options.model`, compiling it first unless it is a library; progress on stderr.
llvm::Expected<RunningModel> openForRunning(const RunOptions &options);

/// "1,2,3" to ids; an error names the entry that is none.
llvm::Expected<std::vector<int32_t>> parseIds(llvm::StringRef text);
llvm::Expected<std::vector<int32_t>> tokenize(const tern_model_t *model, llvm::StringRef text,
                                              uint32_t flags);
llvm::Expected<std::string> detokenize(const tern_model_t *model, llvm::ArrayRef<int32_t> ids,
                                       bool skipSpecial);

/// A regular file, or "-" for stdin; at most 256 MB.
llvm::Expected<std::string> readTextFile(llvm::StringRef path);
/// An error unless `path` is a regular file: a pipe would block, a device never end.
llvm::Error checkRegularFile(llvm::StringRef path);
/// An error where `path` is there already and no regular file.
llvm::Error checkOutput(llvm::StringRef path);
/// Writes `path` whole or not at all: a temporary file beside it, renamed. "-" is stdout.
llvm::Error writeFile(llvm::StringRef path, llvm::StringRef bytes);
llvm::Error writeFile(llvm::StringRef path,
                      llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write);

/// The bytes of a NumPy .npy file (version 1.0) of float32 in C order.
std::string npyBytes(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<float> values);

double secondsSince(std::chrono::steady_clock::time_point start);
/// "512.0 MB" (decimal).
std::string formatBytes(uint64_t bytes);

llvm::Error makeError(const llvm::Twine &text);
/// IR text or bytecode; the files it names are beside it.
llvm::Expected<import::ImportedModel> readIR(mlir::MLIRContext &context, llvm::StringRef path);
/// True for a file that `tern compile` and `tern inspect` read as IR.
bool isIRFile(llvm::StringRef path);

} // namespace tern::cli

#endif // TERN_FRONTENDS_CLI_SUPPORT_H
