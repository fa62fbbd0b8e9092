// RUN: tern-opt %s --pass-pipeline='builtin.module(ternary-prepare{max-rows=8},ternary-select-kernels{target=x86-64},ternary-lower-to-llvm{target=x86-64})' 2>/dev/null | FileCheck %s

// Copying the input in and quantizing it work on the same rows, so there is no barrier between them; the
// product needs all rows, and threads draw the last of its row blocks. Its result leaves through the arena
// because 100 columns have padding there.

// CHECK-LABEL: llvm.func hidden @tern_forward_x86_64(%arg0: !llvm.ptr, %arg1: i32)
// CHECK-SAME:    no_unwind
//   CHECK-NOT:   llvm.call %{{[0-9]+}}(
//       CHECK:   llvm.call @tern_row_zero_padding
//   CHECK-NOT:   llvm.call %{{[0-9]+}}(
//       CHECK:   llvm.call @tern_row_quantize_row
//       CHECK:   llvm.call %{{[0-9]+}}({{.*}}, %arg1) : !llvm.ptr, (!llvm.ptr, i32) -> ()
//       CHECK:   llvm.icmp "eq"
//       CHECK:   llvm.call @matmul_two_bit_1x16x16_portable
//       CHECK:   llvm.call @matmul_two_bit_4x16x16_portable
//       CHECK:   llvm.atomicrmw add %{{.*}} monotonic
//       CHECK:   llvm.call %{{[0-9]+}}({{.*}}, %arg1) : !llvm.ptr, (!llvm.ptr, i32) -> ()
//   CHECK-NOT:   llvm.call
//       CHECK:   llvm.return

// Nothing of the source is left.
// CHECK-NOT: {{ternary|func\.func|tensor}}
module {
  ternary.weight @w : tensor<100x72x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [100, 72], encoding = random>]
  ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
  func.func @main(%x: tensor<?x72xf32>) -> tensor<?x100xf32> attributes {ternary.entry} {
    %w = ternary.load @w : tensor<100x72x!ternary.trit>
    %s = ternary.load @s : tensor<1xf32>
    %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x72xf32>, tensor<100x72x!ternary.trit>, tensor<1xf32> -> tensor<?x100xf32>
    return %y : tensor<?x100xf32>
  }
}
