// Packings by shape come first; the others get the default.
// RUN: tern-opt %s --ternary-choose-packing='shapes=64x64:base3' 2>%t.remarks | FileCheck %s --check-prefix=BASE3
// RUN: FileCheck %s --check-prefix=REMARK --input-file=%t.remarks
// RUN: tern-opt %s --ternary-choose-packing='packing=base3 shapes=64x64:two_bit,1x1:base3' 2>%t.back | FileCheck %s --check-prefix=BACK
// RUN: FileCheck %s --check-prefix=FALLBACK --input-file=%t.back
// RUN: tern-opt %s --ternary-prepare='shapes=64x64:base3' 2>/dev/null | FileCheck %s --check-prefix=BASE3
// RUN: not tern-opt %s --ternary-choose-packing='shapes=48x64:base3' 2>&1 | FileCheck %s --check-prefix=GROUPS
// RUN: not tern-opt %s --ternary-choose-packing='shapes=32x64:base3' 2>&1 | FileCheck %s --check-prefix=FLOATS
// RUN: not tern-opt %s --ternary-choose-packing='shapes=64x64:base3,64x64:two_bit' 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not tern-opt %s --ternary-choose-packing='shapes=64x64:base4' 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not tern-opt %s --ternary-choose-packing='shapes=64:base3' 2>&1 | FileCheck %s --check-prefix=SHAPE

// BASE3-DAG: ternary.weight @w : tensor<64x64x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>
// BASE3-DAG: ternary.weight @g : tensor<48x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
// REMARK: remark: {{.*}}64x64: base3, chosen for its shape
// BACK-DAG: ternary.weight @w : tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
// BACK-DAG: ternary.weight @g : tensor<48x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
// FALLBACK-DAG: remark: {{.*}}64x64: two_bit, chosen for its shape
// FALLBACK-DAG: remark: {{.*}}48x64: two_bit instead of base3: scale groups of 32 columns are not whole tiles of 20
// FALLBACK-DAG: remark: {{.*}}32x64: two_bit instead of base3: kernels on float activations read two_bit only
// GROUPS: error: {{.*}}expected a packing other than base3 for 48x64: scale groups of 32 columns are not whole tiles of 20
// FLOATS: error: {{.*}}expected a packing other than base3 for 32x64: kernels on float activations read two_bit only
// TWICE: error: {{.*}}shapes: 64x64 is twice
// NAME: error: {{.*}}shapes: expected ROWSxCOLUMNS:PACKING, such as 6912x2560:base3, got '64x64:base4'
// SHAPE: error: {{.*}}got '64:base3'
ternary.weight @w : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
ternary.weight @g : tensor<48x64x!ternary.trit> from [#ternary.source<file = 0, offset = 3, bytes = 0, shape = [48, 64], encoding = random>]
ternary.weight @gs : tensor<48x2xf32> from [#ternary.source<file = 0, offset = 4, bytes = 0, shape = [48, 2], encoding = random>]
ternary.weight @f : tensor<32x64x!ternary.trit> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [32, 64], encoding = random>]
func.func @main(%x: tensor<?x64xf32>) -> (tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x32xf32>) attributes {ternary.entry} {
  %w = ternary.load @w : tensor<64x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %a, %r, %m = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %y = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %g = ternary.load @g : tensor<48x64x!ternary.trit>
  %gs = ternary.load @gs : tensor<48x2xf32>
  %b, %q, %n = ternary.quantize_rows %x group 32 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
  %z = ternary.fused_linear %b, %q, %n, %g, %gs : tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>, tensor<48x64x!ternary.trit>, tensor<48x2xf32> -> tensor<?x48xf32>
  %f = ternary.load @f : tensor<32x64x!ternary.trit>
  %v = ternary.linear %x, %f, %s activations(float) : tensor<?x64xf32>, tensor<32x64x!ternary.trit>, tensor<1xf32> -> tensor<?x32xf32>
  return %y, %z, %v : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x32xf32>
}
