//===- WriteWeights.cpp - the packed weight section, streamed -------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/PackWeights.h"

#include "dialect/HeadScreen.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/ThreadPool.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <optional>

using namespace mlir;
using namespace tern;
using namespace tern::ternary;

namespace {

/// Elements of a chunk.
constexpr int64_t kChunkElements = 1 << 20;
/// Elements after which the pages they were read from are given back; at most 4 bytes each.
constexpr int64_t kReleaseElements = 1 << 23;

/// One weight's packed bytes, in chunks of whole row blocks.
class ChunkEncoder {
public:
  ChunkEncoder(WeightOp weight, const WeightReader &reader)
      : reader(reader), type(cast<RankedTensorType>(weight.getType())),
        rows(type.getRank() == 2 ? type.getDimSize(0) : 1), columns(type.getShape().back()) {
    if (auto attribute = dyn_cast_if_present<PackingAttr>(type.getEncoding()))
      packing = packingOf(attribute);
    if (auto attribute = dyn_cast_if_present<ScalesAttr>(type.getEncoding()))
      scaleRows = attribute.getRows();
    if (auto attribute = dyn_cast_if_present<ScreenAttr>(type.getEncoding()))
      screen = HeadScreen{attribute.getBits()};
    int64_t block = packing     ? packing->rows
                    : scaleRows ? scaleRows
                    : screen    ? HeadScreen::kRows
                                : 1;
    chunkRows = roundUp(std::clamp<int64_t>(kChunkElements / columns, 1, 1024), block);
  }

  int64_t chunks() const { return (rows + chunkRows - 1) / chunkRows; }
  int64_t chunkElements() const { return chunkRows * columns; }

  llvm::Error encode(int64_t chunk, std::vector<uint8_t> &out) const {
    int64_t first = chunk * chunkRows, count = std::min(chunkRows, rows - first);
    if (packing)
      return encodeTrits(first, count, out);
    if (screen)
      return encodeScreen(first, count, out);
    return scaleRows ? encodeScales(first, count, out) : encodeFloats(first, count, out);
  }

private:
  llvm::Error encodeTrits(int64_t first, int64_t count, std::vector<uint8_t> &out) const {
    std::vector<int8_t> trits(count * columns);
    if (llvm::Error error = reader.readTrits(first, count, trits.data()))
      return error;
    out.resize(packing->packedBytes(count, columns));
    for (int64_t row = 0; row < count; row += packing->rows)
      packing->encodeBlock(trits.data() + row * columns, std::min(packing->rows, count - row),
                           columns, columns,
                           out.data() + row / packing->rows * packing->blockBytes(columns));
    return llvm::Error::success();
  }

  /// [row block][column][row of the block], missing rows 0.
  llvm::Error encodeScales(int64_t first, int64_t count, std::vector<uint8_t> &out) const {
    const int64_t elementBytes = type.getElementTypeBitWidth() / 8;
    std::vector<uint8_t> values(count * columns * elementBytes);
    if (llvm::Error error = reader.readRaw(first, count, values.data()))
      return error;
    out.assign(roundUp(count, scaleRows) * columns * elementBytes, 0);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t column = 0; column < columns; ++column) {
        int64_t at = (row / scaleRows * columns + column) * scaleRows + row % scaleRows;
        std::memcpy(out.data() + at * elementBytes,
                    values.data() + (row * columns + column) * elementBytes, elementBytes);
      }
    return llvm::Error::success();
  }

  llvm::Error encodeScreen(int64_t first, int64_t count, std::vector<uint8_t> &out) const {
    std::vector<float> values(count * columns);
    if (llvm::Error error = reader.readFloats(first, count, values.data()))
      return error;
    out.resize(screen->packedBytes(count, columns));
    for (int64_t row = 0; row < count; row += HeadScreen::kRows)
      screen->encodeBlock(values.data() + row * columns, std::min(HeadScreen::kRows, count - row),
                          columns,
                          out.data() + row / HeadScreen::kRows * screen->blockBytes(columns));
    return llvm::Error::success();
  }

  /// Dense rows in the weight's own element type, each padded with zeros.
  llvm::Error encodeFloats(int64_t first, int64_t count, std::vector<uint8_t> &out) const {
    int64_t elementBytes = type.getElementTypeBitWidth() / 8;
    int64_t dense = columns * elementBytes, padded = paddedRow(columns) * elementBytes;
    out.assign(count * padded, 0);
    if (llvm::Error error = reader.readRaw(first, count, out.data()))
      return error;
    // Last row first: a row moves up to where later rows have left already.
    for (int64_t row = count - 1; row >= 0 && dense != padded; --row) {
      std::memmove(out.data() + row * padded, out.data() + row * dense, dense);
      std::memset(out.data() + row * padded + dense, 0, padded - dense);
    }
    return llvm::Error::success();
  }

  const WeightReader &reader;
  RankedTensorType type;
  int64_t rows, columns, chunkRows = 1;
  std::optional<Packing> packing;
  std::optional<HeadScreen> screen;
  int64_t scaleRows = 0; ///< 0: not scales
};

/// Encodes chunks on `threads` threads, some ahead of those that it hands on, in order.
class SectionWriter {
public:
  SectionWriter(WeightSink sink, WeightProgress progress, uint64_t total, unsigned threads)
      : sink(sink), progress(progress), total(total),
        pool(llvm::hardware_concurrency(std::max(threads, 1u))),
        slots(2 * size_t(std::max(threads, 1u))) {}

  llvm::Error write(WeightOp weight, const WeightFiles &files) {
    llvm::Expected<WeightReader> reader = WeightReader::create(weight, files);
    if (!reader)
      return reader.takeError();
    ChunkEncoder encoder(weight, *reader);
    llvm::scope_exit stop([&] {
      pool.wait();
      for (Slot &slot : slots)
        if (slot.error)
          llvm::consumeError(std::move(*slot.error));
    });
    ArrayRef<int64_t> section = *weight.getSection();
    uint64_t offset = section[0], end = offset + section[1];
    int64_t started = 0;
    for (int64_t chunk = 0; chunk < encoder.chunks(); ++chunk) {
      const int64_t ahead = chunk + static_cast<int64_t>(slots.size());
      for (; started < std::min(encoder.chunks(), ahead); ++started)
        start(encoder, started);
      Slot &slot = slotOf(chunk);
      slot.done.wait();
      if (*slot.error)
        return std::move(*slot.error);
      assert(offset + slot.bytes.size() <= end && "packedWeightBytes knows the layout");
      if (llvm::Error error = sink(offset, slot.bytes))
        return error;
      offset += slot.bytes.size();
      release(files, encoder.chunkElements());
      if (progress)
        progress(offset, total);
    }
    assert(offset == end && "packedWeightBytes knows the layout");
    (void)end;
    return llvm::Error::success();
  }

private:
  struct Slot {
    std::vector<uint8_t> bytes;
    std::optional<llvm::Error> error;
    std::shared_future<void> done;
  };

  Slot &slotOf(int64_t chunk) { return slots[static_cast<size_t>(chunk) % slots.size()]; }

  void start(const ChunkEncoder &encoder, int64_t chunk) {
    Slot &slot = slotOf(chunk);
    slot.done = pool.async(
        [&encoder, &slot, chunk] { slot.error.emplace(encoder.encode(chunk, slot.bytes)); });
  }

  void release(const WeightFiles &files, int64_t elements) {
    read += elements;
    if (read < kReleaseElements)
      return;
    files.release();
    read = 0;
  }

  WeightSink sink;
  WeightProgress progress;
  uint64_t total;
  int64_t read = 0; ///< elements since pages were given back
  llvm::DefaultThreadPool pool;
  std::vector<Slot> slots;
};

} // namespace

llvm::Error tern::writeWeights(ModuleOp module, const WeightFiles &files, WeightSink sink,
                               WeightProgress progress, unsigned threads) {
  uint64_t total = 0;
  if (auto bytes = module->getAttrOfType<IntegerAttr>("ternary.weights_bytes"))
    total = bytes.getInt();
  SectionWriter writer(sink, progress, total, threads);
  int64_t end = 0;
  for (auto weight : module.getOps<WeightOp>()) {
    std::optional<ArrayRef<int64_t>> section = weight.getSection();
    auto bytes = packedWeightBytes(cast<RankedTensorType>(weight.getType()));
    if (!section || section->size() != 2 || (*section)[0] < end || (*section)[1] != bytes)
      return llvm::createStringError("weight %s: expected the section that ternary-pack-weights "
                                     "gives it",
                                     weight.getSymName().str().c_str());
    if (llvm::Error error = writer.write(weight, files))
      return error;
    end = (*section)[0] + (*section)[1];
  }
  return llvm::Error::success();
}
