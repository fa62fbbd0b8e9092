//===- msl_test.cpp - printed MSL computes what the dialect says ----------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/metal/PrintMsl.h"
#include "tests/support/GpuCases.h"
#include "tests/support/MslShim.h"
#include "tests/support/TempFolder.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <cstdlib>
#include <cstring>
#include <map>

using namespace tern;
using namespace tern::test;

static std::string allText() {
  mlir::MLIRContext context;
  auto kernels = gpu::buildKernels(context);
  auto text = metal::printMsl(*kernels);
  return text ? *text : llvm::toString(text.takeError());
}

/// Empty, or which buffer differs first and where.
static std::string runCase(const MslShim &shim, const GpuCase &one) {
  MslShim::Kernel kernel = shim.find(one.kernel->name);
  if (!kernel)
    return "no such kernel in the text";
  std::vector<ByteVector> buffers = one.before;
  std::vector<void *> pointers;
  for (ByteVector &buffer : buffers)
    pointers.push_back(buffer.data());
  std::vector<uint32_t> scalars = one.scalars;
  pointers.push_back(scalars.data());
  kernel(pointers.data(), one.grid, static_cast<uint32_t>(one.kernel->threads));
  for (size_t i = 0; i < buffers.size(); ++i)
    for (size_t at = 0; at < buffers[i].size(); ++at)
      if (buffers[i][at] != one.after[i][at])
        return one.kernel->buffers[i].name + " differs at byte " + std::to_string(at) + " of " +
               std::to_string(buffers[i].size());
  return {};
}

TEST(Msl, EveryKernelEqualsTheSemanticsAtItsTileEdges) {
  std::string error, text = allText();
  auto shim = MslShim::compile(text, &error);
  ASSERT_TRUE(shim) << error;
  std::map<std::string, int> cases;
  for (const GpuCase &one : gpuCases()) {
    ++cases[one.kernel->name];
    EXPECT_EQ(runCase(*shim, one), "") << one.name;
  }
  for (const gpu::KernelInfo &kernel : gpu::allKernels())
    EXPECT_GE(cases[kernel.name], 6) << kernel.name;
}

TEST(Msl, TheTextPassesTheLinter) {
  for (const std::string &complaint : metal::lintMsl(allText()))
    ADD_FAILURE() << complaint;
}

TEST(Msl, OneKernelComesWithItsFunctionsOnly) {
  mlir::MLIRContext context;
  auto kernels = gpu::buildKernels(context, {"gated_silu"});
  auto text = metal::printMsl(*kernels);
  ASSERT_TRUE(static_cast<bool>(text));
  EXPECT_EQ(kernelNames(*text), std::vector<std::string>{"gated_silu"});
  EXPECT_NE(text->find("exp_row"), std::string::npos);
  EXPECT_EQ(text->find("dot4"), std::string::npos);
}

/// What the linter says of `line` put into a kernel that is right otherwise.
static std::string lintWith(const std::string &line, const std::string &before = "") {
  std::string text = before +
                     "\nkernel void k(\n    device float *x [[buffer(0)]],\n"
                     "    uint3 group [[threadgroup_position_in_grid]]) {\n  " +
                     line + "\n}\n";
  std::string all;
  for (const std::string &complaint : metal::lintMsl(text))
    all += complaint + "\n";
  return all;
}

TEST(MslLint, FindsWhatMetalRefuses) {
  EXPECT_EQ(lintWith("x[0] = 1.0f;"), "");
  EXPECT_NE(lintWith("float *p = x;").find("address space"), std::string::npos);
  EXPECT_EQ(lintWith("device float *p = x;"), "");
  EXPECT_NE(lintWith("double y = 1.0;").find("double"), std::string::npos);
  EXPECT_NE(lintWith("threadgroup float s[8193];").find("32772 bytes"), std::string::npos);
  EXPECT_EQ(lintWith("threadgroup float s[8192];"), "");
  EXPECT_NE(lintWith("threadgroup int4 s[2000];\n  threadgroup int t[193];").find("32772 bytes"),
            std::string::npos);
  EXPECT_NE(lintWith("x[0] = f(1.0f);", "static inline float f(float a) {\n  return f(a);\n}\n")
                .find("recursion"),
            std::string::npos);
  EXPECT_NE(lintWith("x[0] = f(1.0f);", "static inline float f(float a) {\n  return g(a);\n}\n"
                                        "static inline float g(float a) {\n  return f(a);\n}\n")
                .find("recursion"),
            std::string::npos);
}

TEST(MslLint, FindsWrongBufferIndices) {
  auto lint = [](const std::string &parameters) {
    std::string all;
    for (const std::string &complaint :
         metal::lintMsl("kernel void k(\n" + parameters + ") {\n}\n"))
      all += complaint + "\n";
    return all;
  };
  EXPECT_EQ(lint("    device float *x [[buffer(0)]],\n    constant A &a [[buffer(1)]]"), "");
  EXPECT_NE(lint("    device float *x [[buffer(0)]],\n    constant A &a [[buffer(2)]]"), "");
  EXPECT_NE(lint("    device float *x [[buffer(0)]],\n    constant A &a [[buffer(0)]]"), "");
  EXPECT_NE(lint("    device float *x"), "");
  EXPECT_NE(lint("    constant A a [[buffer(0)]]"), "");
  EXPECT_NE(lint("    float *x [[buffer(0)]]"), "");
}

//===----------------------------------------------------------------------===//
// Races
//===----------------------------------------------------------------------===//

static std::string literal(const void *data, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i)
    text += std::to_string(static_cast<const uint8_t *>(data)[i]) + ",";
  return text;
}

/// A program that runs the small cases, every MSL thread an OS thread, and exits with how many
/// differ.
static std::string raceProgram(const std::string &text, const std::vector<GpuCase> &cases) {
  std::string rest =
      "#include <cstring>\n#undef kernel\n#undef device\nint main() {\n  int wrong = 0;\n";
  for (const GpuCase &one : cases) {
    rest += "  {\n";
    std::string pointers;
    for (size_t i = 0; i < one.before.size(); ++i) {
      std::string n = std::to_string(i);
      rest += "    alignas(16) static unsigned char b" + n + "[] = {" +
              literal(one.before[i].data(), one.before[i].size()) +
              "};\n    static const unsigned char a" + n + "[] = {" +
              literal(one.after[i].data(), one.after[i].size()) + "};\n";
      pointers += "b" + n + ", ";
    }
    rest += "    static unsigned scalars[] = {";
    for (uint32_t scalar : one.scalars)
      rest += std::to_string(scalar) + "u,";
    rest += "};\n    void *buffers[] = {" + pointers + "scalars};\n    unsigned grid[] = {" +
            std::to_string(one.grid[0]) + ", " + std::to_string(one.grid[1]) + ", 1};\n    shim_" +
            one.kernel->name + "(buffers, grid, " + std::to_string(one.kernel->threads) + ");\n";
    for (size_t i = 0; i < one.before.size(); ++i) {
      std::string n = std::to_string(i);
      rest += "    wrong += std::memcmp(a" + n + ", b" + n + ", sizeof a" + n + ") != 0;\n";
    }
    rest += "  }\n";
  }
  return shimSource(text, rest + "  return wrong;\n}\n");
}

/// Exit status of the program under ThreadSanitizer; -1: it did not compile.
static int runRaces(const std::string &text, const std::vector<GpuCase> &cases) {
  TempFolder folder;
  const std::string name = folder / "race";
  std::string said =
      compileCxx(raceProgram(text, cases), "-O1 -g -fsanitize=thread -DTERN_SHIM_THREADS", name);
  EXPECT_EQ(said, "");
  // 66 is ThreadSanitizer's own; the report is of interest only when it was not expected.
  int status =
      said.empty()
          ? std::system(("TSAN_OPTIONS=exitcode=66 '" + name + "' > /dev/null 2>&1").c_str())
          : -1;
  return said.empty() ? WEXITSTATUS(status) : -1;
}

TEST(Msl, NoKernelHasARace) { EXPECT_EQ(runRaces(allText(), smallGpuCases()), 0); }

TEST(Msl, AMissingBarrierIsARace) {
  std::string text = allText();
  const std::string barrier =
      "  threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);\n";
  size_t kernel = text.find("kernel void matvec_two_bit(");
  ASSERT_NE(kernel, std::string::npos);
  size_t at = text.find(barrier, kernel);
  ASSERT_NE(at, std::string::npos);
  text.erase(at, barrier.size());
  std::vector<GpuCase> cases = {smallGpuCases().front()};
  ASSERT_EQ(cases.front().kernel->name, "matvec_two_bit");
  EXPECT_EQ(runRaces(text, cases), 66);
}
