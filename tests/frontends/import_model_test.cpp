//===- import_model_test.cpp - checkpoints become modules -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/import/Import.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "gtest/gtest.h"

using namespace llvm;
using namespace tern;

static std::string bundled() { return TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet"; }

static std::string print(mlir::ModuleOp module) {
  std::string text;
  raw_string_ostream stream(text);
  module.print(stream);
  return text;
}

/// Each of `parts` must occur after the one before.
static void expectInOrder(StringRef text, std::initializer_list<StringRef> parts) {
  size_t from = 0;
  for (StringRef part : parts) {
    size_t at = text.find(part, from);
    ASSERT_NE(at, StringRef::npos) << "not found after byte " << from << ": " << part.str();
    from = at + part.size();
  }
}

TEST(Import, BundledModelBecomesAModuleOfOneBlock) {
  mlir::MLIRContext context;
  Expected<import::ImportedModel> model = import::importModel(context, bundled());
  ASSERT_TRUE(bool(model)) << toString(model.takeError());
  EXPECT_TRUE(succeeded(mlir::verify(*model->module)));
  EXPECT_EQ(model->folder, bundled());
  std::string text = print(*model->module);
  expectInOrder(text, {"ternary.files = [\"model.safetensors\"]",
                       "architecture = \"bitnet\"",
                       "hidden = 512",
                       "ternary.weight @embed : tensor<4096x512xbf16> from [#ternary.source<file = "
                       "0, offset = 11760, bytes = 4194304, shape = [4096, 512], encoding = bf16>]",
                       "ternary.weight @blk.0.attn_norm : tensor<512xf32>",
                       "ternary.weight @blk.0.attn_q : tensor<512x512x!ternary.trit>",
                       "encoding = hf_u8",
                       "ternary.weight @blk.0.attn_q.scale : tensor<1xf32>",
                       "ternary.weight @blk.5.ffn_down.scale",
                       "ternary.weight @output_norm",
                       "func.func private @block(",
                       "ternary.rms_norm",
                       "ternary.linear",
                       "ternary.attention",
                       "ternary.gated_activation",
                       "relu2",
                       "func.func @forward(",
                       "ternary.entry",
                       "call @block(",
                       "ternary.head"});
  EXPECT_EQ(StringRef(text).count("func.func private"), 1u);
  EXPECT_EQ(StringRef(text).count("call @block("), 6u);
  if (getenv("TERN_TEST_PRINT"))
    outs() << text << model->card << "\n";
}
