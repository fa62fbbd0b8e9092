// Every op in each of its forms survives a round trip through text and bytecode.
// RUN: tern-opt %s | tern-opt | FileCheck %s
// RUN: tern-opt %s --mlir-print-op-generic | tern-opt | FileCheck %s
// RUN: tern-opt %s --emit-bytecode | tern-opt | FileCheck %s

module attributes {ternary.files = ["model.safetensors"]} {

// CHECK: ternary.weight @table : tensor<4096x512xbf16> from [#ternary.source<file = 0, offset = 64, bytes = 4194304, shape = [4096, 512], encoding = bf16>]
ternary.weight @screen : tensor<4096x512xbf16, #ternary.screen<bits = 6>> from [#ternary.source<file = 0, offset = 64, bytes = 4194304, shape = [4096, 512], encoding = bf16>]
ternary.weight @table : tensor<4096x512xbf16> from [#ternary.source<file = 0, offset = 64, bytes = 4194304, shape = [4096, 512], encoding = bf16>]
ternary.weight @gain : tensor<512xf32> from [#ternary.source<file = 0, offset = 0, bytes = 1024, shape = [512], encoding = bf16>]
// CHECK: @packed : tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
// CHECK-SAME: section [0, 180224]
ternary.weight @packed : tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>> from [#ternary.source<file = 0, offset = 0, bytes = 180224, shape = [1408, 512], encoding = hf_u8>] section [0, 180224]
// CHECK: ternary.weight @merged{{.*}} rows [64, 64]
ternary.weight @merged : tensor<128x512x!ternary.trit> from [
  #ternary.source<file = 0, offset = 0, bytes = 7680, shape = [60, 512], encoding = hf_u8>,
  #ternary.source<file = 0, offset = 0, bytes = 65536, shape = [64, 512], encoding = bf16, derive = absmean_trits>] rows [64, 64]
// CHECK: derive = reciprocal
ternary.weight @scale : tensor<1xf32> from [#ternary.source<file = 0, offset = 0, bytes = 2, shape = [1], encoding = bf16, derive = reciprocal>]
// CHECK: ternary.weight @half_scales : tensor<64x8xf16, #ternary.scales<rows = 16>>
ternary.weight @half_scales : tensor<64x8xf16, #ternary.scales<rows = 16>> from [
  #ternary.source<file = 0, offset = 0, bytes = 0, shape = [64, 8], encoding = random>]
// CHECK: ternary.weight @scales : tensor<128x1xf32, #ternary.scales<rows = 16>>
ternary.weight @scales : tensor<128x1xf32, #ternary.scales<rows = 16>> from [
  #ternary.source<file = 0, offset = 0, bytes = 4, shape = [1], encoding = f32>,
  #ternary.source<file = 0, offset = 0, bytes = 65536, shape = [64, 512], encoding = bf16, derive = absmean_scale>] rows [64, 64]
// CHECK: encoding = random
ternary.weight @random : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 7, bytes = 0, shape = [64, 32], encoding = random>]
// CHECK: ternary.weight @i2s : tensor<4x64x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 96, shape = [4, 64], encoding = i2_s, permute = 2>]
ternary.weight @i2s : tensor<4x64x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 96, shape = [4, 64], encoding = i2_s, permute = 2>]
ternary.weight @i2s.scale : tensor<1xf32> from [#ternary.source<file = 0, offset = 0, bytes = 96, shape = [4, 64], encoding = i2_s, derive = block_scale>]
ternary.weight @q2.scale : tensor<4x2xf32> from [#ternary.source<file = 0, offset = 0, bytes = 144, shape = [4, 128], encoding = q2_0, derive = block_scale>]
ternary.weight @bn.scale : tensor<4xf32> from [#ternary.source<file = 0, offset = 0, bytes = 112, shape = [4, 128], encoding = iq1_bn, derive = block_scale>]
ternary.weight @table.tq2 : tensor<4x256xf32> from [#ternary.source<file = 0, offset = 0, bytes = 264, shape = [4, 256], encoding = tq2_0>]
ternary.weight @table.q6 : tensor<4x256xf16> from [#ternary.source<file = 0, offset = 0, bytes = 840, shape = [4, 256], encoding = q6_k>]
// CHECK: @table.mlx : tensor<4x256xf32> from [#ternary.source<file = 0, offset = 0, bytes = 256, shape = [4, 256], encoding = mlx2, scales = #ternary.source<file = 0, offset = 0, bytes = 16, shape = [4, 2], encoding = f16>>]
ternary.weight @table.mlx : tensor<4x256xf32> from [#ternary.source<file = 0, offset = 0, bytes = 256, shape = [4, 256], encoding = mlx2, scales = #ternary.source<file = 0, offset = 0, bytes = 16, shape = [4, 2], encoding = f16>>]
// CHECK: derive = sign_trits
ternary.weight @signs : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 4096, shape = [64, 32], encoding = f16, derive = sign_trits>]
ternary.weight @magnitudes : tensor<64xf32> from [#ternary.source<file = 0, offset = 0, bytes = 4096, shape = [64, 32], encoding = f16, derive = magnitude_scale>]

// CHECK-LABEL: @load_and_pack
func.func @load_and_pack() -> tensor<64x32x!ternary.trit> {
  // CHECK: %[[W:.*]] = ternary.load @random : tensor<64x32x!ternary.trit>
  %w = ternary.load @random : tensor<64x32x!ternary.trit>
  // CHECK: %[[P:.*]] = ternary.pack %[[W]] : tensor<64x32x!ternary.trit> -> tensor<64x32x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>
  %p = ternary.pack %w : tensor<64x32x!ternary.trit> -> tensor<64x32x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>
  // CHECK: ternary.unpack %[[P]]
  %u = ternary.unpack %p : tensor<64x32x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>> -> tensor<64x32x!ternary.trit>
  return %u : tensor<64x32x!ternary.trit>
}

// CHECK-LABEL: @linear_layers
func.func @linear_layers(%x: tensor<?x512xf32>, %master: tensor<64x512xf16>, %rows: tensor<64xf32>, %groups: tensor<64x4xf32>) -> tensor<?x64xf32> {
  // CHECK: ternary.quantize_weight %{{.*}} : tensor<64x512xf16> -> tensor<64x512x!ternary.trit>, tensor<1xf32>
  %t, %m = ternary.quantize_weight %master : tensor<64x512xf16> -> tensor<64x512x!ternary.trit>, tensor<1xf32>
  // CHECK: ternary.linear %{{.*}} activations(int8_per_token)
  %0 = ternary.linear %x, %t, %m activations(int8_per_token) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  // CHECK: ternary.linear %{{.*}} activations(float)
  %1 = ternary.linear %x, %t, %groups activations(float) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  // CHECK: ternary.linear %{{.*}} activations(float) residual(%{{.*}} : tensor<?x64xf32>) :
  %added = ternary.linear %x, %t, %groups activations(float) residual(%1 : tensor<?x64xf32>) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  // CHECK: ternary.linear %{{.*}} activations(int8_per_64)
  %grouped = ternary.linear %x, %t, %groups activations(int8_per_64) : tensor<?x512xf32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  // CHECK: ternary.quantize_rows %{{.*}} group 64 : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>
  %qg, %sg, %og = ternary.quantize_rows %x group 64 : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>
  // CHECK: ternary.matmul %{{.*}} -> tensor<?x64x8xi32>
  %accg = ternary.matmul %qg, %t : tensor<?x512xi8>, tensor<64x512x!ternary.trit> -> tensor<?x64x8xi32>
  // CHECK: ternary.rescale %{{.*}} : tensor<?x64x8xi32>, tensor<?x8xf32>, tensor<64x4xf32>
  %yg = ternary.rescale %accg, %sg, %groups : tensor<?x64x8xi32>, tensor<?x8xf32>, tensor<64x4xf32> -> tensor<?x64xf32>
  %half = ternary.load @half_scales : tensor<64x8xf16, #ternary.scales<rows = 16>>
  // CHECK: ternary.fused_linear %{{.*}} tensor<64x8xf16, #ternary.scales<rows = 16>>
  %fh = ternary.fused_linear %qg, %sg, %og, %t, %half : tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>, tensor<64x512x!ternary.trit>, tensor<64x8xf16, #ternary.scales<rows = 16>> -> tensor<?x64xf32>
  // CHECK: ternary.fused_linear %{{.*}} : tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>
  %fg = ternary.fused_linear %qg, %sg, %og, %t, %groups : tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  // CHECK: ternary.quantize_rows %{{.*}} group 128
  %q, %s, %offsets = ternary.quantize_rows %x group 128 : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?xf32>, tensor<?x4xi32>
  // CHECK: ternary.matmul
  %acc = ternary.matmul %q, %t : tensor<?x512xi8>, tensor<64x512x!ternary.trit> -> tensor<?x64x4xi32>
  // CHECK: ternary.rescale
  %2 = ternary.rescale %acc, %s, %groups : tensor<?x64x4xi32>, tensor<?xf32>, tensor<64x4xf32> -> tensor<?x64xf32>
  %open = ternary.fused_linear %qg, %sg, %og, %t, %groups : tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  %q1, %s1, %o1 = ternary.quantize_rows %x group 512 : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>
  // CHECK: ternary.gated_linear %{{.*}} gate(%{{.*}} : tensor<?x64xf32>) : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x512x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  %gated = ternary.gated_linear %q1, %s1, %o1, %t, %m gate(%open : tensor<?x64xf32>) : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x512x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  // CHECK: ternary.fused_linear %{{.*}} residual(%{{.*}} : tensor<?x64xf32>)
  %3 = ternary.fused_linear %q, %s, %offsets, %t, %groups residual(%2 : tensor<?x64xf32>) : tensor<?x512xi8>, tensor<?xf32>, tensor<?x4xi32>, tensor<64x512x!ternary.trit>, tensor<64x4xf32> -> tensor<?x64xf32>
  // CHECK: ternary.quantize_rows %{{.*}} norm(%{{.*}}, 9.99999974E-6) group 64
  %gain = ternary.load @gain : tensor<512xf32>
  %q2, %s2, %offsets2 = ternary.quantize_rows %x norm(%gain, 1.0e-05) group 64 : tensor<?x512xf32>, tensor<512xf32> -> tensor<?x512xi8>, tensor<?xf32>, tensor<?x8xi32>
  return %3 : tensor<?x64xf32>
}

// CHECK-LABEL: @transformer
func.func @transformer(%ids: tensor<?xi32>, %position: index, %rows: index, %cache: !ternary.kv_cache<4x64xf32>, %k: tensor<?x256xf32>) -> tensor<?x4096xf32> {
  %table = ternary.load @table : tensor<4096x512xbf16>
  %gain = ternary.load @gain : tensor<512xf32>
  // CHECK: ternary.embedding
  %h = ternary.embedding %ids, %table : tensor<?xi32>, tensor<4096x512xbf16> -> tensor<?x512xf32>
  // CHECK: ternary.rms_norm %{{.*}} epsilon 9.99999974E-6
  %x = ternary.rms_norm %h, %gain epsilon 1.0e-05 : tensor<?x512xf32>, tensor<512xf32>
  // CHECK: ternary.rope_angles %{{.*}}, %{{.*}} frequencies(dense<{{.*}}> : tensor<32xf32>) -> tensor<?x64xf32>
  %a = ternary.rope_angles %position, %rows frequencies(dense<0.5> : tensor<32xf32>) -> tensor<?x64xf32>
  // CHECK: ternary.rope %{{.*}} heads 8
  %q = ternary.rope %x, %a heads 8 : tensor<?x512xf32>, tensor<?x64xf32>
  // CHECK: ternary.attention %{{.*}} at %{{.*}} heads 8 : {{.*}} !ternary.kv_cache<4x64xf32>
  %o = ternary.attention %q, %k, %k, %cache at %position heads 8 : tensor<?x512xf32>, tensor<?x256xf32>, tensor<?x256xf32>, !ternary.kv_cache<4x64xf32>
  // CHECK: ternary.gated_activation relu2
  %f = ternary.gated_activation relu2 %o, %h : tensor<?x512xf32>
  // CHECK: ternary.gated_activation silu
  %g = ternary.gated_activation silu %f, %h : tensor<?x512xf32>
  // CHECK: ternary.head
  %l = ternary.head %g, %table : tensor<?x512xf32>, tensor<4096x512xbf16> -> tensor<?x4096xf32>
  %screen = ternary.load @screen : tensor<4096x512xbf16, #ternary.screen<bits = 6>>
  // CHECK: ternary.head %{{.*}}, %{{.*}} : tensor<?x512xf32>, tensor<4096x512xbf16, #ternary.screen<bits = 6>>
  %l3 = ternary.head %g, %screen : tensor<?x512xf32>, tensor<4096x512xbf16, #ternary.screen<bits = 6>> -> tensor<?x4096xf32>
  // CHECK: ternary.head %{{.*}}, %{{.*}} screen(%{{.*}} : tensor<4096x512xbf16, #ternary.screen<bits = 6>>)
  %l2 = ternary.head %g, %table screen(%screen : tensor<4096x512xbf16, #ternary.screen<bits = 6>>) : tensor<?x512xf32>, tensor<4096x512xbf16> -> tensor<?x4096xf32>
  return %l : tensor<?x4096xf32>
}

}

// CHECK-LABEL: @caches
// CHECK-SAME: !ternary.kv_cache<2x16xf16>
// CHECK-SAME: !ternary.kv_cache<2x16xi8>
func.func @caches(%q: tensor<?x64xf32>, %k: tensor<?x32xf32>, %p: index, %half: !ternary.kv_cache<2x16xf16>, %byte: !ternary.kv_cache<2x16xi8>) -> tensor<?x64xf32> {
  // CHECK: ternary.attention %{{.*}} heads 4 : {{.*}} !ternary.kv_cache<2x16xf16>
  %0 = ternary.attention %q, %k, %k, %half at %p heads 4 : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !ternary.kv_cache<2x16xf16>
  // CHECK: ternary.attention %{{.*}} heads 4 : {{.*}} !ternary.kv_cache<2x16xi8>
  %1 = ternary.attention %0, %k, %k, %byte at %p heads 4 : tensor<?x64xf32>, tensor<?x32xf32>, tensor<?x32xf32>, !ternary.kv_cache<2x16xi8>
  return %1 : tensor<?x64xf32>
}
