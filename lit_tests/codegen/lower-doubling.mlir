// 2^40 chains of calls lead from the entry to @f40: each function is followed once, or this would
// not end.
// RUN: tern-opt %s --pass-pipeline='builtin.module(ternary-prepare,ternary-select-kernels{target=x86-64},ternary-lower-to-llvm{target=x86-64})' | FileCheck %s
// CHECK: llvm.func internal @tern_block_f40(
ternary.weight @w : tensor<64x64x!ternary.trit> from [#ternary.source<file = 0, offset = 1, bytes = 0, shape = [64, 64], encoding = random>]
ternary.weight @s : tensor<1xf32> from [#ternary.source<file = 0, offset = 2, bytes = 0, shape = [1], encoding = random>]
func.func private @f0(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f1(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f1(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f1(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f2(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f2(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f2(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f3(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f3(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f3(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f4(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f4(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f4(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f5(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f5(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f5(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f6(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f6(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f6(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f7(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f7(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f7(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f8(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f8(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f8(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f9(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f9(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f9(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f10(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f10(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f10(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f11(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f11(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f11(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f12(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f12(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f12(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f13(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f13(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f13(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f14(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f14(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f14(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f15(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f15(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f15(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f16(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f16(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f16(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f17(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f17(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f17(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f18(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f18(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f18(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f19(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f19(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f19(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f20(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f20(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f20(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f21(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f21(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f21(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f22(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f22(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f22(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f23(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f23(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f23(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f24(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f24(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f24(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f25(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f25(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f25(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f26(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f26(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f26(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f27(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f27(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f27(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f28(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f28(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f28(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f29(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f29(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f29(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f30(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f30(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f30(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f31(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f31(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f31(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f32(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f32(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f32(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f33(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f33(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f33(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f34(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f34(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f34(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f35(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f35(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f35(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f36(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f36(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f36(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f37(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f37(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f37(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f38(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f38(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f38(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f39(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f39(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f39(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %a = call @f40(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  %b = call @f40(%a, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %b : tensor<?x64xf32>
}
func.func private @f40(%x: tensor<?x64xf32>, %w: tensor<64x64x!ternary.trit>, %s: tensor<1xf32>) -> tensor<?x64xf32> {
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
func.func @main(%x: tensor<?x64xf32>) -> tensor<?x64xf32> attributes {ternary.entry} {
  %w = ternary.load @w : tensor<64x64x!ternary.trit>
  %s = ternary.load @s : tensor<1xf32>
  %y = call @f0(%x, %w, %s) : (tensor<?x64xf32>, tensor<64x64x!ternary.trit>, tensor<1xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
