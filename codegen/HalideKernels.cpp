//===- HalideKernels.cpp - calls of row-wise float kernels ----------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "codegen/HalideKernels.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace tern {

namespace {

struct KernelSignature {
  const char *symbol;
  const char *operands; ///< one letter an operand: p pointer, i i64, f f32
};

constexpr KernelSignature kSignatures[] = {
    {"tern_row_rms_norm", "ppfip"},
    {"tern_row_rms_norm_head", "ppfip"},
    {"tern_row_quantize_row", "piippp"},
    {"tern_row_norm_quantize_row", "ppfiippp"},
    {"tern_row_quantize_groups", "piippp"},
    {"tern_row_norm_quantize_groups", "ppfiippp"},
    {"tern_row_rope", "ppiip"},
    {"tern_row_rope_angles", "ipip"},
    {"tern_row_gated_relu2", "ppip"},
    {"tern_row_gated_silu", "ppip"},
    {"tern_row_add", "ppip"},
    {"tern_row_table_row_f32", "pip"},
    {"tern_row_table_row_f16", "pip"},
    {"tern_row_table_row_bf16", "pip"},
    {"tern_row_head_f32", "ppiiip"},
    {"tern_row_head_f16", "ppiiip"},
    {"tern_row_head_bf16", "ppiiip"},
    {"tern_row_head_rows_f32", "pipiiipi"},
    {"tern_row_head_rows_f16", "pipiiipi"},
    {"tern_row_head_rows_bf16", "pipiiipi"},
    {"tern_row_zero_padding", "pi"},
};
static_assert(std::size(kSignatures) == kRowKernelCount);

Type operandType(OpBuilder &builder, char letter) {
  switch (letter) {
  case 'p':
    return LLVM::LLVMPointerType::get(builder.getContext());
  case 'i':
    return builder.getI64Type();
  default:
    return builder.getF32Type();
  }
}

LLVM::LLVMFuncOp declare(OpBuilder &builder, ModuleOp module, const KernelSignature &signature) {
  if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(signature.symbol))
    return known;
  SmallVector<Type> types;
  for (char letter : StringRef(signature.operands))
    types.push_back(operandType(builder, letter));
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()), types);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(module.getBody());
  return LLVM::LLVMFuncOp::create(builder, module.getLoc(), signature.symbol, type);
}

} // namespace

llvm::StringRef rowKernelSymbol(RowKernel kernel) {
  return kSignatures[static_cast<unsigned>(kernel)].symbol;
}

void emitRowKernel(OpBuilder &builder, Location loc, ModuleOp module, RowKernel kernel,
                   ValueRange operands) {
  LLVM::LLVMFuncOp callee = declare(builder, module, kSignatures[static_cast<unsigned>(kernel)]);
  assert(llvm::equal(operands.getTypes(), callee.getFunctionType().getParams()) &&
         "operands as the kernel's enumerator lists them");
  LLVM::CallOp::create(builder, loc, callee, operands);
}

} // namespace tern
