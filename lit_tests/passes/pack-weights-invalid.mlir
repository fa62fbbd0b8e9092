// RUN: tern-opt %s --ternary-pack-weights --split-input-file --verify-diagnostics

// expected-error @below {{expected packed trits, or a float vector or matrix of less than 2^62 bytes, got 'tensor<4x4x!ternary.trit>' (ternary-choose-packing packs the weights of ternary.fused_linear)}}
ternary.weight @w : tensor<4x4x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [4, 4], encoding = random>]
func.func @f() {
  %0 = ternary.load @w : tensor<4x4x!ternary.trit>
  return
}
