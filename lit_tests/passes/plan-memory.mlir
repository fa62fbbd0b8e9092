// RUN: tern-opt %s --ternary-plan-memory=max-rows=4 --split-input-file | FileCheck %s

// Rows of 10 floats are padded to 64: 4 rows take 1024 bytes. The deepest chain of calls is 3072 bytes
// of @main and then the callee's.
// CHECK: module attributes {ternary.arena_bytes = 5504 : i64, ternary.max_rows = 4 : i64}

// int8 rows are padded to 320 bytes, row scales and sums to 64 bytes in all. What the callee returns
// is made where the caller wants it.
// CHECK-LABEL: func.func private @block
// CHECK-SAME: ternary.arena_bytes = 2432
// CHECK: ternary.quantize_rows {{.+}} {ternary.arena = array<i64: 0, 1280, 1344>}
// CHECK: ternary.fused_linear {{.+}} {ternary.arena = array<i64: 1408>}
// CHECK: ternary.rms_norm {{.+}} {ternary.arena = array<i64: 0>}
// CHECK: ternary.gated_activation {{.+}} {ternary.arena = array<i64: -1>}
func.func private @block(%h: tensor<?x10xf32>, %g: tensor<10xf32>, %w: tensor<10x10x!ternary.trit>, %ws: tensor<1xf32>) -> tensor<?x10xf32> {
  %q, %s, %offsets = ternary.quantize_rows %h group 10 : tensor<?x10xf32> -> tensor<?x10xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws : tensor<?x10xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<10x10x!ternary.trit>, tensor<1xf32> -> tensor<?x10xf32>
  %n = ternary.rms_norm %h, %g epsilon 1.0e-05 : tensor<?x10xf32>, tensor<10xf32>
  %f = ternary.gated_activation relu2 %n, %y : tensor<?x10xf32>
  return %f : tensor<?x10xf32>
}

// Inputs: floats are copied in, ids and indices stay where they are. Calls alternate between two
// places. A view keeps what it looks into; loads, views and indices have no place.
// CHECK-LABEL: func.func @main
// CHECK-SAME: ternary.arena_bytes = 3072
// CHECK-SAME: ternary.argument_arena = array<i64: 0, -1, -1>
// CHECK: ternary.load @g : tensor<10xf32>
// CHECK: call {{.+}} {ternary.arena = array<i64: 1024>}
// CHECK: call {{.+}} {ternary.arena = array<i64: 0>}
// CHECK: call {{.+}} {ternary.arena = array<i64: 1024>}
// CHECK: tensor.extract_slice
// CHECK-NOT: arena
// CHECK: tensor.extract_slice
// CHECK-NOT: arena
// CHECK: call {{.+}} {ternary.arena = array<i64: 0>}
// CHECK: call {{.+}} {ternary.arena = array<i64: 2048>}
// CHECK: ternary.gated_activation {{.+}} {ternary.arena = array<i64: 0>}
ternary.weight @g : tensor<10xf32> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [10], encoding = random>] section [0, 256]
ternary.weight @w : tensor<10x10x!ternary.trit> from [#ternary.source<file = 0, offset = 6, bytes = 0, shape = [10, 10], encoding = random>]
ternary.weight @ws : tensor<1xf32> from [#ternary.source<file = 0, offset = 7, bytes = 0, shape = [1], encoding = random>]
func.func @main(%h: tensor<?x10xf32>, %ids: tensor<?xi32>, %n: index) -> tensor<?x10xf32> attributes {ternary.entry} {
  %g = ternary.load @g : tensor<10xf32>
  %w = ternary.load @w : tensor<10x10x!ternary.trit>
  %ws = ternary.load @ws : tensor<1xf32>
  %1 = call @block(%h, %g, %w, %ws) : (tensor<?x10xf32>, tensor<10xf32>, tensor<10x10x!ternary.trit>, tensor<1xf32>) -> tensor<?x10xf32>
  %2 = call @block(%1, %g, %w, %ws) : (tensor<?x10xf32>, tensor<10xf32>, tensor<10x10x!ternary.trit>, tensor<1xf32>) -> tensor<?x10xf32>
  %3 = call @block(%2, %g, %w, %ws) : (tensor<?x10xf32>, tensor<10xf32>, tensor<10x10x!ternary.trit>, tensor<1xf32>) -> tensor<?x10xf32>
  %v = tensor.extract_slice %3[%n, 0] [%n, 10] [1, 1] : tensor<?x10xf32> to tensor<?x10xf32>
  %vv = tensor.extract_slice %v[0, 0] [%n, 10] [1, 1] : tensor<?x10xf32> to tensor<?x10xf32>
  %4 = call @block(%v, %g, %w, %ws) : (tensor<?x10xf32>, tensor<10xf32>, tensor<10x10x!ternary.trit>, tensor<1xf32>) -> tensor<?x10xf32>
  %5 = call @block(%4, %g, %w, %ws) : (tensor<?x10xf32>, tensor<10xf32>, tensor<10x10x!ternary.trit>, tensor<1xf32>) -> tensor<?x10xf32>
  %6 = ternary.gated_activation relu2 %vv, %5 : tensor<?x10xf32>
  return %6 : tensor<?x10xf32>
}

// -----

// Logits are made in the runtime's buffer. So are rows that need no padding, unless something else reads them.
// CHECK: module attributes {ternary.arena_bytes = 2048 : i64, ternary.max_rows = 4 : i64}
// CHECK-LABEL: func.func @logits
// CHECK: arith.addf {{.+}} {ternary.arena = array<i64: 1024>}
// CHECK: ternary.head {{.+}} {ternary.arena = array<i64: -1>}
// CHECK: arith.addf {{.+}} {ternary.arena = array<i64: -1>}
ternary.weight @table : tensor<10x64xf32> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [10, 64], encoding = random>]
func.func @logits(%h: tensor<?x64xf32>) -> (tensor<?x10xf32>, tensor<?x64xf32>, tensor<?x64xf32>) attributes {ternary.entry} {
  %table = ternary.load @table : tensor<10x64xf32>
  %read = arith.addf %h, %h : tensor<?x64xf32>
  %logits = ternary.head %read, %table : tensor<?x64xf32>, tensor<10x64xf32> -> tensor<?x10xf32>
  %last = arith.addf %h, %h : tensor<?x64xf32>
  return %logits, %read, %last : tensor<?x10xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}
