// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v4-vnni --ternary-emit-kernels 2>/dev/null | FileCheck %s --check-prefix=VNNI
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v3 --ternary-emit-kernels 2>/dev/null | FileCheck %s --check-prefix=AVX2
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64 --ternary-emit-kernels 2>/dev/null | FileCheck %s --check-prefix=ANY
// RUN: not tern-opt %s --ternary-emit-kernels 2>&1 | FileCheck %s --check-prefix=UNSELECTED

// UNSELECTED: error: {{.*}}expected attribute ternary.gemv; run ternary-select-kernels

func.func @linear(%q: tensor<?x512xi8>, %s: tensor<?xf32>, %offsets: tensor<?x1xi32>,
                  %w: tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                  %ws: tensor<64x1xf32, #ternary.scales<rows = 16>>) -> tensor<?x64xf32> {
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
      tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<64x1xf32, #ternary.scales<rows = 16>> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

func.func @groups(%q: tensor<?x512xi8>, %s: tensor<?x8xf32>, %offsets: tensor<?x8xi32>,
                  %w: tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                  %ws: tensor<64x4xf32, #ternary.scales<rows = 16>>) -> tensor<?x64xf32> {
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>,
      tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<64x4xf32, #ternary.scales<rows = 16>> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// The stream reads ahead, masks without shifting, and shifts four sums at the end.
// VNNI-LABEL: llvm.func @matmul_two_bit_1x16x16_avx512vnni(
//  VNNI-SAME:   !llvm.ptr {llvm.noalias, llvm.nonnull, llvm.readonly})
//       VNNI:   llvm.intr.prefetch
//   VNNI-NOT:   arith.shrui
// VNNI-COUNT-8:   llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"{{.*}}vector<64xi8>
//       VNNI:   arith.shrsi
//       VNNI:   arith.sitofp {{.*}} vector<16xi32> to vector<16xf32>
// The block unpacks a tile once and meets 16 token rows with each of its four slots.
// VNNI-LABEL: llvm.func @matmul_two_bit_16x16x16_avx512vnni(
// VNNI-COUNT-16:   llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
//       VNNI:   arith.shrui
// VNNI-COUNT-48:   llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
//       VNNI:   scf.yield

// Sums of at most 16 tiles in 16 bits, then widened.
// AVX2-LABEL: llvm.func @matmul_two_bit_1x16x16_avx2(
// AVX2-COUNT-8:   llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
//       AVX2:   llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// AVX2-LABEL: llvm.func @matmul_two_bit_8x16x16_avx2(
// AVX2-COUNT-32:   llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
//       AVX2:   llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"

// ANY-LABEL: llvm.func @matmul_two_bit_1x16x16_portable(
//   ANY-NOT:   llvm.call_intrinsic
//       ANY:   arith.muli {{.*}} : vector<8xi16>
//   ANY-NOT:   llvm.call_intrinsic
// ANY-LABEL: llvm.func @matmul_two_bit_4x16x16_portable(

// A group: int32 sums, converted, times the row's scale of the group, then one fused multiply-add
// with the weight's; where the CPU has none, in binary64 rounded to odd.
// VNNI-LABEL: llvm.func @matmul_i8g_two_bit_1x16x16_avx512vnni(
//       VNNI:   arith.sitofp {{.*}} vector<16xi32> to vector<16xf32>
//       VNNI:   arith.mulf
//       VNNI:   llvm.intr.fma
// ANY-LABEL: llvm.func @matmul_i8g_two_bit_1x16x16_portable(
//   ANY-NOT:   llvm.intr.fma
//       ANY:   arith.truncf {{.*}} vector<4xf64> to vector<4xf32>
