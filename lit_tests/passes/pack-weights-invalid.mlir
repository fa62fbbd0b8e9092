// RUN: tern-opt %s --ternary-pack-weights --split-input-file --verify-diagnostics

// expected-error @below {{expected trits, or a vector or matrix of f32, f16 or bf16, of less than 2^62 bytes, got 'tensor<4xf64>'}}
ternary.weight @w : tensor<4xf64> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4], encoding = random>]
func.func @f() {
  %0 = ternary.load @w : tensor<4xf64>
  return
}

// -----

// Weights that fit, and their sum that does not.
ternary.weight @a : tensor<536870912x1073741824xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4, 1073741824], encoding = random>] rows [536870912]
ternary.weight @b : tensor<536870912x1073741824xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4, 1073741824], encoding = random>] rows [536870912]
// expected-error @below {{expected less than 2^62 bytes of weights in all}}
ternary.weight @c : tensor<536870912x1073741824xf32> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4, 1073741824], encoding = random>] rows [536870912]
func.func @f() {
  %0 = ternary.load @a : tensor<536870912x1073741824xf32>
  %1 = ternary.load @b : tensor<536870912x1073741824xf32>
  %2 = ternary.load @c : tensor<536870912x1073741824xf32>
  return
}
