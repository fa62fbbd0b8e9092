// RUN: tern-opt %s --pass-pipeline='builtin.module(ternary-prepare{max-rows=8},ternary-add-probes)' | FileCheck %s
// RUN: tern-opt %s --pass-pipeline='builtin.module(ternary-prepare{max-rows=8},ternary-add-probes,ternary-select-kernels{target=x86-64},ternary-lower-to-llvm{target=x86-64})' 2>/dev/null | FileCheck %s --check-prefix=LLVM
// RUN: tern-opt %s --pass-pipeline='builtin.module(ternary-prepare{max-rows=8},ternary-select-kernels{target=x86-64},ternary-lower-to-llvm{target=x86-64})' 2>/dev/null | FileCheck %s --check-prefix=NONE

// Functions, phases and calls have numbers, in order; loads and slices have none.
// CHECK-LABEL: func.func private @layer
// CHECK-SAME:    ternary.probe = 3
//       CHECK:   ternary.quantize_rows {{.*}} ternary.probe = 4
//       CHECK:   ternary.fused_linear {{.*}} ternary.probe = 5
//       CHECK:   return {ternary.probe = 6 : i64}
// CHECK-LABEL: func.func @main
// CHECK-SAME:    ternary.probe = 7
//   CHECK-NOT:   ternary.load {{.*}} ternary.probe
//       CHECK:   call @layer{{.*}} ternary.probe = 8
//       CHECK:   call @layer{{.*}} ternary.probe = 9
//       CHECK:   return {ternary.probe = 10 : i64}

// A probe is called where there is one: waiting, its op, then the product likewise. The calls' numbers
// are counted by their loop.
// LLVM-LABEL: llvm.func internal @tern_block_layer(
//       LLVM:   llvm.icmp "ne"
//       LLVM:   llvm.call %{{[0-9]+}}({{.*}}) : !llvm.ptr, (!llvm.ptr, i32, i32, i64) -> ()
//       LLVM:   llvm.call %{{[0-9]+}}({{.*}}, %arg1) : !llvm.ptr, (!llvm.ptr, i32) -> ()
//       LLVM:   llvm.call %{{[0-9]+}}({{.*}}) : !llvm.ptr, (!llvm.ptr, i32, i32, i64) -> ()
//       LLVM:   llvm.call @tern_row_quantize_row
// LLVM-LABEL: llvm.func hidden @tern_forward_x86_64(
//       LLVM:   llvm.call %{{[0-9]+}}({{.*}}) : !llvm.ptr, (!llvm.ptr, i32, i32, i64) -> ()
//       LLVM:   llvm.call @tern_block_layer
//       LLVM:   llvm.call %{{[0-9]+}}({{.*}}) : !llvm.ptr, (!llvm.ptr, i32, i32, i64) -> ()
// NONE-NOT: (!llvm.ptr, i32, i32, i64) -> ()
!w = tensor<64x64x!ternary.trit>
module {
  ternary.weight @w0 : !w from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
  ternary.weight @w1 : !w from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [64, 64], encoding = random>]
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
    return %1 : tensor<?x64xf32>
  }
}
