//===- SparsePanel.cpp - several token rows on contiguous rows or columns -===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/SparseKernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "tern/abi.h"

#include <cstddef>

using namespace mlir;

namespace tern {

namespace {

/// Of a panel on the stack; it stays in the second-level cache.
constexpr int64_t kPanelBytes = 256 * 1024;
/// Row blocks of 16 that are unpacked for at once, at most and at least: columns give four.
constexpr int64_t kMostBlocks = 16, kFewestBlocks = 4;

/// Brings a few row blocks into the order of two_bit, and hands them to its kernel. What that costs
/// is small beside the products of many token rows.
class PanelEmitter : public SparseEmitter {
public:
  using SparseEmitter::SparseEmitter;
  void emit() override;

private:
  void emitPanel(Value first, Value count);
  void fillFromRows(Value block, Value to);
  void fillFromColumns(Value block, Value to);
  void closeGates(Value first, Value count);
  /// Four words that are a tile's lanes: 16 bytes.
  void storeLanes(Value lanes4, Value to, Value tile, int64_t lane) {
    store(lanes4, b.offset(element(to, tile, 64), 4 * lane), 16);
  }

  bool rowsContiguous() const { return row.packing.kind == Packing::Kind::TwoBitRows; }

  Value panel, inner, blockBytes; ///< of a block of 16 rows
};

void PanelEmitter::emit() {
  static_assert(kFewestBlocks * kMostSkippedColumns / 16 * 64 <= kPanelBytes);
  panel = stack(b.i64(kPanelBytes));
  inner = stack(b.i64(sizeof(tern_matmul_args_t)));
  for (size_t at = 0; at < sizeof(tern_matmul_args_t); at += 8)
    store(field(b.getI64Type(), at), b.offset(inner, static_cast<int64_t>(at)), 8);
  store(b.i64(0), b.offset(inner, offsetof(tern_matmul_args_t, gate)), 8);
  blockBytes = b.mul(kTiles, b.i64(64));
  Value atLeastOne = arith::MaxSIOp::create(b, blockBytes, b.i64(1));
  Value fit = arith::DivSIOp::create(b, b.i64(kPanelBytes), atLeastOne);
  Value step = b.bitAnd(b.min(fit, b.i64(kMostBlocks)), b.i64(-kFewestBlocks));
  const int64_t ratio = row.packing.rows / 16;
  Value begin = b.mul(blockBegin, b.i64(ratio)), end = b.mul(blockEnd, b.i64(ratio));
  forLoop(begin, end, step,
          [&](Value first) { emitPanel(first, b.sub(b.min(b.add(first, step), end), first)); });
}

void PanelEmitter::emitPanel(Value first, Value count) {
  forLoop(b.i64(0), count, rowsContiguous() ? 1 : kFewestBlocks, [&](Value block) {
    Value to = b.offset(panel, b.mul(block, blockBytes)), from = b.add(first, block);
    if (rowsContiguous())
      fillFromRows(from, to);
    else
      fillFromColumns(from, to);
  });
  // The kernel counts from block 0.
  Value begin = b.offset(panel, b.sub(b.i64(0), b.mul(first, blockBytes)));
  store(begin, b.offset(inner, offsetof(tern_matmul_args_t, weight)), 8);
  store(first, b.offset(inner, offsetof(tern_matmul_args_t, block_begin)), 8);
  store(b.add(first, count), b.offset(inner, offsetof(tern_matmul_args_t, block_end)), 8);
  LLVM::CallOp::create(b, TypeRange{}, row.panelKernel, ValueRange{inner});
  onlyIf(isNotNull(gate), [&] { closeGates(first, count); });
}

/// Words of 16 rows, transposed.
void PanelEmitter::fillFromRows(Value block, Value to) {
  VectorType words = b.vec(4, 32);
  Value from = b.offset(weight, b.mul(block, blockBytes)), rowBytes = b.mul(kTiles, b.i64(4));
  auto rowAt = [&](int64_t r, Value tile) {
    return element(b.offset(from, b.mul(rowBytes, b.i64(r))), tile, 4);
  };
  Value whole = b.bitAnd(kTiles, b.i64(-4));
  forLoop(b.i64(0), whole, 4, [&](Value tile) {
    for (int64_t lane = 0; lane < 16; lane += 4) {
      Values rows;
      for (int64_t i = 0; i < 4; ++i)
        rows.push_back(b.load(words, rowAt(lane + i, tile), 4));
      for (bool high : {false, true}) {
        Value left = interleave(rows[0], rows[1], 4, high);
        Value right = interleave(rows[2], rows[3], 4, high);
        for (int64_t i = 0; i < 2; ++i)
          storeLanes(interleave(left, right, 8, i), to, b.add(tile, b.i64(2 * high + i)), lane);
      }
    }
  });
  forLoop(whole, kTiles, 1, [&](Value tile) {
    for (int64_t lane = 0; lane < 16; ++lane)
      store(b.load(b.getI32Type(), rowAt(lane, tile), 4), b.offset(element(to, tile, 64), 4 * lane),
            4);
  });
}

/// Four blocks from 16 bytes of each column. In words of four columns the 2-bit fields belong to
/// these blocks; a tile wants in them four such words of its columns: a 4 x 4 matrix of fields is
/// transposed, by two exchanges.
void PanelEmitter::fillFromColumns(Value block, Value to) {
  VectorType bytes16 = b.vec(16, 8), halves = b.vec(8, 16);
  Value outer = arith::ShRUIOp::create(b, block, b.i64(4));
  Value place = b.mul(b.bitAnd(block, b.i64(15)), b.i64(16 / kFewestBlocks));
  Value from = b.offset(weight, b.add(b.mul(b.mul(outer, blockBytes), b.i64(16)), place));
  auto exchange = [&](Value &x, Value &y, int64_t bits, int64_t mask) {
    Value difference = arith::XOrIOp::create(b, b.shiftRight(x, bits), y);
    difference = b.bitAnd(difference, b.splat(halves, mask));
    y = arith::XOrIOp::create(b, y, difference);
    x = arith::XOrIOp::create(b, x, b.shiftLeft(difference, bits));
  };
  forLoop(b.i64(0), kTiles, 1, [&](Value tile) {
    Value columns = element(from, tile, 16 * kColumnBlockRows / 4);
    SmallVector<Values> words(4); // [quarter][group of four columns]
    for (int64_t group = 0; group < 4; ++group) {
      Values four;
      for (int64_t i = 0; i < 4; ++i)
        four.push_back(
            b.load(bytes16, b.offset(columns, (4 * group + i) * kColumnBlockRows / 4), 16));
      for (bool high : {false, true}) {
        Value left = interleave(four[0], four[1], 1, high);
        Value right = interleave(four[2], four[3], 1, high);
        for (int64_t i = 0; i < 2; ++i)
          words[2 * high + i].push_back(b.bitcast(halves, interleave(left, right, 2, i)));
      }
    }
    for (auto [quarter, fields] : llvm::enumerate(words)) {
      exchange(fields[0], fields[1], 2, 0x3333);
      exchange(fields[2], fields[3], 2, 0x3333);
      exchange(fields[0], fields[2], 4, 0x0f0f);
      exchange(fields[1], fields[3], 4, 0x0f0f);
      for (int64_t f = 0; f < 4; ++f)
        storeLanes(fields[f], b.offset(to, b.mul(blockBytes, b.i64(f))), tile, 4 * quarter);
    }
  });
}

void PanelEmitter::closeGates(Value first, Value count) {
  auto floats = VectorType::get({lanes}, b.getF32Type());
  Value begin = b.mul(first, b.i64(16)), end = b.add(begin, b.mul(count, b.i64(16)));
  forLoop(b.i64(0), m, 1, [&](Value token) {
    forLoop(begin, end, lanes, [&](Value column) {
      Value at = element(out, b.add(b.mul(token, outStride), column), 4);
      Value g = b.load(floats, element(gate, b.add(b.mul(token, gateStride), column), 4), 4);
      Value product =
          arith::MulFOp::create(b, arith::MulFOp::create(b, g, g), b.load(floats, at, 4));
      store(arith::SelectOp::create(b, positive(g), product, zero(floats)), at, 4);
    });
  });
}

} // namespace

std::unique_ptr<SparseEmitter> panelEmitter(KernelBuilder &b, const KernelRow &row, Value args) {
  return std::make_unique<PanelEmitter>(b, row, args);
}

} // namespace tern
