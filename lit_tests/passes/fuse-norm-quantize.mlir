// RUN: tern-opt %s --ternary-fuse-norm-quantize | FileCheck %s

// CHECK-LABEL: @one_user
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[G:.+]]: tensor<64xf32>)
// CHECK-NOT: ternary.rms_norm
// CHECK: ternary.quantize_rows %[[X]] norm(%[[G]], 9.99999974E-6) group 64
func.func @one_user(%x: tensor<?x64xf32>, %g: tensor<64xf32>) -> tensor<?x64xi8> {
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %n group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  return %q : tensor<?x64xi8>
}

// CHECK-LABEL: @act_groups
// CHECK-NOT: ternary.rms_norm
// CHECK: norm({{.+}}) group 32 : {{.+}} -> tensor<?x64xi8>, tensor<?x2xf32>, tensor<?x2xi32>
func.func @act_groups(%x: tensor<?x64xf32>, %g: tensor<64xf32>) -> tensor<?x64xi8> {
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %n group 32 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x2xf32>, tensor<?x2xi32>
  return %q : tensor<?x64xi8>
}

// CHECK-LABEL: @two_groups
// CHECK-NOT: ternary.rms_norm
// CHECK: norm({{.+}}) group 64
// CHECK: norm({{.+}}) group 32
func.func @two_groups(%x: tensor<?x64xf32>, %g: tensor<64xf32>) -> (tensor<?x64xi8>, tensor<?x64xi8>) {
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %n group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %q2, %s2, %offsets2 = ternary.quantize_rows %n group 32 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>
  return %q, %q2 : tensor<?x64xi8>, tensor<?x64xi8>
}

// Somebody else reads the normalised rows.
// CHECK-LABEL: @other_user
// CHECK: %[[N:.+]] = ternary.rms_norm
// CHECK: ternary.quantize_rows %[[N]] group
func.func @other_user(%x: tensor<?x64xf32>, %g: tensor<64xf32>) -> (tensor<?x64xi8>, tensor<?x64xf32>) {
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %n group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  return %q, %n : tensor<?x64xi8>, tensor<?x64xf32>
}

// quantize_rows normalises whole rows, not heads.
// CHECK-LABEL: @norm_of_heads
// CHECK: %[[N:.+]] = ternary.rms_norm %{{.+}}, %{{.+}} epsilon {{.+}} heads 2 : tensor<?x64xf32>, tensor<32xf32>
// CHECK: ternary.quantize_rows %[[N]] group
func.func @norm_of_heads(%x: tensor<?x64xf32>, %g: tensor<32xf32>) -> tensor<?x64xi8> {
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 heads 2 : tensor<?x64xf32>, tensor<32xf32>
  %q, %s, %offsets = ternary.quantize_rows %n group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  return %q : tensor<?x64xi8>
}

// The second norm moves in; quantize_rows has room for one.
// CHECK-LABEL: @norm_of_norm
// CHECK: %[[N:.+]] = ternary.rms_norm
// CHECK: ternary.quantize_rows %[[N]] norm(
func.func @norm_of_norm(%x: tensor<?x64xf32>, %g: tensor<64xf32>) -> tensor<?x64xi8> {
  %n = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x64xf32>, tensor<64xf32>
  %n2 = ternary.rms_norm %n, %g epsilon 1.0e-06 : tensor<?x64xf32>, tensor<64xf32>
  %q, %s, %offsets = ternary.quantize_rows %n2 group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  return %q : tensor<?x64xi8>
}
