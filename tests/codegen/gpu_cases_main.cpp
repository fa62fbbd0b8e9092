//===- gpu_cases_main.cpp - GPU kernels and their cases as files ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// gpu_cases FOLDER: writes kernels.metal, kernels.ptx and cases.bin, which benchmarks/gpu_run.py
// runs on a GPU.
//
//===----------------------------------------------------------------------===//

#include "codegen/metal/PrintMsl.h"
#include "codegen/nvptx/EmitPtx.h"
#include "tests/support/GpuCases.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>
#include <string>

using namespace tern;
using namespace tern::test;

/// Little-endian: names and buffers behind their lengths.
class CaseWriter {
public:
  explicit CaseWriter(const std::string &path) : file(std::fopen(path.c_str(), "wb")) {}
  ~CaseWriter() { std::fclose(file); }

  void number(uint64_t value) { std::fwrite(&value, sizeof value, 1, file); }
  void bytes(const void *data, size_t size) {
    number(size);
    std::fwrite(data, 1, size, file);
  }
  void text(const std::string &value) { bytes(value.data(), value.size()); }
  void write(const GpuCase &one) {
    text(one.kernel->name);
    text(one.name);
    number(static_cast<uint64_t>(one.kernel->threads));
    number(one.grid[0]);
    number(one.grid[1]);
    number(one.before.size());
    for (size_t i = 0; i < one.before.size(); ++i) {
      bytes(one.before[i].data(), one.before[i].size());
      bytes(one.after[i].data(), one.after[i].size());
    }
    bytes(one.scalars.data(), one.scalars.size() * sizeof(uint32_t));
  }

private:
  std::FILE *file;
};

static int writeText(const std::string &path, llvm::Expected<std::string> text) {
  if (!text) {
    llvm::errs() << llvm::toString(text.takeError()) << '\n';
    return 1;
  }
  std::FILE *file = std::fopen(path.c_str(), "wb");
  std::fwrite(text->data(), 1, text->size(), file);
  return std::fclose(file);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: gpu_cases FOLDER\n");
    return 2;
  }
  std::string folder = argv[1];
  mlir::MLIRContext context;
  auto kernels = gpu::buildKernels(context);
  if (writeText(folder + "/kernels.metal", metal::printMsl(*kernels)) ||
      writeText(folder + "/kernels.ptx", nvptx::emitPtx(*kernels, "sm_90")))
    return 1;
  std::vector<GpuCase> cases = gpuCases();
  CaseWriter out(folder + "/cases.bin");
  out.number(cases.size());
  for (const GpuCase &one : cases)
    out.write(one);
  return 0;
}
