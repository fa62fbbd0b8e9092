// RUN: tern-opt %s --ternary-merge-linears --split-input-file | FileCheck %s

// Weights loaded in place: segments of 64 rows, slices at their starts.
// CHECK: ternary.weight @"blk.0.q+k" : tensor<192x64x!ternary.trit>
// CHECK-SAME: shape = [100, 64]{{.+}}shape = [32, 64]{{.+}} rows [128, 64]
// CHECK: ternary.weight @"blk.0.q+k.scale" : tensor<192xf32>
// CHECK-SAME: shape = [1]{{.+}}shape = [32]{{.+}} rows [128, 64]
// CHECK-NOT: ternary.weight
// CHECK-LABEL: @direct
// CHECK-DAG: %[[W:.+]] = ternary.load @"blk.0.q+k" :
// CHECK-DAG: %[[S:.+]] = ternary.load @"blk.0.q+k.scale" :
// CHECK: %[[QK:.+]] = ternary.fused_linear %{{.+}}, %{{.+}}, %{{.+}}, %[[W]], %[[S]] :
// CHECK: %[[M:.+]] = tensor.dim %[[QK]], %c0
// CHECK: %[[Q:.+]] = tensor.extract_slice %[[QK]][0, 0] [%[[M]], 100] [1, 1] : tensor<?x192xf32> to tensor<?x100xf32>
// CHECK: %[[K:.+]] = tensor.extract_slice %[[QK]][0, 128] [%[[M]], 32] [1, 1] : tensor<?x192xf32> to tensor<?x32xf32>
// CHECK: quantize_rows %[[Q]]
// CHECK: quantize_rows %[[K]]
ternary.weight @blk.0.q : tensor<100x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [100, 64], encoding = random>]
ternary.weight @blk.0.q.scale : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
ternary.weight @blk.0.k : tensor<32x64x!ternary.trit> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [32, 64], encoding = random>]
ternary.weight @blk.0.k.scale : tensor<32xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [32], encoding = random>]
func.func @direct(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %u: tensor<?x1xi32>) -> (tensor<?x100xi8>, tensor<?x32xi8>) {
  %wq = ternary.load @blk.0.q : tensor<100x64x!ternary.trit>
  %sq = ternary.load @blk.0.q.scale : tensor<1xf32>
  %wk = ternary.load @blk.0.k : tensor<32x64x!ternary.trit>
  %sk = ternary.load @blk.0.k.scale : tensor<32xf32>
  %q = ternary.fused_linear %a, %r, %u, %wq, %sq : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<100x64x!ternary.trit>, tensor<1xf32> -> tensor<?x100xf32>
  %k = ternary.fused_linear %a, %r, %u, %wk, %sk : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<32x64x!ternary.trit>, tensor<32xf32> -> tensor<?x32xf32>
  %q0, %q1, %q2 = ternary.quantize_rows %q group 100 : tensor<?x100xf32> -> tensor<?x100xi8>, tensor<?xf32>, tensor<?x1xi32>
  %k0, %k1, %k2 = ternary.quantize_rows %k group 32 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  return %q0, %k0 : tensor<?x100xi8>, tensor<?x32xi8>
}

// -----

// Through two functions and three calls; two calls share weights, and then the merged ones. With
// k-groups the scale stays a matrix.
// CHECK: ternary.weight @"a.g+u" : tensor<128x64x!ternary.trit>
// CHECK: ternary.weight @"a.g+u.scale" : tensor<128x2xf32>
// CHECK: ternary.weight @"b.g+a.u" : tensor<128x64x!ternary.trit>
// CHECK: ternary.weight @"b.g+a.u.scale" : tensor<128x2xf32>
// CHECK-NOT: ternary.weight
// CHECK-LABEL: func.func private @inner(
// CHECK-SAME: %[[X:.+]]: tensor<3x64xf32>, %[[W:.+]]: tensor<128x64x!ternary.trit>, %[[S:.+]]: tensor<128x2xf32>) -> tensor<3x40xf32>
// CHECK: %[[Y:.+]] = ternary.fused_linear {{.+}}, %[[W]], %[[S]]
// CHECK: tensor.extract_slice %[[Y]][0, 64] [3, 40] [1, 1] : tensor<3x128xf32> to tensor<3x40xf32>
// CHECK-LABEL: func.func private @outer(
// CHECK-SAME: %[[X:.+]]: tensor<3x64xf32>, %[[W:.+]]: tensor<128x64x!ternary.trit>, %[[S:.+]]: tensor<128x2xf32>) -> tensor<3x40xf32>
// CHECK: call @inner(%[[X]], %[[W]], %[[S]])
// CHECK-LABEL: @main
// CHECK: %[[W0:.+]] = ternary.load @"a.g+u" :
// CHECK: call @outer(%{{.+}}, %[[W0]], %
// CHECK: %[[W1:.+]] = ternary.load @"a.g+u" :
// CHECK: call @outer(%{{.+}}, %[[W1]], %
// CHECK: %[[W2:.+]] = ternary.load @"b.g+a.u" :
// CHECK: call @inner(%{{.+}}, %[[W2]], %
ternary.weight @a.g : tensor<40x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [40, 64], encoding = random>]
ternary.weight @a.g.scale : tensor<40x2xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [40, 2], encoding = random>]
ternary.weight @a.u : tensor<40x64x!ternary.trit> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [40, 64], encoding = random>]
ternary.weight @a.u.scale : tensor<40x2xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [40, 2], encoding = random>]
ternary.weight @b.g : tensor<40x64x!ternary.trit> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [40, 64], encoding = random>]
ternary.weight @b.g.scale : tensor<40x2xf32> from [#ternary.source<file = 0, offset = 6, bytes = 0, shape = [40, 2], encoding = random>]
func.func private @inner(%x: tensor<3x64xf32>, %wg: tensor<40x64x!ternary.trit>, %sg: tensor<40x2xf32>, %wu: tensor<40x64x!ternary.trit>, %su: tensor<40x2xf32>) -> tensor<3x40xf32> {
  %a, %r, %m = ternary.quantize_rows %x group 32 : tensor<3x64xf32> -> tensor<3x64xi8>, tensor<3xf32>, tensor<3x2xi32>
  %g = ternary.fused_linear %a, %r, %m, %wg, %sg : tensor<3x64xi8>, tensor<3xf32>, tensor<3x2xi32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32> -> tensor<3x40xf32>
  %u = ternary.fused_linear %a, %r, %m, %wu, %su : tensor<3x64xi8>, tensor<3xf32>, tensor<3x2xi32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32> -> tensor<3x40xf32>
  %f = ternary.gated_activation relu2 %g, %u : tensor<3x40xf32>
  return %f : tensor<3x40xf32>
}
func.func private @outer(%x: tensor<3x64xf32>, %wg: tensor<40x64x!ternary.trit>, %sg: tensor<40x2xf32>, %wu: tensor<40x64x!ternary.trit>, %su: tensor<40x2xf32>) -> tensor<3x40xf32> {
  %y = call @inner(%x, %wg, %sg, %wu, %su) : (tensor<3x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>) -> tensor<3x40xf32>
  return %y : tensor<3x40xf32>
}
func.func @main(%x: tensor<3x64xf32>) -> (tensor<3x40xf32>, tensor<3x40xf32>, tensor<3x40xf32>) {
  %wg = ternary.load @a.g : tensor<40x64x!ternary.trit>
  %sg = ternary.load @a.g.scale : tensor<40x2xf32>
  %wu = ternary.load @a.u : tensor<40x64x!ternary.trit>
  %su = ternary.load @a.u.scale : tensor<40x2xf32>
  %y0 = call @outer(%x, %wg, %sg, %wu, %su) : (tensor<3x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>) -> tensor<3x40xf32>
  %y1 = call @outer(%x, %wg, %sg, %wu, %su) : (tensor<3x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>) -> tensor<3x40xf32>
  %wb = ternary.load @b.g : tensor<40x64x!ternary.trit>
  %sb = ternary.load @b.g.scale : tensor<40x2xf32>
  %y2 = call @inner(%x, %wb, %sb, %wu, %su) : (tensor<3x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32>) -> tensor<3x40xf32>
  return %y0, %y1, %y2 : tensor<3x40xf32>, tensor<3x40xf32>, tensor<3x40xf32>
}

// -----

// Declined: a public function's arguments, an argument with another use, a residual, returned
// results.
// CHECK-LABEL: @public
// CHECK-COUNT-2: ternary.fused_linear
func.func @public(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>, %w2: tensor<64x64x!ternary.trit>, %s2: tensor<1xf32>) -> tensor<?x64xf32> {
  %g = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %u = ternary.fused_linear %a, %r, %m, %w2, %s2 : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %f = arith.addf %g, %u : tensor<?x64xf32>
  return %f : tensor<?x64xf32>
}
// CHECK-LABEL: @shared_scale
// CHECK-COUNT-2: ternary.fused_linear
func.func private @shared_scale(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>, %w2: tensor<64x64x!ternary.trit>) -> tensor<?x64xf32> {
  %g = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %u = ternary.fused_linear %a, %r, %m, %w2, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %f = arith.addf %g, %u : tensor<?x64xf32>
  return %f : tensor<?x64xf32>
}
ternary.weight @w : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
// CHECK-LABEL: @residual_and_returned
// CHECK-COUNT-4: ternary.fused_linear
func.func @residual_and_returned(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %h: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>) {
  %w = ternary.load @w : tensor<64x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %0 = ternary.fused_linear %a, %r, %m, %w, %s residual(%h : tensor<?x64xf32>) : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %1 = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %2 = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %3 = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %f = arith.addf %0, %3 : tensor<?x64xf32>
  return %1, %2, %f : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// The same weights at two places are merged once.
// CHECK-COUNT-2: ternary.weight
// CHECK-NOT: ternary.weight
// CHECK-LABEL: @tied
// CHECK-COUNT-2: ternary.fused_linear {{.+}} tensor<128x64x!ternary.trit>
// CHECK-NOT: ternary.fused_linear
ternary.weight @a : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @b : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [1], encoding = random>]
func.func @tied(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %a = ternary.load @a : tensor<64x64x!ternary.trit>
  %b = ternary.load @b : tensor<64x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %q, %r, %m = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %0 = ternary.fused_linear %q, %r, %m, %a, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %1 = ternary.fused_linear %q, %r, %m, %b, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %y = arith.addf %0, %1 : tensor<?x64xf32>
  %q2, %r2, %m2 = ternary.quantize_rows %y group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %2 = ternary.fused_linear %q2, %r2, %m2, %a, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %3 = ternary.fused_linear %q2, %r2, %m2, %b, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %z = arith.addf %2, %3 : tensor<?x64xf32>
  return %z : tensor<?x64xf32>
}

// -----

// Float activations are merged too, but not with int8 ones.
// CHECK: ternary.weight @"g+u" : tensor<128x64x!ternary.trit>
// CHECK: ternary.weight @"g+u.scale" : tensor<128x2xf32>
// CHECK-LABEL: @floats
// CHECK: %[[GU:.+]] = ternary.linear %{{.+}}, %{{.+}}, %{{.+}} activations(float) : tensor<?x64xf32>, tensor<128x64x!ternary.trit>, tensor<128x2xf32> -> tensor<?x128xf32>
// CHECK: tensor.extract_slice %[[GU]][0, 0]
// CHECK: tensor.extract_slice %[[GU]][0, 64]
// CHECK: ternary.linear %{{.+}}, %{{.+}}, %{{.+}} activations(int8_per_token)
ternary.weight @g : tensor<40x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [40, 64], encoding = random>]
ternary.weight @g.scale : tensor<40x2xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [40, 2], encoding = random>]
ternary.weight @u : tensor<40x64x!ternary.trit> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [40, 64], encoding = random>]
ternary.weight @u.scale : tensor<40x2xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [40, 2], encoding = random>]
func.func @floats(%x: tensor<?x64xf32>) -> (tensor<?x40xf32>, tensor<?x40xf32>) {
  %wg = ternary.load @g : tensor<40x64x!ternary.trit>
  %sg = ternary.load @g.scale : tensor<40x2xf32>
  %wu = ternary.load @u : tensor<40x64x!ternary.trit>
  %su = ternary.load @u.scale : tensor<40x2xf32>
  %g = ternary.linear %x, %wg, %sg activations(float) : tensor<?x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32> -> tensor<?x40xf32>
  %u = ternary.linear %x, %wu, %su activations(float) : tensor<?x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32> -> tensor<?x40xf32>
  %f = ternary.gated_activation silu %g, %u : tensor<?x40xf32>
  %i = ternary.linear %x, %wg, %sg activations(int8_per_token) : tensor<?x64xf32>, tensor<40x64x!ternary.trit>, tensor<40x2xf32> -> tensor<?x40xf32>
  return %f, %i : tensor<?x40xf32>, tensor<?x40xf32>
}
