//===- KernelTable.cpp - which ternary kernels there are ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/KernelTable.h"
#include "codegen/MatmulKernel.h"
#include "codegen/SparseKernel.h"

#include "tern/abi.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;

namespace tern {

namespace {

namespace kind {
constexpr Packing::Kind two_bit = Packing::Kind::TwoBit;
constexpr Packing::Kind base3 = Packing::Kind::Base3;
constexpr Packing::Kind two_bit_rows = Packing::Kind::TwoBitRows;
constexpr Packing::Kind two_bit_columns = Packing::Kind::TwoBitColumns;
constexpr Packing::Kind six_bit = Packing::Kind::SixBit;
} // namespace kind

namespace needs {
constexpr uint64_t portable = 0;
constexpr uint64_t sse41 = TERN_CPU_X86_SSE41;
constexpr uint64_t avx2 = TERN_CPU_X86_AVX2;
constexpr uint64_t avxvnni = TERN_CPU_X86_AVX2 | TERN_CPU_X86_AVXVNNI;
constexpr uint64_t avx512 = TERN_CPU_X86_AVX512;
constexpr uint64_t avx512vnni = TERN_CPU_X86_AVX512 | TERN_CPU_X86_AVX512VNNI;
constexpr uint64_t avx512vbmi = avx512vnni | TERN_CPU_X86_AVX512VBMI;
constexpr uint64_t amxint8 = avx512vnni | TERN_CPU_X86_AMXINT8;
constexpr uint64_t neon = TERN_CPU_ARM_NEON;
constexpr uint64_t dotprod = TERN_CPU_ARM_DOTPROD;
constexpr uint64_t i8mm = TERN_CPU_ARM_DOTPROD | TERN_CPU_ARM_I8MM;
} // namespace needs

/// abi.h has x86's features in the lower half and ARM's in the upper.
bool isOfOtherArchitecture(uint64_t needed, uint64_t has) {
  constexpr uint64_t arm = ~uint64_t(0) << 32;
  return needed && ((needed & arm) != 0) != ((has & arm) != 0);
}

} // namespace

ArrayRef<KernelRow> allKernels() {
  static const KernelRow rows[] = {
#define TERN_KERNEL(PACKING, MR, NR, KB, ISA)                                                      \
  {"matmul_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA,                                            \
   needs::ISA,                                                                                     \
   Packing{kind::PACKING, NR, KB},                                                                 \
   Acts::Int8,                                                                                     \
   MR,                                                                                             \
   makeDotTile_##PACKING##_##ISA},
#define TERN_GROUP_KERNEL(PACKING, MR, NR, KB, ISA)                                                \
  {"matmul_i8g_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA,                                        \
   needs::ISA,                                                                                     \
   Packing{kind::PACKING, NR, KB},                                                                 \
   Acts::Int8Groups,                                                                               \
   MR,                                                                                             \
   makeDotTile_##PACKING##_##ISA},
#define TERN_FLOAT_KERNEL(PACKING, MR, NR, KB, ISA)                                                \
  {"matmul_f32_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA,                                        \
   needs::ISA,                                                                                     \
   Packing{kind::PACKING, NR, KB},                                                                 \
   Acts::Float,                                                                                    \
   MR,                                                                                             \
   makeFloatTile_##PACKING##_##ISA},
#define TERN_SPARSE_KERNEL(PACKING, MR, NR, KB, ISA)                                               \
  {"matmul_" #PACKING "_" #MR "x" #NR "x" #KB "_" #ISA,                                            \
   needs::ISA,                                                                                     \
   Packing{kind::PACKING, NR, KB},                                                                 \
   Acts::Int8,                                                                                     \
   MR,                                                                                             \
   nullptr,                                                                                        \
   makeByteDot_##ISA,                                                                              \
   MR == 1 ? nullptr : "matmul_two_bit_" #MR "x16x16_" #ISA},
#include "codegen/KernelTable.inc"
  };
  return rows;
}

const KernelRow *findKernel(StringRef name) {
  const auto *row = find_if(allKernels(), [&](const KernelRow &row) { return name == row.name; });
  return row == allKernels().end() ? nullptr : row;
}

const KernelRow *selectKernel(const Target &target, const Packing &packing, Acts acts, bool gemv,
                              std::string *why) {
  std::string refused;
  const KernelRow *chosen = nullptr;
  for (const KernelRow &row : allKernels()) {
    if (row.packing.kind != packing.kind || row.packing.rows != packing.rows ||
        row.packing.k != packing.k || row.acts != acts || row.isGemv() != gemv)
      continue;
    if (isOfOtherArchitecture(row.cpuFeatures, target.cpuFeatures))
      continue;
    const uint64_t missing = row.cpuFeatures & ~target.cpuFeatures;
    if (!missing) {
      chosen = &row;
      break;
    }
    if (!refused.empty())
      refused += ", ";
    refused += std::string(row.name) + " needs " + describeCpuFeatures(missing);
  }
  if (why)
    *why = refused;
  return chosen;
}

} // namespace tern
