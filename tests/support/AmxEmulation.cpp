//===- AmxEmulation.cpp - AMX for CPUs without it -------------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tests/support/AmxEmulation.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Constants.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace llvm;

namespace tern::test {

namespace {

/// A tile register: `rows` rows of `bytes` bytes, as configured.
struct TileRegister {
  int rows, bytes;
  uint8_t data[16][64];
};

struct State {
  bool configured = false;
  TileRegister registers[8];
};
thread_local State state;

void require(bool holds, const char *what) {
  if (holds)
    return;
  std::fprintf(stderr, "AMX: %s\n", what);
  std::abort();
}

TileRegister &tile(uint8_t index) {
  require(state.configured, "used without a configuration");
  require(index < 8 && state.registers[index].rows, "no such tile register");
  return state.registers[index];
}

void configure(const uint8_t *from) {
  require(from[0] == 1, "no palette but 1");
  state.configured = true;
  for (int i = 0; i < 8; ++i) {
    uint16_t bytes;
    std::memcpy(&bytes, from + 16 + 2 * i, sizeof bytes);
    require(bytes <= 64 && from[48 + i] <= 16, "a tile register is larger than the palette's");
    state.registers[i] = {from[48 + i], bytes, {}};
  }
}

void release() { state.configured = false; }

void zero(uint8_t index) { std::memset(tile(index).data, 0, sizeof tile(index).data); }

void load(uint8_t index, const uint8_t *from, int64_t stride) {
  zero(index);
  for (int row = 0; row < tile(index).rows; ++row)
    std::memcpy(tile(index).data[row], from + row * stride, static_cast<size_t>(tile(index).bytes));
}

void store(uint8_t index, uint8_t *to, int64_t stride) {
  for (int row = 0; row < tile(index).rows; ++row)
    std::memcpy(to + row * stride, tile(index).data[row], static_cast<size_t>(tile(index).bytes));
}

/// Signed bytes of `left` times unsigned ones of `right`, in fours.
void multiply(uint8_t sumIndex, uint8_t leftIndex, uint8_t rightIndex) {
  TileRegister &sums = tile(sumIndex), &left = tile(leftIndex), &right = tile(rightIndex);
  require(sumIndex != leftIndex && sumIndex != rightIndex && leftIndex != rightIndex,
          "the same register twice");
  require(sums.rows == left.rows && sums.bytes == right.bytes && left.bytes == 4 * right.rows,
          "shapes do not fit");
  for (int m = 0; m < sums.rows; ++m)
    for (int n = 0; n < sums.bytes / 4; ++n) {
      int32_t sum;
      std::memcpy(&sum, sums.data[m] + 4 * n, sizeof sum);
      for (int k = 0; k < right.rows; ++k)
        for (int j = 0; j < 4; ++j)
          sum += static_cast<int8_t>(left.data[m][4 * k + j]) * right.data[k][4 * n + j];
      std::memcpy(sums.data[m] + 4 * n, &sum, sizeof sum);
    }
}

template <typename Result, typename... Operands>
void replace(Module &module, StringRef name, Result (*function)(Operands...)) {
  Function *instruction = module.getFunction(name);
  if (!instruction)
    return;
  Constant *address =
      ConstantInt::get(Type::getInt64Ty(module.getContext()), reinterpret_cast<uint64_t>(function));
  instruction->replaceAllUsesWith(ConstantExpr::getIntToPtr(address, instruction->getType()));
  instruction->eraseFromParent();
}

} // namespace

void emulateAmx(Module &module) {
  replace(module, "llvm.x86.ldtilecfg", configure);
  replace(module, "llvm.x86.tilerelease", release);
  replace(module, "llvm.x86.tilezero", zero);
  replace(module, "llvm.x86.tileloadd64", load);
  replace(module, "llvm.x86.tilestored64", store);
  replace(module, "llvm.x86.tdpbsud", multiply);
}

Target withoutAmx(const Target &target) {
  Target result = target;
  SmallVector<StringRef> features, kept;
  StringRef(target.features).split(features, ',');
  for (StringRef feature : features)
    if (!feature.starts_with("+amx"))
      kept.push_back(feature);
  result.features = join(kept, ",");
  return result;
}

} // namespace tern::test
