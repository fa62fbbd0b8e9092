//===- metal_test.cpp - models compiled for Metal, run by a fake one ------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/gpu/Kernels.h"
#include "tests/codegen/ModelCase.h"
#include "tests/metal/FakeMetal.h"
#include "tests/support/GoldenModel.h"
#include "tests/support/RandomModules.h"

#include "gtest/gtest.h"

using namespace tern;
using namespace tern::test;

static void expectNoComplaints() {
  for (const std::string &complaint : FakeMetal::complaints())
    ADD_FAILURE() << complaint;
}

/// Compiles a checkpoint's module, or any other, for Metal.
static void compile(mlir::ModuleOp module, const import::ImportedModel *model, int64_t maxRows,
                    const std::string &path) {
  CompileInput input{module, nullptr, "", ""};
  WeightFiles files;
  if (model) {
    auto opened = WeightFiles::open(module, model->folder);
    ASSERT_TRUE(bool(opened)) << llvm::toString(opened.takeError());
    files = std::move(*opened);
    input = {module, &files, model->tokenizerBlob, model->card};
  }
  CompileOptions options;
  options.maxRows = maxRows;
  llvm::Error error = compileForMetal(input, options, path);
  ASSERT_FALSE(bool(error)) << llvm::toString(std::move(error));
}

static void compileBundled(const std::string &path) {
  mlir::DialectRegistry registry;
  registerCompilerDialects(registry);
  mlir::MLIRContext context(registry);
  auto model = import::importModel(context, kBundledModel);
  ASSERT_TRUE(bool(model)) << llvm::toString(model.takeError());
  compile(*model->module, &*model, 128, path);
}

namespace {
/// The bundled model, compiled once.
struct Bundled {
  TempFolder folder;
  std::string path = folder / "model.metal";
  Bundled() { compileBundled(path); }
  static const std::string &file() {
    static Bundled one;
    return one.path;
  }
};

struct Closer {
  void operator()(tern_model_t *model) const { tern_model_close(model); }
  void operator()(tern_session_t *session) const { tern_session_destroy(session); }
};
using ModelHandle = std::unique_ptr<tern_model_t, Closer>;
using SessionHandle = std::unique_ptr<tern_session_t, Closer>;
} // namespace

static ModelHandle openFile(const std::string &path) {
  tern_model_t *model = nullptr;
  tern_model_open(path.c_str(), nullptr, &model);
  return ModelHandle(model);
}

static SessionHandle sessionOf(tern_model_t *model, uint32_t positions) {
  tern_session_options_t options = {};
  options.struct_size = sizeof options;
  options.positions = positions;
  tern_session_t *session = nullptr;
  tern_session_create(model, &options, &session);
  return SessionHandle(session);
}

//===----------------------------------------------------------------------===//
// The bundled model
//===----------------------------------------------------------------------===//

TEST(Metal, TheBundledModelGeneratesItsGoldenIds) {
  std::vector<GoldenPrompt> prompts = goldenPrompts(2);
  TempFolder folder;
  compileFolder(kBundledModel, folder / "model.so");
  auto cpu = openModel(folder / "model.so");
  ASSERT_TRUE(cpu);
  GoldenOutcome expected = runPrompts(cpu->get(), 1, prompts);
  FakeMetal metal;
  {
    ModelHandle model = openFile(Bundled::file());
    ASSERT_TRUE(model) << tern_error_message();
    GoldenOutcome found = runPrompts(model.get(), 1, prompts);
    expectGolden(found, prompts);
    expectSame(expected, found);
  }
  expectNoComplaints();
  EXPECT_EQ(FakeMetal::living(), 0);
}

static std::vector<std::string> kernelsOfLastCall() {
  std::vector<std::string> names;
  for (const FakeDispatch &dispatch : FakeMetal::dispatches())
    names.push_back(dispatch.kernel);
  return names;
}

TEST(Metal, KernelsAreEncodedInTheOrderOfTheModel) {
  FakeMetal metal;
  ModelHandle model = openFile(Bundled::file());
  ASSERT_TRUE(model) << tern_error_message();
  SessionHandle session = sessionOf(model.get(), 64);
  const int32_t ids[] = {1, 2, 3};
  ASSERT_EQ(tern_prefill(session.get(), ids, 3), TERN_STATUS_OK) << tern_error_message();
  std::vector<std::string> prefill = kernelsOfLastCall();
  FakeMetal::forgetDispatches();
  ASSERT_EQ(tern_decode(session.get(), 4), TERN_STATUS_OK) << tern_error_message();
  std::vector<std::string> block = {"norm_quantize_rows",
                                    "matvec_two_bit",
                                    "rope",
                                    "rope",
                                    "store_cache",
                                    "attention",
                                    "norm_quantize_rows",
                                    "matvec_two_bit",
                                    "norm_quantize_rows",
                                    "matvec_two_bit",
                                    "gated_relu2",
                                    "norm_quantize_rows",
                                    "matvec_two_bit"};
  std::vector<std::string> expected = {"embedding_bf16"};
  for (int layer = 0; layer < 6; ++layer)
    expected.insert(expected.end(), block.begin(), block.end());
  expected.insert(expected.end(), {"rms_norm", "head_bf16"});
  EXPECT_EQ(kernelsOfLastCall(), expected);
  for (std::string &name : expected)
    if (name == "matvec_two_bit")
      name = "matmul_two_bit";
  EXPECT_EQ(prefill, expected);
  for (const FakeDispatch &dispatch : FakeMetal::dispatches()) {
    const gpu::KernelInfo *kernel = gpu::findKernel(dispatch.kernel);
    ASSERT_TRUE(kernel);
    EXPECT_EQ(dispatch.offsets.size(), kernel->buffers.size());
    EXPECT_EQ(dispatch.scalarBytes, 4 * kernel->scalars.size());
    EXPECT_EQ(dispatch.threads, static_cast<uint64_t>(kernel->threads));
  }
  expectNoComplaints();
}

TEST(Metal, TheModelSaysWhatItIs) {
  FakeMetal metal;
  ModelHandle model = openFile(Bundled::file());
  ASSERT_TRUE(model) << tern_error_message();
  tern_model_info_t info = {};
  info.struct_size = sizeof info;
  ASSERT_EQ(tern_model_get_info(model.get(), &info), TERN_STATUS_OK);
  EXPECT_STREQ(info.level, "metal");
  EXPECT_EQ(info.vocabulary, 4096u);
  EXPECT_EQ(info.layers, 6u);
  EXPECT_EQ(info.has_tokenizer, 1u);
}

//===----------------------------------------------------------------------===//
// Random modules
//===----------------------------------------------------------------------===//

/// What the compiled module says of the calls, one after the other, as ModelCase::run.
static std::vector<CallResults> runOnMetal(ModelCase &model,
                                           const std::vector<CallArguments> &calls,
                                           const std::vector<CallResults> &expected) {
  TempFolder folder;
  auto copy = model.copy();
  compile(*copy, nullptr, 40, folder / "module.metal");
  ModelHandle opened = openFile(folder / "module.metal");
  EXPECT_TRUE(opened) << tern_error_message();
  SessionHandle session = opened ? sessionOf(opened.get(), 64) : nullptr;
  EXPECT_TRUE(session) << tern_error_message();
  std::vector<CallResults> found;
  if (!session)
    return found;
  for (size_t i = 0; i < calls.size(); ++i) {
    std::vector<const void *> inputs;
    for (size_t j = 0; j < calls[i].floats.size(); ++j)
      inputs.push_back(calls[i].floats[j].empty()
                           ? static_cast<const void *>(calls[i].ids[j].data())
                           : calls[i].floats[j].data());
    CallResults &results = found.emplace_back();
    // No rows wanted: a place all the same.
    static float nothing;
    std::vector<void *> outputs;
    for (const std::vector<float> &result : expected[i])
      results.emplace_back(result.size(), -1.0f);
    for (std::vector<float> &result : results)
      outputs.push_back(result.empty() ? &nothing : result.data());
    EXPECT_EQ(tern_session_run(session.get(), calls[i].rows, inputs.data(), inputs.size(),
                               calls[i].indices.data(), calls[i].indices.size(), outputs.data(),
                               outputs.size()),
              TERN_STATUS_OK)
        << tern_error_message();
  }
  return found;
}

TEST(Metal, MlpsEqualTheInterpreter) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelCase model(randomMlp(seed));
    ASSERT_TRUE(model.module());
    std::vector<CallArguments> calls;
    for (int64_t rows : {1, 2, 7, 33})
      calls.push_back(model.arguments(seed * 100 + static_cast<uint64_t>(rows), rows, 0, 0));
    std::vector<CallResults> expected = model.interpret(calls);
    FakeMetal metal;
    EXPECT_EQ(difference(expected, runOnMetal(model, calls, expected)), "");
    expectNoComplaints();
    EXPECT_EQ(FakeMetal::living(), 0);
  }
}

TEST(Metal, DecodersEqualTheInterpreter) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ModelCase model(randomDecoder(seed, 3));
    ASSERT_TRUE(model.module());
    std::vector<CallArguments> calls = {
        model.arguments(seed, 9, 0, 4), model.arguments(seed + 1, 1, 9, 1),
        model.arguments(seed + 2, 2, 10, 0), model.arguments(seed + 3, 3, 12, 3)};
    std::vector<CallResults> expected = model.interpret(calls);
    FakeMetal metal;
    EXPECT_EQ(difference(expected, runOnMetal(model, calls, expected)), "");
    expectNoComplaints();
  }
}

//===----------------------------------------------------------------------===//
// Failures
//===----------------------------------------------------------------------===//

/// Why the bundled model cannot be opened on such a device.
static std::string refusal(const FakeBehaviour &behaviour) {
  FakeMetal metal(behaviour);
  ModelHandle model = openFile(Bundled::file());
  std::string reason = model ? "opened" : tern_error_message();
  model.reset();
  expectNoComplaints();
  EXPECT_EQ(FakeMetal::living(), 0);
  return reason;
}

TEST(Metal, AnUnsuitableDeviceIsRefusedWithTheReason) {
  FakeBehaviour behaviour;
  EXPECT_EQ(refusal(behaviour), "opened");
  behaviour.noDevice = true;
  EXPECT_NE(refusal(behaviour).find("Metal offers no device"), std::string::npos);
  behaviour = {};
  behaviour.simdWidth = 16;
  EXPECT_NE(refusal(behaviour).find("expected simdgroups of 32 threads, this GPU has 16"),
            std::string::npos);
  behaviour = {};
  behaviour.mostThreads = 64;
  EXPECT_NE(refusal(behaviour).find("this GPU takes up to 64"), std::string::npos);
  behaviour = {};
  behaviour.threadgroupMemory = 1024;
  EXPECT_NE(refusal(behaviour).find("bytes of threadgroup memory, this GPU has 1024"),
            std::string::npos);
  behaviour = {};
  behaviour.missingFunction = "rope";
  EXPECT_NE(refusal(behaviour).find("kernel rope: not in the compiled library"), std::string::npos);
}

TEST(Metal, ASystemWithoutMetalSaysSo) {
#ifndef __APPLE__
  EXPECT_FALSE(openFile(Bundled::file()));
  EXPECT_NE(
      std::string(tern_error_message()).find("compiled for Metal, which this system does not have"),
      std::string::npos);
#endif
}

TEST(Metal, AFaultOfTheGpuIsAnErrorOfTheCall) {
  FakeBehaviour behaviour;
  behaviour.gpuFault = "page fault";
  FakeMetal metal(behaviour);
  {
    ModelHandle model = openFile(Bundled::file());
    ASSERT_TRUE(model) << tern_error_message();
    SessionHandle session = sessionOf(model.get(), 64);
    EXPECT_EQ(tern_decode(session.get(), 4), TERN_STATUS_INTERNAL);
    EXPECT_NE(std::string(tern_error_message()).find("page fault"), std::string::npos);
  }
  expectNoComplaints();
  EXPECT_EQ(FakeMetal::living(), 0);
}

TEST(Metal, EveryBufferThatCannotBeHadIsAnErrorWithoutALeak) {
  int failures = 0;
  for (int64_t failing = 0;; ++failing) {
    FakeBehaviour behaviour;
    behaviour.failingBuffer = failing;
    FakeMetal metal(behaviour);
    bool worked = false;
    {
      ModelHandle model = openFile(Bundled::file());
      ASSERT_TRUE(model) << tern_error_message();
      SessionHandle session = sessionOf(model.get(), 64);
      worked = session && tern_decode(session.get(), 4) == TERN_STATUS_OK;
      if (!worked)
        EXPECT_NE(std::string(tern_error_message()).find("GPU memory"), std::string::npos);
    }
    expectNoComplaints();
    EXPECT_EQ(FakeMetal::living(), 0);
    if (worked)
      break;
    ++failures;
  }
  // Arena, cache, scratch, angles, ids, logits.
  EXPECT_EQ(failures, 6);
}
