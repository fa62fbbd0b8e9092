// The whole pipeline on a model as the importer makes it.
// RUN: tern-opt %s --ternary-fuse | FileCheck %s --check-prefixes=CHECK,FUSED
// RUN: tern-opt %s --ternary-prepare='packing=base3 max-rows=16' | FileCheck %s --check-prefixes=CHECK,PACKED
// RUN: tern-opt %s --ternary-prepare -o %t.1
// RUN: tern-opt %s --ternary-prepare -o %t.2
// RUN: cmp %t.1 %t.2

// PACKED: module attributes {{.*}}ternary.max_rows = 16
// CHECK-LABEL: func.func private @block
// CHECK: ternary.quantize_rows {{.+}} norm(
// CHECK-NEXT: ternary.fused_linear
// FUSED-SAME: tensor<128x64x!ternary.trit>
// PACKED-SAME: ternary.arena
// PACKED-SAME: tensor<128x64x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>
// CHECK-NOT: fused_linear
// CHECK: ternary.gated_activation
// CHECK: ternary.quantize_rows
// CHECK-NEXT: ternary.fused_linear {{.+}} residual(
// CHECK-NEXT: return
// CHECK-LABEL: @forward
// CHECK-NOT: quantize_weight
// CHECK-COUNT-2: call @block
module {
  ternary.weight @n : tensor<64xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64], encoding = random>]
  ternary.weight @a.gate : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [64, 64], encoding = random>]
  ternary.weight @a.gate.scale : tensor<1xf32> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [1], encoding = random>]
  ternary.weight @up.master : tensor<64x64xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [64, 64], encoding = random>]
  func.func private @block(%h: tensor<?x64xf32>, %g: tensor<64xf32>, %wg: tensor<64x64x!ternary.trit>, %sg: tensor<1xf32>, %wu: tensor<64x64x!ternary.trit>, %su: tensor<1xf32>, %wd: tensor<64x64x!ternary.trit>, %sd: tensor<1xf32>) -> tensor<?x64xf32> {
    %x = ternary.rms_norm %h, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
    %gate = ternary.linear %x, %wg, %sg activations(int8_per_token) : tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
    %up = ternary.linear %x, %wu, %su activations(int8_per_token) : tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
    %f = ternary.gated_activation relu2 %gate, %up : tensor<?x64xf32>
    %d = ternary.linear %f, %wd, %sd activations(int8_per_token) : tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
    %r = arith.addf %h, %d : tensor<?x64xf32>
    return %r : tensor<?x64xf32>
  }
  func.func @forward(%h: tensor<?x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
    %g = ternary.load @n : tensor<64xf32>
    %w = ternary.load @a.gate : tensor<64x64x!ternary.trit>
    %s = ternary.load @a.gate.scale : tensor<1xf32>
    %m = ternary.load @up.master : tensor<64x64xf32>
    %wu, %su = ternary.quantize_weight %m : tensor<64x64xf32> -> tensor<64x64x!ternary.trit>, tensor<1xf32>
    %h1 = call @block(%h, %g, %w, %s, %wu, %su, %wu, %su) : (tensor<?x64xf32>, tensor<64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
    %h2 = call @block(%h1, %g, %wu, %su, %wu, %su, %w, %s) : (tensor<?x64xf32>, tensor<64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
    return %h2 : tensor<?x64xf32>
  }
}
