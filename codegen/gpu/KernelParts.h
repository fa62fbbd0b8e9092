//===- KernelParts.h - what several GPU kernels share -----------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_GPU_KERNELPARTS_H
#define TERN_CODEGEN_GPU_KERNELPARTS_H

#include "codegen/gpu/GpuBuilder.h"

namespace tern::gpu {

/// Kernels of one file, to be listed by allKernels.
std::vector<KernelInfo> productKernels();
std::vector<KernelInfo> rowKernels();
std::vector<KernelInfo> elementKernels();
std::vector<KernelInfo> attentionKernels();
std::vector<KernelInfo> tableKernels();

/// Builds the functions that kernels call.
void buildFunctions(GpuBuilder &b);

/// The row rule's sum of x(i) over i < count, by a simdgroup: lane j adds elements 32 i + j in
/// order, then the tree. All lanes get it.
Num rowRuleSum(GpuBuilder &b, Num count, llvm::function_ref<Num(Num i)> x);

/// The largest of `value` over a simdgroup. All lanes get it.
Num simdMax(GpuBuilder &b, Num value);

/// The largest of `value` over the threadgroup, by `simdgroups` words of threadgroup memory (f32)
/// from `first` on. Meets twice.
Num groupMax(GpuBuilder &b, Num value, int64_t first, int64_t simdgroups);

} // namespace tern::gpu

#endif // TERN_CODEGEN_GPU_KERNELPARTS_H
