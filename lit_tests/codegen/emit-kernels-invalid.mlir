// RUN: tern-opt %s --split-input-file --verify-diagnostics --ternary-emit-kernels

func.func @unknown(%q: tensor<?x64xi8>, %s: tensor<?xf32>, %o: tensor<?x1xi32>,
                   %w: tensor<16x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                   %ws: tensor<16x1xf32, #ternary.scales<rows = 16>>) -> tensor<?x16xf32> {
  // expected-error @+1 {{expected the name of a kernel in ternary.gemv, got "matmul"}}
  %y = ternary.fused_linear %q, %s, %o, %w, %ws {ternary.gemv = "matmul", ternary.gemm = "matmul"}
    : tensor<?x64xi8>, tensor<?xf32>, tensor<?x1xi32>,
      tensor<16x64x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<16x1xf32, #ternary.scales<rows = 16>> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
