// RUN: tern-opt %s --pass-pipeline='builtin.module(ternary-prepare{max-rows=8},ternary-select-kernels{target=x86-64},ternary-lower-to-llvm{target=x86-64})' 2>/dev/null | FileCheck %s

// Three calls of one function: one table, one loop, one call. A row holds the places of the input, the two
// weights and the result; the first number is the count of rows.

// CHECK: llvm.mlir.global internal constant @tern_calls_0(dense<[3, {{[0-9, ]+}}]> : tensor<13xi64>) {{.*}}externally_initialized
// CHECK-LABEL: llvm.func internal @tern_block_layer(
// CHECK-SAME:    no_inline
// The block starts with a barrier: its caller's phases may still be running.
//       CHECK:   llvm.call %{{[0-9]+}}({{.*}}, %arg1) : !llvm.ptr, (!llvm.ptr, i32) -> ()
//       CHECK:   llvm.call @tern_row_quantize_row
// CHECK-LABEL: llvm.func hidden @tern_forward_x86_64(
//       CHECK:   llvm.mlir.addressof @tern_calls_0
//       CHECK:   llvm.call @tern_block_layer
//   CHECK-NOT:   llvm.call @tern_block_layer
//       CHECK:   llvm.return
!w = tensor<64x64x!ternary.trit>
module {
  ternary.weight @w0 : !w from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  ternary.weight @w1 : !w from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [64, 64], encoding = random>]
  ternary.weight @w2 : !w from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [64, 64], encoding = random>]
  ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [1], encoding = random>]
  func.func private @layer(%x: tensor<?x64xf32>, %w: !w, %s: tensor<1xf32>) -> tensor<?x64xf32> {
    %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x64xf32>, !w, tensor<1xf32> -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
  func.func @main(%x: tensor<?x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %s = ternary.load @s : tensor<1xf32>
    %w0 = ternary.load @w0 : !w
    %0 = call @layer(%x, %w0, %s) : (tensor<?x64xf32>, !w, tensor<1xf32>) -> tensor<?x64xf32>
    %w1 = ternary.load @w1 : !w
    %1 = call @layer(%0, %w1, %s) : (tensor<?x64xf32>, !w, tensor<1xf32>) -> tensor<?x64xf32>
    %w2 = ternary.load @w2 : !w
    %2 = call @layer(%1, %w2, %s) : (tensor<?x64xf32>, !w, tensor<1xf32>) -> tensor<?x64xf32>
    return %2 : tensor<?x64xf32>
  }
}
