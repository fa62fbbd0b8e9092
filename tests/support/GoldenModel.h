//===- GoldenModel.h - the bundled model and its reference ------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_TESTS_SUPPORT_GOLDENMODEL_H
#define TERN_TESTS_SUPPORT_GOLDENMODEL_H

#include "frontends/jit/Jit.h"
#include "tests/support/TestCheckpoint.h"

#include <memory>
#include <string>
#include <vector>

namespace tern::test {

inline const std::string kBundledModel = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";

/// A prompt with what transformers says of it in float32.
struct GoldenPrompt {
  std::string name;
  std::vector<int32_t> ids;
  std::vector<int32_t> greedy;   ///< 64 tokens; end tokens do not stop them
  std::vector<double> margins;   ///< largest minus second logit at each of them
  std::vector<float> lastLogits; ///< at the prompt's last token
};
/// The 24 prompts; the first `count` of them where that is less.
std::vector<GoldenPrompt> goldenPrompts(size_t count = SIZE_MAX);

/// What a model says of prompts.
struct GoldenOutcome {
  std::vector<std::vector<float>> lastLogits;
  std::vector<std::vector<int32_t>> greedy;
};
/// Prefills each prompt in one call and goes on greedily as far as the reference does.
GoldenOutcome runPrompts(tern_model_t *model, uint32_t threads,
                         const std::vector<GoldenPrompt> &prompts);
/// Expects the outcome within the tolerances of the model's README.
void expectGolden(const GoldenOutcome &outcome, const std::vector<GoldenPrompt> &prompts);
/// Expects the same bits in both, as far as `part` goes.
void expectSame(const GoldenOutcome &whole, const GoldenOutcome &part);

/// A session that reports failures to GoogleTest.
class SessionRun {
public:
  SessionRun(tern_model_t *model, uint32_t threads);
  ~SessionRun() { tern_session_destroy(session); }
  SessionRun(const SessionRun &) = delete;
  SessionRun &operator=(const SessionRun &) = delete;

  void prefill(llvm::ArrayRef<int32_t> ids);
  void decode(int32_t id);
  std::vector<float> logits() const;
  /// The logits of all of `ids`, which are appended.
  std::vector<float> prefillLogits(llvm::ArrayRef<int32_t> ids);
  std::vector<int32_t> generate(uint32_t tokens);

private:
  tern_session_t *session = nullptr;
  size_t vocabulary = 0;
};

/// The levels of this architecture that this CPU runs, best first.
std::vector<Target> hostLevels();
/// Compiles the checkpoint in `folder` into a library; code for every level of the architecture.
void compileFolder(const std::string &folder, const std::string &library);
/// Opens a library, or compiles a checkpoint into memory; null after a failure, which is reported.
std::unique_ptr<RunningModel> openModel(const std::string &path, const std::string &level = "");

/// The bundled model as bfloat16 masters in three shards, to be quantized online. Their absmean
/// gives exactly the trits and scales of the packed checkpoint.
void writeOnlineFolder(const TempFolder &folder);
/// The bundled model as a `bitlinear` checkpoint, whose scales divide. Not all of their reciprocals
/// are floats, so effective scales may differ in the last bit.
void writeDividingFolder(const TempFolder &folder);

} // namespace tern::test

#endif // TERN_TESTS_SUPPORT_GOLDENMODEL_H
