//===- convert_golden_test.cpp - the bundled model in every form ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/convert/Convert.h"
#include "tests/support/GoldenModel.h"

#include "gtest/gtest.h"

using namespace llvm;
using namespace tern;
using namespace tern::test;

namespace {

/// What the checkpoint itself says, compiled in memory.
const GoldenOutcome &original() {
  static const GoldenOutcome outcome = [] {
    auto model = openModel(kBundledModel);
    return model ? runPrompts(model->get(), 2, goldenPrompts()) : GoldenOutcome();
  }();
  return outcome;
}

class ConvertGolden : public testing::TestWithParam<convert::Target> {};

/// The 64 greedy ids of all 24 prompts and their last logits: within the reference's tolerances of
/// the reference, and the bits of the model that was converted.
TEST_P(ConvertGolden, AgreesWithTheReferenceAndTheOriginal) {
  TempFolder folder;
  bool packed = GetParam() == convert::Target::HuggingFace;
  std::string out = folder / (packed ? "packed" : "model.gguf");
  {
    mlir::MLIRContext context;
    auto imported = import::importModel(context, kBundledModel);
    ASSERT_TRUE(bool(imported)) << toString(imported.takeError());
    convert::Options options;
    options.target = GetParam();
    auto notes = convert::convertModel(*imported, kBundledModel, out, options);
    ASSERT_TRUE(bool(notes)) << toString(notes.takeError());
  }
  auto model = openModel(out);
  ASSERT_TRUE(model);
  std::vector<GoldenPrompt> prompts = goldenPrompts();
  ASSERT_EQ(prompts.size(), 24u);
  GoldenOutcome outcome = runPrompts(model->get(), 2, prompts);
  expectGolden(outcome, prompts);
  ASSERT_EQ(outcome.lastLogits.size(), original().lastLogits.size());
  expectSame(original(), outcome);
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvertGolden,
                         testing::Values(convert::Target::I2S, convert::Target::TQ1_0,
                                         convert::Target::TQ2_0, convert::Target::HuggingFace),
                         [](const auto &info) { return convert::nameOf(info.param).str(); });

} // namespace
