//===- TernaryOps.td - operations of the ternary dialect ------------------===//
//
// Part of Tern, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes: M token rows (usually dynamic), N output rows of a weight, K input
// columns, G = K / group scale groups along K.
//
//===----------------------------------------------------------------------===//

#ifndef TERN_DIALECT_TERNARYOPS_TD
#define TERN_DIALECT_TERNARYOPS_TD

include "TernaryDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Ternary_Op<string mnemonic, list<Trait> traits = []>
    : Op<Ternary_Dialect, mnemonic, traits>;

def Ternary_Trits : TensorOf<[Ternary_TritType]>;
def Ternary_F32Tensor : TensorOf<[F32]>;
def Ternary_FloatTensor : TensorOf<[F32, F16, BF16]>;
/// Scales of a weight: f16 where a checkpoint has them so, which is exact and half as much to read.
def Ternary_ScaleTensor : TensorOf<[F32, F16]>;
def Ternary_I8Tensor : TensorOf<[I8]>;
def Ternary_I32Tensor : TensorOf<[I32]>;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

def Ternary_WeightOp : Ternary_Op<"weight", [Symbol, HasParent<"::mlir::ModuleOp">]> {
  let summary = "a weight of the model, by reference";
  let description = [{
    Declares a static tensor whose values are the rows of `sources`, one below
    the other, each source followed by zero rows up to its entry of
    `segmentRows` when that attribute is given. In a float weight, a source of one
    element fills its whole segment (a per-tensor scale, spread over rows). After
    packing, `section` holds the weight's place in the packed weight section:
    offset and size in bytes.

    Trit weights decode from `hf_u8`, `random` or a trit derivation; float weights
    from the rest. All sources must have the weight's column count.

    Example:
    ```mlir
    ternary.weight @blk.0.ffn_up : tensor<1408x512x!ternary.trit>
      from [#ternary.source<file = 0, offset = 4096, bytes = 180224, shape = [1408, 512], encoding = hf_u8>]
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$type,
                       TypedArrayAttrBase<Ternary_SourceAttr, "sources">:$sources,
                       OptionalAttr<DenseI64ArrayAttr>:$segmentRows,
                       OptionalAttr<DenseI64ArrayAttr>:$section);
  let assemblyFormat = [{
    $sym_name `:` $type `from` $sources (`rows` $segmentRows^)? (`section` $section^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Ternary_LoadOp : Ternary_Op<"load", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a weight";
  let description = [{
    Example: `%w = ternary.load @blk.0.ffn_up : tensor<1408x512x!ternary.trit>`
  }];
  let arguments = (ins FlatSymbolRefAttr:$weight);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$weight `:` type($result) attr-dict";
}

def Ternary_QuantizeWeightOp : Ternary_Op<"quantize_weight", [Pure]> {
  let summary = "float master weights to trits and one scale (absmean)";
  let description = [{
    `m = max(mean |w|, 1e-5)`, `trits = clamp(rint(w * (1 / m)), -1, 1)`, ties to
    even; `scale = m`. The mean is taken in binary64 over the rows in order and
    rounded to binary32 once.

    Example:
    ```mlir
    %t, %m = ternary.quantize_weight %w
      : tensor<512x512xbf16> -> tensor<512x512x!ternary.trit>, tensor<1xf32>
    ```
  }];
  let arguments = (ins Ternary_FloatTensor:$weight);
  let results = (outs Ternary_Trits:$trits, Ternary_F32Tensor:$scale);
  let assemblyFormat = "$weight attr-dict `:` type($weight) `->` type($trits) `,` type($scale)";
  let hasVerifier = 1;
}

def Ternary_PackOp : Ternary_Op<"pack", [Pure]> {
  let summary = "lays trits out as a #ternary.packing";
  let description = [{
    Same trits, other bytes. The result type is the operand's with the encoding set.

    Example:
    ```mlir
    %p = ternary.pack %w : tensor<512x512x!ternary.trit>
      -> tensor<512x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
    ```
  }];
  let arguments = (ins Ternary_Trits:$trits);
  let results = (outs Ternary_Trits:$packed);
  let assemblyFormat = "$trits attr-dict `:` type($trits) `->` type($packed)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Ternary_UnpackOp : Ternary_Op<"unpack", [Pure]> {
  let summary = "the trits of a packed matrix";
  let description = [{
    Inverse of `ternary.pack`.

    Example:
    ```mlir
    %w = ternary.unpack %p
      : tensor<512x512x!ternary.trit, #ternary.packing<two_bit, rows = 16, k = 16>>
      -> tensor<512x512x!ternary.trit>
    ```
  }];
  let arguments = (ins Ternary_Trits:$packed);
  let results = (outs Ternary_Trits:$trits);
  let assemblyFormat = "$packed attr-dict `:` type($packed) `->` type($trits)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

def Ternary_LinearOp : Ternary_Op<"linear", [Pure]> {
  let summary = "a ternary linear layer as the model states it (BitLinear)";
  let description = [{
    `out = input * (scale . weight)^T`. The shape of `scale` is its granularity:
    `[1]` per tensor, `[N]` per row, `[N, G]` per row and group of `K / G` columns
    (`K` divisible by `G`, `K / G` divisible by 32). An f16 scale means its value.

    `int8_per_token` quantizes each input row as `ternary.quantize_rows` does, sums
    exactly in integers, and scales as `ternary.rescale` does. `int8_per_32`,
    `int8_per_64` and `int8_per_128` do so with a scale for each group of that many
    columns of a row, which must divide the columns that share a scale of the weight.

    `float` keeps the activations. In each group, with `k` counted from its start, four partial
    sums `p[k mod 4]` start from `+0` and add `t[n, k] * x[k]` in order; the group is
    `s = (p[0] + p[2]) + (p[1] + p[3])`. One group gives `s * scale`; more are added ascending from
    `+0`, `total = fma(s, scale, total)`. A `residual` is added on the left, at the end: only with `float`,
    since `fused_linear` is what int8 products become.

    Example:
    ```mlir
    %y = ternary.linear %x, %w, %s activations(int8_per_token)
      : tensor<?x512xf32>, tensor<1408x512x!ternary.trit>, tensor<1xf32> -> tensor<?x1408xf32>
    ```
  }];
  let arguments = (ins Ternary_F32Tensor:$input, Ternary_Trits:$weight, Ternary_ScaleTensor:$scale,
                       Ternary_ActivationsAttr:$activations, Optional<Ternary_F32Tensor>:$residual);
  let results = (outs Ternary_F32Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$input,
                                 "::mlir::Value":$weight, "::mlir::Value":$scale,
                                 "Activations":$activations), [{
    build($_builder, $_state, result, input, weight, scale, activations, ::mlir::Value());
  }]>];
  let assemblyFormat = [{
    $input `,` $weight `,` $scale `activations` `(` custom<Activations>($activations) `)`
    (`residual` `(` $residual^ `:` type($residual) `)`)? attr-dict
    `:` type($input) `,` type($weight) `,` type($scale) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Ternary_QuantizeRowsOp : Ternary_Op<"quantize_rows", [Pure]> {
  let summary = "rows of floats to rows of int8 with one scale a row or a group";
  let description = [{
    For each row `x`: `a = max(max |x|, 1e-5)`, `s = (1 / a) * 127`,
    `values = clamp(rint(x * s), -128, 127)` with ties to even, `scales = 1 / s` (what
    an int8 step is worth). `offsets[m, g]` is minus the sum of `values` over columns
    `g * group .. (g + 1) * group - 1`: products with codes `trit + 1` start from it.

    With `scales` of shape `[M, K / group]`, the same for each group of a row on its own, of
    a multiple of 32 columns.

    With `gain`, the row is normalised first: `x = rms_norm(x, gain, epsilon)`.

    Example:
    ```mlir
    %q, %s, %o = ternary.quantize_rows %x norm(%g, 1.0e-05) group 512
      : tensor<?x512xf32>, tensor<512xf32> -> tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>
    %q, %s, %o = ternary.quantize_rows %x group 64
      : tensor<?x512xf32> -> tensor<?x512xi8>, tensor<?x8xf32>, tensor<?x8xi32>
    ```
  }];
  let arguments = (ins Ternary_F32Tensor:$input, Optional<Ternary_F32Tensor>:$gain,
                       OptionalAttr<F32Attr>:$epsilon, I64Attr:$group);
  let results = (outs Ternary_I8Tensor:$values, Ternary_F32Tensor:$scales, Ternary_I32Tensor:$offsets);
  let assemblyFormat = [{
    $input (`norm` `(` $gain^ `,` $epsilon `)`)? `group` $group attr-dict
    `:` type($input) (`,` type($gain)^)? `->` type($values) `,` type($scales) `,` type($offsets)
  }];
  let hasVerifier = 1;
}

def Ternary_MatmulOp : Ternary_Op<"matmul", [Pure]> {
  let summary = "int8 rows times ternary rows, exact int32 sums";
  let description = [{
    `out[m, n, g] = sum over group g of acts[m, k] * weight[n, k]`. K <= 132104, so no
    sum leaves the 24 bits that convert to binary32 exactly.

    Example:
    ```mlir
    %acc = ternary.matmul %q, %w
      : tensor<?x512xi8>, tensor<1408x512x!ternary.trit> -> tensor<?x1408x1xi32>
    ```
  }];
  let arguments = (ins Ternary_I8Tensor:$acts, Ternary_Trits:$weight);
  let results = (outs Ternary_I32Tensor:$result);
  let assemblyFormat = [{
    $acts `,` $weight attr-dict `:` type($acts) `,` type($weight) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Ternary_RescaleOp : Ternary_Op<"rescale", [Pure]> {
  let summary = "int32 sums to floats";
  let description = [{
    `scale` is `[1]`, `[N]` or `[N, S]` (`S = 1` but for the last). With row scales `[M]`,
    `S = G`, and

    * one group gives `out[m, n] = (float(acc[m, n, 0]) * scale[n]) * rowScales[m]`;
    * more give `out[m, n] = total * rowScales[m]`, `total` starting from `+0` and becoming
      `fma(float(acc[m, n, g]), scale[n, g], total)` for `g` ascending.

    With row scales `[M, G]`, `S` divides `G`, and `out[m, n]` starts from `+0` and becomes
    `fma(float(acc[m, n, g]) * rowScales[m, g], scale[n, g / (G / S)], out[m, n])`.

    Example:
    ```mlir
    %y = ternary.rescale %acc, %s, %ws
      : tensor<?x1408x1xi32>, tensor<?xf32>, tensor<1xf32> -> tensor<?x1408xf32>
    ```
  }];
  let arguments = (ins Ternary_I32Tensor:$acc, Ternary_F32Tensor:$rowScales,
                       Ternary_ScaleTensor:$scale);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = [{
    $acc `,` $rowScales `,` $scale attr-dict
    `:` type($acc) `,` type($rowScales) `,` type($scale) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Ternary_FusedLinearOp : Ternary_Op<"fused_linear", [Pure]> {
  let summary = "matmul, rescale and residual addition in one kernel";
  let description = [{
    `out = rescale(matmul(acts, weight), rowScales, scale)`, then
    `out = residual + out` if there is a residual. The groups are those of `offsets`, which
    must be what `quantize_rows` gives: kernels on unsigned codes start from them.

    Example:
    ```mlir
    %y = ternary.fused_linear %q, %s, %o, %w, %ws residual(%h : tensor<?x512xf32>)
      : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
        tensor<512x512x!ternary.trit>, tensor<1xf32> -> tensor<?x512xf32>
    ```
  }];
  let arguments = (ins Ternary_I8Tensor:$acts, Ternary_F32Tensor:$rowScales,
                       Ternary_I32Tensor:$offsets, Ternary_Trits:$weight,
                       Ternary_ScaleTensor:$scale,
                       Optional<Ternary_F32Tensor>:$residual);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = [{
    $acts `,` $rowScales `,` $offsets `,` $weight `,` $scale
    (`residual` `(` $residual^ `:` type($residual) `)`)? attr-dict
    `:` type($acts) `,` type($rowScales) `,` type($offsets) `,` type($weight) `,` type($scale)
    `->` type($result)
  }];
  let hasVerifier = 1;
}

def Ternary_GatedLinearOp : Ternary_Op<"gated_linear", [Pure]> {
  let summary = "fused_linear whose rows count only where a ReLU-squared gate is open";
  let description = [{
    `out[m, n] = (gate[m, n] * gate[m, n]) * up[m, n]` where `gate[m, n] > 0`, else `+0`, with
    `up = rescale(matmul(acts, weight), rowScales, scale)` of one group: rows of the weight whose gate
    is closed need not be read. It is `gated_activation relu2` but for the sign of a zero, which
    `quantize_rows` does not see: a closed gate gives `+0` here and `0 * up` there.

    Example:
    ```mlir
    %h = ternary.gated_linear %q, %s, %o, %w, %ws gate(%g : tensor<?x1408xf32>)
      : tensor<?x512xi8>, tensor<?xf32>, tensor<?x1xi32>,
        tensor<1408x512x!ternary.trit>, tensor<1xf32> -> tensor<?x1408xf32>
    ```
  }];
  let arguments = (ins Ternary_I8Tensor:$acts, Ternary_F32Tensor:$rowScales,
                       Ternary_I32Tensor:$offsets, Ternary_Trits:$weight,
                       Ternary_ScaleTensor:$scale, Ternary_F32Tensor:$gate);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = [{
    $acts `,` $rowScales `,` $offsets `,` $weight `,` $scale `gate` `(` $gate `:` type($gate) `)`
    attr-dict `:` type($acts) `,` type($rowScales) `,` type($offsets) `,` type($weight) `,`
    type($scale) `->` type($result)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Around the products
//===----------------------------------------------------------------------===//

def Ternary_RmsNormOp : Ternary_Op<"rms_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "root-mean-square normalisation of each row, or of each head of it";
  let description = [{
    `out = (x * (1 / sqrt(sum(x^2) / K + epsilon))) * gain`; the sum by the dialect's row rule.

    With `heads` above 1 a row is that many equal parts, and each is normalised on its own, by
    the same gain of the part's size.

    Example:
    ```mlir
    %y = ternary.rms_norm %x, %g epsilon 1.0e-05 : tensor<?x512xf32>, tensor<512xf32>
    %y = ternary.rms_norm %x, %g epsilon 1.0e-06 heads 4 : tensor<?x512xf32>, tensor<128xf32>
    ```
  }];
  let arguments = (ins Ternary_F32Tensor:$input, Ternary_F32Tensor:$gain, F32Attr:$epsilon,
                       DefaultValuedOptionalAttr<I64Attr, "1">:$heads);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = [{
    $input `,` $gain `epsilon` $epsilon (`heads` $heads^)? attr-dict `:` type($input) `,` type($gain)
  }];
  let hasVerifier = 1;
}

def Ternary_RopeAnglesOp : Ternary_Op<"rope_angles", [Pure]> {
  let summary = "cosines and sines of the rotary embedding, for `rows` positions";
  let description = [{
    Row `m` belongs to position `position + m`; with `D / 2` entries of `frequencies`
    (radians a position), `angle[i] = float(position + m) * frequencies[i]` in binary32;
    `out[m, i] = cos(angle[i])`, `out[m, D / 2 + i] = sin(angle[i])`.

    Example:
    ```mlir
    %a = ternary.rope_angles %position, %rows frequencies(dense<[1.0, 0.5]> : tensor<2xf32>) -> tensor<?x4xf32>
    ```
  }];
  let arguments = (ins Index:$position, Index:$rows, ElementsAttr:$frequencies);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = [{
    $position `,` $rows `frequencies` `(` $frequencies `)` attr-dict `->` type($result)
  }];
  let hasVerifier = 1;
}

def Ternary_RopeOp : Ternary_Op<"rope", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding of each head (half-split pairs)";
  let description = [{
    Each row is `heads` heads of `D` values. In each head, for `i < D / 2`:
    `y[i] = x[i] cos[i] - x[i + D/2] sin[i]`, `y[i + D/2] = x[i + D/2] cos[i] + x[i] sin[i]`.

    Example:
    `%y = ternary.rope %x, %a heads 8 : tensor<?x512xf32>, tensor<?x64xf32>`
  }];
  let arguments = (ins Ternary_F32Tensor:$input, Ternary_F32Tensor:$angles, I64Attr:$heads);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = "$input `,` $angles `heads` $heads attr-dict `:` type($input) `,` type($angles)";
  let hasVerifier = 1;
}

def Ternary_AttentionOp : Ternary_Op<"attention", [AllTypesMatch<["query", "result"]>]> {
  let summary = "causal attention over a key-value cache, which it extends";
  let description = [{
    Stores the rows of `key` and `value` at positions `position ..` of `cache`, then
    for each row `m` (position `p = position + m`) and each of `heads` query heads `h`,
    with key-value head `h / (heads / cacheHeads)` and head size `D`:

    * `score[t] = (dot(q, key[t]) * keyScale[t]) * (1 / sqrt(D))` for `t <= p`; scales are
      those of caches of i8, 1 for others;
    * for each block of 256 positions: `w[t] = weight(score[t] - max)` with the block's
      largest score and `weight(x) = exp(x)`, 0 from `x = -64` down, `total = sum of w` by the row rule, and `mix` the dot of
      `w[t] * valueScale[t]` and `value[t]`;
    * blocks join in ascending order, from `max = -inf`, `total = 0`, `mix = 0`: with the
      larger `max` of both, `before = weight(max before - max)` and `now = weight(max of
      the block - max)`, `mix = mix * before + (mix of the block) * now`, `total` alike;
    * `out = mix * (1 / total)`.

    A dot is a chain of fused multiply-adds, ascending from `+0`. With a cache of i8 its
    first operand `x` of `n` elements becomes integers `rint(x * s)` of up to `limit`, with
    `s = (1 / max(|x|, 1e-5)) * limit` and `limit = min(32767, (2^31 - 1) / (127 n))`, and
    the dot is `float(sum of products) * (1 / s)`.

    So threads may take blocks, and rows be computed together, with the same bits.

    Example:
    ```mlir
    %o = ternary.attention %q, %k, %v, %cache at %position heads 8
      : tensor<?x512xf32>, tensor<?x256xf32>, tensor<?x256xf32>, !ternary.kv_cache<4 x 64 x f32>
    ```
  }];
  let arguments = (ins Ternary_F32Tensor:$query, Ternary_F32Tensor:$key, Ternary_F32Tensor:$value,
                       Arg<Ternary_KVCacheType, "", [MemRead, MemWrite]>:$cache,
                       Index:$position, I64Attr:$heads);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $cache `at` $position `heads` $heads attr-dict
    `:` type($query) `,` type($key) `,` type($value) `,` qualified(type($cache))
  }];
  let hasVerifier = 1;
}

def Ternary_GatedActivationOp : Ternary_Op<"gated_activation", [Pure, SameOperandsAndResultType]> {
  let summary = "act(gate) * up, elementwise";
  let description = [{
    * `relu2`: `(r * r) * up` with `r = max(gate, 0)`;
    * `silu`: `(gate / (1 + exp(-gate))) * up`.

    Example: `%f = ternary.gated_activation relu2 %gate, %up : tensor<?x1408xf32>`
  }];
  let arguments = (ins Ternary_GateKindAttr:$kind, Ternary_F32Tensor:$gate, Ternary_F32Tensor:$up);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = "$kind $gate `,` $up attr-dict `:` type($result)";
}

def Ternary_EmbeddingOp : Ternary_Op<"embedding", [Pure]> {
  let summary = "rows of a table, as floats";
  let description = [{
    `out[m, :] = float(table[ids[m], :])`. Callers pass ids in `[0, vocabulary)`.

    Example:
    `%h = ternary.embedding %ids, %e : tensor<?xi32>, tensor<4096x512xbf16> -> tensor<?x512xf32>`
  }];
  let arguments = (ins Ternary_I32Tensor:$ids, Ternary_FloatTensor:$table);
  let results = (outs Ternary_F32Tensor:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` type($ids) `,` type($table) `->` type($result)";
  let hasVerifier = 1;
}

def Ternary_HeadOp : Ternary_Op<"head", [Pure]> {
  let summary = "logits: rows times a float table, transposed";
  let description = [{
    `out[m, v] = dot(x[m, :], float(table[v, :]))`, the dot by the row rule.

    `screen` is the same table again, encoded as `#ternary.screen`. It changes no logit: where a call
    wants only the largest logit of each row, compiled code reads the screen and only those rows
    of the table that it cannot rule out.

    `table` itself may be encoded as `#ternary.screen`. Then `out` is the product in integers of
    `HeadScreen::product` (`dialect/HeadScreen.h`): the row rule takes no part in it, and all
    targets agree bit for bit.

    Example:
    ```mlir
    %l = ternary.head %x, %e : tensor<?x512xf32>, tensor<4096x512xbf16> -> tensor<?x4096xf32>
    %l = ternary.head %x, %e screen(%c : tensor<4096x512xbf16, #ternary.screen<bits = 6>>)
      : tensor<?x512xf32>, tensor<4096x512xbf16> -> tensor<?x4096xf32>
    %l = ternary.head %x, %c
      : tensor<?x512xf32>, tensor<4096x512xbf16, #ternary.screen<bits = 6>> -> tensor<?x4096xf32>
    ```
  }];
  let arguments = (ins Ternary_F32Tensor:$input, Ternary_FloatTensor:$table,
                       Optional<Ternary_FloatTensor>:$screen);
  let results = (outs Ternary_F32Tensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$input,
                                 "::mlir::Value":$table), [{
    build($_builder, $_state, result, input, table, ::mlir::Value());
  }]>];
  let assemblyFormat = [{
    $input `,` $table (`screen` `(` $screen^ `:` type($screen) `)`)? attr-dict
    `:` type($input) `,` type($table) `->` type($result)
  }];
  let extraClassDeclaration = [{
    /// The encoding of a table in integers, null for one of floats.
    ScreenAttr integerTable();
    /// What compiled code multiplies as integers: such a table, or the screen; null if there is
    /// neither.
    ::mlir::Value integers() { return integerTable() ? getTable() : getScreen(); }
  }];
  let hasVerifier = 1;
}

#endif // TERN_DIALECT_TERNARYOPS_TD
