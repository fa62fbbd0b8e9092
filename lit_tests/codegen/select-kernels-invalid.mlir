// RUN: tern-opt %s --split-input-file --verify-diagnostics --ternary-select-kernels=target=x86-64-v3

func.func @unpacked(%q: tensor<?x512xi8>, %s: tensor<?xf32>, %offsets: tensor<?x1xi32>,
                    %w: tensor<64x512x!ternary.trit>, %ws: tensor<1xf32>) -> tensor<?x64xf32> {
  // expected-error @+1 {{expected a packed weight, got 'tensor<64x512x!ternary.trit>'; run ternary-choose-packing first}}
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x512x!ternary.trit>, tensor<1xf32>
    -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @no_row(%q: tensor<?x512xi8>, %s: tensor<?xf32>, %offsets: tensor<?x1xi32>,
                  %w: tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 32, k = 16>>,
                  %ws: tensor<64x1xf32, #ternary.scales<rows = 32>>) -> tensor<?x64xf32> {
  // expected-error @+1 {{no gemv kernel for #ternary.packing<two_bit, rows = 32, k = 16> on x86-64-v3}}
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
      tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 32, k = 16>>,
      tensor<64x1xf32, #ternary.scales<rows = 32>> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

func.func @gate(%q: tensor<?x512xi8>, %s: tensor<?xf32>, %offsets: tensor<?x1xi32>, %g: tensor<?x64xf32>,
                %w: tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                %ws: tensor<64x1xf32, #ternary.scales<rows = 16>>) -> tensor<?x64xf32> {
  // expected-error @+1 {{expected two_bit_rows for a product with a gate, got #ternary.packing<two_bit, rows = 16, k = 16>}}
  %y = ternary.gated_linear %q, %s, %offsets, %w, %ws gate(%g : tensor<?x64xf32>)
    : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
      tensor<64x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<64x1xf32, #ternary.scales<rows = 16>> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
