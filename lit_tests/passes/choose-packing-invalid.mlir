// RUN: tern-opt %s --ternary-choose-packing --split-input-file --verify-diagnostics

func.func @public(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{expected operand #3 to be a ternary.load, or the argument of a private function whose callers pass loads}}
  %y = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// A function that passes its own argument on never gets to a load.
func.func private @endless(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{expected operand #3 to be a ternary.load}}
  %y = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %z = call @endless(%a, %r, %m, %w, %s) : (tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @half(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %w: tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, %s: tensor<64x1xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{expected weight and scale both packed or both not}}
  %y = ternary.fused_linear %a, %r, %m, %w, %s : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, tensor<64x1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
