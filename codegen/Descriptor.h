//===- Descriptor.h - abi.h's structs as LLVM constants ---------*- C++ -*-===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TERN_CODEGEN_DESCRIPTOR_H
#define TERN_CODEGEN_DESCRIPTOR_H

#include "codegen/Target.h"
#include "tern/abi.h"
#include "llvm/IR/Module.h"

#include <array>
#include <string>
#include <vector>

namespace tern {

/// A kernel of one variant, as `tern_kernel` lists it.
struct KernelEntry {
  std::string symbol; ///< of the function in the variant's module
  std::string name;
  uint32_t packing = 0, rows = 0, k = 0, acts = 0;
};

/// What a variant's object offers the descriptor: symbols follow from the target's name.
struct VariantEntry {
  std::string level;
  uint64_t cpuFeatures = 0;
  uint64_t kernelCount = 0;
};

struct DescriptorInfo {
  std::vector<VariantEntry> variants; ///< best first
  std::string sidecar;                ///< file name, empty: the payload is inside
  std::array<uint8_t, 16> layoutId{};
  /// Sizes and counts only; the fields above and all pointers of it are ignored.
  tern_descriptor_t numbers{};
};

/// `tern_forward_x86_64_v3`: the entry of a variant. `level` as in Target::name.
std::string forwardSymbol(llvm::StringRef level);
/// `tern_kernels_x86_64_v3`: its `tern_kernel` array.
std::string kernelsSymbol(llvm::StringRef level);

/// Adds the array kernelsSymbol(level) to a variant's module. Every kernel must be a function of
/// it.
void addKernelArray(llvm::Module &module, llvm::StringRef level,
                    llvm::ArrayRef<KernelEntry> kernels);

/// Adds the descriptor and `tern_query` to `module`, whose data layout must be set. Symbols of the
/// variants are declared unless the module defines them.
void addDescriptor(llvm::Module &module, const DescriptorInfo &info);

/// Adds the 64-byte section `.tern.payload` that LinkLibrary lets point at the payload.
void addPayloadPlaceholder(llvm::Module &module);

} // namespace tern

#endif // TERN_CODEGEN_DESCRIPTOR_H
