// RUN: tern-opt %s --ternary-prepare --split-input-file --verify-diagnostics

// The mean of a master of two sources cannot be taken by reference.
ternary.weight @w : tensor<4x4xf32> from [
  #ternary.source<file = 0, offset = 5, bytes = 0, shape = [2, 4], encoding = random>,
  #ternary.source<file = 0, offset = 6, bytes = 0, shape = [2, 4], encoding = random>]
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> attributes {ternary.entry} {
  %m = ternary.load @w : tensor<4x4xf32>
  %w, %s = ternary.quantize_weight %m : tensor<4x4xf32> -> tensor<4x4x!ternary.trit>, tensor<1xf32>
  // expected-error @below {{expected operand #3 to be a ternary.load, or the argument of a private function whose callers pass loads}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x4xf32>, tensor<4x4x!ternary.trit>, tensor<1xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
