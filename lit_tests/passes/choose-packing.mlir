// RUN: tern-opt %s --ternary-choose-packing --split-input-file | FileCheck %s --check-prefixes=CHECK,TWO
// RUN: tern-opt %s --ternary-choose-packing='packing=base3 rows=8' --split-input-file | FileCheck %s --check-prefixes=CHECK,THREE

// Through an argument; one scale for all rows becomes a column of them. A k-group of 32 is not
// whole tiles of 20.
// TWO: ternary.weight @w : tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
// TWO: ternary.weight @s : tensor<64x1xf32, #ternary.scales<rows = 16>>
// TWO: ternary.weight @g : tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
// TWO: ternary.weight @gs : tensor<64x2xf32, #ternary.scales<rows = 16>>
// TWO-LABEL: @block(
// TWO-SAME: tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, %{{.+}}: tensor<64x1xf32, #ternary.scales<rows = 16>>)
// THREE: ternary.weight @w : tensor<64x64x!ternary.trit, #ternary.packing<base3, rows = 8, k = 20>>
// THREE: ternary.weight @s : tensor<64x1xf32, #ternary.scales<rows = 8>>
// THREE: ternary.weight @g : tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 8, k = 16>>
// THREE: ternary.weight @gs : tensor<64x2xf32, #ternary.scales<rows = 8>>
// CHECK-LABEL: @main
// CHECK: %[[W:.+]] = ternary.load @w : tensor<64x64x!ternary.trit, #
// CHECK: %[[S:.+]] = ternary.load @s : tensor<64x1xf32, #
// CHECK: call @block(%{{.+}}, %[[W]], %[[S]]) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit, #{{.+}}>, tensor<64x1xf32, #
ternary.weight @w : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
ternary.weight @g : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @gs : tensor<64x2xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [64, 2], encoding = random>]
func.func private @block(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a, %r, %m = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @main(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %w = ternary.load @w : tensor<64x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %y = call @block(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %g = ternary.load @g : tensor<64x64x!ternary.trit>
  %gs = ternary.load @gs : tensor<64x2xf32>
  %a, %r, %m = ternary.quantize_rows %y group 32 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
  %z = ternary.fused_linear %a, %r, %m, %g, %gs : tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>, tensor<64x64x!ternary.trit>, tensor<64x2xf32> -> tensor<?x64xf32>
  return %y, %z : tensor<?x64xf32>, tensor<?x64xf32>
}

// -----

// One scale for weights of 32 and of 48 rows, and for a norm: three weights of it.
// CHECK-DAG: ternary.weight @s : tensor<32x1xf32, #
// CHECK-DAG: ternary.weight @s_{{[0-9]+}} : tensor<48x1xf32, #
// CHECK-DAG: ternary.weight @s_{{[0-9]+}} : tensor<1xf32> from
// CHECK-LABEL: @shared
// CHECK: ternary.rms_norm {{.+}} : tensor<?x1xf32>, tensor<1xf32>
ternary.weight @a : tensor<32x1x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [32, 1], encoding = random>]
ternary.weight @b : tensor<48x1x!ternary.trit> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [48, 1], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [1], encoding = random>]
func.func @shared(%x: tensor<?x1xf32>) -> (tensor<?x32xf32>, tensor<?x48xf32>) {
  %a = ternary.load @a : tensor<32x1x!ternary.trit>
  %b = ternary.load @b : tensor<48x1x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %n = ternary.rms_norm %x, %s epsilon 1.0e-05 : tensor<?x1xf32>, tensor<1xf32>
  %q, %r, %m = ternary.quantize_rows %n group 1 : tensor<?x1xf32> -> tensor<?x1xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %q, %r, %m, %a, %s : tensor<?x1xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<32x1x!ternary.trit>, tensor<1xf32> -> tensor<?x32xf32>
  %z = ternary.fused_linear %q, %r, %m, %b, %s : tensor<?x1xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<48x1x!ternary.trit>, tensor<1xf32> -> tensor<?x48xf32>
  return %y, %z : tensor<?x32xf32>, tensor<?x48xf32>
}

// -----

// The same through an argument, passed on by a function between: two arguments of it.
// CHECK-LABEL: func.func private @inner(
// CHECK-SAME: %{{[a-z0-9]+}}: tensor<?x64xf32>, %[[A:[a-z0-9]+]]: tensor<32x64x!ternary.trit, #{{[^%]+}}, %[[B:[a-z0-9]+]]: tensor<48x64x!ternary.trit, #{{[^%]+}}, %[[S0:[a-z0-9]+]]: tensor<{{32|48}}x1xf32, #{{[^%]+}}, %[[S1:[a-z0-9]+]]: tensor<{{32|48}}x1xf32, #{{[^%]+}})
// CHECK-LABEL: func.func private @outer(
// CHECK: call @inner(%{{.+}}) : (tensor<?x64xf32>, {{.+}}) ->
// CHECK-LABEL: @main
// CHECK-COUNT-4: ternary.load @
// CHECK: call @outer
ternary.weight @a : tensor<32x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [32, 64], encoding = random>]
ternary.weight @b : tensor<48x64x!ternary.trit> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [48, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [1], encoding = random>]
func.func private @inner(%x: tensor<?x64xf32>, %a: tensor<32x64x!ternary.trit>, %b: tensor<48x64x!ternary.trit>, %s: tensor<1xf32>) -> (tensor<?x32xf32>, tensor<?x48xf32>) {
  %q, %r, %m = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %q, %r, %m, %a, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<32x64x!ternary.trit>, tensor<1xf32> -> tensor<?x32xf32>
  %z = ternary.fused_linear %q, %r, %m, %b, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<48x64x!ternary.trit>, tensor<1xf32> -> tensor<?x48xf32>
  return %y, %z : tensor<?x32xf32>, tensor<?x48xf32>
}
func.func private @outer(%x: tensor<?x64xf32>, %a: tensor<32x64x!ternary.trit>, %b: tensor<48x64x!ternary.trit>, %s: tensor<1xf32>) -> (tensor<?x32xf32>, tensor<?x48xf32>) {
  %y:2 = call @inner(%x, %a, %b, %s) : (tensor<?x64xf32>, tensor<32x64x!ternary.trit>, tensor<48x64x!ternary.trit>, tensor<1xf32>) -> (tensor<?x32xf32>, tensor<?x48xf32>)
  return %y#0, %y#1 : tensor<?x32xf32>, tensor<?x48xf32>
}
func.func @main(%x: tensor<?x64xf32>) -> (tensor<?x32xf32>, tensor<?x48xf32>) {
  %a = ternary.load @a : tensor<32x64x!ternary.trit>
  %b = ternary.load @b : tensor<48x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %y:2 = call @outer(%x, %a, %b, %s) : (tensor<?x64xf32>, tensor<32x64x!ternary.trit>, tensor<48x64x!ternary.trit>, tensor<1xf32>) -> (tensor<?x32xf32>, tensor<?x48xf32>)
  return %y#0, %y#1 : tensor<?x32xf32>, tensor<?x48xf32>
}

// -----

// Float activations always read two_bit.
// CHECK: ternary.weight @w : tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = {{8|16}}, k = 16>>
// CHECK-LABEL: @floats
ternary.weight @w : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
func.func @floats(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  %w = ternary.load @w : tensor<64x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  // CHECK: ternary.linear {{.+}} activations(float) : tensor<?x64xf32>, tensor<64x64x!ternary.trit, #ternary.packing<two_bit, {{.+}}>>, tensor<64x1xf32, #
  %y = ternary.linear %x, %w, %s activations(float) : tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// f16 scales stay f16. Groups of the activations, too, must be whole tiles: 32 columns are none of base3.
// CHECK: ternary.weight @s : tensor<64x2xf16, #ternary.scales<rows = {{8|16}}>>
// CHECK-LABEL: @half_scales
ternary.weight @w : tensor<64x128x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 128], encoding = random>]
ternary.weight @s : tensor<64x2xf16> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [64, 2], encoding = random>]
func.func @half_scales(%q: tensor<?x128xi8>, %rs: tensor<?x4xf32>, %o: tensor<?x4xi32>) -> tensor<?x64xf32> {
  %w = ternary.load @w : tensor<64x128x!ternary.trit>
  %s = ternary.load @s : tensor<64x2xf16>
  // CHECK: ternary.fused_linear {{.+}} tensor<64x128x!ternary.trit, #ternary.packing<two_bit, {{.+}}>>, tensor<64x2xf16, #ternary.scales<rows = {{8|16}}>> -> tensor<?x64xf32>
  %y = ternary.fused_linear %q, %rs, %o, %w, %s : tensor<?x128xi8>, tensor<?x4xf32>, tensor<?x4xi32>, tensor<64x128x!ternary.trit>, tensor<64x2xf16> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
