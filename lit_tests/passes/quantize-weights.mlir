// RUN: tern-opt %s --ternary-quantize-weights --split-input-file | FileCheck %s

// The two weights read the master's bytes; the master goes.
// CHECK-NOT: .master
// CHECK: ternary.weight @up : tensor<64x32x!ternary.trit> from [#ternary.source<file = 1, offset = 8, bytes = 4096, shape = [64, 32], encoding = bf16, derive = absmean_trits>]
// CHECK: ternary.weight @up.scale : tensor<1xf32> from [#ternary.source<file = 1, offset = 8, bytes = 4096, shape = [64, 32], encoding = bf16, derive = absmean_scale>]
// CHECK-NOT: .master
// CHECK-LABEL: @loaded
// CHECK-DAG: %[[T:.+]] = ternary.load @up : tensor<64x32x!ternary.trit>
// CHECK-DAG: %[[S:.+]] = ternary.load @up.scale : tensor<1xf32>
// CHECK: return %[[T]], %[[S]]
ternary.weight @up.master : tensor<64x32xbf16> from [#ternary.source<file = 1, offset = 8, bytes = 4096, shape = [64, 32], encoding = bf16>]
func.func @loaded() -> (tensor<64x32x!ternary.trit>, tensor<1xf32>) {
  %w = ternary.load @up.master : tensor<64x32xbf16>
  %t, %s = ternary.quantize_weight %w : tensor<64x32xbf16> -> tensor<64x32x!ternary.trit>, tensor<1xf32>
  return %t, %s : tensor<64x32x!ternary.trit>, tensor<1xf32>
}

// -----

// Two uses share the weights; a master with another use stays; a taken name is not taken twice.
// CHECK-DAG: ternary.weight @table : tensor<64x32xf32>
// CHECK-DAG: ternary.weight @table_0 : tensor<64x32x!ternary.trit>
// CHECK-DAG: ternary.weight @table.scale : tensor<1xf32>
// CHECK-LABEL: @shared
// CHECK-NOT: quantize_weight
// CHECK-COUNT-2: ternary.load @table_0
ternary.weight @table : tensor<64x32xf32> from [#ternary.source<file = 0, offset = 8, bytes = 8192, shape = [64, 32], encoding = f32>]
func.func @shared(%i: tensor<?xi32>) -> (tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<64x32x!ternary.trit>) {
  %w = ternary.load @table : tensor<64x32xf32>
  %t, %s = ternary.quantize_weight %w : tensor<64x32xf32> -> tensor<64x32x!ternary.trit>, tensor<1xf32>
  %w2 = ternary.load @table : tensor<64x32xf32>
  %t2, %s2 = ternary.quantize_weight %w2 : tensor<64x32xf32> -> tensor<64x32x!ternary.trit>, tensor<1xf32>
  %e = ternary.embedding %i, %w : tensor<?xi32>, tensor<64x32xf32> -> tensor<?x32xf32>
  return %e, %t, %t2 : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<64x32x!ternary.trit>
}

// -----

// Declined: an argument, two sources (one mean for both is not the mean of each), a source that is
// derived already, a master that is coarser than its source.
// CHECK-LABEL: @declined
// CHECK-COUNT-4: ternary.quantize_weight
ternary.weight @two.master : tensor<4x32xf32> from [
  #ternary.source<file = 0, offset = 0, bytes = 256, shape = [2, 32], encoding = f32>,
  #ternary.source<file = 0, offset = 256, bytes = 256, shape = [2, 32], encoding = f32>]
ternary.weight @derived.master : tensor<4x32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [4, 32], encoding = f32, derive = reciprocal>]
ternary.weight @rounded.master : tensor<4x32xbf16> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [4, 32], encoding = f32>]
func.func @declined(%w0: tensor<4x32xf32>) -> (tensor<4x32x!ternary.trit>, tensor<4x32x!ternary.trit>, tensor<4x32x!ternary.trit>, tensor<4x32x!ternary.trit>) {
  %t0, %s0 = ternary.quantize_weight %w0 : tensor<4x32xf32> -> tensor<4x32x!ternary.trit>, tensor<1xf32>
  %w1 = ternary.load @two.master : tensor<4x32xf32>
  %t1, %s1 = ternary.quantize_weight %w1 : tensor<4x32xf32> -> tensor<4x32x!ternary.trit>, tensor<1xf32>
  %w2 = ternary.load @derived.master : tensor<4x32xf32>
  %t2, %s2 = ternary.quantize_weight %w2 : tensor<4x32xf32> -> tensor<4x32x!ternary.trit>, tensor<1xf32>
  %w3 = ternary.load @rounded.master : tensor<4x32xbf16>
  %t3, %s3 = ternary.quantize_weight %w3 : tensor<4x32xbf16> -> tensor<4x32x!ternary.trit>, tensor<1xf32>
  return %t0, %t1, %t2, %t3 : tensor<4x32x!ternary.trit>, tensor<4x32x!ternary.trit>, tensor<4x32x!ternary.trit>, tensor<4x32x!ternary.trit>
}
