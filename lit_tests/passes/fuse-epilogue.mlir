// RUN: tern-opt %s --ternary-fuse-epilogue | FileCheck %s

// CHECK-LABEL: @residual
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[H:.+]]: tensor<?x96xf32>, %[[W:.+]]: tensor<96x64x!ternary.trit>, %[[S:.+]]: tensor<1xf32>)
// CHECK: %[[Q:.+]], %[[RS:.+]], %[[OFFSETS:.+]] = ternary.quantize_rows
// CHECK: %[[Y:.+]] = ternary.fused_linear %[[Q]], %[[RS]], %[[OFFSETS]], %[[W]], %[[S]] residual(%[[H]] : tensor<?x96xf32>)
// CHECK-NEXT: return %[[Y]]
func.func @residual(%x: tensor<?x64xf32>, %h: tensor<?x96xf32>, %w: tensor<96x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x96xf32> {
  %q, %rs, %offsets = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %acc = ternary.matmul %q, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y = ternary.rescale %acc, %rs, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  %r = arith.addf %h, %y : tensor<?x96xf32>
  return %r : tensor<?x96xf32>
}

// The product stays out of an addition that has it on the left, has it twice, has fast-math flags, or is
// not its only user.
// CHECK-LABEL: @no_residual
// CHECK-NOT: residual(
// CHECK: arith.addf
// CHECK: arith.addf
// CHECK: arith.addf {{.+}} fastmath<fast>
// CHECK: return
func.func @no_residual(%x: tensor<?x64xf32>, %h: tensor<?x96xf32>, %w: tensor<96x64x!ternary.trit>, %s: tensor<1xf32>) -> (tensor<?x96xf32>, tensor<?x96xf32>, tensor<?x96xf32>) {
  %q, %rs, %offsets = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %acc = ternary.matmul %q, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y = ternary.rescale %acc, %rs, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  %left = arith.addf %y, %h : tensor<?x96xf32>
  %acc2 = ternary.matmul %q, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y2 = ternary.rescale %acc2, %rs, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  %twice = arith.addf %y2, %y2 : tensor<?x96xf32>
  %acc3 = ternary.matmul %q, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y3 = ternary.rescale %acc3, %rs, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  %fast = arith.addf %h, %y3 fastmath<fast> : tensor<?x96xf32>
  return %left, %twice, %fast : tensor<?x96xf32>, tensor<?x96xf32>, tensor<?x96xf32>
}

// Declined: sums with another use; row scales of other rows; acts that no quantize_rows made.
// CHECK-LABEL: @declined
// CHECK-NOT: ternary.fused_linear
// CHECK: return
func.func @declined(%x: tensor<?x64xf32>, %a: tensor<?x64xi8>, %b: tensor<?xf32>, %w: tensor<96x64x!ternary.trit>, %s: tensor<1xf32>) -> (tensor<?x96xf32>, tensor<?x96x1xi32>, tensor<?x96xf32>, tensor<?x96xf32>) {
  %q, %rs, %offsets = ternary.quantize_rows %x group 64 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>
  %acc = ternary.matmul %q, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y = ternary.rescale %acc, %rs, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  %acc2 = ternary.matmul %q, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y2 = ternary.rescale %acc2, %b, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  %acc3 = ternary.matmul %a, %w : tensor<?x64xi8>, tensor<96x64x!ternary.trit> -> tensor<?x96x1xi32>
  %y3 = ternary.rescale %acc3, %rs, %s : tensor<?x96x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x96xf32>
  return %y, %acc, %y2, %y3 : tensor<?x96xf32>, tensor<?x96x1xi32>, tensor<?x96xf32>, tensor<?x96xf32>
}

// Float activations: the linear itself takes the residual; not one that it has on the left.
// CHECK-LABEL: @floats
// CHECK-SAME: (%[[X:.+]]: tensor<?x64xf32>, %[[H:.+]]: tensor<?x96xf32>, %[[W:.+]]: tensor<96x64x!ternary.trit>, %[[S:.+]]: tensor<96x2xf32>)
// CHECK: %[[Y:.+]] = ternary.linear %[[X]], %[[W]], %[[S]] activations(float) residual(%[[H]] : tensor<?x96xf32>) :
// CHECK: %[[Z:.+]] = ternary.linear %[[X]], %[[W]], %[[S]] activations(float) :
// CHECK: arith.addf %[[Z]], %[[Y]]
func.func @floats(%x: tensor<?x64xf32>, %h: tensor<?x96xf32>, %w: tensor<96x64x!ternary.trit>, %s: tensor<96x2xf32>) -> tensor<?x96xf32> {
  %y = ternary.linear %x, %w, %s activations(float) : tensor<?x64xf32>, tensor<96x64x!ternary.trit>, tensor<96x2xf32> -> tensor<?x96xf32>
  %r = arith.addf %h, %y : tensor<?x96xf32>
  %z = ternary.linear %x, %w, %s activations(float) : tensor<?x64xf32>, tensor<96x64x!ternary.trit>, tensor<96x2xf32> -> tensor<?x96xf32>
  %sum = arith.addf %z, %r : tensor<?x96xf32>
  return %sum : tensor<?x96xf32>
}
