//===- profile_test.cpp - where the time of a model's calls goes ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "frontends/cli/Profile.h"
#include "frontends/cli/Support.h"
#include "gtest/gtest.h"

#include <cmath>

using namespace llvm;
using namespace tern;
using namespace tern::cli;

namespace {
constexpr char kModel[] = TERN_SOURCE_DIR "/examples/models/tiny-stories-bitnet";
constexpr int kLayers = 6;

std::optional<RunningModel> open(bool probes) {
  RunOptions options;
  options.model = kModel;
  options.probes = probes;
  auto model = openForRunning(options);
  if (model)
    return std::move(*model);
  ADD_FAILURE() << toString(model.takeError());
  return std::nullopt;
}

std::vector<int32_t> prompt(int32_t count) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i)
    ids.push_back((i * 37 + 5) % 4096);
  return ids;
}

void listen(const Session &session, Recorder &recorder) {
  EXPECT_EQ(tern_session_set_probe(session.get(), Recorder::record, &recorder), TERN_STATUS_OK);
}

std::vector<float> logitsOf(tern_session_t *session) {
  const float *logits = nullptr;
  size_t count = 0;
  EXPECT_EQ(tern_session_logits(session, &logits, &count), TERN_STATUS_OK);
  return {logits, logits + count};
}

double parts(const CallProfile &call) {
  double sum = call.waiting + call.outside;
  for (const OpProfile &op : call.ops)
    sum += op.seconds;
  return sum;
}

const OpProfile *findOp(const CallProfile &call, StringRef name) {
  for (const OpProfile &op : call.ops)
    if (op.name == name)
      return &op;
  ADD_FAILURE() << "no op " << name.str();
  return nullptr;
}
} // namespace

TEST(Profile, ProbesChangeNoBit) {
  auto plain = open(false), probed = open(true);
  ASSERT_TRUE(plain && probed);
  EXPECT_TRUE(plain->probes().empty());
  ASSERT_FALSE(probed->probes().empty());
  for (uint32_t threads : {1u, 2u}) {
    Recorder recorder(probed->probes(), threads);
    auto expected = makeSession(plain->get(), threads, 256);
    auto found = makeSession(probed->get(), threads, 256);
    // Code with probes runs without a listener too.
    auto silent = makeSession(probed->get(), threads, 256);
    ASSERT_TRUE(expected && found && silent);
    listen(*found, recorder);
    std::vector<int32_t> ids = prompt(150);
    for (tern_session_t *session : {expected->get(), found->get(), silent->get()}) {
      ASSERT_EQ(tern_prefill(session, ids.data(), ids.size()), TERN_STATUS_OK);
      ASSERT_EQ(tern_decode(session, 7), TERN_STATUS_OK);
    }
    EXPECT_EQ(logitsOf(expected->get()), logitsOf(found->get()));
    EXPECT_EQ(logitsOf(expected->get()), logitsOf(silent->get()));
  }
}

TEST(Profile, PartsAddUpToTheWholeAndCountEveryLayer) {
  auto model = open(true);
  ASSERT_TRUE(model);
  for (uint32_t threads : {1u, 3u}) {
    SCOPED_TRACE(threads);
    Recorder recorder(model->probes(), threads);
    auto session = makeSession(model->get(), threads, 320);
    ASSERT_TRUE(bool(session));
    listen(*session, recorder);
    // 280 tokens are two calls of the compiled function, of 256 and 24 rows.
    std::vector<int32_t> ids = prompt(280);
    recorder.begin(0);
    ASSERT_EQ(tern_prefill(session->get(), ids.data(), ids.size()), TERN_STATUS_OK);
    recorder.end(ids.size());
    CallProfile prefill = recorder.take("prefill");
    EXPECT_EQ(prefill.tokens, 280u);
    EXPECT_GT(prefill.seconds, 0);
    EXPECT_NEAR(parts(prefill), prefill.seconds, 1e-9 + 1e-6 * prefill.seconds);
    const OpProfile *down = findOp(prefill, "fused_linear ffn_down");
    const OpProfile *attention = findOp(prefill, "attention");
    ASSERT_TRUE(down && attention);
    EXPECT_EQ(down->executions, 2u * kLayers);
    EXPECT_TRUE(down->int8);
    EXPECT_DOUBLE_EQ(down->macs, 280.0 * 512 * 1408 * kLayers);
    // Two bits a weight and four bytes of scale a row, in each of both calls.
    EXPECT_DOUBLE_EQ(down->bytes, 2.0 * kLayers * (512 * 1408 / 4 + 512 * 4));
    // Keys and values of 8 heads of 64 meet 1 + 2 + ... + 280 pairs of positions.
    EXPECT_DOUBLE_EQ(attention->macs, 2.0 * 8 * 64 * (280 * 281 / 2) * kLayers);
    ASSERT_EQ(down->layers.size(), size_t(kLayers));
    EXPECT_EQ(down->layers[5].first, "blk.5");
    double sum = 0;
    for (const auto &[layer, seconds] : down->layers)
      sum += seconds;
    EXPECT_NEAR(sum, down->seconds, 1e-9);

    recorder.begin(280);
    ASSERT_EQ(tern_decode(session->get(), 3), TERN_STATUS_OK);
    recorder.end(1);
    CallProfile decode = recorder.take("decode");
    EXPECT_NEAR(parts(decode), decode.seconds, 1e-9 + 1e-6 * decode.seconds);
    const OpProfile *one = findOp(decode, "attention");
    ASSERT_TRUE(one);
    EXPECT_DOUBLE_EQ(one->macs, 2.0 * 8 * 64 * 281 * kLayers);
  }
}

TEST(Profile, LimitIsTheSlowerOfMemoryAndProducts) {
  MachineLimits limits{/*readGBs=*/10, /*int8GMacs=*/100};
  OpProfile op;
  EXPECT_EQ(limitSeconds(op, limits), 0);
  EXPECT_EQ(limitName(op, limits), "");
  op.bytes = 1e9, op.macs = 5e9, op.int8 = true;
  EXPECT_DOUBLE_EQ(limitSeconds(op, limits), 0.1);
  EXPECT_EQ(limitName(op, limits), "memory");
  op.macs = 50e9;
  EXPECT_DOUBLE_EQ(limitSeconds(op, limits), 0.5);
  EXPECT_EQ(limitName(op, limits), "int8");
  // Products of floats are not measured against the int8 peak.
  op.int8 = false;
  EXPECT_EQ(limitName(op, limits), "memory");
}

TEST(Profile, NamesAreEscapedInThePage) {
  CallProfile call;
  call.name = "decode", call.tokens = 1, call.seconds = 2;
  OpProfile op;
  op.name = "linear <a&\"b\">", op.seconds = 1, op.bytes = 1e9, op.macs = 1e9;
  call.ops.push_back(op);
  std::string page = htmlPage("a<script>", {call}, {10, 100}, 1);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("linear &lt;a&amp;&quot;b&quot;&gt;"), std::string::npos);
  for (const char *outside : {"http:", "https:", "src=", "href=", "url("})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
}
