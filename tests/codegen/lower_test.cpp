//===- lower_test.cpp - phases, payloads and descriptors ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/Descriptor.h"
#include "codegen/Payload.h"
#include "codegen/Phases.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "tests/support/RandomModules.h"
#include "tests/support/RunForward.h"
#include "tests/support/RunModule.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/LLVMContext.h"
#include "gtest/gtest.h"

using namespace tern;

static Region locals(int64_t begin, int64_t end, int64_t root) {
  return {Region::Space::Locals, 0, begin, end, root};
}

TEST(Phases, BarrierComesBetweenAWriteAndARead) {
  PhaseTracker tracker(/*clean=*/true);
  Access write{locals(0, 64, 1), true, {}}, read{locals(32, 96, 2), false, {}};
  EXPECT_FALSE(tracker.needsBarrier({write}));
  tracker.add({write});
  EXPECT_TRUE(tracker.needsBarrier({read}));
  tracker.barrier();
  EXPECT_FALSE(tracker.needsBarrier({read}));
}

TEST(Phases, TicketServesOnePhaseABarrier) {
  PhaseTracker tracker(/*clean=*/true);
  EXPECT_TRUE(tracker.takeTicket());
  EXPECT_FALSE(tracker.takeTicket());
  tracker.barrier();
  EXPECT_TRUE(tracker.takeTicket());
}

TEST(Phases, BarrierComesBeforeBytesAreReused) {
  PhaseTracker tracker(true);
  tracker.add({{locals(0, 64, 1), false, {}}});
  EXPECT_TRUE(tracker.needsBarrier({{locals(0, 64, 2), true, {}}}));
  EXPECT_FALSE(tracker.needsBarrier({{locals(64, 128, 2), true, {}}}));
  EXPECT_FALSE(tracker.needsBarrier({{locals(0, 64, 2), false, {}}}));
}

TEST(Phases, RowsOfOneBufferStayWithTheirThread) {
  auto context = test::makeContext();
  mlir::OpBuilder builder(context.get());
  auto module = test::parse(*context, "module {}");
  builder.setInsertionPointToStart(module->getBody());
  auto number = [&](int64_t value) -> mlir::Value {
    return mlir::arith::ConstantOp::create(builder, builder.getUnknownLoc(),
                                           builder.getI64IntegerAttr(value));
  };
  mlir::Value rows = number(1), others = number(2);
  PhaseTracker tracker(true);
  tracker.add({{locals(0, 64, 1), true, rows}});
  EXPECT_FALSE(tracker.needsBarrier({{locals(0, 64, 1), false, rows}}));
  EXPECT_TRUE(tracker.needsBarrier({{locals(0, 64, 1), false, others}}));
  EXPECT_TRUE(tracker.needsBarrier({{locals(0, 64, 1), false, {}}}));
  // Another buffer in the same bytes has its rows elsewhere.
  EXPECT_TRUE(tracker.needsBarrier({{locals(0, 64, 2), true, rows}}));
}

TEST(Phases, NothingIsKnownAfterACall) {
  PhaseTracker tracker(true);
  tracker.addUnknown();
  EXPECT_TRUE(tracker.needsBarrier({{locals(0, 1, 1), false, {}}}));
  EXPECT_TRUE(PhaseTracker(/*clean=*/false).needsBarrier({}));
}

TEST(Phases, CachesAndArgumentsAreApart) {
  PhaseTracker tracker(true);
  tracker.add({{{Region::Space::Cache, 0, 0, 0, 1}, true, {}}});
  EXPECT_FALSE(tracker.needsBarrier({{{Region::Space::Cache, 1, 0, 0, 2}, false, {}}}));
  EXPECT_FALSE(tracker.needsBarrier({{{Region::Space::Argument, 0, 0, 0, 3}, false, {}}}));
  EXPECT_TRUE(tracker.needsBarrier({{{Region::Space::Cache, 0, 0, 0, 1}, false, {}}}));
}

TEST(Descriptor, SymbolsAreIdentifiers) {
  EXPECT_EQ(forwardSymbol("x86-64-v4-vnni"), "tern_forward_x86_64_v4_vnni");
  EXPECT_EQ(kernelsSymbol("x86-64"), "tern_kernels_x86_64");
}

TEST(Descriptor, ConstantMirrorsTheStructFieldByField) {
  llvm::LLVMContext context;
  llvm::Module module("descriptor", context);
  module.setDataLayout(
      "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128");
  DescriptorInfo info;
  info.sidecar = "model.so.weights";
  info.layoutId.fill(7);
  info.variants = {{"x86-64", 5, 3}};
  // Every number its own value: a field in the wrong place shows.
  tern_descriptor_t &n = info.numbers;
  n.max_rows = 11, n.arena_bytes = 12, n.kv_bytes_per_position = 13;
  n.scratch_bytes_per_position = 14, n.weights_bytes = 15, n.vocabulary = 16, n.hidden = 17;
  n.layers = 18, n.max_positions = 19, n.input_count = 20, n.index_count = 21, n.output_count = 22,
  n.fixed_rows = 23;
  addDescriptor(module, info);
  auto *record =
      llvm::cast<llvm::ConstantStruct>(module.getNamedGlobal("tern.descriptor")->getInitializer());
  const llvm::StructLayout *layout = module.getDataLayout().getStructLayout(record->getType());
  ASSERT_EQ(layout->getSizeInBytes(), sizeof(tern_descriptor_t));
  auto at = [&](size_t offset) -> uint64_t {
    for (unsigned i = 0; i < record->getNumOperands(); ++i)
      if (layout->getElementOffset(i) == offset)
        if (auto *value = llvm::dyn_cast<llvm::ConstantInt>(record->getOperand(i)))
          return value->getZExtValue();
    return ~uint64_t(0);
  };
  EXPECT_EQ(at(offsetof(tern_descriptor_t, struct_size)), sizeof(tern_descriptor_t));
  EXPECT_EQ(at(offsetof(tern_descriptor_t, abi_version)), TERN_ABI_VERSION);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, variant_count)), 1u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, max_rows)), 11u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, arena_bytes)), 12u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, kv_bytes_per_position)), 13u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, scratch_bytes_per_position)), 14u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, weights_bytes)), 15u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, vocabulary)), 16u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, hidden)), 17u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, layers)), 18u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, max_positions)), 19u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, input_count)), 20u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, index_count)), 21u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, output_count)), 22u);
  EXPECT_EQ(at(offsetof(tern_descriptor_t, fixed_rows)), 23u);
}

TEST(Payload, WeightsThatLeaveTheirSectionAreRefused) {
  PayloadInfo info;
  info.weightsBytes = 64;
  std::vector<uint8_t> bytes(info.totalBytes());
  auto write = [&](uint64_t offset, llvm::ArrayRef<uint8_t> piece) {
    std::copy(piece.begin(), piece.end(), bytes.begin() + static_cast<int64_t>(offset));
    return llvm::Error::success();
  };
  const uint8_t piece[48] = {};
  info.writeWeights = [&](ByteSink sink) { return sink(32, piece); };
  EXPECT_NE(llvm::toString(writePayload(info, write)).find("leave their section"),
            std::string::npos);
  info.writeWeights = [&](ByteSink sink) -> llvm::Error {
    if (llvm::Error error = sink(0, piece))
      return error;
    return sink(16, llvm::ArrayRef<uint8_t>(piece).take_front(8));
  };
  EXPECT_NE(llvm::toString(writePayload(info, write)), "");
  // An interrupted payload has no magic.
  EXPECT_EQ(bytes[0], 0);
}

TEST(Payload, LayoutIdFollowsNamesTypesPlacesAndTokens) {
  auto context = test::makeContext();
  auto id = [&](const std::string &name, int64_t offset, llvm::StringRef tokens) {
    auto module = test::parse(
        *context, "module { ternary.weight @" + name +
                      " : tensor<64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, "
                      "shape = [64], encoding = random>] section [" +
                      std::to_string(offset) + ", 256] }");
    return layoutId(*module, tokens);
  };
  EXPECT_EQ(id("a", 0, "t"), id("a", 0, "t"));
  EXPECT_NE(id("a", 0, "t"), id("b", 0, "t"));
  EXPECT_NE(id("a", 0, "t"), id("a", 64, "t"));
  EXPECT_NE(id("a", 0, "t"), id("a", 0, "u"));
}
