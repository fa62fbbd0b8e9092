// RUN: tern-opt %s --ternary-verify-packed --split-input-file --verify-diagnostics

module attributes {ternary.weights_bytes = 0 : i64, ternary.arena_bytes = 0 : i64, ternary.max_rows = 1 : i64} {
  func.func @linears(%x: tensor<?x4xf32>, %w: tensor<4x4x!ternary.trit>, %s: tensor<1xf32>, %m: tensor<4x4xf32>) {
    // expected-error @below {{'ternary.linear' op expected ternary-choose-packing to have packed weight and scale}}
    %0 = ternary.linear %x, %w, %s activations(float) : tensor<?x4xf32>, tensor<4x4x!ternary.trit>, tensor<1xf32> -> tensor<?x4xf32>
    // expected-error @below {{'ternary.linear' op expected ternary-quantize-activations to have replaced this op}}
    %1 = ternary.linear %x, %w, %s activations(int8_per_token) {ternary.arena = array<i64: 0>} : tensor<?x4xf32>, tensor<4x4x!ternary.trit>, tensor<1xf32> -> tensor<?x4xf32>
    // expected-error @below {{'ternary.quantize_weight' op expected ternary-quantize-weights to have replaced this op}}
    %2, %3 = ternary.quantize_weight %m {ternary.arena = array<i64: 0, 0>} : tensor<4x4xf32> -> tensor<4x4x!ternary.trit>, tensor<1xf32>
    // expected-error @below {{'arith.addf' op expected ternary-plan-memory to have set ternary.arena, with 1 offsets}}
    %5 = arith.addf %x, %x : tensor<?x4xf32>
    return
  }
}

// -----

module attributes {ternary.weights_bytes = 0 : i64, ternary.arena_bytes = 0 : i64, ternary.max_rows = 1 : i64} {
  func.func @products(%a: tensor<?x4xi8>, %r: tensor<?xf32>, %u: tensor<?x1xi32>, %w: tensor<4x4x!ternary.trit>, %s: tensor<1xf32>) {
    // expected-error @below {{'ternary.matmul' op expected ternary-fuse-epilogue to have replaced this op}}
    %0 = ternary.matmul %a, %w {ternary.arena = array<i64: 0>} : tensor<?x4xi8>, tensor<4x4x!ternary.trit> -> tensor<?x4x1xi32>
    // expected-error @below {{'ternary.rescale' op expected ternary-fuse-epilogue to have replaced this op}}
    %1 = ternary.rescale %0, %r, %s {ternary.arena = array<i64: 0>} : tensor<?x4x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x4xf32>
    // expected-error @below {{'ternary.fused_linear' op expected ternary-choose-packing to have packed weight and scale}}
    %2 = ternary.fused_linear %a, %r, %u, %w, %s {ternary.arena = array<i64: 0>} : tensor<?x4xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<4x4x!ternary.trit>, tensor<1xf32> -> tensor<?x4xf32>
    // expected-error @below {{'ternary.pack' op expected ternary-choose-packing to have replaced this op}}
    %3 = ternary.pack %w {ternary.arena = array<i64: 0>} : tensor<4x4x!ternary.trit> -> tensor<4x4x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
    // expected-error @below {{'ternary.unpack' op expected ternary-choose-packing to have replaced this op}}
    %4 = ternary.unpack %3 {ternary.arena = array<i64: 0>} : tensor<4x4x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>> -> tensor<4x4x!ternary.trit>
    return
  }
}

// -----

module attributes {ternary.weights_bytes = 0 : i64, ternary.arena_bytes = 0 : i64, ternary.max_rows = 1 : i64} {
  // expected-error @below {{'ternary.weight' op expected ternary-pack-weights to have given the weight a section}}
  ternary.weight @w : tensor<4xf32> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [4], encoding = random>]
  // expected-error @below {{'ternary.weight' op expected ternary-choose-packing to have packed the trits, got 'tensor<4x4x!ternary.trit>'}}
  ternary.weight @t : tensor<4x4x!ternary.trit> from [#ternary.source<file = 0, offset = 5, bytes = 0, shape = [4, 4], encoding = random>]
}

// -----

// expected-error @below {{expected the module attribute ternary.weights_bytes}}
// expected-error @below {{expected the module attribute ternary.arena_bytes}}
// expected-error @below {{expected the module attribute ternary.max_rows}}
module {
  func.func private @offsets(%x: tensor<?x4xf32>, %n: index) -> tensor<?x4xf32> {
    // expected-error @below {{expected the arena offset of result #0 to be a multiple of 64, got -1}}
    %0 = arith.addf %x, %x {ternary.arena = array<i64: -1>} : tensor<?x4xf32>
    // expected-error @below {{expected the arena offset of result #0 to be -1, since it has no storage of its own, got 64}}
    %1 = arith.addf %0, %x {ternary.arena = array<i64: 64>} : tensor<?x4xf32>
    return %1 : tensor<?x4xf32>
  }
}

// -----

module attributes {ternary.weights_bytes = 0 : i64, ternary.arena_bytes = 0 : i64, ternary.max_rows = 1 : i64} {
  func.func @blocks(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %m: tensor<?x1xi32>, %w: tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, %s: tensor<64x1xf32, #ternary.scales<rows = 8>>) {
    // expected-error @below {{expected weight and scale in blocks of as many rows, got 16 and 8}}
    %y = ternary.fused_linear %a, %r, %m, %w, %s {ternary.arena = array<i64: 0>} : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>, tensor<64x1xf32, #ternary.scales<rows = 8>> -> tensor<?x64xf32>
    return
  }
}

// -----

!t16 = tensor<256x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
!columns = tensor<256x64x!ternary.trit, #ternary.packing<two_bit_columns, rows = 256, k = 16>>
!short = tensor<128x64x!ternary.trit, #ternary.packing<two_bit_columns, rows = 256, k = 16>>
module attributes {ternary.weights_bytes = 0 : i64, ternary.arena_bytes = 0 : i64, ternary.max_rows = 1 : i64} {
  func.func @skipping(%a: tensor<?x64xi8>, %r: tensor<?xf32>, %o: tensor<?x1xi32>, %p: tensor<?x2xi32>, %g: tensor<?x256xf32>, %t: !t16, %c: !columns, %u: !short, %s: tensor<256x1xf32, #ternary.scales<rows = 16>>, %v: tensor<256x2xf32, #ternary.scales<rows = 256>>, %w: tensor<128x1xf32, #ternary.scales<rows = 256>>) {
    // expected-error @below {{expected two_bit_rows for a product with a gate, got #ternary.packing<two_bit, rows = 16, k = 16>}}
    %0 = ternary.gated_linear %a, %r, %o, %t, %s gate(%g : tensor<?x256xf32>) {ternary.arena = array<i64: 0>} : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, !t16, tensor<256x1xf32, #ternary.scales<rows = 16>> -> tensor<?x256xf32>
    // expected-error @below {{expected int8 activations of one group for #ternary.packing<two_bit_columns, rows = 256, k = 16>, got scales of type 'tensor<256x2xf32, #ternary.scales<rows = 256>>'}}
    %1 = ternary.fused_linear %a, %r, %p, %c, %v {ternary.arena = array<i64: 0>} : tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>, !columns, tensor<256x2xf32, #ternary.scales<rows = 256>> -> tensor<?x256xf32>
    // expected-error @below {{expected a multiple of 256 rows for #ternary.packing<two_bit_columns, rows = 256, k = 16>, got 128}}
    %2 = ternary.fused_linear %a, %r, %o, %u, %w {ternary.arena = array<i64: 0>} : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>, !short, tensor<128x1xf32, #ternary.scales<rows = 256>> -> tensor<?x128xf32>
    return
  }
}
