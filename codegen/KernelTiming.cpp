//===- KernelTiming.cpp - how fast packings are on this machine -----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelTiming.h"

#include "codegen/EmitObject.h"
#include "codegen/KernelTable.h"

#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "tern/abi.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Target/TargetMachine.h"

#include <barrier>
#include <chrono>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

using namespace llvm;

namespace tern {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 7; ///< and one before, which warms up
/// Weights that a round reads, beyond the caches of servers too (260 MiB are seen), and at most a
/// quarter of the memory.
constexpr uint64_t kWeightBytes = uint64_t(1) << 30;

/// Anonymous memory, in huge pages where there are any.
struct Block {
  explicit Block(uint64_t size) : size(size) {
    void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
      return;
    bytes = static_cast<uint8_t *>(mapped);
    madvise(bytes, size, MADV_HUGEPAGE);
  }
  Block(const Block &) = delete;
  Block &operator=(const Block &) = delete;
  ~Block() {
    if (bytes)
      munmap(bytes, size);
  }

  uint8_t *bytes = nullptr;
  const uint64_t size;
};

struct TimedKernel {
  const KernelRow *row;
  tern_matmul_fn run;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The best GEMV row of each packing.
std::vector<TimedKernel> bestRows(const Target &target) {
  std::vector<TimedKernel> rows;
  for (const KernelRow &row : allKernels())
    if (row.isGemv() && row.acts == Acts::Int8 && row.packing.rows == 16 && !row.makeDot &&
        selectKernel(target, row.packing, row.acts, /*gemv=*/true) == &row)
      rows.push_back({&row, nullptr});
  return rows;
}

Expected<std::unique_ptr<orc::LLJIT>> compile(const Target &target, ArrayRef<TimedKernel> kernels) {
  auto machine = createTargetMachine(target);
  if (!machine)
    return machine.takeError();
  mlir::DialectRegistry registry;
  mlir::registerBuiltinDialectTranslation(registry);
  mlir::registerLLVMDialectTranslation(registry);
  mlir::MLIRContext mlirContext(registry);
  loadKernelDialects(mlirContext);
  mlir::OwningOpRef<mlir::ModuleOp> source =
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&mlirContext));
  std::vector<std::string> names;
  for (const TimedKernel &kernel : kernels) {
    emitKernel(*source, *kernel.row, kernel.row->name);
    names.push_back(kernel.row->name);
  }
  LLVMContext context;
  std::unique_ptr<Module> module;
  if (succeeded(lowerKernelsToLLVM(*source)))
    module = mlir::translateModuleToLLVMIR(*source, context);
  if (!module)
    return createStringError("the kernels cannot be lowered for %s", target.name.c_str());
  optimiseModule(*module, target, **machine, names);
  SmallVector<char, 0> object;
  raw_svector_ostream stream(object);
  if (Error error = emitModule(*module, **machine, CodeGenFileType::ObjectFile, stream))
    return std::move(error);
  auto jit = orc::LLJITBuilder()
                 .setLinkProcessSymbolsByDefault(false)
                 .setPlatformSetUp(orc::setUpInactivePlatform)
                 .create();
  if (!jit)
    return jit.takeError();
  if (Error error = (*jit)->addObjectFile(
          MemoryBuffer::getMemBufferCopy(StringRef(object.data(), object.size()), "kernels")))
    return std::move(error);
  return std::move(*jit);
}

} // namespace

struct PackingTimer::Impl {
  Impl(uint32_t threads, uint64_t bytes) : threads(threads), weights(bytes) {}

  const uint32_t threads;
  int64_t nearAhead = 0, farAhead = 0;
  Block weights;
  std::unique_ptr<orc::LLJIT> jit;
  std::vector<TimedKernel> kernels;

  double round(const TimedKernel &kernel, int64_t rows, int64_t columns, int64_t copies) const;
};

PackingTimer::PackingTimer(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
PackingTimer::~PackingTimer() = default;

Expected<std::unique_ptr<PackingTimer>> PackingTimer::create(const Target &target, uint32_t threads,
                                                             int64_t nearAhead, int64_t farAhead) {
  const uint64_t memory = uint64_t(sysconf(_SC_PHYS_PAGES)) * uint64_t(sysconf(_SC_PAGESIZE));
  auto impl = std::make_unique<Impl>(threads, std::min(kWeightBytes, memory / 4));
  impl->nearAhead = nearAhead;
  impl->farAhead = farAhead;
  if (!impl->weights.bytes)
    return createStringError("cannot get %llu bytes of memory for weights",
                             static_cast<unsigned long long>(impl->weights.size));
  // Trits do not change the time; any bytes but those of untouched pages do.
  for (uint64_t i = 0; i < impl->weights.size; ++i)
    impl->weights.bytes[i] = static_cast<uint8_t>(i * 167 >> 3);
  impl->kernels = bestRows(target);
  auto jit = compile(target, impl->kernels);
  if (!jit)
    return jit.takeError();
  impl->jit = std::move(*jit);
  for (TimedKernel &kernel : impl->kernels) {
    auto address = impl->jit->lookup(kernel.row->name);
    if (!address)
      return address.takeError();
    kernel.run = address->toPtr<tern_matmul_fn>();
  }
  return std::unique_ptr<PackingTimer>(new PackingTimer(std::move(impl)));
}

/// The seconds all threads take for `copies` products, each its part of every one's row blocks.
double PackingTimer::Impl::round(const TimedKernel &kernel, int64_t rows, int64_t columns,
                                 int64_t copies) const {
  const Packing &packing = kernel.row->packing;
  const int64_t blocks = packing.rowBlocks(rows), padded = blocks * packing.rows;
  const std::vector<float> scales(padded, 1.0f), residual(padded, 0.0f);
  const std::vector<int8_t> acts(paddedActs(columns), 1);
  std::vector<float> out(padded);
  const float rowScale = 1;
  const int32_t offset = 0;
  std::barrier ready(threads + 1), done(threads + 1);
  auto work = [&](uint32_t thread) {
    tern_matmul_args_t args = {.weight = nullptr,
                               .scale = scales.data(),
                               .acts = acts.data(),
                               .row_scales = &rowScale,
                               .offsets = &offset,
                               .residual = residual.data(),
                               .out = out.data(),
                               .acts_stride = static_cast<int64_t>(acts.size()),
                               .offsets_stride = 1,
                               .out_stride = padded,
                               .m = 1,
                               .block_begin = blocks * thread / threads,
                               .block_end = blocks * (thread + 1) / threads,
                               .k_tiles = packing.kTiles(columns),
                               .groups = 1,
                               .row_scales_stride = 1,
                               .scale_groups = 1,
                               .scale_bytes = 4,
                               .gate = nullptr,
                               .gate_stride = 0,
                               .near_ahead = nearAhead,
                               .far_ahead = farAhead};
    ready.arrive_and_wait();
    for (int64_t copy = 0; copy < copies; ++copy) {
      args.weight = weights.bytes + copy * packing.packedBytes(rows, columns);
      kernel.run(&args);
    }
    done.arrive_and_wait();
  };
  std::vector<std::thread> workers;
  for (uint32_t thread = 0; thread < threads; ++thread)
    workers.emplace_back(work, thread);
  ready.arrive_and_wait();
  auto start = Clock::now();
  done.arrive_and_wait();
  double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (std::thread &worker : workers)
    worker.join();
  return seconds;
}

std::vector<PackingTime> PackingTimer::measure(int64_t rows, int64_t columns) {
  std::vector<std::vector<double>> seconds(impl->kernels.size());
  std::vector<int64_t> copies, bytes;
  for (const TimedKernel &kernel : impl->kernels) {
    bytes.push_back(kernel.row->packing.packedBytes(rows, columns));
    copies.push_back(static_cast<int64_t>(impl->weights.size) / bytes.back());
  }
  for (int i = 0; i <= kRounds; ++i)
    for (auto [k, kernel] : enumerate(impl->kernels))
      if (double took = copies[k] ? impl->round(kernel, rows, columns, copies[k]) : 0; i > 0)
        seconds[k].push_back(took);
  std::vector<PackingTime> times;
  for (auto [k, kernel] : enumerate(impl->kernels))
    if (copies[k]) {
      double each = median(seconds[k]) / static_cast<double>(copies[k]);
      times.push_back(
          {kernel.row->packing.kind, each * 1e6, static_cast<double>(bytes[k]) / each / 1e9});
    }
  return times;
}

} // namespace tern
