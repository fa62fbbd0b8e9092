// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v4-vnni 2>%t.v4 | FileCheck %s --check-prefix=V4
// RUN: FileCheck %s --check-prefix=REMARK-V4 --input-file=%t.v4
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v3 2>%t.v3 | FileCheck %s --check-prefix=V3
// RUN: FileCheck %s --check-prefix=REMARK-V3 --input-file=%t.v3
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v4-vbmi 2>/dev/null | FileCheck %s --check-prefix=VBMI
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v3-vnni 2>/dev/null | FileCheck %s --check-prefix=V3VNNI
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v4 2>/dev/null | FileCheck %s --check-prefix=V4PLAIN
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64-v2 2>/dev/null | FileCheck %s --check-prefix=V2
// RUN: tern-opt %s --ternary-select-kernels=target=x86-64 2>/dev/null | FileCheck %s --check-prefix=ANY
// RUN: not tern-opt %s --ternary-select-kernels=target=pdp11 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not tern-opt %s --ternary-select-kernels=target=x86-64-v3,x86-64 2>&1 | FileCheck %s --check-prefix=SEVERAL

// REMARK-V4: remark: {{.*}}1408x512 #ternary.packing<two_bit, rows = 16, k = 16> on x86-64-v4-vnni: gemv matmul_two_bit_1x16x16_avx512vnni, gemm matmul_two_bit_16x16x16_avx512vnni; refused: matmul_two_bit_32x16x16_amxint8 needs amx-tile,amx-int8{{$}}
// REMARK-V3: remark: {{.*}}1408x512 {{.*}} on x86-64-v3: gemv matmul_two_bit_1x16x16_avx2, gemm matmul_two_bit_8x16x16_avx2; refused: matmul_two_bit_1x16x16_avx512vnni needs avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vnni, matmul_two_bit_1x16x16_avxvnni needs avxvnni, matmul_two_bit_1x16x16_avx512 needs avx512f,avx512cd,avx512bw,avx512dq,avx512vl, matmul_two_bit_32x16x16_amxint8 needs

// UNKNOWN: error: unknown target 'pdp11', expected host, all or some of aarch64-linux, x86-64-v4-amx, x86-64-v4-vbmi, x86-64-v4-vnni, x86-64-v3-vnni, x86-64-v4, x86-64-v3, x86-64-v2, x86-64, aarch64-i8mm,
// SEVERAL: error: expected one target, got 2: x86-64-v3,x86-64

// VBMI-LABEL: func.func @two_bit
//       VBMI:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_16x16x16_avx512vnni", ternary.gemv = "matmul_two_bit_1x16x16_avx512vnni"
// V4-LABEL: func.func @two_bit
//       V4:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_16x16x16_avx512vnni", ternary.gemv = "matmul_two_bit_1x16x16_avx512vnni"
// V3-LABEL: func.func @two_bit
//       V3:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_8x16x16_avx2", ternary.gemv = "matmul_two_bit_1x16x16_avx2"
// V3VNNI-LABEL: func.func @two_bit
//       V3VNNI:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_12x16x16_avxvnni", ternary.gemv = "matmul_two_bit_1x16x16_avxvnni"
// V4PLAIN-LABEL: func.func @two_bit
//       V4PLAIN:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_16x16x16_avx512", ternary.gemv = "matmul_two_bit_1x16x16_avx512"
// V2-LABEL: func.func @two_bit
//       V2:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_4x16x16_sse41", ternary.gemv = "matmul_two_bit_1x16x16_sse41"
// ANY-LABEL: func.func @two_bit
//       ANY:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_two_bit_4x16x16_portable", ternary.gemv = "matmul_two_bit_1x16x16_portable"
func.func @two_bit(%q: tensor<?x512xi8>, %s: tensor<?xf32>, %offsets: tensor<?x1xi32>,
                   %w: tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                   %ws: tensor<1408x1xf32, #ternary.scales<rows = 16>>) -> tensor<?x1408xf32> {
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
      tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<1408x1xf32, #ternary.scales<rows = 16>> -> tensor<?x1408xf32>
  return %y : tensor<?x1408xf32>
}

// VBMI-LABEL: func.func @base3
//       VBMI:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_base3_16x16x20_avx512vbmi", ternary.gemv = "matmul_base3_1x16x20_avx512vbmi"
// V4-LABEL: func.func @base3
//       V4:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_base3_16x16x20_avx512vnni", ternary.gemv = "matmul_base3_1x16x20_avx512vnni"
// V3-LABEL: func.func @base3
//       V3:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_base3_8x16x20_avx2", ternary.gemv = "matmul_base3_1x16x20_avx2"
// ANY-LABEL: func.func @base3
//       ANY:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_base3_4x16x20_portable", ternary.gemv = "matmul_base3_1x16x20_portable"
func.func @base3(%q: tensor<?x512xi8>, %s: tensor<?xf32>, %offsets: tensor<?x1xi32>,
                 %w: tensor<1408x512x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>,
                 %ws: tensor<1408x1xf32, #ternary.scales<rows = 16>>) -> tensor<?x1408xf32> {
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
      tensor<1408x512x!ternary.trit, #ternary.packing<base3, rows = 16, k = 20>>,
      tensor<1408x1xf32, #ternary.scales<rows = 16>> -> tensor<?x1408xf32>
  return %y : tensor<?x1408xf32>
}

// V4-LABEL: func.func @floats
//       V4:   ternary.linear {{.*}}ternary.gemm = "matmul_f32_two_bit_8x16x16_avx512", ternary.gemv = "matmul_f32_two_bit_1x16x16_avx512"
// V3-LABEL: func.func @floats
//       V3:   ternary.linear {{.*}}ternary.gemm = "matmul_f32_two_bit_8x16x16_avx2", ternary.gemv = "matmul_f32_two_bit_1x16x16_avx2"
// ANY-LABEL: func.func @floats
//       ANY:   ternary.linear {{.*}}ternary.gemm = "matmul_f32_two_bit_4x16x16_portable", ternary.gemv = "matmul_f32_two_bit_1x16x16_portable"
func.func @floats(%x: tensor<?x512xf32>,
                  %w: tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                  %ws: tensor<1408x4xf32, #ternary.scales<rows = 16>>) -> tensor<?x1408xf32> {
  %y = ternary.linear %x, %w, %ws activations(float)
    : tensor<?x512xf32>, tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<1408x4xf32, #ternary.scales<rows = 16>> -> tensor<?x1408xf32>
  return %y : tensor<?x1408xf32>
}

// V4-LABEL: func.func @act_groups
//       V4:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_i8g_two_bit_16x16x16_avx512vnni", ternary.gemv = "matmul_i8g_two_bit_1x16x16_avx512vnni"
// V3-LABEL: func.func @act_groups
//       V3:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_i8g_two_bit_8x16x16_avx2", ternary.gemv = "matmul_i8g_two_bit_1x16x16_avx2"
// V3VNNI-LABEL: func.func @act_groups
//       V3VNNI:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_i8g_two_bit_12x16x16_avxvnni", ternary.gemv = "matmul_i8g_two_bit_1x16x16_avxvnni"
// V4PLAIN-LABEL: func.func @act_groups
//       V4PLAIN:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_i8g_two_bit_16x16x16_avx512", ternary.gemv = "matmul_i8g_two_bit_1x16x16_avx512"
// V2-LABEL: func.func @act_groups
//       V2:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_i8g_two_bit_4x16x16_sse41", ternary.gemv = "matmul_i8g_two_bit_1x16x16_sse41"
// ANY-LABEL: func.func @act_groups
//       ANY:   ternary.fused_linear {{.*}}ternary.gemm = "matmul_i8g_two_bit_4x16x16_portable", ternary.gemv = "matmul_i8g_two_bit_1x16x16_portable"
func.func @act_groups(%q: tensor<?x512xi8>, %s: tensor<?x8xf32>, %offsets: tensor<?x8xi32>,
                      %w: tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
                      %ws: tensor<1408x4xf32, #ternary.scales<rows = 16>>) -> tensor<?x1408xf32> {
  %y = ternary.fused_linear %q, %s, %offsets, %w, %ws
    : tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>,
      tensor<1408x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>,
      tensor<1408x4xf32, #ternary.scales<rows = 16>> -> tensor<?x1408xf32>
  return %y : tensor<?x1408xf32>
}
