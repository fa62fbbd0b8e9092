// RUN: tern-opt %s --ternary-quantize-activations | FileCheck %s

// CHECK-LABEL: @per_tensor
// CHECK-SAME: (%[[X:.+]]: tensor<?x512xf32>, %[[W:.+]]: tensor<64x512x!ternary.trit>, %[[S:.+]]: tensor<1xf32>)
// CHECK: %[[Q:.+]], %[[RS:.+]], %{{.+}} = ternary.quantize_rows %[[X]] group 512 : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>
// CHECK: %[[ACC:.+]] = ternary.matmul %[[Q]], %[[W]] : tensor<?x512xi8>, tensor<64x512x!ternary.trit> -> tensor<?x64x1xi32>
// CHECK: %[[Y:.+]] = ternary.rescale %[[ACC]], %[[RS]], %[[S]]
// CHECK: return %[[Y]]
func.func @per_tensor(%x: tensor<?x512xf32>, %w: tensor<64x512x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// The offsets are taken over the groups of the scale; a static number of rows stays.
// CHECK-LABEL: @per_group
// CHECK: ternary.quantize_rows %{{.+}} group 128 : tensor<3x512xf32> -> tensor<3x512xi8>, tensor<3xf32>, tensor<3x4xi32>
// CHECK: ternary.matmul {{.+}} -> tensor<3x64x4xi32>
func.func @per_group(%x: tensor<3x512xf32>, %w: tensor<64x512x!ternary.trit>, %s: tensor<64x4xf32>) -> tensor<3x64xf32> {
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<3x512xf32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<3x64xf32>
  return %y : tensor<3x64xf32>
}

// Activations with a scale a group: so the row scales, and the groups are theirs.
// CHECK-LABEL: @act_groups
// CHECK: %[[Q:.+]], %[[RS:.+]], %{{.+}} = ternary.quantize_rows %{{.+}} group 64 : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>
// CHECK: ternary.matmul {{.+}} -> tensor<?x64x8xi32>
// CHECK: ternary.rescale %{{.+}}, %[[RS]], %{{.+}} : tensor<?x64x8xi32>, tensor<?x8xf32>, tensor<64x4xf32>
func.func @act_groups(%x: tensor<?x512xf32>, %w: tensor<64x512x!ternary.trit>, %s: tensor<64x4xf32>) -> tensor<?x64xf32> {
  %y = ternary.linear %x, %w, %s activations(int8_per_64) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// CHECK-LABEL: @float_stays
// CHECK: ternary.linear {{.+}} activations(float)
func.func @float_stays(%x: tensor<?x512xf32>, %w: tensor<64x512x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %y = ternary.linear %x, %w, %s activations(float) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
