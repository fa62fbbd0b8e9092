// RUN: tern-opt %s --ternary-pack-weights --split-input-file --verify-diagnostics

// expected-error @below {{expected trits, or a vector or matrix of f32, f16 or bf16, of less than 2^62 bytes, got 'tensor<4xf64>'}}
ternary.weight @w : tensor<4xf64> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4], encoding = random>]
func.func @f() {
  %0 = ternary.load @w : tensor<4xf64>
  return
}
