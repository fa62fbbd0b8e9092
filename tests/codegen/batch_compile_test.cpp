//===- batch_compile_test.cpp - rows of several sequences -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelCase.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "tests/support/RandomModules.h"
#include "gtest/gtest.h"

#include <bit>

using namespace tern;
using namespace tern::test;

static constexpr int64_t kCapacity = 48;

/// Sequences of one compiled model, each with a cache of its own.
namespace {
class Sequences {
public:
  Sequences(const tern_descriptor_t *descriptor, const uint8_t *payload, size_t count)
      : descriptor(descriptor), lead(descriptor, payload, kCapacity) {
    // Rooms differ, as those of sessions may.
    for (size_t i = 0; i < count; ++i)
      runs.push_back(std::make_unique<ForwardRun>(descriptor, payload,
                                                  kCapacity - static_cast<int64_t>(i % 3)));
  }

  /// Appends tokens to one sequence: the logits of the last.
  std::vector<float> append(size_t sequence, uint32_t threads, int64_t position,
                            const std::vector<int32_t> &ids) {
    std::vector<float> logits(descriptor->vocabulary, 99.0f);
    runs[sequence]->run(0, threads, static_cast<int64_t>(ids.size()), {ids.data()}, {position, 1},
                        {logits.data()});
    return logits;
  }

  /// One token for each sequence, in one call.
  std::vector<float> step(uint32_t threads, const std::vector<int64_t> &positions,
                          const std::vector<int32_t> &ids, Schedule schedule) {
    std::vector<tern_batch_row_t> rows;
    for (size_t i = 0; i < ids.size(); ++i)
      rows.push_back(runs[i]->rowAt(positions[i]));
    std::vector<float> logits(ids.size() * descriptor->vocabulary, 99.0f);
    auto count = static_cast<int64_t>(ids.size());
    lead.run(0, threads, count, {ids.data()}, {0, count}, {logits.data()}, schedule, rows);
    return logits;
  }

private:
  const tern_descriptor_t *descriptor;
  ForwardRun lead; ///< whose own cache no batch may touch
  std::vector<std::unique_ptr<ForwardRun>> runs;
};
} // namespace

static bool sameBits(const float *left, const float *right, size_t count) {
  return std::equal(left, left + count, right, [](float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
  });
}

/// `count` sequences at different positions take three tokens each, alone and together.
static void expectBatchEqualsAlone(const tern_descriptor_t *descriptor, const uint8_t *payload,
                                   size_t count, uint32_t threads, Schedule schedule) {
  Sequences alone(descriptor, payload, count), together(descriptor, payload, count);
  std::vector<int64_t> positions;
  auto token = [&](size_t sequence, int64_t position) {
    return static_cast<int32_t>((sequence * 5 + static_cast<size_t>(position) * 3) %
                                descriptor->vocabulary);
  };
  for (size_t i = 0; i < count; ++i) {
    positions.push_back(static_cast<int64_t>(i * 7 % 30));
    std::vector<int32_t> text;
    for (int64_t p = 0; p < positions[i]; ++p)
      text.push_back(token(i, p));
    if (text.empty())
      continue;
    alone.append(i, 1, 0, text);
    together.append(i, 1, 0, text);
  }
  for (int round = 0; round < 3; ++round) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < count; ++i)
      ids.push_back(token(i, positions[i]));
    std::vector<float> found = together.step(threads, positions, ids, schedule);
    for (size_t i = 0; i < count; ++i) {
      std::vector<float> expected = alone.append(i, 1, positions[i]++, {ids[i]});
      ASSERT_TRUE(sameBits(expected.data(), found.data() + i * expected.size(), expected.size()))
          << "sequence " << i << " of " << count << ", round " << round << ", " << threads
          << " threads";
    }
  }
}

static std::unique_ptr<JitModel> compileDecoder(uint64_t seed, const Target &target) {
  ModelCase model(randomDecoder(seed, 2));
  auto copy = model.copy();
  auto entry = copy->lookupSymbol<mlir::func::FuncOp>("forward");
  int64_t vocabulary =
      mlir::cast<mlir::RankedTensorType>(entry.getResultTypes().front()).getDimSize(1);
  mlir::OpBuilder b(copy->getContext());
  copy.get()->setAttr(
      "ternary.model",
      b.getDictionaryAttr({b.getNamedAttr("vocabulary", b.getI64IntegerAttr(vocabulary)),
                           b.getNamedAttr("max_positions", b.getI64IntegerAttr(kCapacity))}));
  CompileOptions options;
  options.targets = {target};
  options.maxRows = 32;
  auto compiled = JitModel::compile(CompileInput{*copy, nullptr, "", ""}, options);
  if (!compiled) {
    ADD_FAILURE() << llvm::toString(compiled.takeError());
    return nullptr;
  }
  return std::move(*compiled);
}

TEST(BatchCompile, SequencesTogetherEqualSequencesAlone) {
  for (const Target &target : allTargets()) {
    if (!hostCanRun(target.cpuFeatures))
      continue;
    SCOPED_TRACE(target.name);
    for (uint64_t seed : {41, 42}) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      auto compiled = compileDecoder(seed, target);
      ASSERT_TRUE(compiled);
      const tern_descriptor_t *descriptor = compiled->query()(TERN_ABI_VERSION);
      for (size_t count = 1; count <= 9; ++count)
        for (uint32_t threads : {1u, 3u})
          expectBatchEqualsAlone(descriptor, compiled->payload().data(), count, threads,
                                 Schedule::Together);
      expectBatchEqualsAlone(descriptor, compiled->payload().data(), 17, 2, Schedule::Together);
    }
  }
}

TEST(BatchCompile, BarriersSuffice) {
  for (const Target &target : allTargets()) {
    if (!hostCanRun(target.cpuFeatures))
      continue;
    auto compiled = compileDecoder(43, target);
    ASSERT_TRUE(compiled);
    for (Schedule schedule : {Schedule::Ascending, Schedule::Descending})
      expectBatchEqualsAlone(compiled->query()(TERN_ABI_VERSION), compiled->payload().data(), 5, 3,
                             schedule);
    return; // phases do not depend on the target
  }
}
