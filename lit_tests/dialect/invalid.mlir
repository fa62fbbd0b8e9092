// One case a diagnostic: each function is named after the fault.
// RUN: tern-opt %s --split-input-file --verify-diagnostics

// packing_k
// expected-error @below {{expected k = 16 for two_bit, got 20}}
func.func private @f(tensor<4x4x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 20>>)

// -----

// packing_rows
// expected-error @below {{expected 1 to 64 rows a block, got 0}}
func.func private @f(tensor<4x4x!ternary.trit, #ternary.packing<base3, rows = 0, k = 20>>)

// -----

// packing_on_floats
// expected-error @below {{expected #ternary.packing on a static matrix of !ternary.trit, got 2 dimensions of 'f32'}}
func.func private @f(tensor<4x4xf32, #ternary.packing<two_bit, rows = 16, k = 16>>)

// -----

// packing_on_no_type
// expected-error @below {{undefined symbol alias id 'missing'}}
func.func private @f(tensor<4x4x!missing, #ternary.packing<two_bit, rows = 16, k = 16>>)

// -----

// scales_on_no_type
// expected-error @below {{undefined symbol alias id 'missing'}}
func.func private @f(tensor<4x4x!missing, #ternary.scales<rows = 16>>)

// -----

// scales_rows
// expected-error @below {{expected 1 to 64 or 256 rows a block, got 65}}
func.func private @f(tensor<4x4xf32, #ternary.scales<rows = 65>>)

// -----

// scales_on_trits
// expected-error @below {{expected #ternary.scales on a static matrix of f32 or f16, got 2 dimensions of '!ternary.trit'}}
func.func private @f(tensor<4x4x!ternary.trit, #ternary.scales<rows = 16>>)

// -----

// cache_rank
// expected-error @below {{expected heads x headSize x type, got 1 dimensions}}
func.func private @f(!ternary.kv_cache<4xf32>)

// -----

// cache_sizes
// expected-error @below {{expected at least one head of an even size, got 4 heads of size 3}}
func.func private @f(!ternary.kv_cache<4x3xf32>)

// -----

// cache_columns
// expected-error @below {{expected at most 16777216 columns in all heads, got 65536 heads of size 258}}
func.func private @f(!ternary.kv_cache<65536x258xf32>)

// -----

// cache_wrap
// expected-error @below {{expected at most 16777216 columns in all heads, got 4611686018427387904 heads of size 4}}
func.func private @f(!ternary.kv_cache<4611686018427387904x4xf32>)

// -----

// cache_element
// expected-error @below {{expected element type f32, f16 or i8, got 'bf16'}}
func.func private @f(!ternary.kv_cache<4x4xbf16>)

// -----

// source_negative
module {
// expected-error @below {{expected file, offset and bytes of at least 0, got -1, 0, 0}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = -1, offset = 0, bytes = 0, shape = [64, 32], encoding = random>]
}

// -----

// source_rank
module {
// expected-error @below {{expected a shape of one or two dimensions, got 3}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [1, 64, 32], encoding = random>]
}

// -----

// source_size
module {
// expected-error @below {{expected dimensions of at least 1 and at most 2^44 elements, got 0}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [64, 0], encoding = random>]
}

// -----

// source_overflow
module {
// expected-error @below {{expected dimensions of at least 1 and at most 2^44 elements, got 8589934592}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [8589934592, 8589934592], encoding = random>]
}

// -----

// source_packed_rows
module {
// expected-error @below {{expected hf_u8 rows that are a multiple of 4, got 63}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 504, shape = [63, 32], encoding = hf_u8>]
}

// -----

// source_packed_derive
module {
// expected-error @below {{expected nothing to be derived from hf_u8, got sign_trits}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = hf_u8, derive = sign_trits>]
}

// -----

// source_bytes
module {
// expected-error @below {{expected 512 bytes of hf_u8, got 2048}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 2048, shape = [64, 32], encoding = hf_u8>]
}

// -----

// source_block_columns
module {
// expected-error @below {{expected tq1_0 of columns that are a multiple of 256, got 64 x 32}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 432, shape = [64, 32], encoding = tq1_0>]
}

// -----

// source_block_run
module {
// expected-error @below {{expected i2_s of elements that are a multiple of 128, got 3 x 32}}
ternary.weight @w : tensor<3x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 56, shape = [3, 32], encoding = i2_s>]
}

// -----

// source_block_rows
module {
// expected-error @below {{expected i2_s_l4row of rows that are a multiple of 4, got 2 x 64}}
ternary.weight @w : tensor<2x64x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 64, shape = [2, 64], encoding = i2_s_l4row>]
}

// -----

// source_block_rank
module {
// expected-error @below {{expected q8_0 of two dimensions, got one}}
ternary.weight @w : tensor<32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 34, shape = [32], encoding = q8_0>]
}

// -----

// source_block_bytes
module {
// expected-error @below {{expected 544 bytes of i2_s, got 512}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = i2_s>]
}

// -----

// source_block_derive
module {
// expected-error @below {{expected nothing to be derived from q8_0, got magnitude_scale}}
ternary.weight @w : tensor<64xf32> from [#ternary.source<file = 0, offset = 0, bytes = 2176, shape = [64, 32], encoding = q8_0, derive = magnitude_scale>]
}

// -----

// source_block_scale
module {
// expected-error @below {{expected block_scale of a format with scales in its blocks, got f32}}
ternary.weight @w : tensor<64xf32> from [#ternary.source<file = 0, offset = 0, bytes = 8192, shape = [64, 32], encoding = f32, derive = block_scale>]
}

// -----

// source_permute
module {
// expected-error @below {{expected a number of heads that divides 64 rows, got 5}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 544, shape = [64, 32], encoding = i2_s, permute = 5>]
}

// -----

// source_permute_odd
module {
// expected-error @below {{expected heads of an even number of rows, got 1}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 544, shape = [64, 32], encoding = i2_s, permute = 64>]
}

// -----

// source_scales
module {
// expected-error @below {{expected scales only beside mlx2, got i2_s}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 544, shape = [64, 32], encoding = i2_s, scales = #ternary.source<file = 0, offset = 0, bytes = 128, shape = [64, 1], encoding = f16>>]
}

// -----

// source_scales_kind
module {
// expected-error @below {{expected scales of #ternary.source, got 3 : i64}}
ternary.weight @w : tensor<64x32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = mlx2, scales = 3>]
}

// -----

// source_scales_encoding
module {
// expected-error @below {{expected scales that are plain floats, got}}
ternary.weight @w : tensor<64x32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = mlx2, scales = #ternary.source<file = 0, offset = 0, bytes = 0, shape = [64, 1], encoding = random>>]
}

// -----

// source_scales_shape
module {
// expected-error @below {{expected scales for each of 64 rows and groups of 32 columns, got}}
ternary.weight @w : tensor<64x32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = mlx2, scales = #ternary.source<file = 0, offset = 0, bytes = 64, shape = [32, 1], encoding = f16>>]
}

// -----

// weight_block_floats
module {
// expected-error @below {{expected source 0 to give trits, got encoding q4_0 with derivation none}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 1152, shape = [64, 32], encoding = q4_0>]
}

// -----

// weight_mlx_floats
module {
// expected-error @below {{expected source 0 to give floats, got encoding mlx2 with derivation none}}
ternary.weight @w : tensor<64x32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = mlx2>]
}

// -----

// weight_block_scale_trits
module {
// expected-error @below {{expected source 0 to give trits, got encoding i2_s with derivation block_scale}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 544, shape = [64, 32], encoding = i2_s, derive = block_scale>]
}

// -----

// weight_block_scale_groups
module {
// expected-error @below {{expected source 0 to have 1 columns, got 2}}
ternary.weight @w : tensor<4xf32> from [#ternary.source<file = 0, offset = 0, bytes = 144, shape = [4, 128], encoding = q2_0, derive = block_scale>]
}

// -----

// weight_rank
module {
// expected-error @below {{expected a tensor of rank 1 or 2, got 'tensor<1x1x1xf32>'}}
ternary.weight @w : tensor<1x1x1xf32> from [#ternary.source<file = 0, offset = 0, bytes = 4, shape = [1], encoding = f32>]
}

// -----

// weight_no_source
module {
// expected-error @below {{expected at least one source}}
ternary.weight @w : tensor<4xf32> from []
}

// -----

// weight_trit_vector
module {
// expected-error @below {{expected a trit matrix of rank 2, got 'tensor<4x!ternary.trit>'}}
ternary.weight @w : tensor<4x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [4], encoding = random>]
}

// -----

// weight_segments
module {
// expected-error @below {{expected a number of segment rows for each of 1 sources, got 2}}
ternary.weight @w : tensor<4xf32> from [#ternary.source<file = 0, offset = 0, bytes = 16, shape = [4], encoding = f32>] rows [2, 2]
}

// -----

// weight_trits_from_floats
module {
// expected-error @below {{expected source 0 to give trits, got encoding f32 with derivation none}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 8192, shape = [64, 32], encoding = f32>]
}

// -----

// weight_floats_from_trits
module {
// expected-error @below {{expected source 0 to give floats, got encoding hf_u8 with derivation none}}
ternary.weight @w : tensor<64x32xf32> from [#ternary.source<file = 0, offset = 0, bytes = 512, shape = [64, 32], encoding = hf_u8>]
}

// -----

// weight_columns
module {
// expected-error @below {{expected source 0 to have 32 columns, got 16}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [64, 16], encoding = random>]
}

// -----

// weight_segment_too_small
module {
// expected-error @below {{expected segment 0 to hold the 4 rows of its source, got 2}}
ternary.weight @w : tensor<2xf32> from [#ternary.source<file = 0, offset = 0, bytes = 16, shape = [4], encoding = f32>] rows [2]
}

// -----

// weight_rows
module {
// expected-error @below {{expected the sources to give 64 rows, got 60}}
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [60, 32], encoding = random>]
}

// -----

// weight_section
module {
// expected-error @below {{expected a section [offset, bytes] with a 64-byte aligned offset}}
ternary.weight @w : tensor<4xf32> from [#ternary.source<file = 0, offset = 0, bytes = 16, shape = [4], encoding = f32>] section [8, 16]
}

// -----

func.func @load_unknown() {
  // expected-error @below {{expected a ternary.weight named @nothing}}
  %w = ternary.load @nothing : tensor<4xf32>
  return
}

// -----

module {
ternary.weight @w : tensor<64x32x!ternary.trit> from [#ternary.source<file = 0, offset = 0, bytes = 0, shape = [64, 32], encoding = random>]
func.func @load_type() {
  // expected-error @below {{expected the weight's type 'tensor<64x32x!ternary.trit>', got 'tensor<64x32xf32>'}}
  %w = ternary.load @w : tensor<64x32xf32>
  return
}
}

// -----

func.func @quantize_weight_shape(%a: tensor<4x4xf32>) {
  // expected-error @below {{expected trits of the weight's shape 'tensor<4x4xf32>', got 'tensor<4x8x!ternary.trit>'}}
  %t, %s = ternary.quantize_weight %a : tensor<4x4xf32> -> tensor<4x8x!ternary.trit>, tensor<1xf32>
  return
}

// -----

func.func @quantize_weight_scale(%a: tensor<4x4xf32>) {
  // expected-error @below {{expected one scale, got 'tensor<4xf32>'}}
  %t, %s = ternary.quantize_weight %a : tensor<4x4xf32> -> tensor<4x4x!ternary.trit>, tensor<4xf32>
  return
}

// -----

func.func @pack_of_packed(%a: tensor<64x32x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>) {
  // expected-error @below {{expected unpacked trits}}
  %p = ternary.pack %a : tensor<64x32x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>> -> tensor<64x32x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
  return
}

// -----

func.func @pack_to_plain(%a: tensor<64x32x!ternary.trit>) {
  // expected-error @below {{expected trits with a #ternary.packing, got 'tensor<64x32x!ternary.trit>'}}
  %p = ternary.pack %a : tensor<64x32x!ternary.trit> -> tensor<64x32x!ternary.trit>
  return
}

// -----

func.func @pack_shape(%a: tensor<32x32x!ternary.trit>) {
  // expected-error @below {{expected both types to have one shape}}
  %p = ternary.pack %a : tensor<32x32x!ternary.trit> -> tensor<64x32x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
  return
}

// -----

func.func @unpack_of_plain(%a: tensor<64x32x!ternary.trit>) {
  // expected-error @below {{expected trits with a #ternary.packing, got 'tensor<64x32x!ternary.trit>'}}
  %p = ternary.unpack %a : tensor<64x32x!ternary.trit> -> tensor<64x32x!ternary.trit>
  return
}

// -----

func.func @linear_int8_residual(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>, %h: tensor<?x64xf32>) {
  // expected-error @below {{expected float activations with a residual, got int8_per_token}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) residual(%h : tensor<?x64xf32>) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_residual_shape(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>, %h: tensor<?x32xf32>) {
  // expected-error @below {{expected a residual of the result's type 'tensor<?x64xf32>', got 'tensor<?x32xf32>'}}
  %y = ternary.linear %x, %w, %s activations(float) residual(%h : tensor<?x32xf32>) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_input_columns(%x: tensor<?x16xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected input columns = 32, got 16}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x16xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_input_rank(%x: tensor<32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected input of rank 2, got 'tensor<32xf32>'}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<32xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_result_columns(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected result columns = 64, got 32}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @linear_result_rank(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected result of rank 2, got 'tensor<64xf32>'}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<64xf32>
  return
}

// -----

func.func @linear_result_rows(%x: tensor<3x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected result rows = 3, got 4}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<3x32xf32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<4x64xf32>
  return
}

// -----

func.func @linear_dynamic_weight(%x: tensor<?x32xf32>, %w: tensor<?x32x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected a weight of static shape, got 'tensor<?x32x!ternary.trit>'}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x32xf32>, tensor<?x32x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_scale(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<32xf32>) {
  // expected-error @below {{expected a scale of shape [1], [64] or [64, groups], got 'tensor<32xf32>'}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<32xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_groups_divide(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<64x3xf32>) {
  // expected-error @below {{expected a number of groups that divides 32 columns, got 3}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<64x3xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_small_groups(%x: tensor<?x32xf32>, %w: tensor<64x32x!ternary.trit>, %s: tensor<64x2xf32>) {
  // expected-error @below {{expected groups of a multiple of 32 columns, got 16}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x32xf32>, tensor<64x32x!ternary.trit>, tensor<64x2xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @linear_too_wide(%x: tensor<?x132105xf32>, %w: tensor<64x132105x!ternary.trit>, %s: tensor<1xf32>) {
  // expected-error @below {{expected at most 132104 columns, so that sums are exact, got 132105}}
  %y = ternary.linear %x, %w, %s activations(int8_per_token) : tensor<?x132105xf32>, tensor<64x132105x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @quantize_rows_rank(%x: tensor<32xf32>) {
  // expected-error @below {{expected input of rank 2, got 'tensor<32xf32>'}}
  %q, %s, %u = ternary.quantize_rows %x  group 32 : tensor<32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @quantize_rows_dynamic_columns(%x: tensor<?x?xf32>) {
  // expected-error @below {{expected a static number of columns, got 'tensor<?x?xf32>'}}
  %q, %s, %u = ternary.quantize_rows %x  group 32 : tensor<?x?xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @quantize_rows_gain(%x: tensor<?x32xf32>, %g: tensor<16xf32>) {
  // expected-error @below {{expected a gain of 32 elements, got 'tensor<16xf32>'}}
  %q, %s, %u = ternary.quantize_rows %x norm(%g, 1.0e-5) group 32 : tensor<?x32xf32>, tensor<16xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @quantize_rows_group(%x: tensor<?x32xf32>) {
  // expected-error @below {{expected a group that divides 32 columns, got 5}}
  %q, %s, %u = ternary.quantize_rows %x  group 5 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @quantize_rows_values(%x: tensor<?x32xf32>) {
  // expected-error @below {{expected value columns = 32, got 16}}
  %q, %s, %u = ternary.quantize_rows %x  group 32 : tensor<?x32xf32> -> tensor<?x16xi8>, tensor<?xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @quantize_rows_offsets(%x: tensor<?x32xf32>) {
  // expected-error @below {{expected offsets a row = 1, got 2}}
  %q, %s, %u = ternary.quantize_rows %x  group 32 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @quantize_rows_rows(%x: tensor<3x32xf32>) {
  // expected-error @below {{expected value rows = 3, got 4}}
  %q, %s, %u = ternary.quantize_rows %x  group 32 : tensor<3x32xf32> -> tensor<4x32xi8>, tensor<?xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @quantize_rows_scales(%x: tensor<3x32xf32>) {
  // expected-error @below {{expected scales = 3, got 4}}
  %q, %s, %u = ternary.quantize_rows %x  group 32 : tensor<3x32xf32> -> tensor<3x32xi8>, tensor<4xf32>, tensor<?x1xi32>
  return
}

// -----

func.func @matmul_rank(%a: tensor<?x32xi8>, %w: tensor<64x32x!ternary.trit>) {
  // expected-error @below {{expected result of rank 3, got 'tensor<?x64xi32>'}}
  %y = ternary.matmul %a, %w : tensor<?x32xi8>, tensor<64x32x!ternary.trit> -> tensor<?x64xi32>
  return
}

// -----

func.func @matmul_columns(%a: tensor<?x16xi8>, %w: tensor<64x32x!ternary.trit>) {
  // expected-error @below {{expected input columns = 32, got 16}}
  %y = ternary.matmul %a, %w : tensor<?x16xi8>, tensor<64x32x!ternary.trit> -> tensor<?x64x1xi32>
  return
}

// -----

func.func @matmul_groups(%a: tensor<?x32xi8>, %w: tensor<64x32x!ternary.trit>) {
  // expected-error @below {{expected a number of groups that divides 32 columns, got 5}}
  %y = ternary.matmul %a, %w : tensor<?x32xi8>, tensor<64x32x!ternary.trit> -> tensor<?x64x5xi32>
  return
}

// -----

func.func @rescale_acc_rank(%a: tensor<?x64xi32>, %s: tensor<?xf32>, %w: tensor<1xf32>) {
  // expected-error @below {{expected acc of rank 3, got 'tensor<?x64xi32>'}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @rescale_columns(%a: tensor<?x64x1xi32>, %s: tensor<?xf32>, %w: tensor<1xf32>) {
  // expected-error @below {{expected result columns = 64, got 32}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @rescale_scale(%a: tensor<?x64x1xi32>, %s: tensor<?xf32>, %w: tensor<32xf32>) {
  // expected-error @below {{expected a scale of shape [1], [64] or [64, groups], got 'tensor<32xf32>'}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64x1xi32>, tensor<?xf32>, tensor<32xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @rescale_groups(%a: tensor<?x64x1xi32>, %s: tensor<?xf32>, %w: tensor<64x2xf32>) {
  // expected-error @below {{expected groups = 1, got 2}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64x1xi32>, tensor<?xf32>, tensor<64x2xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @rescale_row_scales(%a: tensor<3x64x1xi32>, %s: tensor<4xf32>, %w: tensor<1xf32>) {
  // expected-error @below {{expected row scales = 3, got 4}}
  %y = ternary.rescale %a, %s, %w : tensor<3x64x1xi32>, tensor<4xf32>, tensor<1xf32> -> tensor<3x64xf32>
  return
}

// -----

func.func @fused_linear_columns(%a: tensor<?x16xi8>, %s: tensor<?xf32>, %u: tensor<?x1xi32>, %w: tensor<64x32x!ternary.trit>, %ws: tensor<64xf32>) {
  // expected-error @below {{expected input columns = 32, got 16}}
  %y = ternary.fused_linear %a, %s, %u, %w, %ws  : tensor<?x16xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x32x!ternary.trit>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @fused_linear_groups(%a: tensor<?x32xi8>, %s: tensor<?xf32>, %u: tensor<?x2xi32>, %w: tensor<64x32x!ternary.trit>, %ws: tensor<64xf32>) {
  // expected-error @below {{expected groups = 2, got 1}}
  %y = ternary.fused_linear %a, %s, %u, %w, %ws  : tensor<?x32xi8>, tensor<?xf32>, tensor<?x2xi32>, tensor<64x32x!ternary.trit>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @quantize_rows_scale_rank(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected scales of rank 1 or 2, got 'tensor<?x2x1xf32>'}}
  %q, %s, %o = ternary.quantize_rows %x group 32 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x2x1xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @quantize_rows_small_groups(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected groups with scales of a multiple of 32 columns, got 16}}
  %q, %s, %o = ternary.quantize_rows %x group 16 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x4xf32>, tensor<?x4xi32>
  return
}

// -----

func.func @quantize_rows_group_scales(%x: tensor<?x64xf32>) {
  // expected-error @below {{expected scales a row = 2, got 1}}
  %q, %s, %o = ternary.quantize_rows %x group 32 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>, tensor<?x2xi32>
  return
}

// -----

func.func @linear_activation_groups(%x: tensor<?x128xf32>, %w: tensor<64x128x!ternary.trit>, %s: tensor<64x2xf32>) {
  // expected-error @below {{expected columns that share a scale to be a multiple of the 128 of int8_per_128, got 64}}
  %y = ternary.linear %x, %w, %s activations(int8_per_128) : tensor<?x128xf32>, tensor<64x128x!ternary.trit>, tensor<64x2xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @rescale_act_groups(%a: tensor<?x64x4xi32>, %s: tensor<?x2xf32>, %w: tensor<64x2xf32>) {
  // expected-error @below {{expected scales a row = 4, got 2}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64x4xi32>, tensor<?x2xf32>, tensor<64x2xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @rescale_uneven_groups(%a: tensor<?x64x4xi32>, %s: tensor<?x4xf32>, %w: tensor<64x3xf32>) {
  // expected-error @below {{expected a number of the weight's scale groups that divides 4 groups, got 3}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64x4xi32>, tensor<?x4xf32>, tensor<64x3xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @rescale_no_groups(%a: tensor<?x64x?xi32>, %s: tensor<?xf32>, %w: tensor<64xf32>) {
  // expected-error @below {{expected a static number of groups, at least 1, got ?}}
  %y = ternary.rescale %a, %s, %w : tensor<?x64x?xi32>, tensor<?xf32>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @fused_linear_uneven_groups(%a: tensor<?x96xi8>, %s: tensor<?x5xf32>, %u: tensor<?x5xi32>, %w: tensor<64x96x!ternary.trit>, %ws: tensor<64xf32>) {
  // expected-error @below {{expected a number of groups that divides 96 columns, got 5}}
  %y = ternary.fused_linear %a, %s, %u, %w, %ws  : tensor<?x96xi8>, tensor<?x5xf32>, tensor<?x5xi32>, tensor<64x96x!ternary.trit>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @fused_linear_scale(%a: tensor<?x32xi8>, %s: tensor<?xf32>, %u: tensor<?x1xi32>, %w: tensor<64x32x!ternary.trit>, %ws: tensor<32xf32>) {
  // expected-error @below {{expected a scale of shape [1], [64] or [64, groups], got 'tensor<32xf32>'}}
  %y = ternary.fused_linear %a, %s, %u, %w, %ws  : tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x32x!ternary.trit>, tensor<32xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @fused_linear_residual(%a: tensor<?x32xi8>, %s: tensor<?xf32>, %u: tensor<?x1xi32>, %w: tensor<64x32x!ternary.trit>, %ws: tensor<64xf32>, %r: tensor<?x32xf32>) {
  // expected-error @below {{expected a residual of the result's type 'tensor<?x64xf32>', got 'tensor<?x32xf32>'}}
  %y = ternary.fused_linear %a, %s, %u, %w, %ws residual(%r : tensor<?x32xf32>) : tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x32x!ternary.trit>, tensor<64xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @fused_linear_row_scales(%a: tensor<3x32xi8>, %s: tensor<4xf32>, %u: tensor<?x1xi32>, %w: tensor<64x32x!ternary.trit>, %ws: tensor<64xf32>) {
  // expected-error @below {{expected row scales = 3, got 4}}
  %y = ternary.fused_linear %a, %s, %u, %w, %ws  : tensor<3x32xi8>, tensor<4xf32>, tensor<?x1xi32>, tensor<64x32x!ternary.trit>, tensor<64xf32> -> tensor<3x64xf32>
  return
}

// -----

func.func @rms_norm_gain(%x: tensor<?x32xf32>, %g: tensor<16xf32>) {
  // expected-error @below {{expected gain elements = 32, got 16}}
  %y = ternary.rms_norm %x, %g epsilon 1.0e-5 : tensor<?x32xf32>, tensor<16xf32>
  return
}

// -----

func.func @rms_norm_head_gain(%x: tensor<?x32xf32>, %g: tensor<32xf32>) {
  // expected-error @below {{expected gain elements = 8, got 32}}
  %y = ternary.rms_norm %x, %g epsilon 1.0e-5 heads 4 : tensor<?x32xf32>, tensor<32xf32>
  return
}

// -----

func.func @rms_norm_head_columns(%x: tensor<?x32xf32>, %g: tensor<10xf32>) {
  // expected-error @below {{expected columns that are a multiple of 3 heads, got 'tensor<?x32xf32>'}}
  %y = ternary.rms_norm %x, %g epsilon 1.0e-5 heads 3 : tensor<?x32xf32>, tensor<10xf32>
  return
}

// -----

func.func @rms_norm_no_head(%x: tensor<?x32xf32>, %g: tensor<32xf32>) {
  // expected-error @below {{expected at least 1 head, got 0}}
  %y = ternary.rms_norm %x, %g epsilon 1.0e-5 heads 0 : tensor<?x32xf32>, tensor<32xf32>
  return
}

// -----

func.func @rms_norm_epsilon(%x: tensor<?x32xf32>, %g: tensor<32xf32>) {
  // expected-error @below {{expected an epsilon of at least 0}}
  %y = ternary.rms_norm %x, %g epsilon -1.0 : tensor<?x32xf32>, tensor<32xf32>
  return
}

// -----

func.func @rope_angles_frequencies(%p: index) {
  // expected-error @below {{expected frequencies of type tensor<...xf32>, got 'tensor<2xi32>'}}
  %y = ternary.rope_angles %p, %p frequencies(dense<1> : tensor<2xi32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @rope_angles_columns(%p: index) {
  // expected-error @below {{expected result columns = 4, got 8}}
  %y = ternary.rope_angles %p, %p frequencies(dense<1.0> : tensor<2xf32>) -> tensor<?x8xf32>
  return
}

// -----

func.func @rope_columns(%x: tensor<?x32xf32>, %a: tensor<?x8xf32>) {
  // expected-error @below {{expected input columns = 24, got 32}}
  %y = ternary.rope %x, %a heads 3 : tensor<?x32xf32>, tensor<?x8xf32>
  return
}

// -----

func.func @rope_odd_head(%x: tensor<?x28xf32>, %a: tensor<?x7xf32>) {
  // expected-error @below {{expected at least one head and an even head size, got 4 heads and 7 angles}}
  %y = ternary.rope %x, %a heads 4 : tensor<?x28xf32>, tensor<?x7xf32>
  return
}

// -----

func.func @attention_heads(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %c: !ternary.kv_cache<2x8xf32>, %p: index) {
  // expected-error @below {{expected a number of heads that is a multiple of the cache's 2, got 3}}
  %y = ternary.attention %q, %k, %v, %c at %p heads 3 : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, !ternary.kv_cache<2x8xf32>
  return
}

// -----

func.func @attention_query(%q: tensor<?x64xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %c: !ternary.kv_cache<2x8xf32>, %p: index) {
  // expected-error @below {{expected query columns = 32, got 64}}
  %y = ternary.attention %q, %k, %v, %c at %p heads 4 : tensor<?x64xf32>, tensor<?x16xf32>, tensor<?x16xf32>, !ternary.kv_cache<2x8xf32>
  return
}

// -----

func.func @attention_key(%q: tensor<?x32xf32>, %k: tensor<?x32xf32>, %v: tensor<?x16xf32>, %c: !ternary.kv_cache<2x8xf32>, %p: index) {
  // expected-error @below {{expected key columns = 16, got 32}}
  %y = ternary.attention %q, %k, %v, %c at %p heads 4 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x16xf32>, !ternary.kv_cache<2x8xf32>
  return
}

// -----

func.func @attention_value(%q: tensor<?x32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x32xf32>, %c: !ternary.kv_cache<2x8xf32>, %p: index) {
  // expected-error @below {{expected value columns = 16, got 32}}
  %y = ternary.attention %q, %k, %v, %c at %p heads 4 : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x32xf32>, !ternary.kv_cache<2x8xf32>
  return
}

// -----

func.func @attention_rank(%q: tensor<32xf32>, %k: tensor<?x16xf32>, %v: tensor<?x16xf32>, %c: !ternary.kv_cache<2x8xf32>, %p: index) {
  // expected-error @below {{expected query of rank 2, got 'tensor<32xf32>'}}
  %y = ternary.attention %q, %k, %v, %c at %p heads 4 : tensor<32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, !ternary.kv_cache<2x8xf32>
  return
}

// -----

func.func @attention_rows(%q: tensor<3x32xf32>, %k: tensor<4x16xf32>, %v: tensor<?x16xf32>, %c: !ternary.kv_cache<2x8xf32>, %p: index) {
  // expected-error @below {{expected key rows = 3, got 4}}
  %y = ternary.attention %q, %k, %v, %c at %p heads 4 : tensor<3x32xf32>, tensor<4x16xf32>, tensor<?x16xf32>, !ternary.kv_cache<2x8xf32>
  return
}

// -----

func.func @gated_activation_types(%a: tensor<?x4xf32>, %b: tensor<?x8xf32>) {
  // expected-error @below {{requires the same type for all operands and results}}
  %y = "ternary.gated_activation"(%a, %b) <{kind = #ternary<gate relu2>}> : (tensor<?x4xf32>, tensor<?x8xf32>) -> tensor<?x4xf32>
  return
}

// -----

func.func @embedding_ids(%i: tensor<?x1xi32>, %t: tensor<8x4xf32>) {
  // expected-error @below {{expected ids of rank 1, got 'tensor<?x1xi32>'}}
  %y = ternary.embedding %i, %t : tensor<?x1xi32>, tensor<8x4xf32> -> tensor<?x4xf32>
  return
}

// -----

func.func @embedding_columns(%i: tensor<?xi32>, %t: tensor<8x4xf32>) {
  // expected-error @below {{expected result columns = 4, got 8}}
  %y = ternary.embedding %i, %t : tensor<?xi32>, tensor<8x4xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @head_input(%x: tensor<?x8xf32>, %t: tensor<8x4xf32>) {
  // expected-error @below {{expected input columns = 4, got 8}}
  %y = ternary.head %x, %t : tensor<?x8xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @head_result(%x: tensor<?x4xf32>, %t: tensor<8x4xf32>) {
  // expected-error @below {{expected result columns = 8, got 9}}
  %y = ternary.head %x, %t : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x9xf32>
  return
}

// -----

func.func @quantize_rows_gain_alone(%x: tensor<?x32xf32>, %g: tensor<32xf32>) {
  // expected-error @below {{expected gain and epsilon together}}
  %q:3 = "ternary.quantize_rows"(%x, %g) {group = 32 : i64} : (tensor<?x32xf32>, tensor<32xf32>) -> (tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>)
  return
}

// -----

func.func @head_screen_of_screen(%x: tensor<?x4xf32>, %t: tensor<8x4xf32, #ternary.screen<bits = 6>>) {
  // expected-error @below {{expected a screen only of a table of floats, got 'tensor<8x4xf32, #ternary.screen<bits = 6>>'}}
  %y = ternary.head %x, %t screen(%t : tensor<8x4xf32, #ternary.screen<bits = 6>>) : tensor<?x4xf32>, tensor<8x4xf32, #ternary.screen<bits = 6>> -> tensor<?x8xf32>
  return
}

// -----

func.func @embedding_of_screen(%i: tensor<?xi32>, %t: tensor<8x4xf32, #ternary.screen<bits = 6>>) {
  // expected-error @below {{expected a table of floats as they are, got 'tensor<8x4xf32, #ternary.screen<bits = 6>>'}}
  %y = ternary.embedding %i, %t : tensor<?xi32>, tensor<8x4xf32, #ternary.screen<bits = 6>> -> tensor<?x4xf32>
  return
}

// -----

func.func @head_screen_shape(%x: tensor<?x4xf32>, %t: tensor<8x4xf32>, %s: tensor<16x4xf32, #ternary.screen<bits = 6>>) {
  // expected-error @below {{expected a screen of type 'tensor<8x4xf32>' with the encoding #ternary.screen, got 'tensor<16x4xf32, #ternary.screen<bits = 6>>'}}
  %y = ternary.head %x, %t screen(%s : tensor<16x4xf32, #ternary.screen<bits = 6>>) : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
  return
}

// -----

// expected-error @below {{expected 16 rows a block for two_bit_rows, got 8}}
func.func private @f(tensor<4x4x!ternary.trit, #ternary.packing<two_bit_rows, rows = 8, k = 16>>)

// -----

// expected-error @below {{expected 256 rows a block for two_bit_columns, got 16}}
func.func private @f(tensor<4x4x!ternary.trit, #ternary.packing<two_bit_columns, rows = 16, k = 16>>)

// -----

// expected-error @below {{expected k = 16 for two_bit_columns, got 20}}
func.func private @f(tensor<4x4x!ternary.trit, #ternary.packing<two_bit_columns, rows = 256, k = 20>>)

// -----

// expected-error @below {{expected up to 16384 columns for two_bit_rows, got 16385}}
func.func private @f(tensor<4x16385x!ternary.trit, #ternary.packing<two_bit_rows, rows = 16, k = 16>>)

// -----

func.func @gated_linear_groups(%a: tensor<?x64xi8>, %s: tensor<?xf32>, %o: tensor<?x2xi32>, %w: tensor<64x64x!ternary.trit>, %ws: tensor<64x2xf32>, %g: tensor<?x64xf32>) {
  // expected-error @below {{expected one group, got offsets of type 'tensor<?x2xi32>' and row scales of type 'tensor<?xf32>'}}
  %y = ternary.gated_linear %a, %s, %o, %w, %ws gate(%g : tensor<?x64xf32>) : tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xi32>, tensor<64x64x!ternary.trit>, tensor<64x2xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @head_screen_encoding(%x: tensor<?x4xf32>, %t: tensor<8x4xf32>) {
  // expected-error @below {{expected a screen of type 'tensor<8x4xf32>' with the encoding #ternary.screen, got 'tensor<8x4xf32>'}}
  %y = ternary.head %x, %t screen(%t : tensor<8x4xf32>) : tensor<?x4xf32>, tensor<8x4xf32> -> tensor<?x8xf32>
  return
}

// -----

func.func @gated_linear_gate(%a: tensor<?x32xi8>, %s: tensor<?xf32>, %o: tensor<?x1xi32>, %w: tensor<64x32x!ternary.trit>, %ws: tensor<1xf32>, %g: tensor<?x32xf32>) {
  // expected-error @below {{expected a gate of the result's type 'tensor<?x64xf32>', got 'tensor<?x32xf32>'}}
  %y = ternary.gated_linear %a, %s, %o, %w, %ws gate(%g : tensor<?x32xf32>) : tensor<?x32xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x32x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}

// -----

// expected-error @below {{expected a screen of 6 or 8 bits, got 4}}
func.func private @screen_bits(tensor<8x4xf32, #ternary.screen<bits = 4>>)

// -----

// expected-error @below {{expected #ternary.screen on a static matrix of f32, f16 or bf16, got 2 dimensions of 'i8'}}
func.func private @screen_element(tensor<8x4xi8, #ternary.screen<bits = 6>>)

// -----

// expected-error @below {{expected #ternary.screen on at most 16384 columns, got 16385}}
func.func private @screen_columns(tensor<8x16385xf32, #ternary.screen<bits = 6>>)

// -----

func.func @gated_linear_columns(%a: tensor<?x16400xi8>, %s: tensor<?xf32>, %o: tensor<?x1xi32>, %w: tensor<64x16400x!ternary.trit>, %ws: tensor<1xf32>, %g: tensor<?x64xf32>) {
  // expected-error @below {{expected up to 16384 columns, got 16400}}
  %y = ternary.gated_linear %a, %s, %o, %w, %ws gate(%g : tensor<?x64xf32>) : tensor<?x16400xi8>, tensor<?xf32>, tensor<?x1xi32>, tensor<64x16400x!ternary.trit>, tensor<1xf32> -> tensor<?x64xf32>
  return
}
