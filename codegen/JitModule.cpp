//===- JitModule.cpp - a model compiled into this process -----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/EmitObject.h"
#include "codegen/Pipeline.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/Alignment.h"

#include <cstring>
#include <sys/mman.h>

using namespace tern;

namespace {
/// Anonymous memory in huge pages where the system has them.
class HugeBlock {
public:
  static constexpr size_t kHugePage = size_t(2) << 20;

  static llvm::Expected<HugeBlock> create(uint64_t bytes) {
    HugeBlock block;
    block.size = llvm::alignTo(bytes, kHugePage) + kHugePage;
    void *mapped = ::mmap(nullptr, block.size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
      return llvm::createStringError("cannot get %zu bytes of memory for the weights", block.size);
    block.mapped = static_cast<uint8_t *>(mapped);
    block.data = reinterpret_cast<uint8_t *>(
        llvm::alignTo(reinterpret_cast<uintptr_t>(block.mapped), kHugePage));
    ::madvise(block.data, llvm::alignTo(bytes, kHugePage), MADV_HUGEPAGE);
    return block;
  }
  HugeBlock() = default;
  HugeBlock(HugeBlock &&other) noexcept { *this = std::move(other); }
  HugeBlock &operator=(HugeBlock &&other) noexcept {
    std::swap(mapped, other.mapped);
    std::swap(data, other.data);
    std::swap(size, other.size);
    return *this;
  }
  ~HugeBlock() {
    if (mapped)
      ::munmap(mapped, size);
  }

  uint8_t *data = nullptr; ///< aligned to kHugePage

private:
  uint8_t *mapped = nullptr;
  size_t size = 0;
};
} // namespace

struct JitModel::Impl {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  tern_query_fn query = nullptr;
  HugeBlock memory;
  uint64_t bytes = 0;
  std::vector<Probe> probes;
};

JitModel::JitModel(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
JitModel::~JitModel() = default;
tern_query_fn JitModel::query() const { return impl->query; }
llvm::ArrayRef<uint8_t> JitModel::payload() const { return {impl->memory.data, impl->bytes}; }
llvm::ArrayRef<Probe> JitModel::probes() const { return impl->probes; }

static llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>> load(Variant &variant) {
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  if (llvm::Error error =
          emitModule(*variant.module, *variant.machine, llvm::CodeGenFileType::ObjectFile, stream))
    return std::move(error);
  // The code calls nothing outside itself: no process symbols, no platform runtime.
  auto jit = llvm::orc::LLJITBuilder()
                 .setLinkProcessSymbolsByDefault(false)
                 .setPlatformSetUp(llvm::orc::setUpInactivePlatform)
                 .create();
  if (!jit)
    return jit.takeError();
  if (llvm::Error error = (*jit)->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(
          llvm::StringRef(object.data(), object.size()), "model")))
    return std::move(error);
  return std::move(*jit);
}

llvm::Expected<std::unique_ptr<JitModel>> JitModel::compile(const CompileInput &input,
                                                            const CompileOptions &asked) {
  CompileOptions options = asked;
  if (options.targets.empty()) {
    auto host = parseTargets("host");
    if (!host)
      return host.takeError();
    options.targets = std::move(*host);
  }
  const Target &target = options.targets.front();
  if (!hostCanRun(target.cpuFeatures))
    return llvm::createStringError("level %s needs %s, which this processor lacks",
                                   target.name.c_str(),
                                   describeCpuFeatures(target.cpuFeatures).c_str());
  if (llvm::Error error = preparePacked(input, options))
    return std::move(error);
  if (llvm::Error error = addProbes(input.module, options))
    return std::move(error);
  auto info = describe(input);
  if (!info)
    return info.takeError();
  auto variant = compileVariant(input.module, options, target, &*info);
  if (!variant)
    return variant.takeError();
  auto impl = std::make_unique<Impl>();
  impl->probes = readProbes(input.module);
  auto jit = load(*variant);
  if (!jit)
    return jit.takeError();
  impl->jit = std::move(*jit);
  auto query = impl->jit->lookup("tern_query");
  if (!query)
    return query.takeError();
  impl->query = query->toPtr<tern_query_fn>();

  PayloadInfo payload = describePayload(input, options, *info);
  impl->bytes = payload.totalBytes();
  auto memory = HugeBlock::create(impl->bytes);
  if (!memory)
    return memory.takeError();
  impl->memory = std::move(*memory);
  uint8_t *data = impl->memory.data;
  if (llvm::Error error =
          writePayload(payload, [data](uint64_t offset, llvm::ArrayRef<uint8_t> bytes) {
            std::memcpy(data + offset, bytes.data(), bytes.size());
            return llvm::Error::success();
          }))
    return std::move(error);
  return std::unique_ptr<JitModel>(new JitModel(std::move(impl)));
}
